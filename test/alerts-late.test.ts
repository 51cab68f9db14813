/**
 * Rows that come late, in any order, while rules are asked. What the process finds that keeps what it has seen is, at every moment, what
 * one finds that begins with the stored rows and states; and once all rows are there, alerts are those of a back-test.
 *
 * `NODEPULSE_SEED=3 npx vitest run test/alerts-late.test.ts` for other rows.
 */
import { PgClient } from "@effect/sql-pg"
import { assert, layer } from "@effect/vitest"
import { Clock, Effect, Layer, Result } from "effect"
import { Alerts } from "../src/alerts/Alerts.ts"
import * as AlertsPostgres from "../src/alerts/AlertsPostgres.ts"
import { Backtest } from "../src/alerts/Backtest.ts"
import * as BacktestPostgres from "../src/alerts/BacktestPostgres.ts"
import { EVERY_MILLIS } from "../src/alerts/Rule.ts"
import { Rulebook } from "../src/alerts/Rulebook.ts"
import { readRules } from "../src/alerts/RuleFile.ts"
import { makeRegistry, Registry } from "../src/plugins/Registry.ts"
import type { Snapshot } from "../src/plugins/Snapshot.ts"
import * as SnapshotRowsPostgres from "../src/sinks/storage/SnapshotRowsPostgres.ts"
import { seededRandom } from "./Seeded.ts"
import * as TestDatabase from "./TestDatabase.ts"
import { EPOCH, exporters, processRow, SECOND, store } from "./TruthRows.ts"

const SEED = Number(process.env.NODEPULSE_SEED ?? 1)
/** Each has one wait: with two, or with a threshold of its own to resolve, what fired for want of a row may go on. */
const rules = Result.getOrThrow(
  readRules(
    `rules:
  - {name: held, resource: processes, metric: cpu, above: 50, for: 1m}
  - {name: kept, resource: processes, metric: cpu, above: 50, over: 2m, keep_firing_for: 1m}
  - {name: large, resource: processes, metric: memory, above: 60, over: 3m}
  - {name: small, resource: processes, metric: memory, below: 30}
  - {name: gone, resource: processes, group: other, absent: true}
  - {name: crashes, resource: processes, restarts_above: 1, over: 5m}
  - {name: silent, resource: processes, silent: true, over: 1m}`,
    exporters
  )
)
const WAIT = 75
const MIB = 1_048_576
/** In seconds: until when rows come late, and for how long they come in time after that. */
const LATE_UNTIL = 900
const CALM = 360

const registry = Layer.succeed(Registry, Result.getOrThrow(makeRegistry({ exporters })))
const live = Layer.mergeAll(AlertsPostgres.layer, BacktestPostgres.layer, SnapshotRowsPostgres.layer).pipe(
  Layer.provideMerge(Layer.succeed(Rulebook, { rules: Effect.succeed(rules) })),
  Layer.provideMerge(registry),
  Layer.provideMerge(TestDatabase.layerWith({ exporters }))
)

interface Arriving {
  readonly row: Snapshot
  /** Seconds since `EPOCH`. */
  readonly at: number
}

/** A server's rows: busy or well, large or small for minutes at a time, its groups coming and going, its counters beginning anew; and when they come. */
const makeRows = (serverId: string, next: () => number): ReadonlyArray<Arriving> => {
  const rows: Array<Arriving> = []
  let phase = { left: 0, cpu: 5, memory: 10, other: true, latest: 0 }
  let used = 1_000
  for (let t = 1; t < LATE_UNTIL + CALM; t += 15) {
    if (phase.left-- <= 0) {
      const isLate = next() < 0.6
      phase = {
        left: Math.round(2 + 12 * next()),
        cpu: next() < 0.5 ? 90 : 5,
        memory: next() < 0.5 ? 100 : 10,
        other: next() < 0.7,
        latest: isLate ? 400 * next() : 0
      }
    }
    used = next() < 0.05 ? 1 : used + (15 * phase.cpu) / 100
    // A scrape is lost now and then.
    if (next() < 0.03) continue
    const late = next() < 0.5 ? phase.latest * next() : 0
    const at = t > LATE_UNTIL ? t : Math.min(t + late, LATE_UNTIL)
    rows.push({ row: processRow(serverId, t, "worker", used, { memory: phase.memory * MIB }), at })
    // Of scrapes that come in time, pieces may come a little later.
    const later = late === 0 && next() < 0.2 ? 80 * next() : 0
    if (phase.other) {
      const piece = t > LATE_UNTIL ? t : Math.min(at + later, LATE_UNTIL)
      rows.push({ row: processRow(serverId, t, "other", t, { memory: 50 * MIB }), at: piece })
    }
  }
  return rows.sort((a, b) => a.at - b.at)
}

/** The moment that rules are asked at, by seconds since `EPOCH`; epoch milliseconds. */
const FIRST = Math.ceil(EPOCH / 1_000 / EVERY_MILLIS) * EVERY_MILLIS
const momentAt = (n: number) => FIRST + n * EVERY_MILLIS

const asked = (at: number) =>
  Effect.flatMap(Alerts, ({ pass }) =>
    Effect.flatMap(Clock.Clock, (clock) =>
      Effect.provideService(pass, Clock.Clock, {
        ...clock,
        currentTimeMillis: Effect.succeed(at + 5_000)
      } as Clock.Clock)
    )
  )

const TABLES = ["alerts", "alert_states", "alert_progress"]

const remember = Effect.flatMap(PgClient.PgClient, (sql) =>
  sql.withTransaction(
    Effect.forEach(TABLES, (table) =>
      Effect.andThen(
        sql.unsafe(`drop table if exists public.before_${table}`),
        sql.unsafe(`create table public.before_${table} as table admiral.${table}`)
      )
    )
  )
)

const goBack = Effect.flatMap(PgClient.PgClient, (sql) =>
  sql.withTransaction(
    Effect.forEach(TABLES, (table) =>
      Effect.andThen(
        sql.unsafe(`delete from admiral.${table}`),
        sql.unsafe(`insert into admiral.${table} overriding system value table public.before_${table}`)
      )
    )
  )
)

/** All that was found, but for numbers of alerts. */
const found = Effect.gen(function* () {
  const sql = yield* PgClient.PgClient
  const alerts =
    yield* sql`select alert.rule, alert.server_id, alert.alert_group, alert.fired_at::text as fired, alert.resolved_at::text as resolved, alert.value
    from admiral.alerts alert order by 1, 2, 3, 4`
  const states =
    yield* sql`select stored.rule, stored.server_id, stored.alert_group, stored.state, stored.since::text as since, stored.clear_since::text as clear
    from admiral.alert_states stored order by 1, 2, 3`
  return { alerts, states }
})

/** Alerts, as far as they lie after a moment. */
const after = (
  from: number,
  alerts: ReadonlyArray<{
    readonly rule: string
    readonly serverId: string | null
    readonly group: string
    readonly from: number
    readonly to: number | null
  }>
) =>
  alerts
    .filter(({ to }) => to === null || to > from)
    .map(({ from: fired, group, rule, serverId, to }) =>
      JSON.stringify([rule, serverId, group, Math.max(fired, from), to])
    )
    .sort()

layer(live, { timeout: "4 minutes" })("rows that come late, in any order", (it) => {
  it.effect(`make what is kept find what is stored, and in the end what a back-test finds (seed ${SEED})`, () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const next = seededRandom(SEED)
      const rows = [...makeRows("late-1", next), ...makeRows("late-2", next)].sort((a, b) => a.at - b.at)
      const moments = Math.floor((LATE_UNTIL + CALM) / 15) - 1
      let come = 0
      yield* asked(momentAt(0))
      for (let n = 1; n <= moments; n++) {
        const at = momentAt(n)
        const upto = (at * 1_000 - EPOCH) / SECOND
        const arrived: Array<Snapshot> = []
        for (; come < rows.length && rows[come]!.at <= upto; come++) arrived.push(rows[come]!.row)
        yield* store(arrived)
        yield* remember
        yield* asked(at)
        const kept = yield* found
        yield* goBack
        // One that has seen nothing; that it asked last does not keep the other one from going on.
        yield* Effect.provide(asked(at), AlertsPostgres.layer, { local: true })
        assert.deepStrictEqual(kept, yield* found, `at moment ${n}`)
        yield* sql`update admiral.alert_progress set holder = null`
      }
      const { list } = yield* Alerts
      const backtest = yield* Backtest
      const end = momentAt(moments)
      const settled = EPOCH / 1_000 + (LATE_UNTIL + WAIT) * 1_000
      const lived = yield* Effect.forEach(rules, (rule) =>
        Effect.map(backtest.run(rule, { from: FIRST * 1_000, to: end * 1_000 }), ({ incidents }) =>
          incidents.map((incident) => ({ rule: rule.name, ...incident }))
        )
      )
      const all = (yield* list({ limit: 1_000 })).map((alert) => ({
        ...alert,
        from: alert.firedAt,
        to: alert.resolvedAt
      }))
      assert.deepStrictEqual(after(settled, all), after(settled, lived.flat()))
      // Otherwise nothing was tested: not without alerts, and not where nothing had come too late for them.
      assert.isAbove(after(settled, all).length, 3)
      assert.notDeepEqual(after(0, all), after(0, lived.flat()))
    })
  )
})
