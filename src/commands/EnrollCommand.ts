/**
 * `nodepulse agent enroll`: exchanges an enrolment token for this machine's own token, and puts that where the agent reads it.
 *
 * The enrolment token is asked for, or read from a file or from standard input: what stands on a command line, every user of
 * the machine can read. The agent's token is written whole or not at all, with the owner and mode of the (empty) file that is
 * there, else for its owner only; where there is a token already it is kept, and nothing is asked of the server, unless
 * `--replace` says otherwise. The server is reached as the agent reaches it: with its certificates, and by its proxy.
 */
import * as Fs from "node:fs/promises"
import { hostname } from "node:os"
import { dirname } from "node:path"
import { Duration, Effect, Option, Redacted, Result, Schema } from "effect"
import { Command, Flag } from "effect/cli"
import { DEFAULT_CONFIG_PATH } from "../../agent/config/AgentConfig.ts"
import { readConfigDocument } from "../../agent/config/ConfigDocument.ts"
import { proxyFor } from "../../agent/config/ProxySettings.ts"
import { loadTls, type TlsFiles } from "../../agent/config/TlsFiles.ts"
import type { Connection } from "../../agent/scrape/Dial.ts"
import { exchange } from "../../agent/scrape/HttpExchange.ts"
import { Registry } from "../plugins/Registry.ts"
import { clipped } from "../protocol/PrintableText.ts"
import { readSecretFile } from "../SecretFile.ts"
import { CommandFailed, readSecret } from "./Input.ts"
import { travelsOpenly, withoutEndSlashes } from "./remote/SignIn.ts"
import { say, sayAside } from "./Terminal.ts"

const ANSWER_WITHIN = Duration.seconds(30)
const ANSWER_BYTES = 64 * 1024

const text = (name: string, description: string) =>
  Flag.String(name).pipe(Flag.withDescription(description), Flag.optional)

export const enrollCommand = Command.make(
  "enroll",
  {
    config: Flag.String("config").pipe(
      Flag.withAlias("c"),
      Flag.withDescription("The agent's configuration, which names the server and the token's file"),
      Flag.withDefault(DEFAULT_CONFIG_PATH)
    ),
    server: text("server", "The server's address; what the configuration names unless given"),
    tokenFile: text(
      "token-file",
      "The file with the enrolment token; unless given it is asked for, or read from standard input"
    ),
    out: text("out", "Where the agent's token goes; what the configuration names unless given"),
    name: Flag.String("name").pipe(Flag.withDescription("What this machine is called"), Flag.withDefault(hostname())),
    caFile: text("ca-file", "A private authority to trust; what the configuration names unless given"),
    replace: Flag.Boolean("replace").pipe(
      Flag.withDescription("Enrol this machine anew although it has a token"),
      Flag.withDefault(false)
    )
  },
  Effect.fnUntraced(function* (flags) {
    const told = yield* configured(flags.config)
    const server = Option.getOrElse(flags.server, () => told?.url)
    const out = Option.getOrElse(flags.out, () => told?.token_file)
    const files = { ...told, ca_file: Option.getOrElse(flags.caFile, () => told?.ca_file) }
    if (server === undefined || out === undefined) {
      const what =
        server === undefined ? "server: --server, or server.url" : "token's file: --out, or server.token_file"
      return yield* new CommandFailed({ reason: `name the ${what} in ${flags.config}` })
    }
    const there = yield* Effect.promise(() =>
      Fs.stat(out).then(
        ({ size }) => size > 0,
        () => false
      )
    )
    if (there && !flags.replace)
      return yield* say(`${out} is there already: this machine is enrolled (--replace enrols it anew)`)
    const url = withoutEndSlashes(server)
    if (!/^https?:/.test(url) || !URL.canParse(url)) {
      return yield* new CommandFailed({ reason: `${url} is no address such as https://nodepulse.example.org` })
    }
    if (travelsOpenly(url)) yield* sayAside(`${url} is not encrypted: whoever listens on the way can read the tokens`)
    const connection = yield* connectionTo(url, files)
    const token = yield* enrolmentToken(flags.tokenFile)
    const enrolled = yield* enroll(url, token, flags.name, connection)
    yield* attempt(out, () => write(out, enrolled.token))
    yield* say(`enrolled as ${enrolled.server_id}; its token is in ${out}`)
  })
).pipe(
  Command.withDescription("Exchange an enrolment token for this machine's own token"),
  Command.withExamples([
    {
      command: "nodepulse-agent agent enroll",
      description: "On a new machine whose configuration names the server; it asks for the token"
    },
    {
      command:
        "nodepulse agent enroll --server https://nodepulse.example.org --token-file enrolment.token --out agent.token",
      description: "With nothing configured; on the server: nodepulse token create --kind enrolment"
    }
  ])
)

/** What the configuration says of the server; nothing where there is none, or where it cannot be used. */
const configured = Effect.fnUntraced(function* (path: string) {
  const { exporters } = yield* Registry
  const found = yield* Effect.promise(() => Fs.readFile(path, "utf8").catch(() => undefined))
  if (found === undefined) return undefined
  const names = exporters.map(({ name }) => name)
  return Result.getOrUndefined(readConfigDocument(found, names))?.server
})

/** What a connection to the server needs: certificates, and the proxy that leads to it. */
const connectionTo = Effect.fnUntraced(function* (url: string, told: TlsFiles & { readonly proxy?: string }) {
  const { ca_file, cert_file, key_file } = told
  const tls = yield* loadTls("server", { ca_file, cert_file, key_file })
  if (Result.isFailure(tls)) return yield* new CommandFailed({ reason: tls.failure })
  const proxy = proxyFor(url, process.env, told.proxy)
  if (Result.isFailure(proxy)) return yield* new CommandFailed({ reason: proxy.failure })
  const material = yield* tls.success
  return proxy.success === undefined ? material : { ...material, proxy: proxy.success }
})

const enrolmentToken = Effect.fnUntraced(function* (file: Option.Option<string>) {
  const read = Option.map(file, (path) => readSecretFile(path))
  if (Option.isSome(read) && Result.isFailure(read.value)) {
    return yield* new CommandFailed({ reason: read.value.failure.message })
  }
  const found =
    Option.isSome(read) && Result.isSuccess(read.value)
      ? read.value.success
      : Redacted.value(yield* readSecret("Enrolment token"))
  const token = found.trim()
  return /^[\x21-\x7e]{1,512}$/.test(token)
    ? token
    : yield* new CommandFailed({ reason: "one enrolment token is expected, and nothing else" })
})

const decodeAnswer = Schema.decodeUnknownResult(
  Schema.fromJsonString(Schema.Struct({ server_id: Schema.String, token: Schema.String }))
)

const enroll = Effect.fnUntraced(function* (server: string, token: string, name: string, connection: Connection) {
  const { body, status } = yield* exchange({
    method: "POST",
    url: `${server}/api/enroll`,
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: Buffer.from(JSON.stringify({ name })),
    timeout: ANSWER_WITHIN,
    bodyLimit: ANSWER_BYTES,
    ...connection
  }).pipe(Effect.mapError(({ detail }) => new CommandFailed({ reason: `${server}: ${detail}` })))
  const answer = Buffer.from(body).toString("utf8")
  if (status !== 201)
    return yield* new CommandFailed({ reason: `${server} refuses: HTTP ${status} ${detailOf(answer)}` })
  const decoded = decodeAnswer(answer)
  if (Result.isFailure(decoded))
    return yield* new CommandFailed({ reason: `${server} is no NodePulse: its answer has no token` })
  return decoded.success
})

const detailOf = (answer: string): string => {
  try {
    const { detail } = JSON.parse(answer) as { readonly detail?: unknown }
    return clipped(String(detail ?? ""), 300)
  } catch {
    return ""
  }
}

/** Whole or not at all; with the owner and mode of the one before, where there was one. */
const write = async (path: string, token: string): Promise<void> => {
  await Fs.mkdir(dirname(path), { recursive: true })
  const before = await Fs.stat(path).catch(() => undefined)
  const fresh = `${path}.new`
  await Fs.rm(fresh, { force: true })
  await Fs.writeFile(fresh, `${token}\n`, { mode: 0o600, flag: "wx" })
  if (before !== undefined) {
    await Fs.chown(fresh, before.uid, before.gid)
    await Fs.chmod(fresh, before.mode & 0o750)
  }
  await Fs.rename(fresh, path)
}

const attempt = <A>(path: string, run: () => Promise<A>): Effect.Effect<A, CommandFailed> =>
  Effect.tryPromise({
    try: run,
    catch: (error) => new CommandFailed({ reason: `${path}: ${(error as Error).message}` })
  })
