/**
 * What the stream costs: `node bench/stream.ts`. Needs a valkey-server or redis-server on the PATH, starts its own.
 *
 * Each step beside the plain way, in one run on one machine: compare the lines, not the figures of two machines. The CPU is
 * that of this process and of the server's main thread. `rows/s` is wall time, server included.
 */
import { Effect, type Scope } from "effect"
import type { Redis } from "ioredis"
import { type Delivery, SnapshotStream } from "../src/sinks/stream/SnapshotStream.ts"
import type { SnapshotsContent } from "../src/sinks/stream/StreamEntry.ts"
import { layer } from "../src/sinks/stream/valkey/SnapshotStreamValkey.ts"
import { makeTestValkey, type TestValkey } from "../test/TestValkey.ts"

const KEY = "nodepulse:{0}:snapshots"
const ROWS_A_REQUEST = 150
const REQUESTS_IN_FLIGHT = 8
const ROWS = 300_000
const ROWS_PLAIN = 15_000
const RUNS = 3

interface Line {
  readonly what: string
  readonly rowsPerSecond: number
  readonly node: number
  readonly server: number
}

/** One request of one server: 149 processes, and the node once. */
const request = (server: number): ReadonlyArray<SnapshotsContent> => {
  const snapshots = Array.from(
    { length: ROWS_A_REQUEST },
    (_, i) => `["a1b2c3",1761825600000000,1761825000000000,"postgres",8,${(5678.9 + i).toFixed(1)},${512_000_000 + i}]`
  )
  const serverId = `web-${server % 1_000}`
  return [
    { serverId, exporterName: "node_exporter", snapshots: snapshots.slice(0, 1) },
    { serverId, exporterName: "process_exporter", snapshots: snapshots.slice(1) }
  ]
}

const publishAll = (rows: number) =>
  Effect.gen(function* () {
    const stream = yield* SnapshotStream
    yield* Effect.forEach(
      Array.from({ length: rows / ROWS_A_REQUEST }, (_, i) => request(i)),
      (entries) => stream.publish(entries),
      { concurrency: REQUESTS_IN_FLIGHT, discard: true }
    )
  })

const publishPlain = (redis: Redis, rows: number) =>
  Effect.promise(async () => {
    for (let i = 0; i < rows / ROWS_A_REQUEST; i++) {
      for (const { serverId, exporterName, snapshots } of request(i)) {
        for (const snapshot of snapshots) {
          await redis.xadd(KEY, "*", "server_id", serverId, "exporter_name", exporterName, "snapshot", snapshot)
        }
      }
    }
  })

/** Reads 5 000 and acknowledges; as digest does, the next read is under way meanwhile. */
const consumeAll = (rows: number) =>
  Effect.gen(function* () {
    const stream = yield* SnapshotStream
    const consumer = yield* stream.subscribe("bench")
    let left = rows
    let unacknowledged: ReadonlyArray<Delivery> = []
    while (left > 0 || unacknowledged.length > 0) {
      const [deliveries] = yield* Effect.all(
        [left > 0 ? consumer.read(5_000) : Effect.succeed([]), consumer.acknowledge(unacknowledged)],
        { concurrency: 2 }
      )
      left -= rowsOf(deliveries)
      unacknowledged = deliveries
    }
  })

const rowsOf = (deliveries: ReadonlyArray<Delivery>) => deliveries.reduce((sum, { length }) => sum + length, 0)

/** The same with two tables: rows of the node table are acknowledged once in ten batches. */
const consumeInterleaved = (rows: number) =>
  Effect.gen(function* () {
    const stream = yield* SnapshotStream
    const consumer = yield* stream.subscribe("bench")
    let late: Array<Delivery> = []
    for (let left = rows, i = 1; left > 0; i++) {
      const deliveries = yield* consumer.read(5_000)
      left -= rowsOf(deliveries)
      const now: Array<Delivery> = []
      for (const one of deliveries) (one.content.exporterName === "node_exporter" ? late : now).push(one)
      yield* consumer.acknowledge(now)
      if (i % 10 === 0 || left === 0) {
        yield* consumer.acknowledge(late)
        late = []
      }
    }
  })

const consumePlain = (redis: Redis, rows: number) =>
  Effect.promise(async () => {
    await redis.call("XGROUP", "CREATE", KEY, "plain", "0")
    for (let left = rows; left > 0; ) {
      const args = ["GROUP", "plain", "a", "COUNT", "10", "STREAMS", KEY, ">"]
      const [[, entries]] = (await redis.call("XREADGROUP", ...args)) as [[string, ReadonlyArray<[string]>]]
      for (const [id] of entries) {
        await redis.xack(KEY, "plain", id)
        await redis.xdel(KEY, id)
      }
      left -= entries.length
    }
    await redis.call("XGROUP", "DESTROY", KEY, "plain")
  })

const serverCpu = (redis: Redis) =>
  Effect.map(
    Effect.promise(() => redis.info("cpu")),
    (info) =>
      1e6 *
      ["used_cpu_user_main_thread", "used_cpu_sys_main_thread"]
        .map((name) => Number(new RegExp(`${name}:([0-9.]+)`).exec(info)?.[1] ?? 0))
        .reduce((a, b) => a + b)
  )

/** Median of the runs, by rows a second. `before` is not measured. */
const measure = <E, R, E2, R2>(
  valkey: TestValkey,
  what: string,
  rows: number,
  run: Effect.Effect<void, E, R>,
  before: Effect.Effect<unknown, E2, R2>
): Effect.Effect<Line, E | E2, Exclude<R | R2, Scope.Scope>> =>
  Effect.gen(function* () {
    const runs: Array<Line> = []
    for (let i = 0; i < RUNS; i++) {
      yield* Effect.promise(() => valkey.client.flushall())
      yield* before
      const serverBefore = yield* serverCpu(valkey.client)
      const cpuBefore = process.cpuUsage()
      const startedAt = performance.now()
      yield* run
      const seconds = (performance.now() - startedAt) / 1_000
      const cpu = process.cpuUsage(cpuBefore)
      runs.push({
        what,
        rowsPerSecond: rows / seconds,
        node: (cpu.user + cpu.system) / rows,
        server: ((yield* serverCpu(valkey.client)) - serverBefore) / rows
      })
    }
    runs.sort((a, b) => a.rowsPerSecond - b.rowsPerSecond)
    return runs[Math.floor(RUNS / 2)]!
  }).pipe(Effect.scoped)

const bytesARow = (valkey: TestValkey) =>
  Effect.gen(function* () {
    yield* Effect.promise(() => valkey.client.flushall())
    yield* publishAll(ROWS)
    const bytes = Number(yield* Effect.promise(() => valkey.client.call("MEMORY", "USAGE", KEY, "SAMPLES", "0")))
    return bytes / ROWS
  })

const table = (lines: ReadonlyArray<Line>) => {
  const cells = lines.map(({ what, rowsPerSecond, node, server }) => [
    what,
    Math.round(rowsPerSecond).toLocaleString("en"),
    node.toFixed(1),
    server.toFixed(1)
  ])
  return [["step", "rows/s", "Node µs/row", "server µs/row"], ["---", "---:", "---:", "---:"], ...cells]
    .map((row) => `| ${row.join(" | ")} |\n`)
    .join("")
}

const bench = Effect.gen(function* () {
  for (const [title, options] of [
    ["in memory", {}],
    ["on disk before every answer (appendonly yes, appendfsync always)", { appendOnly: true }]
  ] as const) {
    yield* Effect.gen(function* () {
      const valkey = yield* makeTestValkey(options)
      const nothing = Effect.void
      const plain = publishPlain(valkey.client, ROWS_PLAIN)
      const run = Effect.gen(function* () {
        const lines = [
          yield* measure(valkey, "publish: XADD, each awaited", ROWS_PLAIN, plain, nothing),
          yield* measure(valkey, "publish: one script a request", ROWS, publishAll(ROWS), nothing),
          yield* measure(
            valkey,
            "consume: read 10, ack + delete each",
            ROWS_PLAIN,
            consumePlain(valkey.client, ROWS_PLAIN),
            publishAll(ROWS_PLAIN)
          ),
          yield* measure(
            valkey,
            "consume: read 5 000, ack together",
            ROWS,
            Effect.scoped(consumeAll(ROWS)),
            publishAll(ROWS)
          ),
          yield* measure(
            valkey,
            "consume: the same, two tables, one late",
            ROWS,
            Effect.scoped(consumeInterleaved(ROWS)),
            publishAll(ROWS)
          )
        ]
        process.stdout.write(`\n## ${title}\n\n${table(lines)}\n`)
        if (title === "in memory") process.stdout.write(`${(yield* bytesARow(valkey)).toFixed(0)} bytes a row\n`)
      })
      yield* run.pipe(Effect.provide(layer({ url: valkey.url })))
    }).pipe(Effect.scoped)
  }
})

await Effect.runPromise(bench)
