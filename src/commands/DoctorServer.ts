/**
 * The server's part of `nodepulse doctor`: its settings, its database, its stream, its disk, and whether it answers.
 *
 * It changes nothing: no migration is applied, no embedded database is started.
 * Bound: `ANSWER_WITHIN` for each question.
 */
import * as Fs from "node:fs/promises"
import { dirname } from "node:path"
import { PgClient } from "@effect/sql-pg"
import { Clock, Duration, Effect, Option, type Redacted, Result } from "effect"
import { exchange } from "../../agent/HttpExchange.ts"
import { Settings, type SettingsShape } from "../Settings.ts"
import { migrations } from "../Storage.ts"
import * as Database from "../sinks/Database.ts"
import { runningUrl } from "../sinks/EmbeddedPostgres.ts"
import { SnapshotStream } from "../sinks/SnapshotStream.ts"
import * as Valkey from "../sinks/SnapshotStreamValkey.ts"
import { doubtful, type Finding, fine, sizeText, wrong } from "./Diagnosis.ts"

const ANSWER_WITHIN = Duration.seconds(10)
const POSTGRES_LEAST = 150_000
const SKEW_NOTICED_MILLIS = 5_000
/** Less than this, and an embedded database soon cannot write any more. */
const FREE_LEAST = 1024 ** 3

/** All findings about the server that these settings describe. */
export const diagnoseServer = Effect.gen(function* () {
  const settings = yield* Settings
  return [
    ...(yield* checkDataFolder(settings)),
    ...(yield* checkDatabase(settings)),
    yield* checkStream(settings.valkeyUrl),
    yield* checkRunning(settings)
  ]
})

const checkDataFolder = ({ adminToken, dataDir, databaseUrl }: SettingsShape): Effect.Effect<ReadonlyArray<Finding>> =>
  Effect.promise(async () => {
    const there = await Fs.stat(dataDir).then(
      () => dataDir,
      () => dirname(dataDir)
    )
    try {
      await Fs.access(there, Fs.constants.W_OK)
      const disk = await Fs.statfs(there)
      const free = disk.bavail * disk.bsize
      const saw = `${dataDir}, ${sizeText(free)} free`
      if (Option.isNone(databaseUrl) && free < FREE_LEAST) {
        return [doubtful("data folder", saw, "the embedded database needs more: 1 GiB lasts one server some days")]
      }
      return [fine("data folder", saw)]
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      // Whoever keeps nothing there may do without it.
      if (Option.isSome(databaseUrl) && Option.isSome(adminToken)) return []
      return [
        wrong("data folder", `${dataDir} cannot be written to (${code})`, "set NODEPULSE_DATA_DIR, or mend its owner")
      ]
    }
  })

const checkDatabase = Effect.fnUntraced(function* ({ dataDir, databaseUrl }: SettingsShape) {
  const running = Option.isSome(databaseUrl) ? databaseUrl : yield* runningUrl(dataDir)
  if (Option.isNone(running)) {
    const saw = "no DATABASE_URL is set, and no embedded PostgreSQL runs here"
    return [doubtful("database", saw, "nodepulse start brings one; for a fleet, set DATABASE_URL")]
  }
  const checked = Effect.gen(function* () {
    const sql = yield* PgClient.PgClient
    const [row] = yield* sql<{ readonly version: number; readonly shown: string; readonly now: number }>`
      select current_setting('server_version_num')::int4 as version, current_setting('server_version') as shown,
        (extract(epoch from clock_timestamp()) * 1000)::float8 as now`
    const now = yield* Clock.currentTimeMillis
    const findings: Array<Finding> = [
      row!.version >= POSTGRES_LEAST
        ? fine("database", `PostgreSQL ${row!.shown} answers`)
        : wrong("database", `PostgreSQL ${row!.shown} is too old`, "version 15 or later is needed")
    ]
    if (Math.abs(row!.now - now) > SKEW_NOTICED_MILLIS) {
      const seconds = Math.round((row!.now - now) / 1000)
      findings.push(
        doubtful("clock", `the database's differs by ${seconds} s`, "set both clocks: timedatectl set-ntp true")
      )
    }
    const [made] = yield* sql<{ readonly made: boolean }>`select to_regclass('admiral.migrations') is not null as made`
    const applied = made!.made
      ? new Set((yield* sql<{ readonly name: string }>`select name from admiral.migrations`).map(({ name }) => name))
      : new Set<string>()
    const wanted = yield* Effect.result(migrations)
    if (Result.isFailure(wanted)) {
      findings.push(wrong("migrations", wanted.failure.message, "npm run migrations"))
    } else {
      const missing = wanted.success.map(({ name }) => name).filter((name) => !applied.has(name))
      findings.push(
        missing.length === 0
          ? fine("migrations", `all ${applied.size} are applied`)
          : doubtful("migrations", `not applied yet: ${missing.join(", ")}`, "nodepulse migrate, or start the server")
      )
    }
    return findings
  })
  const result = yield* checked.pipe(
    Effect.provide(Database.layer({ url: running.value, maxConnections: 1, statementTimeout: ANSWER_WITHIN })),
    Effect.timeout(ANSWER_WITHIN),
    Effect.result
  )
  if (Result.isSuccess(result)) return result.success
  const advice = "does it run, and are user, password and database of DATABASE_URL right?"
  return [wrong("database", reasonOf(result.failure), advice)]
})

/** The innermost sentence: SQL errors wrap PostgreSQL's own. */
const reasonOf = (error: unknown): string => {
  let inner = error
  for (let depth = 0; depth < 5 && typeof inner === "object" && inner !== null; depth++) {
    const { cause, reason } = inner as { readonly cause?: unknown; readonly reason?: unknown }
    const next = typeof reason === "object" && reason !== null ? reason : cause
    if (next === undefined || next === null) break
    inner = next
  }
  return inner instanceof Error && inner.message !== "" ? inner.message : "does not answer"
}

const checkStream = (url: SettingsShape["valkeyUrl"]): Effect.Effect<Finding> =>
  Option.isNone(url)
    ? Effect.succeed(fine("stream", "in process: a push is answered once its rows are in PostgreSQL"))
    : checkValkey(url.value)

const checkValkey = (url: Redacted.Redacted<string>): Effect.Effect<Finding> =>
  Effect.gen(function* () {
    const stream = yield* SnapshotStream
    const { bound, length } = yield* stream.stats
    const durability = yield* stream.durability
    const waiting = `${length} of ${bound} messages wait in Valkey`
    const mend = "set `appendonly yes` and `appendfsync always` in its configuration"
    switch (durability) {
      case "memory":
        return doubtful("stream", `${waiting}, which keeps them in memory only: a crash loses what was answered`, mend)
      case "fsync-everysec":
        return doubtful("stream", `${waiting}, on disk within a second: a crash may lose that second`, mend)
      default:
        return fine("stream", `${waiting}, on disk before they are answered`)
    }
  }).pipe(
    Effect.provide(Valkey.layer({ url })),
    Effect.timeout(ANSWER_WITHIN),
    Effect.catch((error) => Effect.succeed(wrong("stream", error.message, "does Valkey run, and is VALKEY_URL right?")))
  )

const checkRunning = ({ host, port }: SettingsShape): Effect.Effect<Finding> =>
  Effect.gen(function* () {
    const reachable = host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "::1" : host
    const where = `http://${reachable.includes(":") ? `[${reachable}]` : reachable}:${port}`
    const answer = yield* Effect.result(
      exchange({ method: "GET", url: `${where}/readyz`, headers: {}, timeout: ANSWER_WITHIN, bodyLimit: 1024 * 1024 })
    )
    const off = "systemctl status nodepulse-server; journalctl -u nodepulse-server"
    if (Result.isFailure(answer)) return doubtful("server", `does not run: ${where}: ${answer.failure.detail}`, off)
    const { body, status } = answer.success
    if (status === 200) return fine("server", `${where} is ready`)
    return wrong(
      "server",
      `${where}/readyz answers HTTP ${status}: ${Buffer.from(body).toString("utf8").slice(0, 300)}`,
      off
    )
  })
