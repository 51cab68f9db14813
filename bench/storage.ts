/**
 * What a stored row costs, in bytes on disk and in time: integers for servers and names (what we do) against text columns
 * with one natural key (`collate "C"`, day partitions: the same otherwise). Both in one run, in turns, on the embedded
 * PostgreSQL with its shipped settings (fsync on). Prints a table; `docs/adr/0002-dictionary-ids.md` quotes it.
 *
 *     node bench/storage.ts [rows, default 600000]
 */
import { chmod, mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { PgClient, type PgConnection, PgTypes } from "@effect/sql-pg"
import { Duration, Effect, Layer, References, Result } from "effect"
import config from "../plugins.config.ts"
import { Registry } from "../src/plugins/Registry.ts"
import type { Snapshot } from "../src/plugins/Snapshot.ts"
import * as Database from "../src/sinks/Database.ts"
import { EmbeddedPostgres } from "../src/sinks/EmbeddedPostgres.ts"
import * as Migrations from "../src/sinks/Migrations.ts"
import { createPartitionSql, dayOf } from "../src/sinks/Partitions.ts"
import { SnapshotRows } from "../src/sinks/SnapshotRows.ts"
import * as SnapshotRowsPostgres from "../src/sinks/SnapshotRowsPostgres.ts"

const ROWS = Number(process.argv[2] ?? 600_000)
const SERVERS = 200
const GROUPS = 150
const BATCHES = [100, 1_000, 5_000]
const ROUNDS = 3
/** 2025-11-20T00:00:00Z */
const START = 1_763_596_800_000_000

/** Names as command names are: 4 to 15 characters, the same on all servers. */
const names = Array.from({ length: GROUPS }, (_, n) => `process-${n}`.padEnd(4 + (n % 12), "x").slice(0, 15))

function* batches(size: number, rows: number, from: number): Generator<ReadonlyArray<Snapshot>> {
  let batch: Array<Snapshot> = []
  for (let n = 0; n < rows; n++) {
    const server = Math.floor(n / GROUPS) % SERVERS
    const scrape = Math.floor(n / GROUPS / SERVERS)
    const group = n % GROUPS
    batch.push({
      exporter: "process_exporter",
      serverId: `server-${String(server).padStart(4, "0")}.example.org`,
      timestamp: from + scrape * 15_000_000 + server * 1_000,
      countersSince: START - 86_400_000_000,
      values: [names[group]!, 1 + (n % 7), n * 0.013, 4096 * (n % 1_000_000)]
    })
    if (batch.length === size) {
      yield batch
      batch = []
    }
  }
  if (batch.length > 0) yield batch
}

const TEXT_TABLE = `create table admiral.text_rows (
  server_id text collate "C" not null,
  "timestamp" timestamptz not null,
  process_name text collate "C" not null,
  num_procs integer not null,
  cpu_seconds_total double precision not null,
  memory_bytes bigint not null,
  created_at timestamptz not null default now(),
  counters_since timestamptz,
  primary key (server_id, "timestamp", process_name)
) partition by range ("timestamp")`

const TEXT_INSERT = `insert into admiral.text_rows (server_id, "timestamp", counters_since, process_name, num_procs, cpu_seconds_total, memory_bytes)
select s, timestamptz 'epoch' + t * interval '1 microsecond', timestamptz 'epoch' + c * interval '1 microsecond', n, p, u, m::int8
from unnest($1::text[], $2::float8[], $3::float8[], $4::text[], $5::int4[], $6::float8[], $7::float8[]) as batch(s, t, c, n, p, u, m)
on conflict do nothing`

const array = (values: ReadonlyArray<unknown>, oid: number) => Result.getOrThrow(PgTypes.array(values, oid))

const insertText = (rows: ReadonlyArray<Snapshot>) =>
  Effect.flatMap(
    PgClient.PgClient,
    (sql) =>
      sql.unsafe<PgConnection.Result>(TEXT_INSERT, [
        array(
          rows.map((row) => row.serverId),
          PgTypes.OID.text
        ),
        array(
          rows.map((row) => row.timestamp),
          PgTypes.OID.float8
        ),
        array(
          rows.map((row) => row.countersSince),
          PgTypes.OID.float8
        ),
        ...[PgTypes.OID.text, PgTypes.OID.int4, PgTypes.OID.float8, PgTypes.OID.float8].map((oid, index) =>
          array(
            rows.map((row) => row.values[index]),
            oid
          )
        )
      ]).raw
  )

const insertIds = (rows: ReadonlyArray<Snapshot>) =>
  Effect.flatMap(SnapshotRows, (sink) => sink.insert("process_exporter", rows))

type Insert = (rows: ReadonlyArray<Snapshot>) => Effect.Effect<unknown, unknown, PgClient.PgClient | SnapshotRows>

const size = (table: string) =>
  Effect.gen(function* () {
    const sql = yield* PgClient.PgClient
    const [row] = yield* sql.unsafe<{ readonly heap: number; readonly keys: number; readonly rows: number }>(
      `select sum(pg_relation_size(relid))::float8 as heap, sum(pg_indexes_size(relid))::float8 as keys, (select count(*)::float8 from ${table}) as rows
      from pg_partition_tree('${table}') where isleaf`
    )
    return { heap: row!.heap / row!.rows, keys: row!.keys / row!.rows, rows: row!.rows }
  })

const median = (values: ReadonlyArray<number>) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!

const measure = Effect.gen(function* () {
  const sql = yield* PgClient.PgClient
  yield* Migrations.migrate(Result.getOrThrow(Migrations.generate(config.exporters)).added)
  yield* sql.unsafe(TEXT_TABLE)
  yield* sql`insert into admiral.servers (server_id, name)
    select 'server-' || lpad(n::text, 4, '0') || '.example.org', n::text from generate_series(0, ${SERVERS - 1}::int4) n`
  for (let day = dayOf(START); day < dayOf(START) + 30; day++) yield* sql.unsafe(createPartitionSql("text_rows", day))

  const variants: Record<string, Insert> = { ids: insertIds, text: insertText }
  const speeds: Record<string, Array<number>> = {}
  const costs: Record<string, Array<number>> = {}
  let from = START
  for (let round = 0; round < ROUNDS; round++) {
    for (const batch of BATCHES) {
      for (const connections of batch === 5_000 ? [1, 2] : [1]) {
        for (const [name, insert] of Object.entries(variants)) {
          const rows = ROWS / ROUNDS / (BATCHES.length + 1)
          const prepared = [...batches(batch, rows, from)]
          const start = performance.now()
          const cpu = process.cpuUsage()
          yield* Effect.forEach(prepared, (rows) => insert(rows), { concurrency: connections, discard: true })
          const { system, user } = process.cpuUsage(cpu)
          const key = `${name} ${batch} ${connections}`
          speeds[key] = [...(speeds[key] ?? []), (rows / (performance.now() - start)) * 1000]
          costs[key] = [...(costs[key] ?? []), (user + system) / rows]
        }
        from += 3_600_000_000 * 4
      }
    }
  }

  const out = (line: string) => process.stdout.write(`${line}\n`)
  out(
    "| variant | heap B/row | key B/row | sum | rows/s, batch 100 | 1 000 | 5 000 | 5 000, two in flight | Node µs a row at 5 000 |"
  )
  out("|---|---|---|---|---|---|---|---|---|")
  for (const [name, table] of [
    ["ids", "admiral.process_snapshots_rows"],
    ["text", "admiral.text_rows"]
  ] as const) {
    const { heap, keys } = yield* size(table)
    const speed = ["100 1", "1000 1", "5000 1", "5000 2"].map((key) =>
      Math.round(median(speeds[`${name} ${key}`]!)).toLocaleString("en")
    )
    out(
      `| ${name} | ${heap.toFixed(1)} | ${keys.toFixed(1)} | ${(heap + keys).toFixed(1)} | ${speed.join(" | ")} | ${median(costs[`${name} 5000 1`]!).toFixed(2)} |`
    )
  }
})

const folder = await mkdtemp(join(tmpdir(), "nodepulse-bench-"))
await chmod(folder, 0o711)
const database = Layer.unwrap(Effect.map(EmbeddedPostgres, ({ url }) => Database.layer({ url }))).pipe(
  Layer.provide(EmbeddedPostgres.layer({ dataDir: join(folder, "data"), unreachableBase: join(folder, "reachable") }))
)
// The rows are of a fixed day in the past: kept for as long as it takes.
const kept = config.exporters.map((exporter) => ({
  ...exporter,
  table: { ...exporter.table, retention: Duration.days(36_500) }
}))
const rows = SnapshotRowsPostgres.layer.pipe(Layer.provide(Registry.layer({ exporters: kept })))
await Effect.runPromise(
  measure.pipe(
    Effect.provide(rows.pipe(Layer.provideMerge(database))),
    Effect.provideService(References.MinimumLogLevel, "Warn")
  )
).finally(() => rm(folder, { recursive: true, force: true }))
