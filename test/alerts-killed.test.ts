/**
 * Two processes ask the rules and tell a hook, and are killed or paused at random, also for longer than one may keep its turn, while servers
 * go bad and recover. What they have recorded in the end is what a back-test says of the same rows: each incident once, none lost, none
 * twice. The hook, which refuses some messages, was told of each at least once, and then that it is over.
 *
 * `NODEPULSE_SECONDS=600 NODEPULSE_SEED=3 npx vitest run test/alerts-killed.test.ts` for longer.
 */
import { PgClient } from "@effect/sql-pg"
import { assert, it } from "@effect/vitest"
import { Effect, Layer, Redacted, References, Schedule } from "effect"
import { Backtest } from "../src/alerts/Backtest.ts"
import * as BacktestPostgres from "../src/alerts/BacktestPostgres.ts"
import { Notifications } from "../src/alerts/delivery/Notifications.ts"
import { EVERY_MILLIS } from "../src/alerts/Rule.ts"
import type { Snapshot } from "../src/plugins/Snapshot.ts"
import * as SnapshotRowsPostgres from "../src/sinks/storage/SnapshotRowsPostgres.ts"
import { assertDelivered, endClaims, makeHook, unfinished } from "./AlertsDelivered.ts"
import { notifierOf, rules } from "./AlertsKilled.ts"
import { exporters, makeClock, registry, setClock } from "./RollupsKilled.ts"
import { seededRandom } from "./Seeded.ts"
import { makeStandingClock } from "./StandingClock.ts"
import * as TestDatabase from "./TestDatabase.ts"
import { EPOCH, processRow, SECOND, store } from "./TruthRows.ts"
import { makeWorkers } from "./Workers.ts"

const SEED = Number(process.env.NODEPULSE_SEED ?? 5)
const SECONDS = Number(process.env.NODEPULSE_SECONDS ?? 20)
/** How fast time goes by: a moment at which rules are asked in so many ms. */
const MOMENT_MILLIS = 100
const MOMENTS = Math.round((SECONDS * 1_000) / MOMENT_MILLIS)
const MIB = 1_048_576
const SERVERS = ["one", "two", "three", "four"]

const { set, stood } = makeStandingClock()
const live = Layer.mergeAll(BacktestPostgres.layer, SnapshotRowsPostgres.layer).pipe(
  Layer.provideMerge(registry),
  Layer.provideMerge(TestDatabase.layerWith({ exporters, maxConnections: 3 }))
)

/** A multiple of the moments, so that all of them are at the same seconds since `EPOCH`. */
const BEGIN = Math.ceil(EPOCH / 1_000 / EVERY_MILLIS) * EVERY_MILLIS

/** A server's rows at a moment: it is bad or well for minutes at a time, and silent now and then. */
const makeServer = (serverId: string, seed: number) => {
  const next = seededRandom(seed)
  const phase = { left: 0, cpu: 0, memory: 0, silent: false }
  let used = 1_000
  return (moment: number): ReadonlyArray<Snapshot> => {
    if (phase.left-- <= 0) {
      const isBad = next() < 0.5
      Object.assign(phase, {
        left: Math.round(4 + 20 * next()),
        cpu: isBad ? 90 : 5,
        memory: (next() < 0.5 ? 100 : 10) * MIB,
        silent: next() < 0.1
      })
    }
    used += (15 * phase.cpu) / 100
    if (phase.silent) return []
    const t = (moment * 1_000 - EPOCH) / SECOND - 2
    return [
      processRow(serverId, t, "worker", used, { memory: phase.memory, since: -500 }),
      processRow(serverId, t, "idle", 1, { since: -500 })
    ]
  }
}

/** Two processes at work, and what happens to them. */
const makeChaos = Effect.fnUntraced(function* (url: Redacted.Redacted<string>, hook: string, seed: number) {
  const next = seededRandom(seed)
  const env = { DATABASE_URL: Redacted.value(url), HOOK_URL: hook }
  const { begin, complaints, kill, load, stop } = yield* makeWorkers("alertsWorker.ts", env)
  const start = Effect.suspend(() => begin(load()))
  const working = yield* Effect.all([start, start], { concurrency: 2 })
  const counts = { killed: 0, paused: 0 }
  const chaos = Effect.gen(function* () {
    yield* Effect.sleep(100 + 600 * next())
    const n = next() < 0.5 ? 0 : 1
    if (next() < 0.4) {
      counts.killed++
      yield* kill(working[n]!)
      yield* endClaims
      working[n] = yield* start
    } else {
      counts.paused++
      working[n]!.kill("SIGSTOP")
      // From less than a moment to far more than a turn.
      yield* Effect.sleep(50 + 900 * next())
      yield* endClaims
      working[n]!.kill("SIGCONT")
    }
  }).pipe(Effect.forever)
  return { chaos, stop, counts, complaints }
})

const until = Effect.gen(function* () {
  const sql = yield* PgClient.PgClient
  const [row] = yield* sql<{ readonly at: number }>`
    select (extract(epoch from asked_until) * 1000)::float8 as at from admiral.alert_progress`
  return row?.at ?? 0
})

/** What processes have recorded of the rules is what a back-test until `end` says; how many incidents. */
const assertRecorded = Effect.fnUntraced(function* (end: number) {
  const sql = yield* PgClient.PgClient
  const recorded = yield* sql<{
    readonly rule: string
    readonly server: string
    readonly name: string
    readonly from: number
    readonly to: number | null
  }>`select alert.rule, server.server_id as server, alert.alert_group as name,
      (extract(epoch from alert.fired_at) * 1000)::float8 as "from", (extract(epoch from alert.resolved_at) * 1000)::float8 as "to"
    from admiral.alerts alert join admiral.servers server on server.id = alert.server_id
    order by alert.rule, server.server_id, alert.alert_group, alert.fired_at`
  const backtest = yield* Backtest
  const lived = yield* Effect.forEach(rules, (rule) =>
    Effect.map(backtest.run(rule, { from: BEGIN * 1_000, to: end * 1_000 }), ({ incidents, more }) => {
      assert.strictEqual(more, 0)
      return incidents.map(({ from, group, serverId, to }) => [rule.name, serverId, group, from, to] as const)
    })
  )
  const order = (all: ReadonlyArray<readonly unknown[]>) => all.map((one) => JSON.stringify(one)).sort()
  assert.deepStrictEqual(
    order(recorded.map(({ from, name, rule, server, to }) => [rule, server, name, from, to])),
    order(lived.flat())
  )
  return recorded.length
})

/** Tells what is still to be told, while time goes on and nobody asks the rules. */
const tellTheRest = Effect.fnUntraced(function* (end: number) {
  const { plan, send } = yield* Notifications
  let now = end
  yield* Effect.gen(function* () {
    now += 60_000
    set(now)
    yield* plan
    yield* send.pipe(Effect.repeat({ while: (more) => more }))
    yield* endClaims
    return yield* unfinished
  }).pipe(Effect.repeat({ until: (left) => left === 0 }), Effect.timeout("60 seconds"))
})

it.live(
  `two evaluators are killed and paused at random: each incident is recorded once and told at least once, none is lost (seed ${SEED}, ${MOMENTS} moments)`,
  () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const { url } = yield* TestDatabase.TestDatabase
      const servers = SERVERS.map((server, n) => makeServer(server, SEED * 10 + n))
      yield* makeClock
      set(BEGIN)
      // Nothing was asked before.
      yield* setClock(BEGIN + 5_000)
      yield* sql`insert into admiral.alert_progress (asked_until) values (to_timestamp(${BEGIN / 1_000}::float8))`
      const hook = yield* makeHook(seededRandom(SEED + 2))
      const workers = yield* makeChaos(url, hook.url, SEED + 1)
      const moments = Effect.gen(function* () {
        const began = performance.now()
        for (let n = 1; n <= MOMENTS; n++) {
          const moment = BEGIN + n * EVERY_MILLIS
          yield* store(servers.flatMap((rows) => rows(moment)))
          set(moment + 5_000)
          yield* setClock(moment + 5_000)
          yield* Effect.sleep(Math.max(0, n * MOMENT_MILLIS - (performance.now() - began)))
        }
      })
      yield* Effect.raceFirst(moments, workers.chaos)
      // Whoever is left asks what is left: also where the last one to ask was killed, and has its turn for a while.
      const end = BEGIN + (MOMENTS + 4) * EVERY_MILLIS
      yield* Effect.all([
        setClock(end + 5_000),
        until.pipe(Effect.repeat({ until: (at) => at >= end, schedule: Schedule.spaced(50) }))
      ]).pipe(Effect.timeout("100 seconds"))
      yield* workers.stop
      assert.deepStrictEqual(workers.complaints, [])
      const recorded = yield* assertRecorded(end)
      yield* Effect.provide(tellTheRest(end), notifierOf(hook.url))
      const { again, resolved, told } = yield* assertDelivered(hook.taken)
      yield* Effect.logInfo(
        `${recorded} incidents, each once; ${workers.counts.killed} kills, ${workers.counts.paused} pauses (seed ${SEED}); ` +
          `${told} told and ${resolved} told to be over in ${hook.taken.length} messages, ${again} of them again; ${hook.counts.refused} refused`
      )
      // Otherwise nothing was tested.
      assert.isAbove(workers.counts.killed + workers.counts.paused, 0)
      assert.isAbove(recorded, 0)
      assert.isAbove(resolved, 0)
    }).pipe(stood, Effect.scoped, Effect.provide(live), Effect.provideService(References.MinimumLogLevel, "Info")),
  120_000 + SECONDS * 10_000
)
