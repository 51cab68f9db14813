/**
 * Servers side by side are what each says of itself: the matrix is held to the servers' own top answers, one group over all
 * servers to the matrix, and what is drawn to the server's own series; from rows and from roll-ups.
 */
import { assert, layer } from "@effect/vitest"
import { Effect, Layer, Result } from "effect"
import * as ServersPostgres from "../src/access/ServersPostgres.ts"
import { makeRegistry, Registry } from "../src/plugins/Registry.ts"
import { Comparisons, matrixOf, oddOnes, type Scale, spreadOf } from "../src/query/Comparison.ts"
import * as ComparisonPostgres from "../src/query/ComparisonPostgres.ts"
import { Overview } from "../src/query/Overview.ts"
import * as OverviewPostgres from "../src/query/OverviewPostgres.ts"
import { Rankings } from "../src/query/Rankings.ts"
import * as RankingsPostgres from "../src/query/RankingsPostgres.ts"
import { Rollups } from "../src/sinks/rollups/Rollups.ts"
import * as SnapshotRowsPostgres from "../src/sinks/storage/SnapshotRowsPostgres.ts"
import { makeStandingClock } from "./StandingClock.ts"
import * as TestDatabase from "./TestDatabase.ts"
import { EPOCH, exporters, nodeRow, processRow, SECOND, store } from "./TruthRows.ts"
import { near, same } from "./TruthSame.ts"
import { cores, seconds, times } from "./TruthVector.ts"
import { generated } from "./TruthWorld.ts"

const live = Layer.mergeAll(
  ComparisonPostgres.layer,
  OverviewPostgres.layer,
  RankingsPostgres.layer,
  SnapshotRowsPostgres.layer,
  Rollups.layer
).pipe(
  Layer.provideMerge(ServersPostgres.layer),
  Layer.provideMerge(Layer.succeed(Registry, Result.getOrThrow(makeRegistry({ exporters })))),
  Layer.provideMerge(TestDatabase.layerWith({ exporters }))
)

const { set, stood } = makeStandingClock()

interface Ask {
  readonly exporter: string
  readonly metric: string
  readonly window: readonly [number, number]
}

const asks: ReadonlyArray<Ask> = [
  { exporter: "process_exporter", metric: "cpu", window: [0, 10_800] },
  { exporter: "process_exporter", metric: "cpu", window: [500.5, 4_000] },
  { exporter: "process_exporter", metric: "memory", window: [0, 5_400] },
  { exporter: "process_exporter", metric: "memory", window: [9_000, 9_100] },
  { exporter: "queue_exporter", metric: "jobs", window: [600, 9_000] },
  { exporter: "process_exporter", metric: "cpu", window: [-9_000, -3_600] }
]

const exporterOf = (name: string) => exporters.find((exporter) => exporter.name === name)!

const ALL = 100_000
/** Runs from right to left, breaks lines, and is no field of an object. */
const HOSTILE = "\u202enode\n<b>__proto__"

const matrix = Effect.fnUntraced(function* (
  { exporter, metric, window }: Ask,
  serverIds: ReadonlyArray<string>,
  { limit = ALL, scale = "own" }: { readonly limit?: number; readonly scale?: Scale } = {}
) {
  const request = { exporter, metric, serverIds, window: seconds(...window) }
  const answers = yield* (yield* Rankings).tops({ ...request, limit: ALL })
  const found = matrixOf(
    exporterOf(exporter),
    metric,
    scale,
    serverIds.map((serverId) => answers.get(serverId)!),
    limit
  )
  return { ...found, odd: oddOnes(found) }
})

const spread = Effect.fnUntraced(function* (
  { exporter, metric, window }: Ask,
  serverIds: ReadonlyArray<string>,
  name: string,
  scale: Scale = "own"
) {
  const request = { exporter, metric, serverIds, name, window: seconds(...window) }
  return spreadOf(exporterOf(exporter), metric, scale, yield* (yield* Comparisons).spread(request))
})

/** The field of a top answer that is compared. */
const FIELDS: Readonly<Record<string, string>> = {
  cpu: "avg_cpu_percent",
  memory: "avg_memory_mb",
  jobs: "avg_jobs_per_second"
}

const SERVERS = ["compare-1", "compare-2", "compare-3"]

/** Each value of the matrix against the server's own top answer, and each of a spread against the matrix. */
const checkAll = Effect.fnUntraced(function* (what: string) {
  const rankings = yield* Rankings
  for (const [n, ask] of asks.entries()) {
    const { groups, total } = yield* matrix(ask, SERVERS)
    const field = FIELDS[ask.metric]!
    for (const [place, serverId] of SERVERS.entries()) {
      const own = yield* rankings.top({ ...ask, serverId, window: seconds(...ask.window), limit: ALL })
      const seen = own.scrapes > 0 && (own.coveredSeconds > 0 || ask.metric === "memory")
      const rows = new Map(own.rows.map((row) => [row.name, Number(row[field])]))
      assert.isTrue(groups.length >= rows.size)
      for (const { name, values } of groups) {
        if (seen) near(values[place], rows.get(name) ?? 0, `${what} ${n} ${serverId} ${name}`)
        else assert.isNull(values[place])
      }
      const sum = [...rows.values()].reduce((sum, value) => sum + value, 0)
      if (seen) near(total.values[place], sum, `${what} ${n} ${serverId} total`)
    }
    for (const { name, values } of groups) {
      const { absent, servers, unseen } = yield* spread(ask, SERVERS, name)
      assert.strictEqual(servers.length + absent + unseen, SERVERS.length)
      assert.strictEqual(unseen, values.filter((value) => value === null).length)
      for (const { serverId, value } of servers) {
        near(value, values[SERVERS.indexOf(serverId)]!, `${what} ${n} ${serverId} ${name} over all`)
      }
    }
  }
})

layer(live)("servers side by side", (it) => {
  it.effect("are what each says of itself, from rows and from roll-ups", () =>
    stood(
      Effect.gen(function* () {
        set((EPOCH + 40_000 * SECOND) / 1_000)
        for (const [n, server] of SERVERS.entries()) yield* store(generated(server, 31 + n, 3))
        yield* checkAll("rows")
        assert.isAbove(yield* (yield* Rollups).pass, 0)
        yield* checkAll("roll-ups")
      })
    )
  )

  it.effect("are drawn as each is drawn by itself, the host too", () =>
    Effect.gen(function* () {
      const overview = yield* Overview
      for (const ask of asks) {
        const request = { ...ask, window: seconds(...ask.window), points: 60, interval: 15 * SECOND }
        const { first, servers, stepSeconds, steps } = yield* (yield* Comparisons).totals({
          ...request,
          serverIds: SERVERS
        })
        for (const serverId of SERVERS) {
          const own = yield* overview.series({ ...request, serverId, names: [] })
          assert.deepStrictEqual([first, stepSeconds, steps], [own.first, own.stepSeconds, own.steps])
          same(servers.get(serverId), { groups: own.other, host: own.host })
        }
      }
    })
  )

  it.effect("the groups that are listed and all others are the total, however many are listed", () =>
    Effect.gen(function* () {
      for (const ask of asks) {
        const all = yield* matrix(ask, SERVERS)
        for (const limit of [1, 2, 5]) {
          const { groups, other, total } = yield* matrix(ask, SERVERS, { limit })
          assert.deepStrictEqual(groups, all.groups.slice(0, limit))
          assert.strictEqual(groups.length + other.groups, all.groups.length)
          for (const [place] of SERVERS.entries()) {
            if (total.values[place] === null) continue
            const sum = [...groups, other].reduce((sum, { values }) => sum + values[place]!, 0)
            near(sum, total.values[place]!, "sum")
          }
        }
      }
    })
  )

  const at = times(0, 600)
  /** A server whose groups are so busy, in percent of a core, on so many cores. */
  const busy = (server: string, used: Readonly<Record<string, number>>, coreCount?: number) => [
    ...at.flatMap((t) =>
      Object.entries(used).map(([name, percent]) =>
        processRow(server, t, name, 1_000 + (t * percent) / 100, { memory: percent * 2 ** 20 })
      )
    ),
    ...(coreCount === undefined ? [] : cores(server, coreCount))
  ]
  const cpu: Ask = { exporter: "process_exporter", metric: "cpu", window: [0, 600] }
  const memory: Ask = { ...cpu, metric: "memory" }

  it.effect(
    "the odd one is marked and its median said; who does not run it counts 0, who was not seen not at all",
    () =>
      Effect.gen(function* () {
        yield* store([
          ...["odd-1", "odd-2", "odd-3"].flatMap((server) => busy(server, { postgres: 40, [HOSTILE]: 3 })),
          ...busy("odd-4", { postgres: 124, rogue: 30 }),
          ...[processRow("odd-5", -90_000, "postgres", 5)]
        ])
        const servers = ["odd-1", "odd-2", "odd-3", "odd-4", "odd-5"]
        const { groups, odd, total } = yield* matrix(cpu, servers)
        const told = Object.fromEntries(groups.map(({ name, values }) => [name, values]))
        same(told.postgres, [40, 40, 40, 124, null])
        same(told[HOSTILE], [3, 3, 3, 0, null])
        same(told.rogue, [0, 0, 0, 30, null])
        same(total.values, [43, 43, 43, 154, null])
        same(
          odd.map(({ deviation: _, ...one }) => one),
          [
            { name: null, server: 3, value: 154, median: 43, count: 4 },
            { name: "postgres", server: 3, value: 124, median: 40, count: 4 },
            { name: "rogue", server: 3, value: 30, median: 0, count: 4 }
          ]
        )
      })
  )

  it.effect("percent of the machine puts 4 and 16 cores side by side; a machine of unknown size has no value", () =>
    Effect.gen(function* () {
      yield* store([
        ...busy("size-4", { app: 200 }, 4),
        ...busy("size-16", { app: 800 }, 16),
        ...busy("size-2", { app: 190 }, 2),
        ...busy("size-unknown", { app: 100 })
      ])
      const servers = ["size-4", "size-16", "size-2", "size-unknown"]
      same((yield* matrix(cpu, servers)).groups[0]!.values, [200, 800, 190, 100])
      const machine = yield* matrix(cpu, servers, { scale: "machine" })
      same(machine.groups[0]!.values, [50, 50, 95, null])
      assert.deepStrictEqual(
        machine.odd.map(({ server }) => server),
        [2, 2]
      )
      const over = yield* spread(cpu, servers, "app", "machine")
      same(Object.fromEntries(over.servers.map(({ serverId, value }) => [serverId, value])), {
        "size-4": 50,
        "size-16": 50,
        "size-2": 95,
        "size-unknown": null
      })
      assert.deepStrictEqual(
        over.odd.map((place) => over.servers[place]!.serverId),
        ["size-2"]
      )
      yield* store([
        nodeRow("size-4", 100, { cpu_cores: 4, memory_total_bytes: 2 ** 30 }),
        nodeRow("size-16", 100, { cpu_cores: 16, memory_total_bytes: 2 ** 32 })
      ])
      const share = yield* matrix(memory, servers.slice(0, 2), { scale: "machine" })
      same(share.groups[0]!.values, [(100 * 200) / 1_024, (100 * 800) / 4_096])
    })
  )

  it.effect("after a first scrape nothing is said of a rate: it is no 0 among others", () =>
    Effect.gen(function* () {
      yield* store([
        ...["once-1", "once-2", "once-3"].flatMap((server) => busy(server, { app: 50 })),
        processRow("once-4", 300, "app", 9_999, { memory: 50 * 2 ** 20 })
      ])
      const servers = ["once-1", "once-2", "once-3", "once-4"]
      const { groups, odd } = yield* matrix(cpu, servers)
      same(groups[0]!.values, [50, 50, 50, null])
      assert.deepStrictEqual(odd, [])
      same((yield* matrix(memory, servers)).groups[0]!.values, [50, 50, 50, 50])
      assert.strictEqual((yield* spread(cpu, servers, "app")).unseen, 1)
    })
  )

  it.effect("one group over all servers: on which it ran, on which not, and a name that nobody knows", () =>
    Effect.gen(function* () {
      const servers = ["odd-1", "odd-2", "odd-3", "odd-4", "odd-5"]
      const { absent, count, median, odd, servers: ran, unseen } = yield* spread(cpu, servers, "postgres")
      assert.deepStrictEqual(
        ran.map(({ serverId }) => serverId),
        ["odd-1", "odd-2", "odd-3", "odd-4"]
      )
      assert.deepInclude({ absent, count, odd, unseen }, { absent: 0, count: 4, unseen: 1 })
      assert.deepStrictEqual(odd, [3])
      near(median, 40, "median")
      const rogue = yield* spread(cpu, servers, "rogue")
      assert.deepInclude(rogue, { absent: 3, count: 1, unseen: 1, odd: [] })
      assert.deepInclude(yield* spread(cpu, servers, "nobody"), { absent: 4, count: 0, unseen: 1, median: null })
    })
  )

  it.effect("being listed without a process is not running", () =>
    Effect.gen(function* () {
      yield* store(
        ["gone-1", "gone-2"].flatMap((server, n) => at.map((t) => processRow(server, t, "app", t, { procs: n })))
      )
      const { absent, servers } = yield* spread(cpu, ["gone-1", "gone-2"], "app")
      assert.deepStrictEqual(
        servers.map(({ serverId }) => serverId),
        ["gone-2"]
      )
      assert.strictEqual(absent, 1)
    })
  )

  it.effect("servers without rows of the host are compared, and drawn without a host", () =>
    Effect.gen(function* () {
      const request = { ...cpu, window: seconds(0, 600), points: 10, interval: 15 * SECOND }
      const { servers } = yield* (yield* Comparisons).totals({ ...request, serverIds: ["odd-1", "odd-4"] })
      const { groups, host } = servers.get("odd-4")!
      assert.isTrue(host!.every((value) => value === null))
      for (const value of groups.slice(1, -1)) near(value, 154, "drawn")
    })
  )
})
