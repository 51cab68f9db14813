/**
 * What a stored row costs, in bytes on disk, in PostgreSQL's CPU time and in Node's: a row a scrape (what we do) against a row a
 * process with integers for server and name (what we did) and with text columns. All in one run, in turns, on the embedded
 * PostgreSQL with its shipped settings (fsync on). Prints a table; `docs/adr/0002-dictionary-ids.md` and
 * `docs/adr/0007-the-scrape-is-the-unit.md` quote it.
 *
 *     node bench/storage.ts [rows a variant and size of batch, default 300000] [--told]
 */
import { readdirSync, readFileSync } from "node:fs"
import { chmod, mkdtemp, readFile, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { PgClient, type PgConnection, PgTypes } from "@effect/sql-pg"
import { Duration, Effect, Layer, References, Result } from "effect"
import config from "../plugins.config.ts"
import { Registry } from "../src/plugins/Registry.ts"
import type { Snapshot } from "../src/plugins/Snapshot.ts"
import * as Database from "../src/sinks/postgres/Database.ts"
import { EmbeddedPostgres } from "../src/sinks/postgres/embedded/EmbeddedPostgres.ts"
import { makeDictionary } from "../src/sinks/storage/Dictionary.ts"
import * as Migrations from "../src/sinks/storage/Migrations.ts"
import { createPartitionSql, dayOf } from "../src/sinks/storage/Partitions.ts"
import { SnapshotRows } from "../src/sinks/storage/SnapshotRows.ts"
import * as SnapshotRowsPostgres from "../src/sinks/storage/SnapshotRowsPostgres.ts"
import { processValues } from "../test/ProcessRows.ts"

const ROWS = Number(process.argv[2] ?? 300_000)
/** With all that the built-in collector tells; without, what every process_exporter does of the first four columns. */
const TOLD = process.argv.includes("--told")
const SERVERS = 200
const GROUPS = 150
const BATCHES = [500, 5_000]
const ROUNDS = 3
/** 2025-11-20T00:00:00Z */
const START = 1_763_596_800_000_000

/** Names as command names are: 4 to 15 characters, the same on all servers. */
const names = Array.from({ length: GROUPS }, (_, n) => `process-${n}`.padEnd(4 + (n % 12), "x").slice(0, 15))

/** Scrapes every 15 s of all servers; of three groups one is busy, the others stay as they are. */
function* batches(size: number, rows: number, from: number): Generator<ReadonlyArray<Snapshot>> {
  let batch: Array<Snapshot> = []
  for (let n = 0; n < rows; n++) {
    const server = Math.floor(n / GROUPS) % SERVERS
    const scrape = Math.floor(n / GROUPS / SERVERS)
    const group = n % GROUPS
    const cpu = server * 1_000 + group * 37 + (group % 3 === 0 ? scrape * (1 + (group % 7)) + ((n * 7_919) % 13) : 0)
    const pages = 100 * group + (group % 3 === 0 ? (n * 104_729) % 5_000 : server)
    batch.push({
      exporter: "process_exporter",
      serverId: `server-${String(server).padStart(4, "0")}.example.org`,
      timestamp: from + scrape * 15_000_000 + server * 1_000,
      countersSince: START - 86_400_000_000,
      values: processValues(names[group]!, {
        num_procs: 1 + (group % 7),
        cpu_seconds_total: cpu / 100,
        memory_bytes: 4_096 * pages,
        ...(TOLD ? builtIn(group, cpu, pages) : {})
      })
    })
    if (batch.length === size) {
      yield batch
      batch = []
    }
  }
  if (batch.length > 0) yield batch
}

/** What the built-in collector tells beside that: most of it moves with the CPU time that a group uses. */
const builtIn = (group: number, cpu: number, pages: number) => ({
  unit: `${names[group]!}.service`,
  num_threads: 1 + (group % 40),
  open_filedesc: 8 + (group % 90),
  read_bytes_total: 4_096 * (group * 90 + Math.floor(cpu / 9)),
  write_bytes_total: 4_096 * (group * 50 + Math.floor(cpu / 7)),
  swapped_bytes: 0,
  pss_bytes: group % 4 === 0 ? 3_000 * pages : null,
  major_page_faults_total: group,
  voluntary_context_switches_total: cpu * 3 + group,
  nonvoluntary_context_switches_total: Math.floor(cpu / 2) + group,
  oldest_start_time_seconds: START / 1_000_000 - 86_400 + group,
  states_running: group % 3 === 0 ? cpu % 2 : 0,
  states_sleeping: 1 + (group % 40),
  states_waiting: 0,
  states_zombie: 0,
  states_other: 0,
  run_queue_wait_seconds_total: Math.floor(cpu * 0.7) / 1_000
})

const ROW_TABLE = (name: string, text: boolean) => `create table admiral.${name} (
  "timestamp" timestamptz not null,
  counters_since timestamptz,
  created_at timestamptz not null default now(),
  cpu_seconds_total double precision not null,
  memory_bytes bigint not null,
  server_id ${text ? 'text collate "C"' : "integer"} not null,
  process_name ${text ? 'text collate "C"' : "integer"} not null,
  num_procs integer not null,
  primary key (server_id, "timestamp", process_name)
) partition by range ("timestamp")`

const rowInsert = (name: string, text: boolean) => {
  const id = text ? "text" : "int4"
  const moment = (value: string) => `timestamptz 'epoch' + ${value} * interval '1 microsecond'`
  return `insert into admiral.${name} (server_id, "timestamp", counters_since, process_name, num_procs, cpu_seconds_total, memory_bytes)
select batch.server, ${moment("batch.at")}, ${moment("batch.since")}, batch.process, batch.num, batch.cpu, batch.memory::int8
from unnest($1::${id}[], $2::float8[], $3::float8[], $4::${id}[], $5::int4[], $6::float8[], $7::float8[])
  as batch(server, at, since, process, num, cpu, memory)
on conflict do nothing`
}

const array = (values: ReadonlyArray<unknown>, oid: number) => Result.getOrThrow(PgTypes.array(values, oid))

type Insert = (rows: ReadonlyArray<Snapshot>) => Effect.Effect<unknown, unknown, PgClient.PgClient | SnapshotRows>

/** A row a process, as it was stored once: one statement of one array per column. */
const insertRows = (
  table: string,
  oid: number,
  server: (row: Snapshot) => unknown,
  name: (row: Snapshot) => unknown
): Insert => {
  const statement = rowInsert(table, oid === PgTypes.OID.text)
  return (rows) =>
    Effect.flatMap(
      PgClient.PgClient,
      (sql) =>
        sql.unsafe<PgConnection.Result>(statement, [
          array(rows.map(server), oid),
          array(
            rows.map((row) => row.timestamp),
            PgTypes.OID.float8
          ),
          array(
            rows.map((row) => row.countersSince),
            PgTypes.OID.float8
          ),
          array(rows.map(name), oid),
          ...[PgTypes.OID.int4, PgTypes.OID.float8, PgTypes.OID.float8].map((oid, index) =>
            array(
              rows.map((row) => row.values[index + 1]),
              oid
            )
          )
        ]).raw
    )
}

const insertScrapes: Insert = (rows) => Effect.flatMap(SnapshotRows, (sink) => sink.insert("process_exporter", rows))

const size = (table: string) =>
  Effect.gen(function* () {
    const sql = yield* PgClient.PgClient
    const [row] = yield* sql.unsafe<{ readonly heap: number; readonly keys: number }>(
      `select sum(pg_table_size(relid))::float8 as heap, sum(pg_indexes_size(relid))::float8 as keys
      from pg_partition_tree('${table}') where isleaf`
    )
    return row!
  })

/** CPU time of all of PostgreSQL's processes, µs. */
const postgresCpu = (postmaster: string): number => {
  let ticks = 0
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]!.split(" ")
      if (fields[1] === postmaster) ticks += Number(fields[11]) + Number(fields[12])
    } catch {
      // It has ended meanwhile.
    }
  }
  return ticks * 10_000
}

const median = (values: ReadonlyArray<number>) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!

interface Costs {
  readonly rowsPerSecond: number
  readonly node: number
  readonly postgres: number
}

const measure = Effect.gen(function* () {
  const sql = yield* PgClient.PgClient
  yield* Migrations.migrate(Result.getOrThrow(Migrations.generate(config.exporters)).added)
  yield* sql.unsafe(ROW_TABLE("id_rows", false))
  yield* sql.unsafe(ROW_TABLE("text_rows", true))
  yield* sql`insert into admiral.servers (server_id, name)
    select 'server-' || lpad(n::text, 4, '0') || '.example.org', n::text from generate_series(0, ${SERVERS - 1}::int4) n`
  for (const table of ["id_rows", "text_rows"]) {
    for (let day = dayOf(START); day < dayOf(START) + 30; day++) yield* sql.unsafe(createPartitionSql(table, day))
  }
  const dictionary = yield* makeDictionary
  yield* dictionary.labels(new Set(names), 0)
  yield* dictionary.servers(
    new Set(Array.from({ length: SERVERS }, (_, n) => `server-${String(n).padStart(4, "0")}.example.org`))
  )
  const [directory] = yield* sql<{ readonly path: string }>`select current_setting('data_directory') as path`
  const postmaster = (yield* Effect.promise(() => readFile(join(directory!.path, "postmaster.pid"), "utf8"))).split(
    "\n"
  )[0]!

  const variants: Record<string, Insert> = {
    scrapes: insertScrapes,
    ids: insertRows(
      "id_rows",
      PgTypes.OID.int4,
      (row) => dictionary.cachedServer(row.serverId),
      (row) => dictionary.cachedLabel(row.values[0] as string, 0)
    ),
    text: insertRows(
      "text_rows",
      PgTypes.OID.text,
      (row) => row.serverId,
      (row) => row.values[0]
    )
  }
  const costs = new Map<string, Array<Costs>>()
  let from = START
  let stored = 0
  for (let round = 0; round < ROUNDS; round++) {
    for (const batch of BATCHES) {
      for (const [name, insert] of Object.entries(variants)) {
        const rows = Math.ceil(ROWS / ROUNDS / GROUPS / SERVERS) * GROUPS * SERVERS
        const prepared = [...batches(batch, rows, from)]
        const before = { at: performance.now(), node: process.cpuUsage(), postgres: postgresCpu(postmaster) }
        yield* Effect.forEach(prepared, (rows) => insert(rows), { discard: true })
        const took = performance.now() - before.at
        const { system, user } = process.cpuUsage(before.node)
        const key = `${name} ${batch}`
        costs.set(key, [
          ...(costs.get(key) ?? []),
          {
            rowsPerSecond: (rows / took) * 1_000,
            node: (user + system) / rows,
            postgres: (postgresCpu(postmaster) - before.postgres) / rows
          }
        ])
        if (name === "scrapes") stored += rows
      }
      from += 3_600_000_000 * 4
    }
  }

  const out = (line: string) => process.stdout.write(`${line}\n`)
  out(
    `| variant | table B/row | keys B/row | sum |${BATCHES.map((batch) => ` rows/s, batches of ${batch.toLocaleString("en")} | PostgreSQL µs a row | Node µs a row |`).join("")}`
  )
  out(`|---|---|---|---|${BATCHES.map(() => "---|---|---|").join("")}`)
  for (const [name, table] of [
    ["scrapes", "admiral.process_snapshots_scrapes"],
    ["ids", "admiral.id_rows"],
    ["text", "admiral.text_rows"]
  ] as const) {
    const bytes = yield* size(table)
    const [heap, keys] = [bytes.heap / stored, bytes.keys / stored]
    const figures = BATCHES.map((batch) => {
      const own = costs.get(`${name} ${batch}`)!
      const of = (figure: (costs: Costs) => number) => median(own.map(figure))
      return ` ${Math.round(of((c) => c.rowsPerSecond)).toLocaleString("en")} | ${of((c) => c.postgres).toFixed(2)} | ${of((c) => c.node).toFixed(2)} |`
    })
    out(`| ${name} | ${heap.toFixed(1)} | ${keys.toFixed(1)} | ${(heap + keys).toFixed(1)} |${figures.join("")}`)
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
