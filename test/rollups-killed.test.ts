/**
 * Two servers roll up and drop what is too old, at the same time and without pause, while rows of some days come in out of
 * order, late and twice; and both are killed again and again, or lose their connections. At the end of it every answer is
 * that of the rows, of those that retention has dropped too, and nothing is left behind.
 *
 * NODEPULSE_SEED repeats the rows and the choices (not the moments at which the machine comes to them);
 * NODEPULSE_SECONDS is how long it goes on, one day of rows for each two seconds.
 */
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { PgClient } from "@effect/sql-pg"
import { assert, it } from "@effect/vitest"
import { Clock, Effect, Layer, Redacted, References, Schedule } from "effect"
import type { Snapshot } from "../src/plugins/Snapshot.ts"
import { Rankings, type TopAnswer, type Window } from "../src/query/Rankings.ts"
import * as RankingsPostgres from "../src/query/RankingsPostgres.ts"
import { Rollups } from "../src/sinks/rollups/Rollups.ts"
import { COARSE, FINE, rollupTable } from "../src/sinks/rollups/RollupTables.ts"
import { DAY_MICROS, dayOf, partitionName } from "../src/sinks/storage/Partitions.ts"
import { Retention } from "../src/sinks/storage/Retention.ts"
import * as SnapshotRowsPostgres from "../src/sinks/storage/SnapshotRowsPostgres.ts"
import { scrapesTable } from "../src/sinks/storage/Tables.ts"
import { type Chance, makeChance } from "./conservation/Chance.ts"
import { exporters, KEPT_DAYS, makeClock, registry, setClock, WORKER } from "./RollupsKilled.ts"
import { makeStandingClock } from "./StandingClock.ts"
import * as TestDatabase from "./TestDatabase.ts"
import { EPOCH, SECOND, store } from "./TruthRows.ts"
import { same } from "./TruthSame.ts"
import { generated } from "./TruthWorld.ts"
import { withoutLatest } from "./WithoutLatest.ts"
import { makeWorkers } from "./Workers.ts"

const SEED = Number(process.env.NODEPULSE_SEED ?? 7)
const SECONDS = Number(process.env.NODEPULSE_SECONDS ?? 6)

const SERVERS = ["one", "two", "three"]
const DAYS = Math.max(KEPT_DAYS + 2, Math.round(SECONDS / 2))
const HOUR = 3_600
const DAY = 24 * HOUR
const STEP = HOUR
/** Rows closer than this to what is dropped next do not come late: what was counted from the rows before them stays so. */
const EDGE = 600

const { set, stood } = makeStandingClock()
const live = Layer.mergeAll(RankingsPostgres.layer, SnapshotRowsPostgres.layer, Rollups.layer, Retention.layer).pipe(
  Layer.provideMerge(registry),
  Layer.provideMerge(TestDatabase.layerWith({ exporters, maxConnections: 3 }))
)
const rowsOnly = RankingsPostgres.layerWith({ rollups: false })
/** Has all rows for ever, and no roll-ups. */
const reference = Layer.mergeAll(rowsOnly, SnapshotRowsPostgres.layer).pipe(
  Layer.provideMerge(registry),
  Layer.provideMerge(TestDatabase.layerWith({ exporters, maxConnections: 3 })),
  Layer.fresh
)

/** Seconds since `EPOCH` from which on all rows are still there, at a moment in such seconds. */
const keptSince = (t: number) => (dayOf(EPOCH + (t - KEPT_DAYS * DAY) * SECOND) * DAY_MICROS - EPOCH) / SECOND

/** Pieces of a server's days: one across each midnight, two between. */
const lives = (server: string, seed: number): ReadonlyArray<Snapshot> => {
  const chance = makeChance(seed)
  return Array.from({ length: DAYS }, (_, day) => {
    const begins = [
      chance.between(-1_800, 0),
      5 * HOUR + chance.between(0, 5 * HOUR),
      14 * HOUR + chance.between(0, 7 * HOUR)
    ]
    return begins.flatMap((begin, n) => moved(generated(server, seed * 1_000 + day * 3 + n, 0.45), day * DAY + begin))
  }).flat()
}

const moved = (rows: ReadonlyArray<Snapshot>, seconds: number) =>
  rows.map((row) => ({
    ...row,
    timestamp: row.timestamp + seconds * SECOND,
    countersSince: row.countersSince === null ? null : row.countersSince + seconds * SECOND
  }))

const secondOf = (row: Snapshot) => (row.timestamp - EPOCH) / SECOND

/** When rows come, in seconds since `EPOCH`: most at once, some hours later, some long after, some twice. */
const arrivals = (rows: ReadonlyArray<Snapshot>, chance: Chance) => {
  const delay = () => {
    const luck = chance.next()
    return luck < 0.8
      ? chance.between(0, 60)
      : luck < 0.93
        ? chance.between(600, 6 * HOUR)
        : chance.between(0, KEPT_DAYS * DAY)
  }
  const all = rows.flatMap((row) =>
    Array.from({ length: chance.next() < 0.1 ? 2 : 1 }, () => ({
      row,
      at: secondOf(row) + delay(),
      order: chance.next()
    }))
  )
  return all.sort((a, b) => Math.ceil(a.at / STEP) - Math.ceil(b.at / STEP) || a.order - b.order)
}

/** Two processes at work, and one that is up already to take the place of the next that is killed. */
const makeChaos = Effect.fnUntraced(function* (url: Redacted.Redacted<string>, chance: Chance) {
  const cache = yield* Effect.acquireRelease(
    Effect.promise(() => mkdtemp(join(tmpdir(), "nodepulse-cache-"))),
    (folder) => Effect.promise(() => rm(folder, { recursive: true, force: true }))
  )
  const env = { DATABASE_URL: Redacted.value(url), NODE_COMPILE_CACHE: cache }
  const { begin, complaints, kill, load, stop } = yield* makeWorkers("rollupsWorker.ts", env)
  const working = yield* Effect.forEach([load(), load()], begin)
  let next = load()
  const counts = { killed: 0, cut: 0 }
  /** Kills one or the other, or cuts one of their connections, for ever. */
  const chaos = Effect.gen(function* () {
    const sql = yield* PgClient.PgClient
    yield* Effect.sleep(chance.between(50, 400))
    if (chance.next() < 0.5) {
      const cut = yield* sql`select pg_terminate_backend(pid) from (
        select pid from pg_stat_activity where datname = current_database() and application_name = ${WORKER}
        order by state <> 'active', pid offset ${chance.between(0, 1)}::int limit 1) a`
      counts.cut += cut.length
    } else {
      const n = chance.between(0, 1)
      yield* kill(working[n]!)
      counts.killed++
      working[n] = yield* begin(next)
      next = load()
    }
  }).pipe(Effect.forever)
  return { chaos, stop, counts, complaints }
})

/** How many buckets that ended by a moment wait, at most: where one does, all later ones are counted with it. */
const queued = Effect.fnUntraced(function* (upto: number) {
  const now = (yield* Clock.currentTimeMillis) * 1_000
  const { buckets, lagSeconds } = yield* Effect.flatMap(Rollups, ({ stats }) => stats)
  return buckets > 0 && now - lagSeconds * SECOND <= upto ? buckets : 0
})

/** The partitions of a table, and whether each is attached. */
const partitionsOf = Effect.fnUntraced(function* (table: string) {
  const sql = yield* PgClient.PgClient
  return yield* sql<{ readonly name: string; readonly attached: boolean }>`
    select c.relname::text as name, exists (select from pg_inherits i where i.inhrelid = c.oid and not i.inhdetachpending) as attached
    from pg_class c where c.relnamespace = 'admiral'::regnamespace and c.relkind = 'r'
      and c.relname ~ ${`^${table}_[0-9]{8}$`} order by 1`
})

const inSeconds = (from: number, to: number): Window => ({
  from: EPOCH + Math.round(from * SECOND),
  to: EPOCH + Math.round(to * SECOND)
})

const questions = (window: Window) => ({
  tops: [
    { exporter: "process_exporter", metric: "cpu", limit: 3, window },
    { exporter: "process_exporter", metric: "memory", limit: 1_000, window },
    { exporter: "queue_exporter", metric: "jobs", limit: 2, window },
    { exporter: "queue_exporter", metric: "sent", limit: 10, window },
    { exporter: "queue_exporter", metric: "temperature", limit: 1, window },
    { exporter: "pool_exporter", metric: "work", limit: 10, window }
  ],
  histories: [
    { exporter: "process_exporter", name: "a", points: 40, window },
    { exporter: "process_exporter", name: "é", points: 300, window },
    { exporter: "queue_exporter", name: "q2", points: 100, window },
    { exporter: "node_exporter", points: 60, window }
  ]
})

const ofWindow = (name: string, answer: TopAnswer) => withoutLatest(exporters.find((one) => one.name === name)!, answer)

/** Both give the same answers about a server in a window, to all questions or to those about an exporter. */
const agree = Effect.fnUntraced(function* (
  one: Rankings["Service"],
  other: Rankings["Service"],
  serverId: string,
  window: Window,
  what: string,
  only?: string
) {
  const { histories, tops } = questions(window)
  const said = `${what}, ${serverId}, ${JSON.stringify(window)}`
  const asked = <A extends { readonly exporter: string }>(all: ReadonlyArray<A>) =>
    all.filter(({ exporter }) => only === undefined || exporter === only)
  for (const ask of asked(tops)) {
    same(
      ofWindow(ask.exporter, yield* one.top({ ...ask, serverId })),
      ofWindow(ask.exporter, yield* other.top({ ...ask, serverId })),
      `${said}: top ${ask.exporter} by ${ask.metric}`
    )
  }
  // Of one server: they are many statements, and the rows behind them are those of the tops.
  for (const ask of asked(serverId === SERVERS[0] ? histories : [])) {
    same(
      yield* one.history({ ...ask, serverId }),
      yield* other.history({ ...ask, serverId }),
      `${said}: history of ${ask.exporter} ${ask.name}`
    )
  }
})

it.live(
  `two servers roll up and drop, and are killed at random: the answers stay those of the rows (seed ${SEED}, ${DAYS} days)`,
  () =>
    Effect.gen(function* () {
      const chance = makeChance(SEED)
      const rankings = yield* Rankings
      const raw = yield* Effect.provide(Rankings, yield* Layer.build(Layer.fresh(rowsOnly)))
      const rollups = yield* Rollups
      const retention = yield* Retention
      const { url } = yield* TestDatabase.TestDatabase

      const rows = arrivals(
        SERVERS.flatMap((server, n) => lives(server, SEED * 10 + n)),
        chance
      )
      const stored = new Set<Snapshot>()
      const begin = Math.floor(Math.min(...rows.map(({ row }) => secondOf(row))) / STEP) * STEP
      const end = Math.ceil((DAYS * DAY) / STEP) * STEP
      const clockAt = (t: number) => {
        const millis = (EPOCH + t * SECOND) / 1_000
        return Effect.andThen(
          Effect.sync(() => set(millis)),
          setClock(millis)
        )
      }
      yield* makeClock
      yield* clockAt(begin)

      const workers = yield* makeChaos(url, makeChance(SEED + 1))
      const began = performance.now()
      const days = Effect.gen(function* () {
        let from = 0
        for (let t = begin + STEP; t <= end; t += STEP) {
          // What is dropped with the next day has been counted by then: that is what makes the roll-ups of it whole.
          if (keptSince(t) > keptSince(t - STEP)) {
            yield* queued(EPOCH + (keptSince(t) + EDGE) * SECOND).pipe(
              Effect.repeat({ until: (n) => n === 0, schedule: Schedule.spaced(20) }),
              Effect.timeout("5 minutes")
            )
          }
          yield* clockAt(t)
          let to = from
          while (to < rows.length && rows[to]!.at <= t) to++
          const batch = rows.slice(from, to).flatMap(({ row }) => (secondOf(row) >= keptSince(t) + EDGE ? [row] : []))
          from = to
          yield* store(batch, chance.oneOf([150, 1_000]))
          for (const row of batch) stored.add(row)
          if (chance.next() < 0.08) {
            // In the middle of it, too: an answer waits for no pass. (Not of processes, whose CPU is clamped to cores that
            // may have become known just now.)
            const window = inSeconds(
              Math.max(begin, keptSince(t) + EDGE) + chance.next() * HOUR,
              t - chance.next() * HOUR
            )
            yield* agree(rankings, raw, chance.oneOf(SERVERS), window, `at ${t}`, "queue_exporter")
          }
          const due = ((t - begin) / (end - begin)) * SECONDS * 1_000
          yield* Effect.sleep(Math.max(0, due - (performance.now() - began)))
        }
      })
      yield* Effect.raceFirst(days, workers.chaos)
      yield* workers.stop
      assert.deepStrictEqual(workers.complaints, [])

      // Quiet: what the last ones left is finished.
      const sql = yield* PgClient.PgClient
      yield* sql<{ readonly n: number }>`
        select count(*)::int4 as n from pg_stat_activity where datname = current_database() and application_name = ${WORKER}`.pipe(
        Effect.repeat({ until: ([row]) => row!.n === 0, schedule: Schedule.spaced(20) }),
        Effect.timeout("5 minutes")
      )
      const [before] = yield* sql<{
        readonly hours: number
      }>`select count(*)::int4 as hours from admiral.${sql(rollupTable("process_snapshots", COARSE))}`
      const now = end + HOUR
      yield* rollups.pass
      yield* clockAt(now)
      yield* rollups.pass
      const swept = yield* retention.sweep((EPOCH + now * SECOND) / 1_000)
      yield* Effect.logInfo(
        `${stored.size} rows, ${workers.counts.killed} kills, ${workers.counts.cut} cuts, ${JSON.stringify(swept)}, ${before!.hours} hours before the last pass, ${((performance.now() - began) / 1_000).toFixed(1)} s`
      )
      // Otherwise nothing was tested.
      assert.isAbove(workers.counts.killed, 0)
      assert.isAbove(before!.hours, 0)

      assert.strictEqual(yield* queued(EPOCH + (now - HOUR / 2) * SECOND), 0, "buckets in the queue that have ended")
      assert.deepStrictEqual(
        yield* sql`select l.* from pg_locks l join pg_database d on d.oid = l.database
          where l.locktype = 'advisory' and d.datname = current_database()`,
        []
      )
      const today = dayOf(EPOCH + now * SECOND)
      for (const { name, table } of exporters) {
        const days = name === "node_exporter" ? 30 : KEPT_DAYS
        const first = Math.max(dayOf(EPOCH + begin * SECOND), today - days)
        const parts = scrapesTable(table.name)
        assert.deepStrictEqual(
          yield* partitionsOf(parts),
          Array.from({ length: today + 1 - first + 1 }, (_, n) => ({
            name: partitionName(parts, first + n),
            attached: true
          }))
        )
        const fine = yield* partitionsOf(rollupTable(table.name, FINE))
        assert.isTrue(fine.every(({ attached }) => attached))
      }

      const whole = yield* Layer.build(reference)
      // At a moment when none of them was too old.
      set((EPOCH + begin * SECOND) / 1_000)
      yield* Effect.provide(store([...stored]), whole)
      set((EPOCH + now * SECOND) / 1_000)
      const truth = yield* Effect.provide(Rankings, whole)
      const kept = keptSince(now) + EDGE
      const untilHour = (t: number) =>
        (Math.ceil((EPOCH + t * SECOND) / (HOUR * SECOND)) * HOUR * SECOND - EPOCH) / SECOND
      for (const server of SERVERS) {
        for (const [what, window] of [
          ["all that is kept", inSeconds(kept, now)],
          ["the last hour", inSeconds(now - HOUR, now)],
          ["six hours", inSeconds(now - 6 * HOUR - 0.123_456, now)],
          ["a day that has passed", inSeconds(kept + 1_234.567_891, kept + 1_234.567_891 + DAY)],
          ["hours that have passed", inSeconds(untilHour(kept), untilHour(kept) + 9 * HOUR)],
          ["ten minutes", inSeconds(untilHour(kept) + 40, untilHour(kept) + 640)]
        ] as const) {
          yield* agree(rankings, raw, server, window, what)
        }
        for (const [what, window] of [
          ["days", inSeconds(keptSince(begin + KEPT_DAYS * DAY + DAY), keptSince(now) + DAY)],
          ["everything", inSeconds(untilHour(begin) - HOUR, now)],
          ["what is kept", inSeconds(kept, now)],
          ["what was dropped", inSeconds(untilHour(begin) - HOUR, untilHour(kept) - HOUR)],
          ["across what was dropped", inSeconds(untilHour(begin + DAY), kept + DAY / 3)]
        ] as const) {
          yield* agree(rankings, truth, server, window, what)
        }
      }
    }).pipe(stood, Effect.scoped, Effect.provide(live), Effect.provideService(References.MinimumLogLevel, "Info")),
  1_200_000 + SECONDS * 10_000
)
