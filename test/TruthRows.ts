/**
 * Rows for the tests of the numbers: the vectors of `docs/numbers.md` as data, rows of real scrapes, generated rows, and a
 * way to store them.
 */
import { readFileSync } from "node:fs"
import { PgClient } from "@effect/sql-pg"
import { Effect } from "effect"
import { counter, gauge, label } from "../src/plugins/Column.ts"
import { defineExporter, type Exporter } from "../src/plugins/Exporter.ts"
import { nodeExporter } from "../src/plugins/node-exporter/NodeExporter.ts"
import { processExporter } from "../src/plugins/process-exporter/ProcessExporter.ts"
import type { Snapshot } from "../src/plugins/Snapshot.ts"
import { peak, rate } from "../src/plugins/TopQuery.ts"
import { SnapshotRows } from "../src/sinks/SnapshotRows.ts"

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

export const exporters: ReadonlyArray<Exporter> = [nodeExporter(), processExporter(), queueExporter()]

/** A row of process_exporter; `t` in seconds since {@link EPOCH}. */
export const processRow = (
  serverId: string,
  t: number,
  name: string,
  cpuSeconds: number,
  options: { readonly memory?: number; readonly procs?: number; readonly since?: number } = {}
): Snapshot => ({
  exporter: "process_exporter",
  serverId,
  timestamp: EPOCH + t * SECOND,
  countersSince: options.since === undefined ? null : EPOCH + options.since * SECOND,
  values: [name, options.procs ?? 1, cpuSeconds, options.memory ?? 0]
})

/** A row of node_exporter with these columns; what may be missing is. */
export const nodeRow = (serverId: string, t: number, values: Readonly<Record<string, number>>): Snapshot => ({
  exporter: "node_exporter",
  serverId,
  timestamp: EPOCH + t * SECOND,
  countersSince: null,
  values: Object.entries(exporters[0]!.table.columns).map(
    ([name, column]) => values[name] ?? (column.kind !== "label" && column.nullable ? null : 0)
  )
})

interface Captures {
  readonly scrapes: ReadonlyArray<{
    readonly at: string
    readonly countersSince: number | null
    readonly rows: ReadonlyArray<readonly [string, number, number, number]>
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
      }
    >
  >
}

/** Twenty scrapes of a real process_exporter, and the answer that an independent program computed from them. */
export const captures = (): Captures =>
  JSON.parse(readFileSync(new URL("./fixtures/truth/captures.json", import.meta.url), "utf8"))

export const captureRows = (serverId: string): ReadonlyArray<Snapshot> =>
  captures().scrapes.flatMap(({ at, countersSince, rows }) =>
    rows.map((values) => ({
      exporter: "process_exporter",
      serverId,
      timestamp: Date.parse(at) * 1_000,
      countersSince: countersSince === null ? null : Math.trunc(countersSince * 1_000),
      values
    }))
  )

/** A generator of numbers in [0, 1) that begins anew with each seed (mulberry32). */
export const random = (seed: number) => {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
}

/**
 * Some hours of a server's life: scrapes that come unevenly and sometimes not at all, groups that come and go, resets
 * shown and hidden, impossible rates, cores that change, equal groups, values that are missing.
 */
export const generated = (serverId: string, seed: number, hours: number): ReadonlyArray<Snapshot> => {
  const next = random(seed)
  const between = (low: number, high: number) => low + next() * (high - low)
  const rows: Array<Snapshot> = []
  const groups = Array.from({ length: 6 }, (_, n) => ({
    name: ["a", "b", "é", "Z", "", "z z"][n]!,
    cpu: 0,
    memory: 2 ** 20
  }))
  const queues = ["q1", "q2", "q3"].flatMap((queue) => ["n1", "n2"].map((node) => ({ queue, node, jobs: 0, sent: 0 })))
  let t = 0
  let since = -1_000
  let busy = 0
  let cores = 2
  while (t < hours * 3_600) {
    t += next() < 0.01 ? between(100, 900) : next() < 0.1 ? between(16, 90) : 15 + between(-0.4, 0.4)
    t = Math.round(t * SECOND) / SECOND
    if (next() < 0.01) {
      since = t
      for (const group of groups) group.cpu = next() < 0.5 ? group.cpu : 0
    }
    if (next() < 0.005) cores = 1 + Math.floor(between(0, 4))
    for (const [n, group] of groups.entries()) {
      if (next() < 0.15) continue
      group.cpu += next() < 0.01 ? between(50, 500) : n < 2 ? 1.5 : between(0, 10)
      group.memory = n < 2 ? 2 ** 24 : Math.floor(between(0, 2 ** 31))
      const procs = next() < 0.1 ? 0 : 2
      rows.push(
        processRow(serverId, t, group.name, group.cpu, {
          memory: group.memory,
          procs,
          ...(next() < 0.8 ? { since } : {})
        })
      )
    }
    busy += between(0, 40)
    if (next() < 0.9) {
      rows.push(
        nodeRow(serverId, Math.round((t + between(-3, 3)) * SECOND) / SECOND, {
          cpu_cores: cores,
          memory_total_bytes: 2 ** 31,
          cpu_user_seconds: busy,
          cpu_system_seconds: busy / 2,
          load_1min: between(0, 8)
        })
      )
    }
    for (const queue of queues) {
      if (next() < 0.2) continue
      queue.jobs = next() < 0.02 ? 0 : queue.jobs + Math.floor(between(0, 100))
      queue.sent += between(0, 1e6)
      rows.push({
        exporter: "queue_exporter",
        serverId,
        timestamp: EPOCH + t * SECOND,
        countersSince: null,
        values: [
          queue.node,
          queue.queue,
          queue.jobs,
          next() < 0.1 ? null : queue.sent,
          Math.floor(between(0, 9)),
          next() < 0.2 ? null : between(-20, 20)
        ]
      })
    }
  }
  // The clock jitter of node rows may have put two on one moment, or out of order: neither matters.
  return rows
}

/** The rows in another order, some of them twice. */
export const shuffled = (rows: ReadonlyArray<Snapshot>, seed: number): ReadonlyArray<Snapshot> => {
  const next = random(seed)
  const all = [...rows, ...rows.filter(() => next() < 0.1)]
  for (let n = all.length - 1; n > 0; n--) {
    const other = Math.floor(next() * (n + 1))
    const swapped = all[n]!
    all[n] = all[other]!
    all[other] = swapped
  }
  return all
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
