/**
 * What another user of the machine tries: to be the administrator by a file put there first, and to take the connections of
 * the embedded PostgreSQL. As root only, since only root can be two users.
 */
import { execFile, spawn } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { PgClient } from "@effect/sql-pg"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Redacted, References } from "effect"
import * as Database from "../../src/sinks/postgres/Database.ts"
import { make } from "../../src/sinks/postgres/embedded/EmbeddedPostgres.ts"

/** Nobody's number: neither root, nor the user that PostgreSQL runs as. */
const STRANGER = 54_321
const main = fileURLToPath(new URL("../../src/main.ts", import.meta.url))

const folder = Effect.acquireRelease(
  Effect.promise(async () => {
    const made = await fs.mkdtemp(join(tmpdir(), "nodepulse-users-"))
    await fs.chmod(made, 0o711)
    return made
  }),
  (made) => Effect.promise(() => fs.rm(made, { recursive: true, force: true }))
)

/** Starts a server on the data folder and says what it ended with; it is expected not to run. */
const started = (dataDir: string) =>
  Effect.promise(async () => {
    const child = spawn(process.execPath, [main, "server"], {
      env: { PATH: process.env.PATH, NODEPULSE_DATA_DIR: dataDir, NODEPULSE_PORT: "0" },
      stdio: ["ignore", "pipe", "pipe"]
    })
    let said = ""
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (text) => (said += String(text)))
    const [code] = (await once(child, "close")) as [number]
    return { code, said }
  })

/** What a stranger is told who connects to the socket: `connected`, or the system's code. */
const connectAsStranger = (path: string) =>
  Effect.callback<string>((resume) => {
    const program = `const socket = require("node:net").connect(${JSON.stringify(path)})
      socket.on("connect", () => { console.log("connected"); process.exit() })
      socket.on("error", (error) => console.log(error.code))`
    execFile(process.execPath, ["-e", program], { uid: STRANGER, gid: STRANGER, cwd: "/" }, (error, output) =>
      resume(Effect.succeed(error === null ? output.trim() : error.message))
    )
  })

describe.runIf(process.getuid?.() === 0)("another user of the machine", () => {
  it.live("who has put an admin token into the data folder does not become the administrator", () =>
    Effect.gen(function* () {
      const dataDir = join(yield* folder, "data")
      yield* Effect.promise(async () => {
        await fs.mkdir(dataDir, { mode: 0o711 })
        await fs.writeFile(join(dataDir, "admin-token"), "known-to-the-stranger\n", { mode: 0o644 })
        await fs.chown(join(dataDir, "admin-token"), STRANGER, STRANGER)
      })
      const { code, said } = yield* started(dataDir)
      expect(code).toBe(1)
      expect(said).toMatch(/admin-token: it belongs to user 54321, who is neither root nor the user that reads it/)
      expect(said).not.toContain("known-to-the-stranger")
    })
  )

  it.live("who owns the data folder, or may write to it, gets no database in it", () =>
    Effect.gen(function* () {
      const dataDir = join(yield* folder, "data")
      const refused = Effect.map(Effect.flip(make({ dataDir })), ({ message }) => message)
      yield* Effect.promise(async () => {
        await fs.mkdir(dataDir)
        await fs.chmod(dataDir, 0o777)
      })
      expect(yield* refused).toMatch(/every user can write to the data folder/)
      yield* Effect.promise(async () => {
        await fs.chmod(dataDir, 0o711)
        await fs.chown(dataDir, STRANGER, STRANGER)
      })
      expect(yield* refused).toMatch(/the data folder .* belongs to user 54321/)
    })
  )

  it.live("cannot lead PostgreSQL to data of theirs by a postgres.location", () =>
    Effect.gen(function* () {
      const root = yield* folder
      const dataDir = join(root, "data")
      yield* Effect.promise(async () => {
        await fs.mkdir(dataDir, { mode: 0o711 })
        await fs.writeFile(join(dataDir, "postgres.location"), `${root}\n`)
        await fs.chown(join(dataDir, "postgres.location"), STRANGER, STRANGER)
      })
      const error = yield* Effect.flip(make({ dataDir }))
      expect(error.message).toMatch(/postgres\.location: it belongs to user 54321/)
    })
  )

  it.live("can take none of the embedded PostgreSQL's connections: it listens in a folder closed to them", () =>
    Effect.gen(function* () {
      const root = yield* folder
      const { pgdata, url } = yield* make({ dataDir: join(root, "data"), unreachableBase: join(root, "reachable") })
      const [settings] = yield* Effect.flatMap(
        PgClient.PgClient,
        (sql) => sql`select current_setting('listen_addresses') as listens,
          current_setting('unix_socket_directories') as sockets`
      ).pipe(Effect.provide(Database.layer({ url, maxConnections: 1 }), { local: true }))
      expect(settings!.listens).toBe("")
      const sockets = String(settings!.sockets).replace(/^"(.*)"$/, "$1")
      const stat = (path: string) => Effect.promise(() => fs.stat(path))
      expect((yield* stat(sockets)).mode & 0o777).toBe(0o700)
      expect((yield* stat(sockets)).uid).toBe((yield* stat(pgdata)).uid)
      expect(yield* connectAsStranger(join(sockets, ".s.PGSQL.5432"))).toBe("EACCES")
      expect(Redacted.value(url)).toContain(encodeURIComponent(sockets))
    }).pipe(Effect.scoped, Effect.provideService(References.MinimumLogLevel, "Error"))
  )

  it.live("a data folder too deep for a socket's path gets a closed folder elsewhere, gone with the server", () =>
    Effect.gen(function* () {
      const root = yield* folder
      const dataDir = join(root, "d".repeat(90))
      const sockets = yield* Effect.scoped(
        Effect.gen(function* () {
          const { url } = yield* make({ dataDir, unreachableBase: join(root, "reachable") })
          yield* Effect.flatMap(PgClient.PgClient, (sql) => sql`select 1`).pipe(
            Effect.provide(Database.layer({ url, maxConnections: 1 }), { local: true })
          )
          const path = decodeURIComponent(new URL(Redacted.value(url)).hostname)
          expect((yield* Effect.promise(() => fs.stat(path))).mode & 0o777).toBe(0o700)
          return path
        })
      )
      expect(sockets.startsWith(dataDir)).toBe(false)
      expect((yield* Effect.exit(Effect.tryPromise(() => fs.stat(sockets))))._tag).toBe("Failure")
    }).pipe(Effect.provideService(References.MinimumLogLevel, "Error"))
  )
})
