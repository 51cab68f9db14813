import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import * as fs from "node:fs/promises"
import { homedir, tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { PgClient } from "@effect/sql-pg"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber, Redacted, References, type Scope } from "effect"
import * as Database from "../Database.ts"
import { make } from "./EmbeddedPostgres.ts"
import { parsePasswd } from "./PostgresPlace.ts"

const folder = (parent = tmpdir(), mode = 0o711) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const made = await fs.mkdtemp(join(parent, "nodepulse-postgres-"))
      await fs.chmod(made, mode)
      return made
    }),
    (made) => Effect.promise(() => fs.rm(made, { recursive: true, force: true }))
  )

const start = (root: string, dataDir = join(root, "data")) =>
  make({ dataDir, unreachableBase: join(root, "reachable") })

const query = (url: Redacted.Redacted<string>, statement: string) =>
  Effect.flatMap(PgClient.PgClient, (sql) => sql.unsafe<Record<string, unknown>>(statement).unprepared).pipe(
    Effect.provide(Database.layer({ url, maxConnections: 1 }), { local: true })
  )

const pidOf = (pgdata: string) => Number(readFileSync(join(pgdata, "postmaster.pid"), "utf8").split("\n")[0])

/** Whether the process lives: one that has ended and waits for its parent to notice does not. */
const runs = (pid: number) => {
  try {
    return !/^State:\s*Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"))
  } catch {
    return false
  }
}

/** Not a number where it has just ended. */
const parentOf = (pid: number) => {
  try {
    return Number(/^PPid:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))![1])
  } catch {
    return Number.NaN
  }
}

const childrenOf = (pid: number) =>
  readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((child) => runs(child) && parentOf(child) === pid)

const gone = (pid: number) =>
  Effect.sync(() => !runs(pid)).pipe(
    Effect.delay("20 millis"),
    Effect.repeat({ until: (isGone) => isGone }),
    Effect.timeout("100 seconds")
  )

/** A process of its own that runs PostgreSQL on the folder; killed at the end of the test. */
const otherProcess = (root: string) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const script = fileURLToPath(new URL("../../../../test/embeddedPostgres.ts", import.meta.url))
      const child = spawn(process.execPath, [script, join(root, "data"), join(root, "reachable")], {
        stdio: ["ignore", "pipe", "inherit"]
      })
      const [line] = (await once(child.stdout!.setEncoding("utf8"), "data")) as [string]
      const { pgdata, url } = JSON.parse(line) as { readonly pgdata: string; readonly url: string }
      return { child, pgdata, url: Redacted.make(url) }
    }),
    ({ child }) => Effect.sync(() => child.kill("SIGKILL"))
  )

const end = (child: ChildProcess, signal: NodeJS.Signals) =>
  Effect.promise(async () => {
    const exit = once(child, "exit")
    child.kill(signal)
    await exit
  })

const test = <E>(name: string, run: Effect.Effect<void, E, Scope.Scope>) =>
  it.live(name, () => Effect.provideService(run, References.MinimumLogLevel, "Error"))

describe("an embedded PostgreSQL", () => {
  test(
    "keeps its data between starts, answers only to its password, and leaves no process behind",
    Effect.gen(function* () {
      const root = yield* folder()
      const pid = yield* Effect.scoped(
        Effect.gen(function* () {
          const { pgdata, url } = yield* start(root)
          yield* query(url, "create table kept as select 'é🦀' as value")
          const [settings] = yield* query(
            url,
            "select current_setting('fsync') as fsync, current_setting('synchronous_commit') as commit, current_setting('listen_addresses') as at, current_setting('server_encoding') as encoding, current_setting('lc_collate', true) as locale"
          )
          expect(settings).toMatchObject({ fsync: "on", commit: "on", at: "", encoding: "UTF8" })
          const guess = new URL(Redacted.value(url))
          guess.password = "guess"
          const refused = yield* Effect.flip(query(Redacted.make(guess.href), "select 1"))
          expect(Database.sqlState(refused as never)).toBe("28P01")
          return pidOf(pgdata)
        })
      )
      expect(runs(pid)).toBe(false)
      const again = yield* start(root)
      expect(yield* query(again.url, "select value from kept")).toEqual([{ value: "é🦀" }])
    })
  )

  test(
    "is refused to a second NodePulse on the same folder, while the first one lives",
    Effect.gen(function* () {
      const root = yield* folder()
      const { url } = yield* start(root)
      const error = yield* Effect.flip(Effect.scoped(start(root)))
      expect(error.message).toMatch(new RegExp(`in use by another NodePulse \\(pid ${process.pid}\\)`))
      expect(yield* query(url, "select 1 as one")).toEqual([{ one: 1 }])
    })
  )

  test(
    "stops by itself when NodePulse is killed, and what was committed is there at the next start",
    Effect.gen(function* () {
      const root = yield* folder()
      const { child, pgdata, url } = yield* otherProcess(root)
      yield* query(url, "create table kept as select 1 as value")
      const pid = pidOf(pgdata)
      yield* end(child, "SIGKILL")
      yield* gone(pid)
      const again = yield* start(root)
      expect(yield* query(again.url, "select value from kept")).toEqual([{ value: 1 }])
    })
  )

  test(
    "that was left running is stopped by the next start: never two on one folder",
    Effect.gen(function* () {
      const root = yield* folder()
      const { child, pgdata, url } = yield* otherProcess(root)
      yield* query(url, "create table kept as select 2 as value")
      const pid = pidOf(pgdata)
      // Its watchers are killed too, so that PostgreSQL stays.
      yield* Effect.sync(() => {
        const watcher = parentOf(pid)
        for (const child of childrenOf(watcher)) if (child !== pid) process.kill(child, "SIGKILL")
        process.kill(watcher, "SIGKILL")
      })
      yield* end(child, "SIGKILL")
      expect(runs(pid)).toBe(true)
      const again = yield* start(root)
      expect(runs(pid)).toBe(false)
      expect(yield* query(again.url, "select value from kept")).toEqual([{ value: 2 }])
    })
  )

  test(
    "survives being killed itself: it surfaces, and supervising it again starts it on the same address",
    Effect.gen(function* () {
      const root = yield* folder()
      const { pgdata, supervise, url } = yield* start(root)
      yield* query(url, "create table kept as select 3 as value")
      const supervised = yield* Effect.forkChild(Effect.flip(supervise))
      yield* Effect.sync(() => process.kill(pidOf(pgdata), "SIGKILL"))
      const error = yield* Fiber.join(supervised)
      expect(error._tag).toBe("EmbeddedPostgresStopped")
      yield* Effect.forkChild(supervise)
      const rows = yield* query(url, "select value from kept").pipe(
        Effect.tapError(() => Effect.sleep("50 millis")),
        Effect.retry({ times: 200 })
      )
      expect(rows).toEqual([{ value: 3 }])
    })
  )

  test(
    "ignores a pid file and a lock that a crash left, even when the pid is somebody else's now",
    Effect.gen(function* () {
      const root = yield* folder()
      const pgdata = yield* Effect.scoped(Effect.map(start(root), (postgres) => postgres.pgdata))
      yield* Effect.promise(() => fs.writeFile(join(pgdata, "postmaster.pid"), `${process.pid}\n${pgdata}\n`))
      yield* Effect.promise(() => fs.writeFile(join(root, "data", "postgres.lock"), `${process.pid} 1 abcdef`))
      const { url } = yield* start(root)
      expect(yield* query(url, "select 1 as one")).toEqual([{ one: 1 }])
    })
  )

  test(
    "a half-made database is made anew, and data of another version is refused by name",
    Effect.gen(function* () {
      const root = yield* folder()
      yield* Effect.promise(() => fs.mkdir(join(root, "data", "postgres", "pgdata.new", "base"), { recursive: true }))
      const pgdata = yield* Effect.scoped(Effect.map(start(root), (postgres) => postgres.pgdata))
      expect(existsSync(`${pgdata}.new`)).toBe(false)
      yield* Effect.promise(() => fs.writeFile(join(pgdata, "PG_VERSION"), "9\n"))
      const error = yield* Effect.flip(Effect.scoped(start(root)))
      expect(error).toMatchObject({ _tag: "EmbeddedPostgresUnusable" })
      expect(error.message).toMatch(/was written by PostgreSQL 9, and this is \d+/)
    })
  )
})

describe.runIf(process.getuid?.() === 0)("as root, below a folder that only root may enter", () => {
  test(
    "the data goes where PostgreSQL's user can reach it, and is found again",
    Effect.gen(function* () {
      const root = yield* folder()
      const closed = yield* folder(homedir(), 0o700)
      const dataDir = join(closed, "data")
      const first = yield* Effect.scoped(
        Effect.gen(function* () {
          const { pgdata, url } = yield* start(root, dataDir)
          yield* query(url, "create table kept as select 4 as value")
          return pgdata
        })
      )
      expect(first.startsWith(join(root, "reachable"))).toBe(true)
      const pointer = join(dataDir, "postgres.location")
      expect(first.startsWith(readFileSync(pointer, "utf8").trim())).toBe(true)
      const again = yield* start(root, dataDir)
      expect(again.pgdata).toBe(first)
      expect(yield* query(again.url, "select value from kept")).toEqual([{ value: 4 }])
    })
  )

  test(
    "data that was moved away is missed, not begun anew",
    Effect.gen(function* () {
      const root = yield* folder()
      yield* Effect.promise(async () => {
        await fs.mkdir(join(root, "data"), { mode: 0o711 })
        await fs.writeFile(join(root, "data", "postgres.location"), "/nonexistent/home\n")
      })
      const error = yield* Effect.flip(Effect.scoped(start(root)))
      expect(error.message).toMatch(
        /postgres\.location says that the data is in \/nonexistent\/home, which is not there/
      )
    })
  )
})

describe("users of the machine", () => {
  it("are read from passwd, and lines that are none are passed over", () => {
    expect(parsePasswd("root:x:0:0::/root:/bin/sh\n\n#\nbad:x:y:z\nnobody:x:65534:65533:nobody:/:/bin/false")).toEqual([
      { user: "root", uid: 0, gid: 0 },
      { user: "nobody", uid: 65534, gid: 65533 }
    ])
  })
})
