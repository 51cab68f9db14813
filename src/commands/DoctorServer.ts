/**
 * The server's part of `nodepulse doctor`: its settings, its database, its stream, its disk, and whether it answers.
 *
 * It changes nothing: no migration is applied, no embedded database is started.
 * Bound: `ANSWER_WITHIN` for each question.
 */
import * as Fs from "node:fs/promises"
import { resolve } from "node:path"
import { PgClient } from "@effect/sql-pg"
import { Clock, type Config, Duration, Effect, Layer, Option, type Redacted, References, Result } from "effect"
import { exchange } from "../../agent/scrape/HttpExchange.ts"
import { differencesOf, differenceText, heardOf } from "../Agreement.ts"
import { type AgentState, conflictOf } from "../access/AgentHolder.ts"
import { Agents } from "../access/Agents.ts"
import * as AgentsPostgres from "../access/AgentsPostgres.ts"
import { clipped, printable } from "../protocol/PrintableText.ts"
import { Settings, type SettingsShape } from "../Settings.ts"
import { migrations } from "../Storage.ts"
import * as Database from "../sinks/postgres/Database.ts"
import { type DatabaseFinding, examine } from "../sinks/postgres/Examination.ts"
import { runningRoles } from "../sinks/postgres/embedded/EmbeddedPostgres.ts"
import { ReadReplica } from "../sinks/postgres/ReadReplica.ts"
import { distributionState, isToBeDistributed } from "../sinks/storage/Distribution.ts"
import { SnapshotStream } from "../sinks/stream/SnapshotStream.ts"
import * as Valkey from "../sinks/stream/valkey/SnapshotStreamValkey.ts"
import { describeCluster } from "../sinks/stream/valkey/ValkeyStart.ts"
import { doubtful, type Finding, fine, sizeText, wrong } from "./Diagnosis.ts"
import { checkNode, checkPlaces, checkUnit, environmentLayer, existing } from "./DoctorHost.ts"
import { readUnit, type Unit } from "./SystemdUnit.ts"

const ANSWER_WITHIN = Duration.seconds(10)
const SKEW_NOTICED_MILLIS = 5_000
/** Less than this, and an embedded database soon cannot write any more. */
const FREE_LEAST = 1024 ** 3

const UNIT = "nodepulse-server.service"

/**
 * All findings about the server of this host, as its unit runs it, where there is one. `isExpected`: somebody says that there
 * is one, so that it is a failure where none runs.
 */
export const diagnoseServer = (isExpected: boolean) =>
  Effect.gen(function* () {
    const unit = yield* readUnit(UNIT)
    if (unit?.isMasked === true) return yield* checkUnit(unit)
    const host = [yield* checkNode(unit), ...(yield* checkUnit(unit))]
    const settings = yield* Effect.result(settingsOf(unit))
    if (Result.isFailure(settings)) {
      return [...host, wrong("settings", settings.failure.message, `mend ${sourceOf(unit)}`)]
    }
    const { databaseUrl, valkeyUrl } = settings.success
    return [
      ...host,
      ...(yield* checkDataFolder(unit, settings.success)),
      ...(yield* checkDatabase(unit, settings.success)),
      ...(yield* checkReplica(settings.success)),
      yield* checkStream(valkeyUrl, settings.success.stream),
      yield* checkRunning(settings.success, isExpected || unit !== undefined || Option.isSome(databaseUrl))
    ]
  })

/** The settings that the unit's program reads; of this shell where there is no unit. */
export const settingsOf = (unit: Unit | undefined): Effect.Effect<SettingsShape, Config.ConfigError> =>
  Settings.pipe(
    Effect.map((settings) =>
      unit === undefined
        ? settings
        : { ...settings, dataDir: resolve(unit.workingDirectory ?? "/", relativeTo(process.cwd(), settings.dataDir)) }
    ),
    Effect.provide(Layer.fresh(Settings.layer).pipe(Layer.provide(environmentLayer(unit))))
  )

/** A folder that was named without its beginning is below the unit's working directory, not below this shell's. */
const relativeTo = (here: string, path: string): string =>
  path.startsWith(`${here}/`) ? path.slice(here.length + 1) : path

/** Where the settings are written down. */
const sourceOf = (unit: Unit | undefined): string =>
  unit === undefined ? "the environment" : `/etc/nodepulse/server.env, or ${unit.files.join(", ")}`

const checkDataFolder = (
  unit: Unit | undefined,
  { adminToken, dataDir, databaseUrl }: SettingsShape
): Effect.Effect<ReadonlyArray<Finding>> =>
  Effect.gen(function* () {
    // Whoever keeps nothing there may do without it.
    if (Option.isSome(databaseUrl) && Option.isSome(adminToken)) return []
    const broken = yield* checkPlaces(unit, [
      { check: "data folder", what: "the data folder (NODEPULSE_DATA_DIR)", path: dataDir, wants: "write" }
    ])
    if (broken.length > 0) return broken
    const disk = yield* Effect.promise(async () => Fs.statfs(await existing(dataDir)))
    const free = disk.bavail * disk.bsize
    const saw = `${dataDir}, ${sizeText(free)} free`
    if (Option.isNone(databaseUrl) && free < FREE_LEAST) {
      return [doubtful("data folder", saw, "the embedded database needs more: 1 GiB lasts one server some days")]
    }
    return [fine("data folder", saw)]
  })

const checkDatabase = Effect.fnUntraced(function* (unit: Unit | undefined, settings: SettingsShape) {
  const { databaseOwnerUrl = Option.none(), databaseUrl, dataDir } = settings
  const embedded = Option.isSome(databaseUrl) ? Option.none() : yield* runningRoles(dataDir)
  const url = Option.orElse(databaseUrl, () => Option.map(embedded, ({ runtime }) => runtime))
  const owner = Option.orElse(databaseOwnerUrl, () => Option.map(embedded, ({ owner }) => owner))
  if (Option.isNone(url)) {
    if (unit !== undefined) {
      const cure = `set DATABASE_URL in /etc/nodepulse/server.env, then: systemctl restart ${unit.name}`
      return [wrong("database", `no DATABASE_URL is set for ${unit.name}, which waits for it`, cure)]
    }
    const saw = "no DATABASE_URL is set, and no embedded PostgreSQL runs here"
    return [doubtful("database", saw, "nodepulse start brings one; for a fleet, set DATABASE_URL")]
  }
  const ofOwner = Option.isSome(owner) ? yield* examine(owner.value, "owner") : []
  const examined = [
    ...(yield* examine(url.value, Option.isSome(owner) ? "runtime" : "alone")),
    ...ofOwner.filter(({ state }) => state !== "fine")
  ].map(asFinding)
  if (examined.some(({ state }) => state === "failure")) return examined
  const result = yield* lookInside.pipe(
    Effect.provide(Database.layer({ url: url.value, maxConnections: 1, statementTimeout: ANSWER_WITHIN })),
    Effect.timeout(ANSWER_WITHIN),
    Effect.result
  )
  if (Result.isSuccess(result)) return [...examined, ...result.success]
  return [...examined, wrong("database", reasonOf(result.failure), "its own log says more")]
})

/** Whether questions are read from the replica, as the role api would in the first seconds. */
const checkReplica = ({ databaseReadUrl = Option.none(), databaseUrl, replicaLagMax }: SettingsShape) =>
  Effect.gen(function* () {
    if (Option.isNone(databaseReadUrl)) return []
    if (Option.isNone(databaseUrl)) {
      return [wrong("replica", "DATABASE_READ_URL is set, and DATABASE_URL is not", "set both, or neither")]
    }
    const looked = Effect.gen(function* () {
      const { run, view } = yield* ReadReplica
      const isUsed = Effect.andThen(
        Effect.sleep("200 millis"),
        Effect.sync(() => view()?.isUsed === true)
      )
      const settled = Effect.timeoutOption(Effect.repeat(isUsed, { until: (is) => is }), REPLICA_WITHIN)
      yield* Effect.raceFirst(run, settled)
      return view()
    }).pipe(
      Effect.provide(
        ReadReplica.layerWith({
          url: databaseReadUrl.value,
          ...(replicaLagMax === undefined ? {} : { lagMax: replicaLagMax })
        }).pipe(Layer.provide(Database.layer({ url: databaseUrl.value, maxConnections: 1 })))
      ),
      Effect.provideService(References.MinimumLogLevel, "None"),
      Effect.result
    )
    const found = yield* looked
    const cure = 'until it is mended, questions are read from DATABASE_URL; see docs/deployment.md, "Roles apart"'
    if (Result.isFailure(found)) return [wrong("replica", found.failure.message, "mend DATABASE_READ_URL")]
    const { isUsed = false, reason = "does not tell how far it is" } = found.success ?? {}
    return isUsed
      ? [fine("replica", "a standby of the database, which follows within seconds")]
      : [doubtful("replica", `DATABASE_READ_URL ${reason}`, cure)]
  })

/** Long enough for a standby that follows to show that it does. */
const REPLICA_WITHIN = Duration.seconds(5)

const asFinding = ({ check, remedy, saw, state }: DatabaseFinding): Finding => {
  const name = check === "connection" || check === "version" ? "database" : `database ${check}`
  if (state === "fine") return fine(name, saw)
  if (state === "doubt") return doubtful(name, saw, remedy ?? "see docs/deployment.md")
  return wrong(name, saw, remedy ?? "does it run, and does it listen there? its own log says why")
}

/** What only shows in a database that is fit to be used. */
const lookInside = Effect.gen(function* () {
  const sql = yield* PgClient.PgClient
  const [row] = yield* sql<{ readonly now: number; readonly made: boolean }>`
    select (extract(epoch from clock_timestamp()) * 1000)::float8 as now,
      to_regclass('admiral.migrations') is not null as made`
  const now = yield* Clock.currentTimeMillis
  const findings: Array<Finding> = []
  if (Math.abs(row!.now - now) > SKEW_NOTICED_MILLIS) {
    const seconds = Math.round((row!.now - now) / 1000)
    findings.push(
      doubtful("clock", `the database's differs by ${seconds} s`, "set both clocks: timedatectl set-ntp true")
    )
  }
  findings.push(...(yield* checkRoom(sql)))
  const applied = row!.made
    ? new Set((yield* sql<{ readonly name: string }>`select name from admiral.migrations`).map(({ name }) => name))
    : new Set<string>()
  findings.push(...(yield* checkMigrations(applied)))
  if (row!.made) {
    findings.push(...(yield* checkDistribution), ...(yield* checkAgreement(sql)), ...(yield* checkAgents(now)))
  }
  return findings
})

/** Whether it still has room: a temporary table of some hundred KiB, gone with its transaction. */
const checkRoom = (sql: PgClient.PgClient) =>
  sql
    .withTransaction(
      sql`create temporary table nodepulse_room on commit drop as
        select repeat(md5(n::text), 32) as filling from generate_series(1, 512) n`
    )
    .pipe(
      Effect.as<ReadonlyArray<Finding>>([]),
      Effect.catch((error) => {
        const reason = reasonOf(error)
        if (Database.sqlState(error) !== "53100" && !/no space left|disk full/i.test(reason)) return Effect.succeed([])
        const cure =
          "free some space on its disk, or give it more (df -h on its host); then rows that wait are written by themselves"
        return Effect.succeed([wrong("database room", reason, cure)])
      })
    )

/** Where the database has Citus: whether all that is to be distributed is. */
const checkDistribution = Effect.map(distributionState, (state): ReadonlyArray<Finding> => {
  const { isDistributed, nodes, version } = state
  if (version === null) return []
  if (isToBeDistributed(state)) {
    const saw = isDistributed ? "some tables are not distributed yet" : "rows are not distributed yet"
    return [doubtful("distribution", `Citus ${version}: ${saw}`, "nodepulse migrate, or start the server")]
  }
  return [fine("distribution", `Citus ${version}: rows are on ${nodes === 1 ? "one node" : `${nodes} nodes`}`)]
}).pipe(
  // Its view comes with a migration that may not be applied yet.
  Effect.catch(() => Effect.succeed<ReadonlyArray<Finding>>([]))
)

const checkMigrations = Effect.fnUntraced(function* (applied: ReadonlySet<string>) {
  const wanted = yield* Effect.result(migrations)
  if (Result.isFailure(wanted)) return [wrong("migrations", wanted.failure.message, "npm run generate")]
  const names = wanted.success.map(({ name }) => name)
  const missing = names.filter((name) => !applied.has(name))
  const strange = [...applied].filter((name) => !names.includes(name))
  if (strange.length > 0) {
    const saw = `a newer version has been here: ${strange.join(", ")} is not known to this one`
    return [wrong("migrations", saw, "install the version that was there, or a newer one")]
  }
  return [
    missing.length === 0
      ? fine("migrations", `all ${applied.size} are applied`)
      : doubtful("migrations", `not applied yet: ${missing.join(", ")}`, "nodepulse migrate, or start the server")
  ]
})

/** Whether the processes that run have the same rules, exporters and packing. */
const checkAgreement = (sql: PgClient.PgClient) =>
  Effect.map(
    heardOf(sql),
    (processes): ReadonlyArray<Finding> =>
      differencesOf(processes).map((one) => {
        const { remedy, saw } = differenceText(one)
        return doubtful("processes", printable(saw), remedy)
      })
  ).pipe(
    // Its table comes with a migration that may not be applied yet.
    Effect.catch(() => Effect.succeed<ReadonlyArray<Finding>>([]))
  )

/** Whether two machines report with one token, which exporters agents refuse, and which agents hold back. */
const checkAgents = (now: number) =>
  Effect.gen(function* () {
    const states = yield* (yield* Agents).all
    const conflicts = [...states].flatMap(([serverId, state]) => {
      const conflict = conflictOf(state, now)
      if (conflict === null) return []
      const clone = conflict.sameMachine ? ", a clone of it" : ""
      const saw = `"${state.holder?.name}" writes for ${serverId}, and "${conflict.name}"${clone} is refused: both have one token`
      const cure = `nodepulse token create --kind enrolment; on ${conflict.name}, with what that prints: nodepulse-agent agent enroll --replace`
      return [wrong("token", printable(saw), printable(cure))]
    })
    return [...conflicts, ...refusedExporters(states), ...restrainedAgents(states)]
  }).pipe(
    Effect.provide(AgentsPostgres.layer),
    // Its table comes with a migration that may not be applied yet.
    Effect.catch(() => Effect.succeed<ReadonlyArray<Finding>>([]))
  )

/** Exporters that serve more than their agents take, a line for each limit: however many agents say so, a few lines. */
const refusedExporters = (states: ReadonlyMap<string, AgentState>): ReadonlyArray<Finding> => {
  const servers = new Map<string, Array<string>>()
  for (const [serverId, { refused = [] }] of states) {
    for (const { exporter, limit, most } of refused) {
      const kind = `${exporter} serves more than its ${limit}_limit of ${limit === "body" ? sizeText(most) : most}`
      const known = servers.get(kind)
      if (known === undefined) servers.set(kind, [serverId])
      else known.push(serverId)
    }
  }
  const kinds = [...servers].sort(([, a], [, b]) => b.length - a.length)
  const told = kinds
    .slice(0, REFUSED_TOLD)
    .map(([kind, ids]) =>
      doubtful("agents", printable(`${kind} on ${namesOf(ids)}: its scrapes are refused there`), RAISE)
    )
  const rest = kinds.length - told.length
  return rest === 0 ? told : [...told, doubtful("agents", `${rest} more limits are exceeded on other servers`, RAISE)]
}

/** Agents that hold back, in one line. */
const restrainedAgents = (states: ReadonlyMap<string, AgentState>): ReadonlyArray<Finding> => {
  const ids = [...states].filter(([, { restrained }]) => restrained !== undefined).map(([serverId]) => serverId)
  return ids.length === 0
    ? []
    : [doubtful("agents", printable(`hold back to keep within their budget on ${namesOf(ids)}`), LET)]
}

const LET =
  "nodepulse-agent doctor there says of which; budget.cpu or budget.memory in nodepulse.yml lets them use more"

/** The first few, and how many more. */
const namesOf = (ids: ReadonlyArray<string>): string => {
  const more = ids.length > SERVERS_TOLD ? ` and ${ids.length - SERVERS_TOLD} more` : ""
  return `${ids.slice(0, SERVERS_TOLD).join(", ")}${more}`
}

const REFUSED_TOLD = 5
const SERVERS_TOLD = 5
const RAISE = "let it serve less, or raise that setting of the exporter in nodepulse.yml there"

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

const checkStream = (url: SettingsShape["valkeyUrl"], stream: SettingsShape["stream"]): Effect.Effect<Finding> =>
  Option.isNone(url)
    ? Effect.succeed(fine("stream", "in process: a push is answered once its rows are in PostgreSQL"))
    : checkValkey(url.value, stream)

const checkValkey = (
  url: Redacted.Redacted<string>,
  { replicas = 1, streams = 1 }: NonNullable<SettingsShape["stream"]> = {}
): Effect.Effect<Finding> =>
  Effect.gen(function* () {
    const cluster = yield* describeCluster({ url, replicas, streams })
    if (cluster?.doubt !== undefined) return doubtful("stream", `${cluster.saw}: ${cluster.doubt}`, cluster.remedy)
    const stream = yield* SnapshotStream
    const { bound, length } = yield* stream.stats
    const durability = yield* stream.durability
    const waiting = `${length} of ${bound} messages wait in ${cluster === undefined ? "Valkey" : cluster.saw}`
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

const checkRunning = ({ host, port }: SettingsShape, isExpected: boolean): Effect.Effect<Finding> =>
  Effect.gen(function* () {
    const reachable = host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "::1" : host
    const where = `http://${reachable.includes(":") ? `[${reachable}]` : reachable}:${port}`
    const answer = yield* Effect.result(
      exchange({ method: "GET", url: `${where}/readyz`, headers: {}, timeout: ANSWER_WITHIN, bodyLimit: 1024 * 1024 })
    )
    const off = "systemctl status nodepulse-server; journalctl -u nodepulse-server"
    if (Result.isFailure(answer)) {
      const saw = `does not run: ${where}: ${answer.failure.detail}`
      return isExpected ? wrong("server", saw, off) : doubtful("server", saw, "nodepulse start runs one")
    }
    const { body, status } = answer.success
    const text = Buffer.from(body).toString("utf8")
    if (!/"(checks|status)"/.test(text)) {
      return wrong(
        "server",
        `${where} is another program's`,
        `set NODEPULSE_PORT to a free port: ss -ltnp "sport = :${port}"`
      )
    }
    if (status === 200) return fine("server", `${where} is ready`)
    return wrong("server", `${where}/readyz answers HTTP ${status}: ${reasonsOf(text)}`, off)
  })

/** The checks that are not ready, with their reasons; else what it said. */
const reasonsOf = (text: string): string => {
  try {
    const { checks } = JSON.parse(text) as {
      readonly checks: ReadonlyArray<{ readonly name: string; readonly ready: boolean; readonly reason: string | null }>
    }
    const broken = checks.filter(({ ready }) => !ready).map(({ name, reason }) => `${name}: ${reason}`)
    return clipped(broken.join("; "), 500)
  } catch {
    return clipped(text, 300)
  }
}
