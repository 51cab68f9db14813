/**
 * Groups in several units, and rankings on demand: answers about all units, or about one, are those of the reference computation
 * (`Truth.ts`), from rows that are generated from a seed. What is told of the units adds up to what is told of all.
 */
import { assert, layer } from "@effect/vitest"
import { Effect, Layer, Result } from "effect"
import { rankingsOf } from "../src/plugins/Catalog.ts"
import { makeRegistry, Registry } from "../src/plugins/Registry.ts"
import type { Snapshot } from "../src/plugins/Snapshot.ts"
import { stepMicros } from "../src/query/History.ts"
import { Rankings, type TopAnswer, type Window } from "../src/query/Rankings.ts"
import * as RankingsPostgres from "../src/query/RankingsPostgres.ts"
import * as SnapshotRowsPostgres from "../src/sinks/storage/SnapshotRowsPostgres.ts"
import * as TestDatabase from "./TestDatabase.ts"
import { truthHistory, truthTop } from "./Truth.ts"
import { EPOCH, exporters, nodeRow, processRow, SECOND, store } from "./TruthRows.ts"
import { near, same } from "./TruthSame.ts"

const registry = Layer.succeed(Registry, Result.getOrThrow(makeRegistry({ exporters })))
const live = Layer.mergeAll(RankingsPostgres.layer, SnapshotRowsPostgres.layer).pipe(
  Layer.provideMerge(registry),
  Layer.provideMerge(TestDatabase.layerWith({ exporters }))
)

const exporter = exporters.find(({ name }) => name === "process_exporter")!
const METRICS = rankingsOf(exporter).map(({ key }) => key)
const UNITS = ["", "a.service", "b.service", "user é", "9f2c1b7e4a60"]
const SCRAPES = 160

/** Groups that are in one unit, in two, in all; that come and go; that tell all, some, or nothing beside what every row tells. */
const generated = (serverId: string, seed: number): ReadonlyArray<Snapshot> => {
  let state = seed
  const next = () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
    return state / 2 ** 32
  }
  const series = ["nginx", "bash", "postgres", "nodepulse-agent", "", "idle"].flatMap((name, n) =>
    UNITS.filter((_, unit) => n === 2 || unit === n % 5 || (n < 2 && unit === 4)).map((unit, place) => ({
      name,
      unit,
      tells: (n + place) % 3,
      here: true,
      numbers: { cpu: 0, read: 0, wait: 0, start: 1_761_700_000 + Math.floor(next() * 9_000) }
    }))
  )
  const rows: Array<Snapshot> = []
  for (let scrape = 0; scrape < SCRAPES; scrape++) {
    const t = scrape * 15 + Math.floor(next() * 2_000) / 1_000 + (scrape > 90 ? 400 : 0)
    rows.push(nodeRow(serverId, t, { cpu_cores: 8, cpu_user_seconds: scrape * 40, memory_total_bytes: 2 ** 34 }))
    for (const one of series) {
      if (next() < 0.05) one.here = !one.here
      if (!one.here) continue
      const { numbers } = one
      numbers.cpu += next() * 3
      numbers.read += Math.floor(next() * 2 ** 20)
      numbers.wait += next()
      const known = one.tells === 0 || (one.tells === 1 && next() < 0.5)
      const more = known
        ? {
            read_bytes_total: numbers.read,
            swapped_bytes: Math.floor(next() * 2 ** 22),
            num_threads: Math.floor(next() * 9),
            oldest_start_time_seconds: numbers.start,
            run_queue_wait_seconds_total: numbers.wait
          }
        : {}
      const memory = Math.floor(next() * 2 ** 30)
      const procs = next() < 0.1 ? 0 : 2
      rows.push(
        processRow(serverId, t, one.name, numbers.cpu, { memory, procs, since: -1, more: { ...more, unit: one.unit } })
      )
    }
  }
  return rows
}

const at = (t: number) => EPOCH + t * SECOND
const WINDOWS: ReadonlyArray<Window> = [
  { from: at(-100), to: at(15 * SCRAPES + 500) },
  { from: at(100), to: at(1_400) },
  { from: at(1_300), to: at(1_500) },
  { from: at(20_000), to: at(21_000) }
]

const sumOf = (values: ReadonlyArray<number>) => values.reduce((sum, value) => sum + value, 0)
/** What all groups of an answer used. */
const total = (answer: TopAnswer, field: string) =>
  sumOf(answer.rows.map((row) => Number(row[field] ?? 0))) + (answer.other[field] ?? 0)

layer(live)("groups in several units", (it) => {
  for (const seed of [1, 2]) {
    it.effect(
      `seed ${seed}: are told by every metric as the reference computation tells them, in all units and in each`,
      () =>
        Effect.gen(function* () {
          const serverId = `units-${seed}`
          const rows = generated(serverId, seed)
          yield* store(rows, 1)
          const rankings = yield* Rankings
          for (const window of WINDOWS) {
            for (const metric of METRICS) {
              for (const unit of [undefined, ...UNITS, "nobody's"]) {
                const only = unit === undefined ? undefined : { label: "unit", value: unit }
                const request = { exporter: exporter.name, serverId, metric, limit: 3, window, only }
                same(yield* rankings.top(request), truthTop(exporters, rows, request), `${metric} of ${unit}`)
              }
            }
          }
        })
    )

    it.effect(`seed ${seed}: have the history of all units, and of each`, () =>
      Effect.gen(function* () {
        const serverId = `units-history-${seed}`
        const rows = generated(serverId, seed)
        yield* store(rows, 1)
        const rankings = yield* Rankings
        const window = WINDOWS[0]!
        for (const name of ["postgres", "nginx", ""]) {
          for (const unit of [undefined, ...UNITS, "nobody's"]) {
            const only = unit === undefined ? undefined : { label: "unit", value: unit }
            const request = { exporter: exporter.name, serverId, name, window, only }
            const step = stepMicros(exporter, window, 100)
            same(
              yield* rankings.history({ ...request, points: 100 }),
              truthHistory(exporters, rows, { ...request, step }),
              `${name} of ${unit}`
            )
          }
        }
      })
    )

    it.effect(`seed ${seed}: add up, unit by unit, to what all use, however few are listed`, () =>
      Effect.gen(function* () {
        const serverId = `units-sum-${seed}`
        yield* store(generated(serverId, seed), 1)
        const rankings = yield* Rankings
        for (const [metric, fields] of [
          ["cpu", ["cpu_seconds", "avg_cpu_percent", "memory_mb"]],
          ["read", ["read_mb", "cpu_seconds"]]
        ] as const) {
          const request = { exporter: exporter.name, serverId, metric, window: WINDOWS[0]! }
          const all = yield* rankings.top({ ...request, limit: 100 })
          const units = yield* Effect.forEach(UNITS, (value) =>
            rankings.top({ ...request, limit: 1, only: { label: "unit", value } })
          )
          for (const field of fields) {
            assert.isAbove(total(all, field), 0)
            near(sumOf(units.map((answer) => total(answer, field))), total(all, field), field)
          }
          assert.isTrue(units.every(({ unaccounted }) => unaccounted === null))
          assert.notStrictEqual(all.unaccounted, null)
        }
      })
    )
  }

  it.effect("say which units they are in, and which are monitoring itself", () =>
    Effect.gen(function* () {
      const serverId = "units-named"
      const of = (t: number, name: string, unit: string) => processRow(serverId, t, name, t, { more: { unit } })
      const inAll = UNITS.map((unit) => of(15, "postgres", unit))
      yield* store(
        [of(0, "left", "a.service"), ...inAll, of(15, "nodepulse-agent", ""), of(15, "left", "b.service")],
        1
      )
      const rankings = yield* Rankings
      const window = { from: at(-1), to: at(15) }
      const { rows } = yield* rankings.top({ exporter: exporter.name, serverId, metric: "cpu", limit: 9, window })
      const told = rows.map(({ monitoring, name, units, units_total }) => [name, units, units_total, monitoring])
      assert.deepStrictEqual(told, [
        ["left", ["b.service"], 1, undefined],
        ["nodepulse-agent", [], 0, true],
        ["postgres", ["9f2c1b7e4a60", "a.service", "b.service"], 4, undefined]
      ])
    })
  )

  it.effect(
    "tell no part of a level for the whole: null where a unit of the group that is there does not tell its own",
    () =>
      Effect.gen(function* () {
        const serverId = "units-partly-told"
        const of = (name: string, unit: string, procs: number, more: Readonly<Record<string, number>> = {}) =>
          processRow(serverId, 15, name, 1, { procs, more: { unit, oldest_start_time_seconds: 9, ...more } })
        const told = { pss_bytes: 3 * 2 ** 20, num_threads: 2 }
        yield* store(
          [
            ...[of("nginx", "a.service", 4, told), of("nginx", "b.service", 1, { num_threads: 1 })],
            ...[of("cron", "a.service", 2, told), of("cron", "b.service", 0)],
            ...[of("bash", "a.service", 2, told), of("bash", "b.service", 2, told)]
          ],
          1
        )
        const rankings = yield* Rankings
        const request = {
          exporter: exporter.name,
          serverId,
          metric: "cpu",
          limit: 9,
          window: { from: at(0), to: at(15) }
        }
        const { rows } = yield* rankings.top(request)
        assert.deepStrictEqual(
          rows.map((row) => [row.name, row.pss_bytes, row.num_threads, row.oldest_start_time_seconds]),
          [
            ["bash", 6 * 2 ** 20, 4, 9],
            ["cron", 3 * 2 ** 20, 2, 9],
            ["nginx", null, 3, 9]
          ]
        )
        const inUnit = yield* rankings.top({ ...request, only: { label: "unit", value: "a.service" } })
        assert.deepStrictEqual(
          inUnit.rows.map((row) => row.pss_bytes),
          [3 * 2 ** 20, 3 * 2 ** 20, 3 * 2 ** 20]
        )
      })
  )

  it.effect("have the fields of a ranking on demand only where it is asked for, and null where nobody told it", () =>
    Effect.gen(function* () {
      const serverId = "units-untold"
      yield* store(
        [0, 15, 30].map((t) => processRow(serverId, t, "a", t, { since: -1 })),
        1
      )
      const rankings = yield* Rankings
      const request = { exporter: exporter.name, serverId, limit: 9, window: { from: at(0), to: at(30) } }
      const byCpu = yield* rankings.top({ ...request, metric: "cpu" })
      assert.deepStrictEqual(
        Object.keys(byCpu.rows[0]!).filter((field) => /^(avg_|peak_)?(read|write|swap|wait)_/.test(field)),
        []
      )
      const byRead = yield* rankings.top({ ...request, metric: "read" })
      const { avg_read_mb_per_second, peak_read_mb_per_second, read_mb, read_mb_per_second } = byRead.rows[0]!
      assert.deepStrictEqual(
        [avg_read_mb_per_second, peak_read_mb_per_second, read_mb, read_mb_per_second],
        [null, null, null, null]
      )
      assert.notProperty(byRead.rows[0]!, "write_mb")
      const bySwap = yield* rankings.top({ ...request, metric: "swap" })
      assert.deepStrictEqual([bySwap.rows[0]!.swap_mb, bySwap.rows[0]!.peak_swap_mb], [null, null])
    })
  )
})
