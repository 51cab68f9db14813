/**
 * What a row costs over several streams: `npm run bench -- streams`. Needs a valkey-server or redis-server on the PATH, starts its own.
 *
 * The same rows, as scrapes of 150, of 10 to 10 000 servers over 1, 4 and 16 streams: published, read and acknowledged by one
 * process while they are published. The CPU is that of this process and of the server's main thread, the least of some runs taken in
 * turns; what matters is the last column, against the first line. Flat is within a fifth.
 */
import { Effect } from "effect"
import type { Redis } from "ioredis"
import { SnapshotStream } from "../src/sinks/stream/SnapshotStream.ts"
import type { StreamContent } from "../src/sinks/stream/StreamEntry.ts"
import { layer } from "../src/sinks/stream/valkey/SnapshotStreamValkey.ts"
import { makeTestValkey } from "../test/TestValkey.ts"

const ROWS_A_SCRAPE = 150
const SCRAPES = 4_000
const IN_FLIGHT = 32
const RUNS = Number(process.env.BENCH_RUNS ?? 3)
const STREAMS = [1, 4, 16]
const SERVERS = [10, 100, 1_000, 10_000]

const numbers = (from: number) => Array.from({ length: ROWS_A_SCRAPE }, (_, n) => from + n).join(",")
const text = `["a1b2c3",1761825600000000,1761825000000000,[${numbers(1_000)}],[${numbers(8)}],[${numbers(56_789)}],[${numbers(512_000_000)}]]`

const scrape = (n: number, servers: number): StreamContent => ({
  serverId: `web-${n % servers}`,
  exporterName: "process_exporter",
  rows: ROWS_A_SCRAPE,
  scrape: text
})

const passAll = (servers: number) =>
  Effect.gen(function* () {
    const stream = yield* SnapshotStream
    const consumer = yield* stream.subscribe("bench")
    const publishing = Effect.forEach(
      Array.from({ length: SCRAPES }, (_, n) => n),
      (n) => stream.publish([scrape(n, servers)]),
      { concurrency: IN_FLIGHT, discard: true }
    )
    const reading = Effect.gen(function* () {
      let left = SCRAPES * ROWS_A_SCRAPE
      while (left > 0) {
        const deliveries = yield* consumer.read(5_000)
        left -= deliveries.reduce((sum, { length }) => sum + length, 0)
        yield* consumer.acknowledge(deliveries)
      }
    })
    yield* Effect.all([publishing, reading], { concurrency: 2, discard: true })
  }).pipe(Effect.scoped)

/** Microseconds of its main thread. */
const serverCpu = (redis: Redis) =>
  Effect.map(
    Effect.promise(() => redis.info("cpu")),
    (info) =>
      ["used_cpu_user_main_thread", "used_cpu_sys_main_thread"]
        .map((name) => Number(new RegExp(`${name}:([0-9.]+)`).exec(info)?.[1] ?? 0))
        .reduce((a, b) => a + b) * 1e6
  )

interface Cost {
  node: number
  server: number
}

const bench = Effect.gen(function* () {
  const valkey = yield* makeTestValkey({ appendOnly: true, appendFsync: "no" })
  const costs = new Map<string, Cost>()
  for (let run = 0; run <= RUNS; run++) {
    for (const streams of STREAMS) {
      for (const servers of SERVERS) {
        yield* Effect.promise(() => valkey.client.flushall())
        const before = { node: process.cpuUsage(), server: yield* serverCpu(valkey.client) }
        yield* passAll(servers).pipe(Effect.provide(layer({ url: valkey.url, streams }), { local: true }))
        const { system, user } = process.cpuUsage(before.node)
        const server = (yield* serverCpu(valkey.client)) - before.server
        // The first round warms up.
        if (run === 0) continue
        const rows = SCRAPES * ROWS_A_SCRAPE
        const key = `${streams} ${servers}`
        const least = costs.get(key) ?? { node: Number.POSITIVE_INFINITY, server: Number.POSITIVE_INFINITY }
        least.node = Math.min(least.node, (system + user) / rows)
        least.server = Math.min(least.server, server / rows)
        costs.set(key, least)
      }
    }
  }
  const first = costs.get(`${STREAMS[0]} ${SERVERS[0]}`)!
  process.stdout.write(
    "| streams | servers | Node µs/row | server µs/row | both, against the first |\n|---:|---:|---:|---:|---:|\n"
  )
  for (const streams of STREAMS) {
    for (const servers of SERVERS) {
      const { node, server } = costs.get(`${streams} ${servers}`)!
      const ratio = (node + server) / (first.node + first.server)
      process.stdout.write(
        `| ${streams} | ${servers} | ${node.toFixed(2)} | ${server.toFixed(2)} | ${ratio.toFixed(2)} |\n`
      )
    }
  }
}).pipe(Effect.scoped)

await Effect.runPromise(bench)
