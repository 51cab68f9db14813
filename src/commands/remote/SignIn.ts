/**
 * The saved sign-in of `nodepulse top`, `diff` and the like: which server, and with which token.
 *
 * It is in the user's configuration folder (`XDG_CONFIG_HOME`, else `~/.config`), readable by nobody else; a file that somebody
 * else can read or write is not used. `NODEPULSE_URL` and `NODEPULSE_TOKEN` together take its place: for scripts and containers.
 */
import { mkdir, rename, rm, writeFile } from "node:fs/promises"
import { homedir } from "node:os"
import { dirname, join } from "node:path"
import { Config, Effect, Redacted, Result, Schema } from "effect"
import { readSecretFile } from "../../SecretFile.ts"
import { CommandFailed } from "../Input.ts"

export interface SignIn {
  /** The server's address, without a slash at its end. */
  readonly url: string
  readonly token: Redacted.Redacted<string>
}

const Saved = Schema.fromJsonString(Schema.Struct({ url: Schema.String, token: Schema.String }))

const text = (name: string) => Config.withDefault(Config.String(name), "")

/** Where what belongs to the user is kept. */
export const configFolder: Effect.Effect<string> = Effect.map(
  Effect.orDie(Config.all([text("XDG_CONFIG_HOME"), text("HOME")])),
  ([config, home]) => join(config === "" ? join(home === "" ? homedir() : home, ".config") : config, "nodepulse")
)

/** Where the sign-in is saved. */
const path = Effect.map(configFolder, (folder) => join(folder, "sign-in.json"))

/** The sign-in of the environment, else the saved one. */
export const signIn: Effect.Effect<SignIn, CommandFailed> = Effect.gen(function* () {
  const [url, token] = yield* Effect.orDie(Config.all([text("NODEPULSE_URL"), text("NODEPULSE_TOKEN")]))
  if (url !== "" && token !== "") return { url: yield* addressOf(url), token: Redacted.make(token) }
  if (url !== "" || token !== "") {
    return yield* new CommandFailed({ reason: "NODEPULSE_URL and NODEPULSE_TOKEN go together: one of them is missing" })
  }
  const file = yield* path
  const found = readSecretFile(file, { own: true })
  if (Result.isFailure(found)) {
    return yield* new CommandFailed({
      reason: found.failure.code === "ENOENT" ? "not signed in yet: nodepulse login <address>" : found.failure.message
    })
  }
  const saved = yield* Effect.mapError(
    Schema.decodeUnknownEffect(Saved)(found.success),
    () =>
      new CommandFailed({ reason: `${file} is no sign-in: delete it, and sign in again (nodepulse login <address>)` })
  )
  return { url: saved.url, token: Redacted.make(saved.token) }
})

/** Saves a sign-in, in the place of the one before; answers where. */
export const save = Effect.fnUntraced(function* ({ token, url }: SignIn) {
  const file = yield* path
  const content = `${JSON.stringify({ url, token: Redacted.value(token) })}\n`
  yield* attempt(file, async () => {
    await mkdir(dirname(file), { recursive: true, mode: 0o700 })
    // Never a moment in which others can read it, or in which half of it is there.
    const fresh = `${file}.new`
    await rm(fresh, { force: true })
    await writeFile(fresh, content, { flag: "wx", mode: 0o600 })
    await rename(fresh, file)
  })
  return file
})

/** Forgets the saved sign-in. */
export const forget = Effect.flatMap(path, (file) => attempt(file, () => rm(file, { force: true })))

const attempt = (file: string, run: () => Promise<void>) =>
  Effect.tryPromise({
    try: run,
    catch: (error) => new CommandFailed({ reason: `${file} cannot be written: ${(error as Error).message}` })
  })

/** The address of a server as people copy it: without what belongs to a page of it. */
export const addressOf = (written: string): Effect.Effect<string, CommandFailed> => {
  const url = URL.canParse(written) ? new URL(written) : undefined
  const refuse = (reason: string) => Effect.fail(new CommandFailed({ reason: `${written}: ${reason}` }))
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    return refuse("is no address such as https://pulse.example")
  }
  if (url.username !== "" || url.password !== "") return refuse("leave the user out: the token says who you are")
  if (url.pathname.endsWith("/signin")) {
    return refuse(
      "a sign-in link is for a browser: give the address alone, and a token (nodepulse token create --kind read)"
    )
  }
  return Effect.succeed(withoutEndSlashes(`${url.origin}${url.pathname}`))
}

/** An address that paths can be appended to. */
export const withoutEndSlashes = (address: string): string => {
  let end = address.length
  while (address[end - 1] === "/") end--
  return address.slice(0, end)
}

/** Whether what is sent there can be read on its way. */
export const travelsOpenly = (address: string): boolean => {
  const { hostname, protocol } = new URL(address)
  return protocol === "http:" && !/^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(hostname)
}
