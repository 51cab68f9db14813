/**
 * The real server for the benches of an outage: a PostgreSQL and, where there is one, a Valkey of its own, and the server in
 * a process that can be stopped and started again on the same address. All of it goes with the scope.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { chmodSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, Redacted, Schedule } from "effect"
import { make as makePostgres } from "../src/sinks/postgres/embedded/EmbeddedPostgres.ts"
import { freePort } from "../test/Ports.ts"
import { makeTestValkey, valkeyServer } from "../test/TestValkey.ts"

const ADMIN = "bench-admin-token"

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
  const valkey = valkeyServer === undefined ? undefined : yield* makeTestValkey({ appendOnly: true })
  const port = yield* freePort
  const url = `http://127.0.0.1:${port}`
  let running: ChildProcess | undefined

  const stop = Effect.callback<void>((resume) => {
    if (running === undefined) return resume(Effect.void)
    running.once("exit", () => resume(Effect.void)).kill("SIGTERM")
    running = undefined
  })
  const start = Effect.sync(() => {
    running = spawn(process.execPath, [join(import.meta.dirname, "..", "src", "main.ts"), "server"], {
      env: {
        PATH: process.env.PATH,
        DATABASE_URL: Redacted.value(postgres.url),
        NODEPULSE_ADMIN_TOKEN: ADMIN,
        NODEPULSE_DATA_DIR: folder,
        NODEPULSE_PORT: String(port),
        ...(valkey === undefined ? {} : { VALKEY_URL: valkey.url }),
        ...environment
      },
      stdio: ["ignore", "ignore", "inherit"]
    })
  })
  const ready = Effect.tryPromise(async () => {
    const response = await fetch(`${url}/readyz`)
    if (response.status !== 200) throw new Error(String(response.status))
  }).pipe(Effect.retry(Schedule.spaced("100 millis")))
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
