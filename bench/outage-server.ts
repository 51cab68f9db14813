/**
 * The real server for the benches of an outage: a PostgreSQL and, where there is one, a Valkey of its own, and the server in
 * a process that can be stopped and started again on the same address. All of it goes with the scope; where this process ends
 * without closing that, the server goes with its whole process group.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { chmodSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Duration, Effect, Redacted, Schedule } from "effect"
import { make as makePostgres } from "../src/sinks/postgres/embedded/EmbeddedPostgres.ts"
import { freePort } from "../test/Ports.ts"
import { makeTestValkey, valkeyServers } from "../test/TestValkey.ts"

const ADMIN = "bench-admin-token"
/** Who does not stop by then is killed. */
const STOP_WITHIN = Duration.seconds(30)
const READY_WITHIN = Duration.minutes(2)

/** Ends a process, and all that it started, at once; nothing where it is gone. */
const killGroup = ({ pid }: ChildProcess) => {
  try {
    if (pid !== undefined) process.kill(-pid, "SIGKILL")
  } catch {
    // It has ended already.
  }
}

const hasEnded = ({ exitCode, signalCode }: ChildProcess) => exitCode !== null || signalCode !== null

export const print = (what: string, value: string) => process.stdout.write(`${what.padEnd(46)} ${value}\n`)

/** Nothing runs yet but PostgreSQL and Valkey. */
export const makeServer = Effect.fnUntraced(function* (environment: Readonly<Record<string, string>> = {}) {
  const folder = yield* Effect.acquireRelease(
    Effect.sync(() => {
      const made = mkdtempSync(join(tmpdir(), "nodepulse-outage-"))
      chmodSync(made, 0o711)
      return made
    }),
    (made) => Effect.sync(() => rmSync(made, { recursive: true, force: true }))
  )
  const postgres = yield* makePostgres({ dataDir: join(folder, "data"), unreachableBase: join(folder, "reachable") })
  const valkey = valkeyServers.length === 0 ? undefined : yield* makeTestValkey({ appendOnly: true })
  const port = yield* freePort
  const url = `http://127.0.0.1:${port}`
  let running: ChildProcess | undefined

  const stop = Effect.suspend(() => {
    const child = running
    running = undefined
    return child === undefined || hasEnded(child) ? Effect.void : ended(child)
  })
  const start = Effect.sync(() => {
    const child = spawn(process.execPath, [join(import.meta.dirname, "..", "src", "main.ts"), "server"], {
      env: {
        PATH: process.env.PATH,
        DATABASE_URL: Redacted.value(postgres.url),
        NODEPULSE_ADMIN_TOKEN: ADMIN,
        NODEPULSE_DATA_DIR: folder,
        NODEPULSE_PORT: String(port),
        ...(valkey === undefined ? {} : { VALKEY_URL: valkey.url }),
        ...environment
      },
      stdio: ["ignore", "ignore", "inherit"],
      detached: true
    })
    const kill = () => killGroup(child)
    process.once("exit", kill)
    child.once("exit", () => process.off("exit", kill))
    running = child
  })
  const ready = Effect.tryPromise(async () => {
    const response = await fetch(`${url}/readyz`)
    if (response.status !== 200) throw new Error(String(response.status))
  }).pipe(
    Effect.retry({
      schedule: Schedule.spaced("100 millis"),
      while: () => running !== undefined && !hasEnded(running)
    }),
    Effect.timeout(READY_WITHIN)
  )
  /** Registers a server. */
  const register = (name: string) =>
    Effect.tryPromise(async () => {
      const response = await fetch(`${url}/api/servers`, {
        method: "POST",
        headers: { authorization: `Bearer ${ADMIN}`, "content-type": "application/json" },
        body: JSON.stringify({ name })
      })
      if (response.status !== 201) throw new Error(String(response.status))
      return (await response.json()) as { readonly server_id: string; readonly token: string }
    })
  yield* Effect.addFinalizer(() => stop)
  return { folder, postgres: postgres.url, url, start, stop, ready, register }
})

/** Asks a process to stop, and waits until it has; what does not is killed. */
const ended = (child: ChildProcess) =>
  Effect.callback<void>((resume) => {
    child.once("exit", () => resume(Effect.void))
    child.kill("SIGTERM")
  }).pipe(Effect.timeoutOrElse({ duration: STOP_WITHIN, orElse: () => Effect.sync(() => killGroup(child)) }))
