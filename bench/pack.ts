/**
 * What a packed row costs: bytes on disk, hot and packed, and the CPU time to pack it, of Node and of PostgreSQL, on a day of some
 * servers of different kinds; then how long it takes to read packed scrapes, by the program and by psql. On the embedded
 * PostgreSQL with its shipped settings. `docs/adr/0009-packed-days.md` quotes it.
 *
 *     npm run bench -- pack [servers of each kind, default 2]
 */
import { readdirSync, readFileSync } from "node:fs"
import { chmod, mkdtemp, readFile, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { PgClient } from "@effect/sql-pg"
import { Duration, Effect, Layer, References, Result } from "effect"
import config from "../plugins.config.ts"
import { demoFleet, Machine } from "../scripts/demo-fleet.ts"
import type { Exporter } from "../src/plugins/Exporter.ts"
import { Registry } from "../src/plugins/Registry.ts"
import * as Database from "../src/sinks/postgres/Database.ts"
import { EmbeddedPostgres } from "../src/sinks/postgres/embedded/EmbeddedPostgres.ts"
import * as Migrations from "../src/sinks/storage/Migrations.ts"
import { Packing } from "../src/sinks/storage/Packing.ts"
import { createPartitionSql, dayOf, partitionName } from "../src/sinks/storage/Partitions.ts"
import { columnsOf } from "../src/sinks/storage/ScrapeColumns.ts"
import { Scrapes } from "../src/sinks/storage/Scrapes.ts"
import { makeScrapeTable } from "../src/sinks/storage/ScrapeTable.ts"
import { packedTable, scrapesTable } from "../src/sinks/storage/Tables.ts"

const SERVERS = Number(process.argv[2] ?? 2)
const GROUPS = 150
const INTERVAL = 15
/** 2025-11-20T00:00:00Z */
const START = 1_763_596_800
const SCRAPES = 86_400 / INTERVAL

/** Numbers of one scrape: a row of them for each column, by group. */
interface Numbers {
  readonly groups: ReadonlyArray<number>
  readonly values: ReadonlyArray<ReadonlyArray<number>>
}

/** Repeatable noise in [0, 1). */
const noise = (a: number, b: number): number => {
  let h = Math.imul(a, 0x9e3779b1) ^ Math.imul(b, 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d)
  h = Math.imul(h ^ (h >>> 12), 0x297a2d39)
  return ((h ^ (h >>> 15)) >>> 0) / 4_294_967_296
}

const byGroup = <A>(of: (group: number) => A) => Array.from({ length: GROUPS }, (_, group) => of(group))

/** As exporters tell it: two of three groups idle most of the time, CPU to 0.01 s and summed up in doubles, memory in pages. */
const usual = (server: number) => {
  const cpu = byGroup((g) => g * 7.3)
  const pages = byGroup((g) => 1_000 + 137 * g)
  return (t: number): Numbers => {
    for (let g = 0; g < GROUPS; g++) {
      const isBusy = g % 3 === 0 || noise(g + 1_000 * server, t) < 0.03
      if (!isBusy) continue
      cpu[g]! += Math.floor(noise(g + server, t + 7) * (3 + (g % 50))) / 100
      if (noise(g + server, t + 13) < 0.6) pages[g]! += Math.floor(noise(g + server, t + 17) * 64) - 31
    }
    return { groups: byGroup((g) => g), values: [byGroup((g) => 1 + (g % 7)), [...cpu], pages.map((p) => p * 4_096)] }
  }
}

/** Nearly every value changes in every scrape, memory in no unit: as `query.ts` has it. */
const busy =
  (server: number) =>
  (t: number): Numbers => ({
    groups: byGroup((g) => g),
    values: [
      byGroup((g) => 1 + (g % 4)),
      byGroup((g) => ((t - START) * (g % 50)) / 400 + Math.floor(noise(g + server, t) * 8) / 100),
      byGroup((g) => g * 1_000_000 + Math.floor(noise(g * 7 + server, t) * 1_048_576))
    ]
  })

/** The demonstration's servers: few groups, all of them busy, CPU to 0.1 ms. */
const demo = (server: number) => {
  const machine = new Machine({ ...demoFleet[server % demoFleet.length]!, silentFor: 0 })
  const names = new Map<string, number>()
  return (t: number): Numbers => {
    const rows = machine.at(t, START + 86_400)!.groups.map(({ row }) => row)
    const groups = rows.map(({ name }) => {
      const known = names.get(String(name)) ?? names.size
      names.set(String(name), known)
      return known
    })
    const column = (name: string) => rows.map((row) => Number(row[name]))
    return { groups, values: [column("num_procs"), column("cpu_seconds_total"), column("memory_bytes")] }
  }
}

/** Hosts as the demonstration has them. */
const hosts = (server: number) => {
  const machine = new Machine({ ...demoFleet[server % demoFleet.length]!, silentFor: 0 })
  const columns = columnsOf(host).numbers.map(
    ({ name }) => Object.entries(host.table.columns).find(([key]) => key === name)!
  )
  return (t: number): Numbers => {
    const row = machine.at(t, START + 86_400)!.host
    return { groups: [0], values: columns.map(([name, column]) => [row[column.from ?? name] ?? Number.NaN]) }
  }
}

const processes = config.exporters.find(({ name }) => name === "process_exporter")!
const host = config.exporters.find((exporter) => exporter.host !== undefined)!
const kinds = { usual, busy, demo }

const out = (line: string) => process.stdout.write(`${line}\n`)

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

/** A day of some servers, hot; how many rows. */
const load = Effect.fnUntraced(function* (
  exporter: Exporter,
  first: number,
  make: (server: number) => (t: number) => Numbers
) {
  const table = yield* makeScrapeTable(exporter)
  let rows = 0
  for (let server = first; server < first + SERVERS; server++) {
    const at = make(server)
    for (let n = 0; n < SCRAPES; n += 40) {
      const scrapes = Array.from({ length: 40 }, (_, s) => START + (n + s) * INTERVAL).map((t) => ({
        t,
        numbers: at(t)
      }))
      const flat = (of: (numbers: Numbers) => ReadonlyArray<number>) => scrapes.flatMap(({ numbers }) => of(numbers))
      const count = (numbers: Numbers) => numbers.groups.map((_, place) => place)
      yield* table.insert(
        scrapes.map(({ numbers, t }) => ({
          server,
          // A few milliseconds off, as timers are.
          at: t * 1_000_000 + Math.floor(noise(server, t) * 20_000),
          rows: count(numbers),
          series: numbers.groups
        })),
        scrapes.map(() => ({ since: (START - 86_400) * 1_000_000, sinceOf: undefined })),
        {
          labels: columnsOf(exporter).labels.map(() => Int32Array.from(flat(({ groups }) => groups.map((g) => g + 1)))),
          // Columns that a kind of server does not tell are not known of any row.
          values: columnsOf(exporter).numbers.map((_, c) =>
            Float64Array.from(flat(({ groups, values }) => values[c] ?? groups.map(() => Number.NaN)))
          ),
          since: new Float64Array(0)
        }
      )
      rows += scrapes.reduce((sum, { numbers }) => sum + numbers.groups.length, 0)
    }
  }
  return rows
})

const sizeOf = Effect.fnUntraced(function* (exporter: Exporter) {
  const sql = yield* PgClient.PgClient
  const day = dayOf(START * 1_000_000)
  const tables = [scrapesTable(exporter.table.name), packedTable(exporter.table.name)].map((table) =>
    partitionName(table, day)
  )
  const [row] = yield* sql.unsafe<{ readonly heap: number; readonly keys: number }>(
    `select sum(pg_table_size(oid))::float8 as heap, sum(pg_indexes_size(oid))::float8 as keys from pg_class
    where relname in (${tables.map((table) => `'${table}'`).join(", ")})`
  )
  return row!
})

const median = (values: ReadonlyArray<number>): number => [...values].sort((a, b) => a - b)[values.length >> 1]!
const often = <A, E, R>(self: Effect.Effect<A, E, R>) =>
  Effect.map(
    Effect.replicateEffect(
      Effect.map(Effect.timed(self), ([took]) => Duration.toMillis(took)),
      7
    ),
    median
  )

/** An hour of one server, as the program reads it and as psql does, milliseconds. */
const reads = Effect.gen(function* () {
  const sql = yield* PgClient.PgClient
  const scrapes = yield* Scrapes
  const from = (START + 10 * 3_600) * 1_000_000
  const columns = columnsOf(processes).numbers.map(({ name }) => name)
  const hour = `'2025-11-20 10:00Z' and "timestamp" <= '2025-11-20 11:00Z'`
  return {
    program: yield* often(scrapes.between(processes.name, [1], [{ after: from, upto: from + 3_600_000_000 }], columns)),
    view: yield* often(
      sql.unsafe(
        `select count(*), sum(cpu_seconds_total), sum(memory_bytes), sum(num_procs), max(process_name) from admiral.process_snapshots where server_id = 'server-1' and "timestamp" >= ${hour}`
      )
    ),
    between: yield* often(
      sql.unsafe(
        `select count(*), sum(cpu_seconds_total), sum(memory_bytes), sum(num_procs), max(process_name) from admiral.process_snapshots_between('server-1', '2025-11-20 10:00Z', '2025-11-20 11:00Z')`
      )
    )
  }
})

const shown = (values: Record<string, number>) =>
  Object.entries(values)
    .map(([name, value]) => `${name} ${value.toFixed(0)} ms`)
    .join(", ")

const measure = Effect.gen(function* () {
  const sql = yield* PgClient.PgClient
  const packing = yield* Packing
  const [directory] = yield* sql<{ readonly path: string }>`select current_setting('data_directory') as path`
  const pid = yield* Effect.promise(() => readFile(join(directory!.path, "postmaster.pid"), "utf8"))
  const postmaster = pid.split("\n")[0]!
  out(
    "| | rows | hot, B a row | packed, B a row | of which keys | packing: Node, µs a row | PostgreSQL, µs a row | memory, MB |"
  )
  out("|---|---|---|---|---|---|---|---|")
  const all = [
    ...Object.entries(kinds).map(([name, make]) => ({ name, exporter: processes, make })),
    { name: "hosts", exporter: host, make: hosts }
  ]
  for (const { exporter, make, name } of all) {
    for (const { table } of config.exporters) {
      yield* sql.unsafe(
        `truncate admiral.${scrapesTable(table.name)}, admiral.${packedTable(table.name)}, admiral.packed_days`
      )
    }
    const rows = yield* load(exporter, 1, make)
    yield* sql`checkpoint`.unprepared
    const hot = yield* sizeOf(exporter)
    const before = name === "usual" ? yield* reads : undefined
    const start = { node: process.cpuUsage(), postgres: postgresCpu(postmaster) }
    yield* packing.pass
    const { system, user } = process.cpuUsage(start.node)
    const postgres = postgresCpu(postmaster) - start.postgres
    const packed = yield* sizeOf(exporter)
    const each = (value: number, digits = 1) => (value / rows).toFixed(digits)
    out(
      `| ${name} | ${rows.toLocaleString("en")} | ${each(hot.heap + hot.keys)} | **${each(packed.heap + packed.keys, 2)}** | ${each(packed.keys, 2)} | ${each(user + system, 2)} | ${each(postgres, 2)} | ${(process.memoryUsage.rss() / 1e6).toFixed(0)} |`
    )
    if (before !== undefined) {
      const after = yield* reads
      process.stderr.write(`an hour of one server: hot ${shown(before)}; packed ${shown(after)}\n`)
    }
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
const parts = Layer.mergeAll(Packing.layerWith(), Scrapes.layer).pipe(
  Layer.provide(Registry.layer({ exporters: kept })),
  Layer.provideMerge(database)
)
await Effect.runPromise(
  Effect.gen(function* () {
    const sql = yield* PgClient.PgClient
    yield* Migrations.migrate(Result.getOrThrow(Migrations.generate(config.exporters)).added)
    yield* sql`insert into admiral.servers (server_id, name) select 'server-' || n, n::text from generate_series(1, ${SERVERS}::int4) n`
    yield* sql`insert into admiral.label_values (value) select 'process-' || n from generate_series(1, ${GROUPS}::int4) n`
    for (const { table } of config.exporters) {
      yield* sql.unsafe(createPartitionSql(scrapesTable(table.name), dayOf(START * 1_000_000)))
    }
    yield* measure
  }).pipe(Effect.provide(parts), Effect.provideService(References.MinimumLogLevel, "Warn"))
).finally(() => rm(folder, { recursive: true, force: true }))
