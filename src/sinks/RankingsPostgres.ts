/**
 * Answers from PostgreSQL. What every number means is in `docs/numbers.md`; the SQL is in `IncreaseSql`, `TopSql` and
 * `HistorySql`, made once per exporter and prepared by PostgreSQL.
 *
 * An answer depends on the stored rows only, never on the order in which they came. It is made of a few statements that
 * do not share a snapshot: rows that arrive in between may be in one number and not yet in another, until the next answer.
 */
import { PgClient, PgTypes } from "@effect/sql-pg"
import { Duration, Effect, Layer } from "effect"
import type { Exporter } from "../plugins/Exporter.ts"
import { Registry } from "../plugins/Registry.ts"
import { type Aggregates, answerShape, isStale, numberOf, otherOf, rowOf } from "./AnswerFields.ts"
import { answering, arrayParameter } from "./Database.ts"
import { historyOf, historySql, stepMicros, usableLevels } from "./HistorySql.ts"
import { type HistoryAnswer, Rankings, type TopAnswer, type Window } from "./Rankings.ts"
import { dirtySql } from "./RollupSql.ts"
import { UnknownServer } from "./Servers.ts"
import { hostBusySql, hostSql, latestScrapeSql, topMeasures, topSql } from "./TopSql.ts"
import { type DirtyBucket, planWindow, ROWS_ONLY_MICROS, rowsOnly, type WindowPlan } from "./WindowPlan.ts"

export interface RankingsOptions {
  /** Whether roll-ups may be used; by default yes. Answers are the same, only slower without them. */
  readonly rollups?: boolean
}

const make = Effect.fnUntraced(function* ({ rollups = true }: RankingsOptions) {
  const sql = yield* PgClient.PgClient
  const { exporters, get, host } = yield* Registry
  const statements = new Map(exporters.map((exporter) => [exporter.name, statementsOf(exporter, host)]))
  const hostStatements = host === undefined ? undefined : { facts: hostSql(host), busy: hostBusySql(host) }

  const known = (name: string) => {
    const exporter = get(name)
    const made = statements.get(name)
    return exporter === undefined || made === undefined
      ? Effect.die(new Error(`there is no exporter "${name}"`))
      : Effect.succeed({ exporter, made })
  }

  const serverId = Effect.fnUntraced(function* (server: string) {
    const [row] = yield* sql<{ readonly id: number }>`select id from admiral.servers where server_id = ${server}`
    return row === undefined ? yield* new UnknownServer({ serverId: server }) : row.id
  })

  const ask = <A extends object = Aggregates>(statement: string, parameters: ReadonlyArray<unknown>) =>
    sql.unsafe<A>(statement, parameters)

  /** How the window is read: see `WindowPlan`. */
  const planOf = Effect.fnUntraced(function* (
    exporter: Exporter,
    made: Statements,
    id: number,
    window: Window,
    usable?: ReadonlyArray<boolean>
  ) {
    if (!rollups || usable?.[0] === false || window.to - window.from < ROWS_ONLY_MICROS) return rowsOnly(window)
    const dirty = yield* ask<DirtyBucket>(made.dirty, [int4(id), float8(window.from), float8(window.to)])
    return planWindow(window, dirty, Duration.toMillis(exporter.table.staleAfter), usable)
  })

  const hostFacts = Effect.fnUntraced(function* (id: number, window: Window) {
    if (host === undefined || hostStatements === undefined) return { facts: undefined, busy: null }
    const { made } = yield* known(host.name)
    const [[facts], [busy]] = yield* Effect.all(
      [
        ask<{ readonly cores: number | null; readonly memory: number | null }>(hostStatements.facts, [
          int4(id),
          float8(window.to)
        ]),
        Effect.flatMap(planOf(host, made, id, window), (plan) =>
          ask<{ readonly busy: number | null }>(hostStatements.busy, [int4(id), ...planParameters(plan)])
        )
      ],
      { concurrency: 2 }
    )
    return { facts, busy: busy?.busy ?? null }
  })

  const top = Effect.fn("Rankings.top")(function* (request: {
    readonly exporter: string
    readonly serverId: string
    readonly metric: string
    readonly limit: number
    readonly window: Window
  }) {
    const { window } = request
    const { exporter, made } = yield* known(request.exporter)
    const statement = made.top.get(request.metric)
    if (statement === undefined) {
      return yield* Effect.die(new Error(`${request.exporter} has no ranking "${request.metric}"`))
    }
    const id = yield* serverId(request.serverId)
    const ranked = Effect.gen(function* () {
      const [[latest], plan] = yield* Effect.all(
        [
          ask<{ readonly at: number | null }>(made.latest, [int4(id), float8(window.to)]),
          planOf(exporter, made, id, window)
        ],
        { concurrency: 2 }
      )
      const lastSeen = latest?.at ?? null
      const groups = yield* ask(statement, [int4(id), ...planParameters(plan), float8(lastSeen), int4(request.limit)])
      return { lastSeen, groups }
    })
    const [{ groups, lastSeen }, hosted] = yield* Effect.all([ranked, hostFacts(id, window)], { concurrency: 2 })
    const covered = numberOf(groups[0]?.covered)
    const listed = groups.filter((group) => typeof group.name === "string")
    const others = groups.find((group) => group.place === request.limit + 1)
    const all = groups.filter((group) => group.place !== null)
    const sumOf = (alias: string) => all.reduce((sum, group) => sum + numberOf(group[alias]), 0)
    const rates = made.shape.rankings.filter(({ by }) => by === "rate")
    const distinct = [...new Set(rates.map(({ n }) => n))]
    const cpu = rates.find(({ share }) => share === "cpu")
    const memory = made.shape.rankings.find(({ by, share }) => by === "peak" && share === "memory")
    const unaccounted = hosted.busy === null || cpu === undefined ? null : Math.max(0, hosted.busy - sumOf(`i${cpu.n}`))
    const total = hosted.facts?.memory ?? null
    return {
      rows: listed.map((group) => rowOf(made.shape, group.name as string, group, covered)),
      window,
      coveredSeconds: covered,
      coverage: coverageOf(covered, window),
      scrapes: numberOf(groups[0]?.scrapes),
      lastSeen,
      stale: isStale(exporter, lastSeen, window.to),
      resets: distinct.reduce((sum, n) => sum + sumOf(`z${n}`), 0),
      clamped: distinct.reduce((sum, n) => sum + sumOf(`l${n}`), 0),
      host: hosted.facts === undefined ? null : { cpuCores: hosted.facts.cores, memoryTotalBytes: total },
      other: otherOf(made.shape, others, covered),
      unaccounted:
        unaccounted === null
          ? null
          : { cpuSeconds: unaccounted, avgCpuPercent: covered === 0 ? 0 : (100 * unaccounted) / covered },
      memoryOvercounted: memory !== undefined && total !== null && sumOf(`w${memory.n}`) > total
    } satisfies TopAnswer
  }, answering("top"))

  const history = Effect.fn("Rankings.history")(function* (request: {
    readonly exporter: string
    readonly serverId: string
    readonly name?: string
    readonly window: Window
    readonly points: number
  }) {
    const { name, window } = request
    const { exporter, made } = yield* known(request.exporter)
    const id = yield* serverId(request.serverId)
    const step = stepMicros(exporter, window, request.points)
    const group = name === undefined ? undefined : yield* labelId(name)
    const together = name === undefined && exporter.top !== undefined
    const plan = yield* planOf(exporter, made, id, window, together ? NO_BUCKETS : usableLevels(step))
    const rows = yield* ask(name === undefined ? made.history : made.historyOfOne, [
      int4(id),
      ...planParameters(plan),
      float8(step),
      ...(name === undefined ? [] : [int4(group ?? 0)])
    ])
    return historyOf(exporter, window, step, rows) satisfies HistoryAnswer
  }, answering("history"))

  const labelId = Effect.fnUntraced(function* (value: string) {
    const [row] = yield* sql<{ readonly id: number }>`select id from admiral.label_values where value = ${value}`
    return row?.id
  })

  const lastSeen = Effect.gen(function* () {
    const found = yield* Effect.forEach(
      statements.values(),
      (made) => sql.unsafe<{ readonly server: string; readonly at: number | null }>(made.lastSeen),
      { concurrency: 2 }
    )
    const seen = new Map<string, number>()
    for (const { at, server } of found.flat()) {
      if (at !== null) seen.set(server, Math.max(at, seen.get(server) ?? 0))
    }
    return seen
  }).pipe(answering("lastSeen"))

  return Rankings.of({ top, history, lastSeen })
})

export const layerWith = (options: RankingsOptions): Layer.Layer<Rankings, never, PgClient.PgClient | Registry> =>
  Layer.effect(Rankings, make(options))

export const layer: Layer.Layer<Rankings, never, PgClient.PgClient | Registry> = layerWith({})

const NO_BUCKETS = [false]

type Statements = ReturnType<typeof statementsOf>

/** Every statement about an exporter, made once. */
const statementsOf = (exporter: Exporter, host: Exporter | undefined) => ({
  shape: answerShape(exporter, topMeasures(exporter)),
  top: new Map(
    Object.keys(exporter.top?.rankings ?? {}).map((metric) => [metric, topSql(exporter, host, metric)] as const)
  ),
  dirty: dirtySql(exporter, host),
  latest: latestScrapeSql(exporter, "$1", "$2"),
  history: historySql(exporter, host, false),
  historyOfOne: historySql(exporter, host, true),
  lastSeen: `select v.server_id as server, (${latestScrapeSql(exporter, "v.id", undefined)}) as at from admiral.servers v`
})

const coverageOf = (covered: number, window: Window): number =>
  window.to <= window.from ? 0 : Math.min(1, (covered * 1_000_000) / (window.to - window.from))

/** A plan as the three arrays that the statements bind: levels, left ends, right ends. */
export const planParameters = (plan: WindowPlan) => [
  arrayParameter(
    plan.map(({ level }) => level),
    PgTypes.OID.int4
  ),
  arrayParameter(
    plan.map(({ from }) => from),
    PgTypes.OID.float8
  ),
  arrayParameter(
    plan.map(({ to }) => to),
    PgTypes.OID.float8
  )
]

const int4 = PgTypes.int4
const float8 = PgTypes.float8
