/**
 * One running PostgreSQL: launched, awaited, stopped, and what an earlier one left behind.
 *
 * It runs under a watcher, a few lines of shell, that stops it when this process is gone, however it went. Whether a pid
 * is still PostgreSQL's is checked before it is signalled, where the system can say (/proc).
 */
import { type ChildProcess, spawn } from "node:child_process"
import { existsSync, readFileSync } from "node:fs"
import * as fs from "node:fs/promises"
import { join } from "node:path"
import { Deferred, Duration, Effect, Schedule, Schema } from "effect"
import { sendSignal } from "./FolderLock.ts"
import { attempt, EmbeddedPostgresUnusable, type PostgresPlace } from "./PostgresPlace.ts"

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

/** A fast shutdown writes a checkpoint, which takes seconds at most with these settings; then harder signals follow. */
const STOP_WITHIN = Duration.seconds(8)
/** After a crash PostgreSQL replays its log first: at most `max_wal_size`, some seconds. */
const READY_WITHIN = Duration.minutes(5)
const LOG_LINES = 40

/** In a folder of its own: the number says nothing. */
export const SOCKET_PORT = 5432
export const SOCKET = `.s.PGSQL.${SOCKET_PORT}`

export interface Running {
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

export const launch = Effect.fnUntraced(function* (place: PostgresPlace, settings: Readonly<Record<string, string>>) {
  const end = yield* Deferred.make<string>()
  return yield* Effect.sync((): Running => {
    const flags = Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`])
    const child = spawn(
      "/bin/sh",
      ["-c", WATCHER, "nodepulse-postgres", join(place.native, "bin", "postgres"), "-D", place.pgdata, ...flags],
      { ...childIdentity(place), cwd: "/", env: childEnvironment(), stdio: ["pipe", "ignore", "pipe"], detached: true }
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
export const awaitReady = Effect.fnUntraced(function* (place: PostgresPlace, running: Running) {
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
export const stop = Effect.fnUntraced(function* (running: Running) {
  if (running.ended) return
  yield* stopByPid(readPidFile(running.pgdata)?.pid, () => running.ended)
  yield* Effect.sync(() => running.child.stdin?.destroy())
  yield* Deferred.await(running.end).pipe(Effect.timeoutOption("2 seconds"))
  if (!running.ended) running.child.kill("SIGKILL")
})

/**
 * Stops what a killed NodePulse left on our data. A pid file whose process is something else is removed, with its socket in
 * the folder `sockets`.
 */
export const stopLeftOver = Effect.fnUntraced(function* (place: PostgresPlace, sockets: string) {
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
  yield* attempt("cannot remove the stale pid file", async () => {
    await fs.rm(join(place.pgdata, "postmaster.pid"), { force: true })
    for (const name of [SOCKET, `${SOCKET}.lock`]) await fs.rm(join(sockets, name), { force: true })
  })
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
export const isPostgresOn = (pid: number, pgdata: string): boolean => {
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

/** The last lines of standard error; bounded. */
export const keepLines = (child: ChildProcess): ReadonlyArray<string> => {
  const lines: Array<string> = []
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    for (const line of text.split("\n")) {
      if (line !== "") lines.push(line.slice(0, 500))
    }
    lines.splice(0, Math.max(0, lines.length - LOG_LINES))
  })
  return lines
}

export const childIdentity = ({ runAs }: PostgresPlace) =>
  runAs === undefined ? {} : { uid: runAs.uid, gid: runAs.gid }

/** Nothing of ours: `PG*` variables would change what initdb and PostgreSQL do. */
export const childEnvironment = () => ({ PATH: process.env.PATH ?? "/usr/bin:/bin", LC_ALL: "C", TZ: "UTC" })
