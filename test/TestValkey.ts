/**
 * A real Valkey (or Redis) for tests and benchmarks: started from the PATH on a free port with a folder of its own, ended
 * and removed with its scope.
 *
 * What is about the stream alone runs on every server that is there (`describeEachValkey`), what starts whole programs on the
 * first of them (`describeValkey`): a real Valkey where there is one, which `test/real-valkey.sh` makes. Where there is none
 * at all, both skip their suite and say in one line what was left out and how to get it.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { describe } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import { Redis } from "ioredis"
import { onPath } from "./OnPath.ts"
import { freePort } from "./Ports.ts"

export interface TestValkeyOptions {
  /** Defaults to the first that is there. */
  readonly server?: ValkeyServer
  /** Defaults to false: nothing on disk. */
  readonly appendOnly?: boolean
  /** Defaults to `always`. */
  readonly appendFsync?: "always" | "everysec" | "no"
  /** More settings, as in the server's configuration file: `{ maxmemory: "4mb" }`. */
  readonly settings?: Readonly<Record<string, string>>
}

export interface TestValkey {
  readonly url: string
  readonly port: number
  /** For what a test does to the server behind the back of NodePulse. Reconnects, and queues while it does. */
  readonly client: Redis
  /** Ends it as an operator would, and waits until it is gone. */
  readonly stop: Effect.Effect<void>
  /** Ends it as a power cut would (`kill -9`), and waits until it is gone. */
  readonly kill: Effect.Effect<void>
  /** Starts it again on the same port and folder, and waits until it answers. */
  readonly start: Effect.Effect<void>
  /** Freezes it: it keeps its connections and answers nothing. */
  readonly pause: Effect.Effect<void>
  readonly resume: Effect.Effect<void>
  /** Cuts all connections but this client's. */
  readonly cutConnections: Effect.Effect<void>
}

/** A program that serves the stream. */
export interface ValkeyServer {
  /** As it calls itself: `Valkey 8.1.1`, `Redis 7.0.15`. */
  readonly name: string
  /** Where it is. */
  readonly file: string
}

/** Undefined where it does not say who it is: then it cannot be started either. */
const identify = (file: string): ValkeyServer | undefined => {
  try {
    const said = execFileSync(file, ["--version"], { encoding: "utf8" })
    const [, product, version] = /^(\w+) server v=(\S+)/.exec(said) ?? []
    return product === undefined ? undefined : { name: `${product} ${version}`, file }
  } catch {
    return undefined
  }
}

/** The servers on the PATH, Valkey first; one that has both names is there once. */
export const valkeyServers: ReadonlyArray<ValkeyServer> = ["valkey-server", "redis-server"]
  .map(onPath)
  .flatMap((file) => (file === undefined ? [] : (identify(file) ?? [])))
  .filter((server, index, all) => all.findIndex(({ name }) => name === server.name) === index)

const leaveOut = (name: string, tests: () => void) => {
  process.stderr.write(
    `left out: "${name}", because neither valkey-server nor redis-server is on the PATH (Debian: apt-get install redis-server)\n`
  )
  describe.skip(name, tests)
}

/** What a server that is not there would be called by. */
const NO_SERVER: ValkeyServer = { name: "no server", file: "valkey-server" }

/** `describe`, where there is a server to run on: the first, which `makeTestValkey` starts where it is told no other. */
export const describeValkey = (name: string, tests: () => void): void => {
  const [server] = valkeyServers
  if (server === undefined) leaveOut(name, tests)
  else describe(`${name} (${server.name})`, tests)
}

/** `describe` for every server that is there; the tests hand it to `makeTestValkey`. */
export const describeEachValkey = (name: string, tests: (server: ValkeyServer) => void): void => {
  if (valkeyServers.length === 0) leaveOut(name, () => tests(NO_SERVER))
  for (const server of valkeyServers) describe(`${name} (${server.name})`, () => tests(server))
}

/** Starts a server that lives as long as the scope. */
export const makeTestValkey = (options: TestValkeyOptions = {}): Effect.Effect<TestValkey, never, Scope.Scope> =>
  Effect.gen(function* () {
    const folder = yield* Effect.acquireRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "nodepulse-valkey-"))),
      (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
    )
    const port = yield* freePort
    const settings: Record<string, string> = {
      port: `${port}`,
      bind: "127.0.0.1",
      dir: folder,
      save: '""',
      appendonly: options.appendOnly === true ? "yes" : "no",
      appendfsync: options.appendFsync ?? "always",
      ...options.settings
    }
    const configuration = join(folder, "valkey.conf")
    writeFileSync(
      configuration,
      Object.entries(settings)
        .map(([name, value]) => `${name} ${value}\n`)
        .join("")
    )
    const { file } = options.server ?? valkeyServers[0] ?? NO_SERVER
    let server: ChildProcess | undefined

    const end = (signal: "SIGTERM" | "SIGKILL") =>
      Effect.promise(async () => {
        const ending = server
        server = undefined
        if (ending === undefined || ending.exitCode !== null || ending.signalCode !== null) return
        const gone = new Promise((resolve) => ending.once("exit", resolve))
        ending.kill("SIGCONT")
        ending.kill(signal)
        await gone
      })
    const client = yield* Effect.acquireRelease(
      Effect.sync(() => {
        const client = new Redis({
          port,
          host: "127.0.0.1",
          protocol: 2,
          lazyConnect: true,
          maxRetriesPerRequest: null,
          retryStrategy: () => 20
        })
        // It is away when a test wants it away.
        client.on("error", () => {})
        return client
      }),
      (client) => Effect.sync(() => client.disconnect())
    )
    const start = Effect.promise(async () => {
      const started = spawn(file, [configuration], { stdio: ["ignore", "pipe", "pipe"] })
      let output = ""
      for (const stream of [started.stdout, started.stderr]) {
        stream.on("data", (chunk) => {
          output = (output + chunk).slice(-2_000)
        })
      }
      server = started
      const ended = new Promise<never>((_, reject) =>
        started.once("exit", (code) => reject(new Error(`the server ended with ${code}: ${output}`)))
      )
      await Promise.race([client.ping(), ended])
      // From here on its end is the test's doing.
      ended.catch(() => {})
    })
    yield* Effect.acquireRelease(start, () => end("SIGKILL"))

    return {
      url: `redis://127.0.0.1:${port}`,
      port,
      client,
      stop: end("SIGTERM"),
      kill: end("SIGKILL"),
      start,
      pause: Effect.sync(() => {
        server?.kill("SIGSTOP")
      }),
      resume: Effect.sync(() => {
        server?.kill("SIGCONT")
      }),
      cutConnections: Effect.promise(() => client.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"))
    }
  })
