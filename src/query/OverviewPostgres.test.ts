/**
 * The overview from a real PostgreSQL, against values computed by hand: seconds are counted from `EPOCH`, where no step of
 * a trend begins. Rows of a host have 4 cores and 8 GiB.
 */
import { assert, layer } from "@effect/vitest"
import { Effect, Layer, Result } from "effect"
import { makeStandingClock } from "../../test/StandingClock.ts"
import * as TestDatabase from "../../test/TestDatabase.ts"
import { EPOCH, exporters, nodeRow, processRow, SECOND, store } from "../../test/TruthRows.ts"
import { near } from "../../test/TruthSame.ts"
import { generated } from "../../test/TruthWorld.ts"
import { Servers } from "../access/Servers.ts"
import * as ServersPostgres from "../access/ServersPostgres.ts"
import { makeRegistry, Registry } from "../plugins/Registry.ts"
import * as SnapshotRowsPostgres from "../sinks/storage/SnapshotRowsPostgres.ts"
import { type FleetGlance, Overview, type ServerGlance } from "./Overview.ts"
import * as OverviewPostgres from "./OverviewPostgres.ts"
import { type RankedRow, Rankings } from "./Rankings.ts"
import * as RankingsPostgres from "./RankingsPostgres.ts"

const { set, stood } = makeStandingClock()
const parts = Layer.mergeAll(RankingsPostgres.layer, ServersPostgres.layer, SnapshotRowsPostgres.layer).pipe(
  Layer.provideMerge(Layer.succeed(Registry, Result.getOrThrow(makeRegistry({ exporters })))),
  Layer.provideMerge(TestDatabase.layerWith({ exporters, maxConnections: 4 }))
)

const GIB = 2 ** 30
const DAY = 86_400
/** Steps of trends end at this second and every `STEP` before and after it: at midnight, where `EPOCH` is 113 s before it. */
const BOUNDARY = 113
const STEP = 300
const STEPS = 12

const host = (server: string, t: number, user: number, system: number, more: Readonly<Record<string, number>> = {}) =>
  nodeRow(server, t, {
    cpu_cores: 4,
    memory_total_bytes: 8 * GIB,
    memory_available_bytes: 6 * GIB,
    cpu_user_seconds: user,
    cpu_system_seconds: system,
    load_1min: 1.5,
    uptime_seconds: 3_600,
    ...more
  })

/** An overview that nobody has asked yet, at a moment. */
const freshAt = (t: number) =>
  Effect.suspend(() => {
    set((EPOCH + t * SECOND) / 1_000)
    return Layer.build(Layer.fresh(OverviewPostgres.layer))
  })

const fleetAt = (t: number) =>
  Effect.flatMap(freshAt(t), (context) =>
    Effect.provide(
      Effect.flatMap(Overview, ({ fleet }) => fleet),
      context
    )
  ).pipe(Effect.scoped)

const of = (fleet: FleetGlance, serverId: string): ServerGlance => {
  const found = fleet.servers.find((server) => server.serverId === serverId)
  assert.isDefined(found)
  return found!
}

const UNKNOWN = {
  cpuCores: null,
  cpuPercent: null,
  memoryTotalBytes: null,
  memoryUsedBytes: null,
  load: null,
  uptimeSeconds: null,
  trend: [],
  busiest: null
}

layer(parts)("what the overview says of a server", (it) => {
  it.effect("its CPU, memory, load and busiest process, by its latest two scrapes", () =>
    stood(
      Effect.gen(function* () {
        yield* store([
          host("web", -30, 0, 0),
          host("web", -15, 100, 50),
          host("web", 0, 112, 53),
          ...[-15, 0].flatMap((t) => [
            // 1.5, 7.5 and 0 core-seconds in 15 seconds.
            processRow("web", t, "nginx", 100 + (t + 15) / 10),
            processRow("web", t, "postgres", 2_000 + (t + 15) / 2),
            processRow("web", t, "idle", 9_999)
          ])
        ])
        const fleet = yield* fleetAt(5)
        assert.deepStrictEqual(fleet.busiestOf, { exporter: "process_exporter", metric: "cpu" })
        const { trend, ...web } = of(fleet, "web")
        assert.strictEqual(trend.length, STEPS)
        assert.deepStrictEqual(web, {
          serverId: "web",
          name: "web",
          cpuCores: 4,
          cpuPercent: 100,
          memoryTotalBytes: 8 * GIB,
          memoryUsedBytes: 2 * GIB,
          load: 1.5,
          uptimeSeconds: 3_600,
          busiest: { name: "postgres", value: 50 }
        })
      })
    )
  )

  it.effect("nothing but its name where it has never reported", () =>
    stood(
      Effect.gen(function* () {
        const { server } = yield* (yield* Servers).register("Never Heard")
        assert.deepStrictEqual(of(yield* fleetAt(5), server.serverId), {
          serverId: server.serverId,
          name: "Never Heard",
          ...UNKNOWN
        })
      })
    )
  )

  it.effect("its busiest process without rows of the host, and the host without rows of processes", () =>
    stood(
      Effect.gen(function* () {
        yield* store([
          processRow("no-host", 0, "a", 10),
          processRow("no-host", 15, "a", 13),
          host("no-processes", 0, 10, 10),
          host("no-processes", 15, 13, 10)
        ])
        const fleet = yield* fleetAt(20)
        assert.deepStrictEqual(of(fleet, "no-host"), {
          ...UNKNOWN,
          serverId: "no-host",
          name: "no-host",
          busiest: { name: "a", value: 20 }
        })
        const { busiest, cpuPercent, memoryUsedBytes } = of(fleet, "no-processes")
        assert.deepStrictEqual(
          { busiest, cpuPercent, memoryUsedBytes },
          { busiest: null, cpuPercent: 20, memoryUsedBytes: 2 * GIB }
        )
      })
    )
  )

  it.effect("no CPU after its first scrape or a hole, and what was counted since a restart after one", () =>
    stood(
      Effect.gen(function* () {
        const process = (server: string, t: number, seconds: number) => processRow(server, t, "p", seconds)
        yield* store([
          host("first", 0, 500, 500),
          process("first", 0, 500),
          ...[host("hole", -300.000_001, 0, 0), process("hole", -300.000_001, 0)],
          ...[host("hole", 0, 600, 0), process("hole", 0, 600)],
          ...[host("no-hole", -300, 0, 0), process("no-hole", -300, 0)],
          ...[host("no-hole", 0, 600, 0), process("no-hole", 0, 600)],
          // User time began anew, system time did not.
          ...[host("restarted", -15, 1_000, 50), process("restarted", -15, 1_000)],
          ...[host("restarted", 0, 3, 53), process("restarted", 0, 1.5)]
        ])
        const fleet = yield* fleetAt(1)
        for (const server of ["first", "hole"]) {
          const { busiest, cpuPercent, memoryUsedBytes } = of(fleet, server)
          assert.deepStrictEqual(
            { busiest, cpuPercent, memoryUsedBytes },
            { busiest: null, cpuPercent: null, memoryUsedBytes: 2 * GIB },
            server
          )
        }
        assert.strictEqual(of(fleet, "no-hole").cpuPercent, 200)
        assert.deepStrictEqual(of(fleet, "no-hole").busiest, { name: "p", value: 200 })
        near(of(fleet, "restarted").cpuPercent, 40, "host")
        near(of(fleet, "restarted").busiest?.value, 10, "process")
      })
    )
  )

  it.effect("memory that is not known is not 0, and more available than there is uses none", () =>
    stood(
      Effect.gen(function* () {
        yield* store([
          nodeRow("bare", 0, { cpu_cores: 2, cpu_user_seconds: 1, cpu_system_seconds: 1, memory_total_bytes: GIB }),
          nodeRow("bare", 15, { cpu_cores: 2, cpu_user_seconds: 1, cpu_system_seconds: 1, memory_total_bytes: GIB }),
          host("odd", 15, 0, 0, { memory_available_bytes: 9 * GIB })
        ])
        const fleet = yield* fleetAt(20)
        const { cpuPercent, load, memoryTotalBytes, memoryUsedBytes, uptimeSeconds } = of(fleet, "bare")
        assert.deepStrictEqual(
          { cpuPercent, load, memoryTotalBytes, memoryUsedBytes, uptimeSeconds },
          { cpuPercent: 0, load: null, memoryTotalBytes: GIB, memoryUsedBytes: null, uptimeSeconds: null }
        )
        assert.strictEqual(of(fleet, "odd").memoryUsedBytes, 0)
      })
    )
  )

  it.effect("a process that has just come has no CPU yet, one that is gone is not the busiest", () =>
    stood(
      Effect.gen(function* () {
        yield* store([
          processRow("churn", 0, "stays", 0),
          processRow("churn", 0, "gone", 0),
          processRow("churn", 15, "stays", 3),
          processRow("churn", 15, "new", 900)
        ])
        assert.deepStrictEqual(of(yield* fleetAt(20), "churn").busiest, { name: "stays", value: 20 })
      })
    )
  )

  it.effect("after a day nothing but its name; ten minutes ahead of our clock still counts", () =>
    stood(
      Effect.gen(function* () {
        yield* store([
          ...[host("old", 0, 0, 0), host("old", 15, 3, 0), processRow("old", 0, "p", 0), processRow("old", 15, "p", 3)]
        ])
        const before = of(yield* fleetAt(15 + DAY - 0.001), "old")
        assert.deepStrictEqual([before.cpuPercent, before.busiest], [20, { name: "p", value: 20 }])
        // It was an hour of trend that nobody saw.
        assert.deepStrictEqual(
          before.trend,
          Array.from({ length: STEPS }, () => null)
        )
        assert.deepStrictEqual(of(yield* fleetAt(15 + DAY), "old"), {
          ...UNKNOWN,
          serverId: "old",
          name: "old"
        })
        assert.strictEqual(of(yield* fleetAt(15 - 600), "old").cpuPercent, 20)
        // The row of 15 is too far ahead, the one of 0 is the first.
        assert.strictEqual(of(yield* fleetAt(15 - 600.001), "old").cpuPercent, null)
      })
    )
  )
})

layer(parts)("the overview says what the top list says", (it) => {
  const topAt = (serverId: string, t: number) =>
    Effect.gen(function* () {
      const window = { from: EPOCH + (t - 900) * SECOND, to: EPOCH + t * SECOND }
      const { rows } = yield* (yield* Rankings).top({
        ...{ exporter: "process_exporter", serverId, metric: "cpu", limit: 1, window }
      })
      return { name: rows[0]!.name, value: rows[0]!.cpu_percent }
    })
  const agree = (server: string) =>
    Effect.gen(function* () {
      assert.deepStrictEqual(of(yield* fleetAt(20), server).busiest, yield* topAt(server, 20))
    })

  it.effect("an impossible rate is clamped to the cores of the host", () =>
    stood(
      Effect.gen(function* () {
        yield* store([0, 15].flatMap((t) => [host("mad", t, t, 0), processRow("mad", t, "p", (t / 15) * 100)]))
        yield* agree("mad")
      })
    )
  )

  it.effect("a restart that hides behind a higher value is seen by when counters began", () =>
    stood(
      Effect.gen(function* () {
        yield* store([
          processRow("hidden", 0, "p", 10, { since: -100 }),
          processRow("hidden", 15, "p", 12, { since: 1 })
        ])
        yield* agree("hidden")
      })
    )
  )

  it.effect("ties are ordered by name", () =>
    stood(
      Effect.gen(function* () {
        // So that "zz" has the lower id.
        yield* store([processRow("tie", -15, "zz", 0)])
        yield* store([0, 15].flatMap((t) => [processRow("tie", t, "zz", t), processRow("tie", t, "aa", t)]))
        yield* agree("tie")
      })
    )
  )

  it.effect("a group that one scrape lacked is compared with the row before", () =>
    stood(
      Effect.gen(function* () {
        yield* store([
          ...[-15, 0, 15].map((t) => processRow("blink", t, "steady", (t + 15) / 100)),
          ...[-15, 15].map((t) => processRow("blink", t, "blinks", 50 + t))
        ])
        yield* agree("blink")
      })
    )
  )

  it.effect(
    "a group that was away longer than staleAfter has no rate, one whose processes are gone is not the busiest",
    () =>
      stood(
        Effect.gen(function* () {
          yield* store([
            ...[-285.000_001, -15, 0, 15].map((t) => processRow("away", t, "steady", (t + 300) / 100)),
            ...[-285.000_001, 15].map((t) => processRow("away", t, "away", t + 300)),
            ...[0, 15].map((t) => processRow("away", t, "gone", t, { procs: t === 0 ? 1 : 0 }))
          ])
          const { busiest } = of(yield* fleetAt(20), "away")
          assert.strictEqual(busiest?.name, "steady")
          near(busiest?.value, 1, "steady")
        })
      )
  )

  it.effect("of any rows, of the busiest group and of one group on all servers", () =>
    stood(
      Effect.gen(function* () {
        const seeds = Array.from({ length: 20 }, (_, n) => n + 1)
        for (const seed of seeds) {
          const rows = generated(`seed-${seed}`, seed, 1)
          yield* store(rows.filter(({ timestamp }) => timestamp <= EPOCH + 3_600 * SECOND))
        }
        const now = 3_600
        const context = yield* freshAt(now)
        const overview = yield* Effect.provide(Overview, context)
        const glance = yield* overview.fleet
        const window = { from: EPOCH - SECOND, to: EPOCH + now * SECOND }
        const request = { exporter: "process_exporter", metric: "cpu", limit: 1_000, window }
        const tops = new Map<string, ReadonlyArray<RankedRow>>()
        for (const seed of seeds) {
          const { rows } = yield* (yield* Rankings).top({ ...request, serverId: `seed-${seed}` })
          tops.set(`seed-${seed}`, rows)
          const highest = Math.max(...rows.map(({ cpu_percent }) => Number(cpu_percent)))
          const names = rows.flatMap(({ cpu_percent, name }) => (cpu_percent === highest ? [String(name)] : []))
          const { busiest } = of(glance, `seed-${seed}`)
          assert.strictEqual(busiest?.value ?? 0, highest, `seed ${seed}`)
          // A rate of 0 may be that of a group which is not there.
          if (highest > 0)
            assert.strictEqual(busiest?.name, names.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))[0])
        }
        assert.isTrue(glance.servers.filter(({ busiest }) => (busiest?.value ?? 0) > 0).length > 8, "some are busy")
        for (const name of ["a", "b", "é", "Z", "", "z z"]) {
          const found = yield* overview.across({ exporter: "process_exporter", metric: "cpu", name })
          assert.isTrue(
            found.some(({ serverId }) => tops.has(serverId)),
            `"${name}" is on some servers`
          )
          for (const { fields, serverId } of found) {
            const row = tops.get(serverId)?.find((row) => row.name === name)
            if (!tops.has(serverId)) continue
            assert.deepStrictEqual(
              [fields.cpu_percent ?? 0, fields.memory_mb, fields.num_procs],
              [row?.cpu_percent, row?.memory_mb, row?.num_procs],
              `"${name}" on ${serverId}`
            )
          }
        }
      }).pipe(Effect.scoped)
    )
  )
})

layer(parts)("the host's own CPU", (it) => {
  /** User time by when it is known, and since when it counts. */
  const row = (server: string, t: number, user: number | undefined, system: number, since?: number) => {
    const { values, ...rest } = nodeRow(server, t, {
      cpu_system_seconds: system,
      ...(user === undefined ? {} : { cpu_user_seconds: user })
    })
    return { ...rest, values, countersSince: since === undefined ? null : EPOCH + since * SECOND }
  }

  it.effect("counts what was counted since a restart, also one that hides behind higher values", () =>
    stood(
      Effect.gen(function* () {
        yield* store([
          ...[row("booted", BOUNDARY - 170, 9, 6, -9_000), row("booted", BOUNDARY - 20, 12, 18, BOUNDARY - 100)],
          // Clocks are set a little: that is no restart.
          ...[row("set", BOUNDARY - 170, 9, 6, -9_000), row("set", BOUNDARY - 20, 12, 18, -8_998)]
        ])
        const fleet = yield* fleetAt(BOUNDARY + 5)
        for (const [server, percent] of [
          ["booted", 20],
          ["set", 10]
        ] as const) {
          const { cpuPercent, trend } = of(fleet, server)
          near(cpuPercent, percent, server)
          assert.strictEqual(trend.at(-1), percent, server)
        }
      })
    )
  )

  it.effect("is what is known of it: a column that is missing is left out, nothing known is not 0", () =>
    stood(
      Effect.gen(function* () {
        yield* store([
          ...[row("system-only", BOUNDARY - 170, undefined, 0), row("system-only", BOUNDARY - 20, undefined, 15)],
          ...[row("late", BOUNDARY - 170, undefined, 0), row("late", BOUNDARY - 20, 900, 15)],
          ...[nodeRow("unknown", BOUNDARY - 170, {}), nodeRow("unknown", BOUNDARY - 20, {})]
        ])
        const fleet = yield* fleetAt(BOUNDARY + 5)
        for (const server of ["system-only", "late"]) {
          near(of(fleet, server).cpuPercent, 10, server)
          assert.strictEqual(of(fleet, server).trend.at(-1), 10, server)
        }
        const { cpuPercent, trend } = of(fleet, "unknown")
        assert.deepStrictEqual([cpuPercent, trend.at(-1)], [null, null])
      })
    )
  )

  it.effect(
    "is that of the time in which all of it is known: where one counter fell, the others do not count either",
    () =>
      stood(
        Effect.gen(function* () {
          yield* store(
            [
              [100, 10],
              [103, 12],
              [50, 14],
              [53, 16]
            ].map(([user, system], n) => row("halved", BOUNDARY - 60 + 15 * n, user, system!, -9_000))
          )
          const { cpuPercent, trend } = of(yield* fleetAt(BOUNDARY + 5), "halved")
          near(cpuPercent, 100 / 3, "now")
          near(trend.at(-1), 100 / 3, "10 core-seconds in the 30 seconds that are known")
        })
      )
  )

  it.effect("is not compared with what is older than staleAfter, also between steps of a trend", () =>
    stood(
      Effect.gen(function* () {
        // 580 seconds apart, in adjacent steps.
        yield* store([host("far", BOUNDARY - 2 * STEP + 10, 0, 0), host("far", BOUNDARY - 10, 340, 0)])
        assert.deepStrictEqual(of(yield* fleetAt(BOUNDARY + 5), "far").trend.slice(-2), [null, null])
        // With a row after the hole, the step shows what was seen of it. A row in a step before the one before is as good.
        yield* store([host("far", BOUNDARY - 110, 300, 0), host("near", BOUNDARY - 2 * STEP - 5, 0, 0)])
        yield* store([host("near", BOUNDARY - STEP - 20, 57, 0)])
        const fleet = yield* fleetAt(BOUNDARY + 5)
        assert.deepStrictEqual(of(fleet, "far").trend.slice(-2), [null, 40])
        assert.deepStrictEqual(of(fleet, "near").trend.slice(-3), [null, 20, null])
      })
    )
  )
})

layer(parts)("the trend of a server", (it) => {
  it.effect("is busy CPU per step, with a gap where nothing was seen", () =>
    stood(
      Effect.gen(function* () {
        // Steps 1 to 12 end at `BOUNDARY`; CPU is n x 10 % in step n. Nothing is seen in steps 5, 6 and 11; in step 9 the
        // exporter restarts just after its beginning.
        const gaps = [5, 6, 11]
        const end = (n: number) => BOUNDARY - (STEPS - n) * STEP
        const rows = []
        let user = 1_000
        for (let t = end(0) - 15 + 3; t <= end(STEPS); t += 15) {
          const n = Math.ceil((t - end(0)) / STEP)
          user += 15 * 0.1 * n
          if (n === 9 && t - end(8) <= 15) user = 0
          if (!gaps.includes(n)) rows.push(host("trend", t, user, 7))
        }
        yield* store(rows)
        const { trendStepSeconds, trendUntil, ...fleet } = yield* fleetAt(BOUNDARY + 100)
        assert.deepStrictEqual([trendUntil, trendStepSeconds], [EPOCH + BOUNDARY * SECOND, STEP])
        const { trend } = of({ trendStepSeconds, trendUntil, ...fleet }, "trend")
        for (let n = 1; n <= STEPS; n++) {
          if (gaps.includes(n)) assert.isNull(trend[n - 1], `step ${n}`)
          // Of the ninth what was counted since the restart, 285 of 300 seconds. A scrape belongs to the step that it ends in,
          // with the time since the one before it.
          else near(trend[n - 1], n === 9 ? 90 * (285 / 300) : n * 10, `step ${n}`)
        }
      })
    )
  )

  it.effect("begins and ends where steps do: what is seen at a boundary belongs to the step that ends there", () =>
    stood(
      Effect.gen(function* () {
        yield* store([
          host("edge", BOUNDARY - STEP, 0, 0),
          host("edge", BOUNDARY, 150, 0),
          host("edge", BOUNDARY + STEP - 0.000_001, 750, 0)
        ])
        const trendAt = (t: number) =>
          Effect.map(fleetAt(t), (fleet) => ({
            until: (fleet.trendUntil - EPOCH) / SECOND,
            last: of(fleet, "edge")
              .trend.slice(-2)
              .map((value) => (value === null ? null : Math.round(value)))
          }))
        assert.deepStrictEqual(yield* trendAt(BOUNDARY - 0.001), { until: BOUNDARY - STEP, last: [null, null] })
        assert.deepStrictEqual(yield* trendAt(BOUNDARY), { until: BOUNDARY, last: [null, 50] })
        assert.deepStrictEqual(yield* trendAt(BOUNDARY + STEP - 0.001), { until: BOUNDARY, last: [null, 50] })
        assert.deepStrictEqual(yield* trendAt(BOUNDARY + STEP), { until: BOUNDARY + STEP, last: [50, 200] })
        assert.deepStrictEqual(yield* trendAt(BOUNDARY + 2 * STEP), { until: BOUNDARY + 2 * STEP, last: [200, null] })
      })
    )
  )
})

layer(parts)("the overview", (it) => {
  it.effect("pages that are open at the same time share one answer, for two seconds", () =>
    stood(
      Effect.gen(function* () {
        const context = yield* freshAt(0)
        const { fleet } = yield* Effect.provide(Overview, context)
        const ask = (t: number) =>
          Effect.suspend(() => {
            set((EPOCH + t * SECOND) / 1_000)
            return fleet
          })
        const first = yield* Effect.all([ask(0), ask(0), ask(0)], { concurrency: "unbounded" })
        assert.strictEqual(new Set(first).size, 1)
        yield* store([host("later", 0, 0, 0)])
        assert.strictEqual(yield* ask(1.999), first[0])
        assert.strictEqual(of(yield* ask(2.001), "later").cpuCores, 4)
      }).pipe(Effect.scoped)
    )
  )

  it.effect("series of some groups, of the others and of the host are those of the history, step by step", () =>
    stood(
      Effect.gen(function* () {
        const rows = []
        for (let t = 0; t <= 900; t += 15) {
          if (t > 300 && t < 660) continue
          rows.push(
            host("series", t, t * 2, t),
            processRow("series", t, "a", t / 10, { memory: 100 * 2 ** 20 }),
            processRow("series", t, "b", t / 20, { memory: 50 * 2 ** 20 }),
            processRow("series", t, "c", t / 20, { memory: 25 * 2 ** 20 })
          )
        }
        yield* store(rows)
        const context = yield* freshAt(1_000)
        const { series } = yield* Effect.provide(Overview, context)
        const { history } = yield* Rankings
        const window = { from: EPOCH + 5 * SECOND, to: EPOCH + 905 * SECOND }
        const request = { exporter: "process_exporter", serverId: "series", window, points: 30 }
        for (const [metric, field] of [
          ["cpu", "cpu_percent"],
          ["memory", "memory_mb"]
        ] as const) {
          const answer = yield* series({ ...request, metric, names: ["a", "nobody", "b"] })
          assert.deepStrictEqual(
            answer.series.map(({ name }) => name),
            ["a", "nobody", "b"]
          )
          for (const [n, name] of [
            [0, "a"],
            [2, "b"]
          ] as const) {
            const { lastSeen, values } = answer.series[n]!
            const alone = yield* history({ ...request, name })
            assert.strictEqual(lastSeen, EPOCH + 900 * SECOND)
            assert.strictEqual(answer.steps, alone.timestamps.length)
            assert.strictEqual(answer.first, alone.timestamps[0])
            alone.series[field]!.forEach((value, at) => {
              if (value === null) assert.strictEqual(values[at], null, `${metric} of ${name}, step ${at}`)
              else near(values[at], value, `${metric} of ${name}, step ${at}`)
            })
            assert.isTrue(values.includes(null), "there is a gap")
          }
          const { host: total, other } = answer
          const [of, rest] = metric === "cpu" ? [300, 5] : [2 * 1_024, 25]
          for (let n = 0; n < answer.steps; n++) {
            const seen = answer.series[0]!.values[n] !== null
            if (!seen) assert.deepStrictEqual([other![n], total![n]], [null, null])
            else {
              near(other![n], rest, "the others")
              near(total![n], of, "the host")
            }
          }
        }
        const unheard = (yield* series({ ...request, metric: "cpu", names: ["nobody"] })).series[0]!
        assert.deepStrictEqual([unheard.lastSeen, unheard.resets], [null, 0])
        const { _tag } = yield* Effect.flip(series({ ...request, serverId: "nowhere", metric: "cpu", names: [] }))
        assert.strictEqual(_tag, "UnknownServer")
      }).pipe(Effect.scoped)
    )
  )

  it.effect("one group on all servers: where it is in the latest scrape, those that use most first", () =>
    stood(
      Effect.gen(function* () {
        yield* store([
          ...[0, 15].flatMap((t) => [
            processRow("small", t, "agent", t / 10, { memory: 3 * 2 ** 20, procs: 2 }),
            processRow("large", t, "agent", t, { memory: 2 ** 20 })
          ]),
          processRow("left", 0, "agent", 5),
          processRow("left", 15, "other", 5),
          processRow("new", 15, "agent", 5, { memory: 2 * 2 ** 20 }),
          // Not compared with what is too old; clamped; counted since a restart; gone; not in the scrape before.
          ...[processRow("stale", -300, "agent", 0), processRow("stale", 15, "agent", 5)],
          ...[0, 15].flatMap((t) => [host("mad", t, 0, 0), processRow("mad", t, "agent", t * 100)]),
          ...[processRow("since", 0, "agent", 1, { since: -99 }), processRow("since", 15, "agent", 3, { since: 2 })],
          ...[0, 15].map((t) => processRow("gone", t, "agent", t / 10, { procs: t === 0 ? 1 : 0 })),
          ...[processRow("blink", -15, "agent", 1), processRow("blink", 0, "b", 1), processRow("blink", 15, "agent", 4)]
        ])
        const context = yield* freshAt(20)
        const { across, running } = yield* Effect.provide(Overview, context)
        const ask = (metric: string, name = "agent") =>
          Effect.map(across({ exporter: "process_exporter", metric, name }), (found) =>
            found.map(({ fields: { cpu_percent, memory_mb, num_procs }, lastSeen, serverId }) => ({
              serverId,
              lastSeen,
              fields: { cpu_percent, memory_mb, num_procs }
            }))
          )
        assert.deepStrictEqual(yield* ask("cpu"), [
          { serverId: "mad", lastSeen: EPOCH + 15 * SECOND, fields: { cpu_percent: 420, memory_mb: 0, num_procs: 1 } },
          {
            serverId: "large",
            lastSeen: EPOCH + 15 * SECOND,
            fields: { cpu_percent: 100, memory_mb: 1, num_procs: 1 }
          },
          { serverId: "since", lastSeen: EPOCH + 15 * SECOND, fields: { cpu_percent: 20, memory_mb: 0, num_procs: 1 } },
          { serverId: "blink", lastSeen: EPOCH + 15 * SECOND, fields: { cpu_percent: 10, memory_mb: 0, num_procs: 1 } },
          { serverId: "small", lastSeen: EPOCH + 15 * SECOND, fields: { cpu_percent: 10, memory_mb: 3, num_procs: 2 } },
          { serverId: "gone", lastSeen: EPOCH + 15 * SECOND, fields: { cpu_percent: 0, memory_mb: 0, num_procs: 0 } },
          { serverId: "new", lastSeen: EPOCH + 15 * SECOND, fields: { cpu_percent: null, memory_mb: 2, num_procs: 1 } },
          {
            serverId: "stale",
            lastSeen: EPOCH + 15 * SECOND,
            fields: { cpu_percent: null, memory_mb: 0, num_procs: 1 }
          }
        ])
        assert.deepStrictEqual((yield* ask("memory")).map(({ serverId }) => serverId).slice(0, 3), [
          "small",
          "new",
          "large"
        ])
        assert.deepStrictEqual(yield* ask("cpu", "nobody"), [])
        // By a part of the name, whatever its case; what has gone does not run.
        const found = yield* running("AGEN")
        assert.deepStrictEqual(
          ["mad", "small", "new", "gone"].map((server) => found.get(server)),
          [{ name: "agent", value: 420 }, { name: "agent", value: 10 }, { name: "agent", value: null }, undefined]
        )
        assert.deepStrictEqual([...(yield* running("nobody")).keys()], [])
      }).pipe(Effect.scoped)
    )
  )
})
