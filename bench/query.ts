/**
 * How long the top 10 takes: `node bench/query.ts [days] [other servers]`.
 *
 * One server with 7 days of 150 groups every 15 seconds among 50 others with a day each, in a PostgreSQL of its own in a
 * temporary folder. Warm medians from the roll-ups, from rows alone, and of the plain LAG query that one would write first,
 * on the same data in the same run: absolute figures drift from machine to machine. Also what the roll-ups cost beside the
 * insert, bytes a row, and how long dropping an expired day takes.
 */
import { chmod, mkdtemp, rm } from "node:fs/promises"
import { loadavg, tmpdir } from "node:os"
import { join } from "node:path"
import { PgClient } from "@effect/sql-pg"
import { Console, Duration, Effect, Layer, Result } from "effect"
import config from "../plugins.config.ts"
import { Registry } from "../src/plugins/Registry.ts"
import type { Snapshot } from "../src/plugins/Snapshot.ts"
import * as Database from "../src/sinks/Database.ts"
import { make as embedded } from "../src/sinks/EmbeddedPostgres.ts"
import * as Migrations from "../src/sinks/Migrations.ts"
import { createPartitionSql, DAY_MICROS, dayOf, partitionName } from "../src/sinks/Partitions.ts"
import { Rankings } from "../src/sinks/Rankings.ts"
import * as RankingsPostgres from "../src/sinks/RankingsPostgres.ts"
import { Retention } from "../src/sinks/Retention.ts"
import { Rollups } from "../src/sinks/Rollups.ts"
import { SnapshotRows } from "../src/sinks/SnapshotRows.ts"
import * as SnapshotRowsPostgres from "../src/sinks/SnapshotRowsPostgres.ts"

const DAYS = Number(process.argv[2] ?? 7)
const OTHERS = Number(process.argv[3] ?? 50)
const GROUPS = 150
const INTERVAL = 15
const SECOND = 1_000_000
const HOURS = [1, 6, 24, 168].filter((hours) => hours <= DAYS * 24)

const median = (values: ReadonlyArray<number>): number => [...values].sort((a, b) => a - b)[values.length >> 1]!

const timed = <A, E, R>(self: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const began = performance.now()
    yield* self
    return performance.now() - began
  })

/** The median; first as often again, so that every connection of the pool has its plans. */
const often = <A, E, R>(times: number, self: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.andThen(Effect.replicateEffect(self, times), Effect.replicateEffect(timed(self), times)), median)

/** Rows as the agents of some servers would have sent them, up to now. */
const load = Effect.fnUntraced(function* (now: number) {
  const sql = yield* PgClient.PgClient
  const end = Math.floor(now / 1_000 / INTERVAL) * INTERVAL
  for (const table of ["process_snapshots_rows", "node_snapshots_rows"]) {
    for (let day = dayOf((end - DAYS * 86_400) * SECOND); day <= dayOf(end * SECOND) + 1; day++) {
      yield* sql.unsafe(createPartitionSql(table, day)).unprepared
    }
  }
  yield* sql`insert into admiral.servers (server_id, name) select 'server-' || n, 'server ' || n from generate_series(1, ${OTHERS + 1}::int) n`
  yield* sql`insert into admiral.label_values (value) select 'process-' || n from generate_series(1, 5000) n`
  for (let server = 1; server <= OTHERS + 1; server++) {
    const begin = end - (server === 1 ? DAYS : 1) * 86_400
    for (let from = begin; from < end; from += 86_400) {
      // A third of the groups is busy; counters grow by what the group and the moment say.
      yield* sql`insert into admiral.process_snapshots_rows ("timestamp", cpu_seconds_total, memory_bytes, server_id, process_name, num_procs)
        select to_timestamp(t), (t - ${begin}) * (g % 50) / 400.0 + (hashint4(g + t) & 7) / 100.0, g * 1000000 + (hashint4(g * 7 + t) & 1048575), ${server}, g, 1 + g % 4
        from generate_series(${from + INTERVAL}::int, ${Math.min(from + 86_400, end)}::int, ${INTERVAL}::int) t, generate_series(1, ${GROUPS}::int) g`
    }
    yield* sql`insert into admiral.node_snapshots_rows ("timestamp", server_id, cpu_cores, memory_total_bytes, cpu_user_seconds, cpu_system_seconds, cpu_idle_seconds, cpu_iowait_seconds, cpu_steal_seconds)
      select to_timestamp(t), ${server}, 8, 64000000000, (t - ${begin}) * 7, t - ${begin}, 0, 0, 0
      from generate_series(${begin + INTERVAL}::int, ${end}::int, ${INTERVAL}::int) t`
  }
  yield* sql`vacuum analyze`.unprepared
  return end * SECOND
})

/** What a row costs to insert as the application does it, µs (median), and how long everything takes to roll up, ms; in one run. */
const costs = Effect.fnUntraced(function* <E>(end: number, rebuild: Effect.Effect<unknown, E>) {
  const store = yield* SnapshotRows
  const batch = (scrape: number): ReadonlyArray<Snapshot> =>
    Array.from({ length: 5_000 }, (_, n) => ({
      exporter: "process_exporter",
      serverId: `server-${1 + (Math.floor(n / GROUPS) % (OTHERS + 1))}`,
      // Between the scrapes that are there.
      timestamp: end - (1 + scrape * 40 + Math.floor(n / GROUPS)) * INTERVAL * SECOND + 7 * SECOND,
      countersSince: null,
      values: [`process-${1 + (n % GROUPS)}`, 1, n, 1_000_000]
    }))
  const times = yield* Effect.forEach([1, 2, 3, 4, 5], (n) => timed(store.insert("process_exporter", batch(n))))
  const rolled = yield* timed(rebuild)
  return { insert: (median(times) * 1_000) / 5_000, rolled }
})

/** Drops a day of rows while somebody reads and somebody writes: how long it takes, and how long they waited at most. */
const dropOldest = Effect.fnUntraced(function* (end: number, rankings: Rankings["Service"]) {
  const store = yield* SnapshotRows
  const waits = { read: 0, write: 0 }
  const window = { from: end - 3_600 * SECOND, to: end }
  const request = { exporter: "process_exporter", serverId: "server-1", metric: "cpu", limit: 10, window }
  const read = Effect.map(timed(rankings.top(request)), (took) => {
    waits.read = Math.max(waits.read, took)
  })
  let n = 0
  const write = Effect.map(
    Effect.suspend(() =>
      timed(
        store.insert("process_exporter", [
          {
            exporter: "process_exporter",
            serverId: "server-1",
            timestamp: end + ++n,
            countersSince: null,
            values: ["process-1", 1, n, 1]
          }
        ])
      )
    ),
    (took) => {
      waits.write = Math.max(waits.write, took)
    }
  )
  const day = dayOf(end - DAYS * 86_400 * SECOND)
  // Retention's own sweep, at the moment when the oldest day has expired.
  const { retention } = config.exporters.find(({ name }) => name === "process_exporter")!.table
  const expired = ((day + 1) * DAY_MICROS) / 1_000 + Duration.toMillis(retention)
  let before = waits
  let took = 0
  const drop = Effect.gen(function* () {
    yield* Effect.sleep("2 seconds")
    before = { ...waits }
    took = yield* timed(Effect.andThen((yield* Retention).sweep(expired), Effect.void))
    yield* Effect.sleep("1 second")
  })
  yield* Effect.raceAllFirst([Effect.forever(read), Effect.forever(write), drop])
  const partition = partitionName("process_snapshots_rows", day)
  yield* Console.log(
    `\ndropping ${partition}: ${took.toFixed(0)} ms with a reader and a writer going on; they waited at most ${waits.read.toFixed(0)} and ${waits.write.toFixed(0)} ms (before it ${before.read.toFixed(0)} and ${before.write.toFixed(0)})`
  )
})

/** What one would write first: no resets, no holes, no names apart, all rows. */
const plain = `select v.value as name, sum(x.cpu) as cpu, max(x.rate) as peak, max(x.memory) as memory
from (
  select s.process_name, s.memory_bytes as memory,
    s.cpu_seconds_total - lag(s.cpu_seconds_total) over w as cpu,
    (s.cpu_seconds_total - lag(s.cpu_seconds_total) over w) / extract(epoch from s."timestamp" - lag(s."timestamp") over w) as rate
  from admiral.process_snapshots_rows s
  where s.server_id = 1 and s."timestamp" > to_timestamp($1::float8) and s."timestamp" <= to_timestamp($2::float8)
  window w as (partition by s.process_name order by s."timestamp")
) x join admiral.label_values v on v.id = x.process_name
group by v.value order by cpu desc nulls last limit 10`

const bench = Effect.gen(function* () {
  const sql = yield* PgClient.PgClient
  const fast = yield* Rankings
  const rollups = yield* Rollups
  const slow = yield* Effect.provide(Rankings, yield* Layer.build(RankingsPostgres.layerWith({ rollups: false })))
  const rows = (DAYS + OTHERS) * (86_400 / INTERVAL) * GROUPS
  const began = Date.now()
  const end = yield* load(began)
  yield* Console.log(
    `${(rows / 1e6).toFixed(1)} M rows of ${OTHERS + 1} servers loaded in ${((Date.now() - began) / 1000).toFixed(0)} s`
  )

  const { insert, rolled } = yield* costs(end, rollups.rebuild())
  yield* sql`vacuum analyze`.unprepared
  const [size] = yield* sql<{ readonly fine: number; readonly coarse: number; readonly raw: number }>`select
    (select sum(pg_total_relation_size(inhrelid)) from pg_inherits where inhparent = 'admiral.process_snapshots_5m'::regclass)::float8 as fine,
    pg_total_relation_size('admiral.process_snapshots_1h')::float8 as coarse,
    (select sum(pg_total_relation_size(inhrelid)) from pg_inherits where inhparent = 'admiral.process_snapshots_rows'::regclass)::float8 as raw`
  const perRow = (rolled * 1_000) / rows
  yield* Console.log(
    `insert ${insert.toFixed(1)} µs, roll-ups ${perRow.toFixed(1)} µs a raw row (${((100 * perRow) / insert).toFixed(0)} %); on disk ${(size!.raw / rows).toFixed(0)} B raw and ${((size!.fine + size!.coarse) / rows).toFixed(1)} B of roll-ups a row`
  )

  yield* Console.log(
    `\ntop 10, warm medians in ms (load average ${loadavg()[0]!.toFixed(1)})\nhours   roll-ups   rows only   plain LAG   plain / roll-ups   plain / rows only`
  )
  for (const hours of HOURS) {
    const window = { from: end + 4 * SECOND - hours * 3_600 * SECOND, to: end + 4 * SECOND }
    const request = { exporter: "process_exporter", serverId: "server-1", metric: "cpu", limit: 10, window }
    const times = hours > 6 ? 3 : 5
    const best = yield* often(15, fast.top(request))
    const raw = yield* often(times, slow.top(request))
    const naive = yield* often(times, sql.unsafe(plain, [window.from / SECOND, window.to / SECOND]))
    yield* Console.log(
      `${String(hours).padStart(5)}${best.toFixed(1).padStart(11)}${raw.toFixed(0).padStart(12)}${naive.toFixed(0).padStart(12)}${(naive / best).toFixed(1).padStart(17)} x${(naive / raw).toFixed(1).padStart(18)} x`
    )
  }
  yield* dropOldest(end, fast)
}).pipe(Effect.scoped)

const main = Effect.gen(function* () {
  const folder = yield* Effect.acquireRelease(
    Effect.promise(() => mkdtemp(join(tmpdir(), "nodepulse-bench-"))),
    (path) => Effect.promise(() => rm(path, { recursive: true, force: true }))
  )
  yield* Effect.promise(() => chmod(folder, 0o711))
  const { url } = yield* embedded({ dataDir: join(folder, "data"), unreachableBase: join(folder, "reachable") })
  const database = Database.layer({ url, statementTimeout: "10 minutes" })
  const registry = Registry.layer(config)
  yield* Effect.gen(function* () {
    yield* Migrations.migrate(Result.getOrThrow(Migrations.generate(config.exporters)).added)
    yield* bench
  }).pipe(
    Effect.provide(
      Layer.mergeAll(RankingsPostgres.layer, Rollups.layer, SnapshotRowsPostgres.layer, Retention.layer).pipe(
        Layer.provideMerge(Layer.merge(registry, database))
      )
    )
  )
}).pipe(Effect.scoped)

await Effect.runPromise(main)
