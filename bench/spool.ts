/**
 * What an outage of 24 hours costs the agent: two exporters, 150 process groups, one scrape of each every 15 s, spooled
 * to disk and drained again. Every append is synced as in production. Prints bytes a scrape, the size of the whole,
 * what an append takes (and its CPU), what a restart takes, and how long draining takes in either order.
 *
 *     node bench/spool.ts [hours, default 24]
 */
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, Layer } from "effect"
import { packArray } from "../agent/spool/PackedRows.ts"
import { Spool } from "../agent/spool/Spool.ts"
import { layerDisk } from "../agent/spool/SpoolDisk.ts"
import { seededRandom } from "../test/Seeded.ts"
import { makeMachine } from "./data/Machine.ts"

const HOURS = Number(process.argv[2] ?? 24)
const GROUPS = 150
const INTERVAL_MILLIS = 15_000
const PUSH_BYTES = 1024 * 1024

const random = seededRandom(1)
const rounds = Math.round((HOURS * 3_600_000) / INTERVAL_MILLIS)

const exporters = makeMachine(GROUPS, random)

const percentile = (sorted: ReadonlyArray<number>, share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
const print = (what: string, value: string) => process.stdout.write(`${what.padEnd(42)} ${value}\n`)
const mib = (bytes: number) => `${(bytes / 2 ** 20).toFixed(1)} MiB`

const fill = Effect.gen(function* () {
  const spool = yield* Spool
  const start = Date.now() - rounds * INTERVAL_MILLIS
  const micros: Array<number> = []
  const jsonBytes = new Map<string, number>()
  let cpu = 0
  for (let round = 0; round < rounds; round++) {
    const scrapedAt = start + round * INTERVAL_MILLIS
    const records = exporters.map(({ name, scrape }) => ({
      exporter: name,
      scrapedAt,
      rows: packArray(scrape(new Date(scrapedAt).toISOString()))!
    }))
    for (const { exporter, rows } of records) jsonBytes.set(exporter, (jsonBytes.get(exporter) ?? 0) + rows.bytes)
    const cpuBefore = process.cpuUsage()
    const before = performance.now()
    yield* spool.append(records)
    micros.push((performance.now() - before) * 1000)
    const { user, system } = process.cpuUsage(cpuBefore)
    cpu += user + system
  }
  micros.sort((a, b) => a - b)
  const { records, bytes, dropped, durable } = yield* spool.stats
  print("records held, dropped, durable", `${records}, ${dropped}, ${durable}`)
  for (const [exporter, total] of jsonBytes) print(`JSON a scrape of ${exporter}`, `${Math.round(total / rounds)} B`)
  print("on disk for one scrape of each", `${Math.round(bytes / rounds)} B`)
  print(`on disk for ${HOURS} h`, mib(bytes))
  print(
    "append (both scrapes), p50 / p99",
    `${percentile(micros, 0.5).toFixed(0)} / ${percentile(micros, 0.99).toFixed(0)} µs`
  )
  print("CPU of an append", `${(cpu / rounds).toFixed(0)} µs`)
})

const drain = (order: "oldest" | "newest") =>
  Effect.gen(function* () {
    const spool = yield* Spool
    const { records } = yield* spool.stats
    const before = performance.now()
    let drained = 0
    for (;;) {
      const found = yield* spool.peek({ order, maxBytes: PUSH_BYTES })
      if (found.length === 0) break
      yield* spool.remove(found.map(({ id }) => id))
      drained += found.length
    }
    const millis = performance.now() - before
    print(
      `drain by ${mib(PUSH_BYTES)}, ${order} first`,
      `${(millis / 1000).toFixed(2)} s for ${drained} of ${records} records: ${Math.round((millis * 1000) / drained)} µs each`
    )
  })

const path = await mkdtemp(join(tmpdir(), "nodepulse-bench-"))
const onDisk = (folder: string) => layerDisk({ path: join(path, folder), maxAge: "10000 days" })
try {
  for (const order of ["oldest", "newest"] as const) {
    await Effect.runPromise(fill.pipe(Effect.provide(onDisk(order))))
    const before = performance.now()
    await Effect.runPromise(Layer.build(onDisk(order)).pipe(Effect.scoped))
    print("start with all of it there", `${(performance.now() - before).toFixed(0)} ms`)
    await Effect.runPromise(drain(order).pipe(Effect.provide(onDisk(order))))
  }
} finally {
  await rm(path, { recursive: true, force: true })
}
