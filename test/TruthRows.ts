/**
 * Rows for the tests of the numbers: of four exporters, two of which only tests have; those of real scrapes; and a way to
 * store them.
 */
import { readFileSync } from "node:fs"
import { PgClient } from "@effect/sql-pg"
import { Effect } from "effect"
import { counter, fingerprint, gauge, label } from "../src/plugins/Column.ts"
import { defineExporter, type Exporter } from "../src/plugins/Exporter.ts"
import { nodeExporter } from "../src/plugins/node-exporter/NodeExporter.ts"
import { processExporter } from "../src/plugins/process-exporter/ProcessExporter.ts"
import type { Snapshot } from "../src/plugins/Snapshot.ts"
import { peak, rate } from "../src/plugins/TopQuery.ts"
import { SnapshotRows } from "../src/sinks/storage/SnapshotRows.ts"
import { processValues } from "./ProcessRows.ts"

export const SECOND = 1_000_000
/** Where the vectors' t = 0 lies: on no round moment, so that buckets and days cut through them. */
export const EPOCH = Date.UTC(2025, 9, 29, 23, 58, 7) * 1_000

/** Several labels, values that may be missing, a counter of whole numbers, a gauge below 0. */
export const queueExporter = defineExporter({
  name: "queue_exporter",
  title: "Queues",
  scrape: { endpoint: "http://127.0.0.1:1/metrics", interval: "15 seconds", timeout: "5 seconds" },
  table: {
    name: "queue_snapshots",
    retention: "7 days",
    staleAfter: "2 minutes",
    columns: {
      node: label({ doc: "Node." }),
      queue: label({ doc: "Queue." }),
      jobs_total: counter({ type: "bigint", doc: "Jobs." }),
      sent_bytes_total: counter({ unit: "bytes", nullable: true, doc: "Bytes." }),
      depth: gauge({ type: "integer", doc: "Depth." }),
      temperature: gauge({ unit: "celsius", signed: true, nullable: true, doc: "Temperature." })
    }
  },
  parse: () => {
    throw new Error("not scraped in tests")
  },
  top: {
    resource: "queues",
    per: "queue",
    rankings: { jobs: rate("jobs_total"), sent: rate("sent_bytes_total"), temperature: peak("temperature") },
    default: "jobs"
  }
})

/** Groups whose counter is a sum over members that come and go; they do not begin at zero. */
export const poolExporter = defineExporter({
  name: "pool_exporter",
  title: "Pools",
  scrape: { endpoint: "http://127.0.0.1:1/metrics", interval: "15 seconds", timeout: "5 seconds" },
  table: {
    name: "pool_snapshots",
    retention: "7 days",
    columns: {
      pool: label({ doc: "Pool." }),
      work_total: counter({ nullable: true, over: ["members"], doc: "Work done by all members." }),
      members: fingerprint({ doc: "Hash of the members." })
    }
  },
  parse: () => {
    throw new Error("not scraped in tests")
  },
  top: { resource: "pools", per: "pool", rankings: { work: rate("work_total") }, default: "work" }
})

export const exporters: ReadonlyArray<Exporter> = [nodeExporter(), processExporter(), queueExporter(), poolExporter()]

/** A moment in seconds since {@link EPOCH} as rows have it. */
const microsAt = (t: number): number => Math.round(EPOCH + t * SECOND)
const sinceOf = ({ since }: { readonly since?: number | undefined }): number | null =>
  since === undefined ? null : microsAt(since)

/** A row of process_exporter; `t` in seconds since {@link EPOCH}. */
export const processRow = (
  serverId: string,
  t: number,
  name: string,
  cpuSeconds: number,
  options: {
    readonly memory?: number
    readonly procs?: number
    readonly since?: number | undefined
    /** The columns beside these. */
    readonly more?: Readonly<Record<string, string | number | null>>
  } = {}
): Snapshot => ({
  exporter: "process_exporter",
  serverId,
  timestamp: microsAt(t),
  countersSince: sinceOf(options),
  values: processValues(name, {
    ...options.more,
    num_procs: options.procs ?? 1,
    cpu_seconds_total: cpuSeconds,
    memory_bytes: options.memory ?? 0
  })
})

/** A row of node_exporter with these columns; what may be missing is. */
export const nodeRow = (
  serverId: string,
  t: number,
  values: Readonly<Record<string, number | null>>,
  options: { readonly since?: number | undefined } = {}
): Snapshot => ({
  exporter: "node_exporter",
  serverId,
  timestamp: microsAt(t),
  countersSince: sinceOf(options),
  values: Object.entries(exporters[0]!.table.columns).map(
    ([name, column]) => values[name] ?? (column.kind !== "label" && column.nullable ? null : 0)
  )
})

/** A row of {@link queueExporter}. */
export const queueRow = (
  serverId: string,
  t: number,
  [node, queue]: readonly [string, string],
  jobs: number,
  options: {
    readonly sent?: number | null
    readonly depth?: number
    readonly temperature?: number | null
    readonly since?: number | undefined
  } = {}
): Snapshot => ({
  exporter: "queue_exporter",
  serverId,
  timestamp: microsAt(t),
  countersSince: sinceOf(options),
  values: [node, queue, jobs, options.sent ?? null, options.depth ?? 0, options.temperature ?? null]
})

/** A row of {@link poolExporter}. */
export const poolRow = (
  serverId: string,
  t: number,
  pool: string,
  work: number | null,
  options: { readonly members?: number | undefined; readonly since?: number | undefined } = {}
): Snapshot => ({
  exporter: "pool_exporter",
  serverId,
  timestamp: microsAt(t),
  countersSince: sinceOf(options),
  values: [pool, work, options.members ?? null]
})

interface Captures {
  readonly scrapes: ReadonlyArray<{
    readonly at: string
    readonly countersSince: number | null
    readonly rows: ReadonlyArray<readonly [string, number, number, number]>
  }>
  readonly host: ReadonlyArray<{
    readonly at: string
    readonly countersSince: number
    readonly values: Readonly<Record<string, number>>
  }>
  readonly top: Readonly<
    Record<
      "cpu" | "memory",
      {
        readonly processes: ReadonlyArray<Readonly<Record<string, number | string>>>
        readonly groups: number
        readonly covered: number
        readonly scrapes: number
        readonly resets: number
        readonly clamped: number
        readonly total_cpu_seconds: number
        readonly unaccounted: { readonly cpuSeconds: number; readonly avgCpuPercent: number }
      }
    >
  >
}

/** Twenty scrapes of a real machine's exporters, and the answer that an independent program computed from them. */
export const captures = (): Captures =>
  JSON.parse(readFileSync(new URL("./fixtures/truth/captures.json", import.meta.url), "utf8"))

export const captureRows = (serverId: string): ReadonlyArray<Snapshot> => {
  const { host, scrapes } = captures()
  const secondsOf = (millis: number) => (millis * 1_000 - EPOCH) / SECOND
  return [
    ...scrapes.flatMap(({ at, countersSince, rows }) =>
      rows.map(([name, procs, cpu, memory]) =>
        processRow(serverId, secondsOf(Date.parse(at)), name, cpu, {
          procs,
          memory,
          since: countersSince === null ? undefined : secondsOf(countersSince)
        })
      )
    ),
    ...host.map(({ at, countersSince, values }) =>
      nodeRow(serverId, secondsOf(Date.parse(at)), values, { since: secondsOf(countersSince) })
    )
  ]
}

/** Makes the rows' servers and stores the rows, in their order, in batches of some size. */
export const store = Effect.fnUntraced(function* (rows: ReadonlyArray<Snapshot>, batch = 2_000) {
  const sql = yield* PgClient.PgClient
  const sink = yield* SnapshotRows
  for (const serverId of new Set(rows.map((row) => row.serverId))) {
    yield* sql`insert into admiral.servers (server_id, name) values (${serverId}, ${serverId}) on conflict do nothing`
  }
  for (const exporter of new Set(rows.map((row) => row.exporter))) {
    const own = rows.filter((row) => row.exporter === exporter)
    for (let from = 0; from < own.length; from += batch) yield* sink.insert(exporter, own.slice(from, from + batch))
  }
})
