/**
 * How long answers take: `node bench/query.ts [days] [other servers] [servers of a fleet]`.
 *
 * One server with 7 days of 150 groups every 15 seconds among 50 others with a day each, in a PostgreSQL of its own in a
 * temporary folder. Warm medians from the roll-ups, from rows alone, of the plain LAG query that one would write first, and of
 * VictoriaMetrics and Prometheus where they are installed, on the same data in the same run: absolute figures drift from
 * machine to machine. Also: what the roll-ups cost beside the insert, bytes a row, rows by psql, the ranking of a fleet, pages
 * beside a stream of rows, and how long dropping an expired day takes.
 */
import { spawnSync } from "node:child_process"
import { readdirSync, readFileSync } from "node:fs"
import { chmod, mkdtemp, rm } from "node:fs/promises"
import { loadavg, tmpdir } from "node:os"
import { join } from "node:path"
import { PgClient } from "@effect/sql-pg"
import { Console, Duration, Effect, Layer, Redacted, Result } from "effect"
import config from "../plugins.config.ts"
import * as ServersPostgres from "../src/access/ServersPostgres.ts"
import { Registry } from "../src/plugins/Registry.ts"
import type { Snapshot } from "../src/plugins/Snapshot.ts"
import { fleetTop } from "../src/query/FleetRanking.ts"
import * as OverviewPostgres from "../src/query/OverviewPostgres.ts"
import { Rankings } from "../src/query/Rankings.ts"
import * as RankingsPostgres from "../src/query/RankingsPostgres.ts"
import * as Database from "../src/sinks/postgres/Database.ts"
import { make as embedded } from "../src/sinks/postgres/embedded/EmbeddedPostgres.ts"
import { Rollups } from "../src/sinks/rollups/Rollups.ts"
import * as Migrations from "../src/sinks/storage/Migrations.ts"
import { DAY_MICROS, dayOf, partitionName } from "../src/sinks/storage/Partitions.ts"
import { Retention } from "../src/sinks/storage/Retention.ts"
import { SnapshotRows } from "../src/sinks/storage/SnapshotRows.ts"
import * as SnapshotRowsPostgres from "../src/sinks/storage/SnapshotRowsPostgres.ts"
import { copyFleet, GROUPS, INTERVAL, load, PLAIN_TOP, SECOND } from "./query-load.ts"
import { type GroupValues, startOthers } from "./query-others.ts"
import { pagesBesideIngest, type Spread } from "./query-pages.ts"

const DAYS = Number(process.argv[2] ?? 7)
const OTHERS = Number(process.argv[3] ?? 50)
const FLEET = Number(process.argv[4] ?? 1_000)
const HOURS = [1, 6, 24, 168].filter((hours) => hours <= DAYS * 24)

const median = (values: ReadonlyArray<number>): number => [...values].sort((a, b) => a - b)[values.length >> 1]!

/** CPU so far, ms: of this process, and of PostgreSQL's processes, where there is a /proc. */
const cpuMillis = () => {
  const { system, user } = process.cpuUsage()
  let postgres = 0
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, "utf8")
      const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
      // Ticks of 10 ms. Backends may have begun and ended since, but the pool keeps ours.
      if (stat.includes("(postgres)")) postgres += (Number(fields[11]) + Number(fields[12])) * 10
    } catch {
      // It has ended meanwhile.
    }
  }
  return { node: (user + system) / 1_000, postgres }
}

const timed = <A, E, R>(self: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const began = performance.now()
    yield* self
    return performance.now() - began
  })

/** The median; first as often again, so that every connection of the pool has its plans. */
const often = <A, E, R>(times: number, self: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.andThen(Effect.replicateEffect(self, times), Effect.replicateEffect(timed(self), times)), median)

/** What a row costs to insert as the application does it, µs (median), and the CPU that rolling up everything takes, ms; in one run. */
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
  const before = cpuMillis()
  yield* rebuild
  const after = cpuMillis()
  return {
    insert: (median(times) * 1_000) / 5_000,
    node: after.node - before.node,
    postgres: after.postgres - before.postgres
  }
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
  const partition = partitionName("process_snapshots_scrapes", day)
  yield* Console.log(
    `\ndropping ${partition}: ${took.toFixed(0)} ms with a reader and a writer going on; they waited at most ${waits.read.toFixed(0)} and ${waits.write.toFixed(0)} ms (before it ${before.read.toFixed(0)} and ${before.write.toFixed(0)})`
  )
})

/** Every row of one server and hour, as somebody with psql asks for them; undefined where there is no psql. */
const byPsql = Effect.fnUntraced(function* (url: Redacted.Redacted<string>, end: number) {
  const statement = `select * from admiral.process_snapshots where server_id = 'server-1'
    and "timestamp" > to_timestamp(${end / SECOND - 3_600}) and "timestamp" <= to_timestamp(${end / SECOND})`
  const times: Array<number> = []
  for (let n = 0; n < 7; n++) {
    const began = performance.now()
    const { error, status } = spawnSync("psql", ["-d", Redacted.value(url), "-qAt", "-o", "/dev/null", "-c", statement])
    if (error !== undefined) return yield* Console.log("psql is not installed: skipped")
    if (status !== 0) return yield* Console.log(`psql ended with ${status}`)
    times.push(performance.now() - began)
  }
  yield* Console.log(`\nselect * of one server and hour by psql (36 000 rows): ${median(times).toFixed(0)} ms`)
})

/** The values of the first server, group by group, for programs that keep series. */
const valuesOf = Effect.fnUntraced(function* (end: number) {
  const sql = yield* PgClient.PgClient
  const times = (yield* sql<{ readonly at: number }>`
    select extract(epoch from "timestamp")::float8 as at from admiral.process_snapshots_scrapes
    where server_id = 1 and "timestamp" <= to_timestamp(${end / SECOND}) order by "timestamp"`).map(({ at }) => at)
  const groups: Array<GroupValues> = []
  for (let group = 1; group <= GROUPS; group++) {
    const rows = yield* sql<{ readonly cpu: number; readonly memory: number; readonly processes: number }>`
      select cpu_seconds_total[${group}::int] as cpu, memory_bytes[${group}::int]::float8 as memory, num_procs[${group}::int] as processes
      from admiral.process_snapshots_scrapes
      where server_id = 1 and "timestamp" <= to_timestamp(${end / SECOND}) order by "timestamp"`
    groups.push({
      name: `process-${group}`,
      cpu: rows.map(({ cpu }) => cpu),
      memory: rows.map(({ memory }) => memory),
      processes: rows.map(({ processes }) => processes)
    })
  }
  return { times, groups }
})

/** The same question to other programs, warm medians. */
const askOthers = Effect.fnUntraced(function* (folder: string, end: number) {
  const { groups, times } = yield* valuesOf(end)
  const others = yield* Effect.acquireRelease(
    Effect.promise(() => startOthers(folder, times, groups)),
    (others) => Effect.promise(() => Promise.all(others.map(({ stop }) => stop())))
  )
  for (const { name, top } of others) {
    yield* Console.log(`\n${name}: topk(10, increase()), and with peaks and memory, warm medians in ms`)
    for (const hours of HOURS) {
      const taken = yield* Effect.promise(async () => {
        const taken: Array<Awaited<ReturnType<typeof top>>> = []
        for (let n = 0; n < 8; n++) taken.push(await top(end / SECOND + 4, hours))
        return taken.slice(1)
      })
      const [bare, whole] = (["bare", "whole"] as const).map((key) => median(taken.map((one) => one[key])))
      yield* Console.log(
        `${String(hours).padStart(5)}${bare!.toFixed(1).padStart(11)}${whole!.toFixed(1).padStart(12)}`
      )
    }
  }
})

/** The fleet's first ten over a day. */
const askFleet = Effect.fnUntraced(function* (servers: number, end: number) {
  yield* copyFleet(servers, end)
  const rankings = yield* Rankings
  const exporter = config.exporters.find(({ name }) => name === "process_exporter")!
  const request = {
    exporter,
    servers: Array.from({ length: servers }, (_, n) => `fleet-${n + 1}`),
    metric: "cpu",
    by: "server" as const,
    limit: 10,
    window: { from: end - 24 * 3_600 * SECOND, to: end }
  }
  yield* fleetTop(rankings, request)
  const cpu = process.cpuUsage()
  const took = median(yield* Effect.replicateEffect(timed(fleetTop(rankings, request)), 3))
  const { system, user } = process.cpuUsage(cpu)
  yield* Console.log(
    `\ntop 10 of ${servers} servers over 24 hours: ${took.toFixed(0)} ms, ${((user + system) / 3_000).toFixed(0)} of them Node's CPU`
  )
})

const PAGES_SECONDS = 30

const bench = Effect.fnUntraced(function* (url: Redacted.Redacted<string>, folder: string) {
  const sql = yield* PgClient.PgClient
  const fast = yield* Rankings
  const rollups = yield* Rollups
  const slow = yield* Effect.provide(Rankings, yield* Layer.build(RankingsPostgres.layerWith({ rollups: false })))
  const rows = (DAYS + OTHERS) * (86_400 / INTERVAL) * GROUPS
  const began = Date.now()
  const end = yield* load(began, DAYS, OTHERS)
  yield* Console.log(
    `${(rows / 1e6).toFixed(1)} M rows of ${OTHERS + 1} servers loaded in ${((Date.now() - began) / 1000).toFixed(0)} s`
  )

  const { insert, node, postgres } = yield* costs(end, rollups.rebuild())
  yield* sql`vacuum analyze`.unprepared
  const [size] = yield* sql<{ readonly fine: number; readonly coarse: number; readonly raw: number }>`select
    (select sum(pg_total_relation_size(inhrelid)) from pg_inherits where inhparent = 'admiral.process_snapshots_5m'::regclass)::float8 as fine,
    pg_total_relation_size('admiral.process_snapshots_1h')::float8 as coarse,
    (select sum(pg_total_relation_size(inhrelid)) from pg_inherits where inhparent = 'admiral.process_snapshots_scrapes'::regclass)::float8 as raw`
  const perRow = (millis: number) => ((millis * 1_000) / rows).toFixed(2)
  yield* Console.log(
    `insert ${insert.toFixed(1)} µs a row; roll-ups ${perRow(node + postgres)} µs of CPU a raw row (Node ${perRow(node)}, PostgreSQL ${perRow(postgres)}); on disk ${(size!.raw / rows).toFixed(0)} B raw and ${((size!.fine + size!.coarse) / rows).toFixed(1)} B of roll-ups a row`
  )

  yield* Console.log(
    `\ntop 10 and the history of one group, warm medians in ms (load average ${loadavg()[0]!.toFixed(1)})\nhours   roll-ups   history   rows only   plain LAG   plain / roll-ups`
  )
  for (const hours of HOURS) {
    const window = { from: end + 4 * SECOND - hours * 3_600 * SECOND, to: end + 4 * SECOND }
    const asked = { exporter: "process_exporter", serverId: "server-1", window }
    const times = hours > 24 ? 1 : hours > 6 ? 3 : 5
    const best = yield* often(15, fast.top({ ...asked, metric: "cpu", limit: 10 }))
    const history = yield* often(15, fast.history({ ...asked, name: "process-49", points: 240 }))
    const raw = yield* often(times, slow.top({ ...asked, metric: "cpu", limit: 10 }))
    const naive = yield* often(times, sql.unsafe(PLAIN_TOP, [window.from / SECOND, window.to / SECOND]))
    yield* Console.log(
      `${String(hours).padStart(5)}${best.toFixed(1).padStart(11)}${history.toFixed(1).padStart(10)}${raw.toFixed(0).padStart(12)}${naive.toFixed(0).padStart(12)}${(naive / best).toFixed(1).padStart(17)} x`
    )
  }
  yield* byPsql(url, end)
  yield* askFleet(FLEET, end)
  const beside = yield* pagesBesideIngest(PAGES_SECONDS, 10_000, OTHERS + 1, GROUPS, end)
  const spread = ({ median, most, p95 }: Spread) =>
    `median ${median.toFixed(1)}, p95 ${p95.toFixed(1)}, most ${most.toFixed(0)} ms`
  yield* Console.log(
    `\n50 pages (top and chart of 1, 6 or 24 hours every 15 s) beside ${beside.rowsPerSecond.toFixed(0)} rows/s: ${beside.answered} answers, ${spread(beside.pages)}; batches of 5 000 rows ${spread(beside.batches)} (load average ${loadavg()[0]!.toFixed(1)})`
  )
  yield* askOthers(folder, end)
  yield* dropOldest(end, fast)
}, Effect.scoped)

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
    yield* bench(url, folder)
  }).pipe(
    Effect.provide(
      Layer.mergeAll(
        RankingsPostgres.layer,
        OverviewPostgres.layer,
        Rollups.layer,
        SnapshotRowsPostgres.layer,
        Retention.layer
      ).pipe(Layer.provide(ServersPostgres.layer), Layer.provideMerge(Layer.merge(registry, database)))
    )
  )
}).pipe(Effect.scoped)

await Effect.runPromise(main)
