/**
 * What the groups of a fleet did is what their servers' own answers add up to: held to the reference computation of each server,
 * from rows and from roll-ups. And what search, parts of the list and growth promise.
 */
import { assert, layer } from "@effect/vitest"
import { Effect, Equal, Layer, Result } from "effect"
import { makeRegistry, Registry } from "../src/plugins/Registry.ts"
import type { Snapshot } from "../src/plugins/Snapshot.ts"
import { rankingFields } from "../src/plugins/TopQuery.ts"
import { FleetGroups, type GroupServersRequest, type RankedGroupsRequest } from "../src/query/FleetGroups.ts"
import * as FleetGroupsPostgres from "../src/query/FleetGroupsPostgres.ts"
import { Groupings } from "../src/query/grouping/Groupings.ts"
import * as GroupingsPostgres from "../src/query/grouping/GroupingsPostgres.ts"
import type { Window } from "../src/query/Rankings.ts"
import { Rollups } from "../src/sinks/rollups/Rollups.ts"
import * as SnapshotRowsPostgres from "../src/sinks/storage/SnapshotRowsPostgres.ts"
import { RULES, regroupedExporters, regroupedRows, shownOf, under } from "./Regrouped.ts"
import { makeStandingClock } from "./StandingClock.ts"
import * as TestDatabase from "./TestDatabase.ts"
import { compareBytes, truthTop } from "./Truth.ts"
import { EPOCH, exporters, nodeRow, processRow, SECOND, store } from "./TruthRows.ts"
import { near } from "./TruthSame.ts"
import { generated } from "./TruthWorld.ts"

const registry = Layer.succeed(Registry, Result.getOrThrow(makeRegistry({ exporters })))
const live = Layer.fresh(
  Layer.mergeAll(FleetGroupsPostgres.layer, GroupingsPostgres.layer, SnapshotRowsPostgres.layer, Rollups.layer)
).pipe(Layer.provideMerge(registry), Layer.provideMerge(TestDatabase.layerWith({ exporters })))

const { set, stood } = makeStandingClock()
let now = EPOCH / 1_000
/** Later, so that nothing that is kept is fresh any more. */
const later = (seconds: number) => {
  now += seconds * 1_000
  set(now)
}

const hours = (from: number, to: number): Window => ({
  from: EPOCH + from * 3_600 * SECOND,
  to: EPOCH + to * 3_600 * SECOND
})

const ask = (request: Partial<RankedGroupsRequest>): RankedGroupsRequest => ({
  exporter: "process_exporter",
  metric: "cpu",
  by: "total",
  window: hours(0, 3),
  search: "",
  offset: 0,
  limit: 1_000,
  ...request
})
const askOne = ({
  name,
  ...request
}: Partial<GroupServersRequest> & { readonly name: string }): GroupServersRequest => {
  const { search: _, ...part } = ask(request)
  return { ...part, name }
}

const SCALES = { seconds: 1 / 3_600, bytes: 1, celsius: 1 / 3_600 } as const

/** What the servers' own answers over the window add up to, by the group and the ranking. */
const truthGroups = (rows: ReadonlyArray<Snapshot>, exporter: string, window: Window, declared = exporters) => {
  const { table, top } = declared.find(({ name }) => name === exporter)!
  const groups = new Map<string, Record<string, { total: number; peak: number; worst: number }>>()
  for (const serverId of new Set(rows.map((row) => row.serverId))) {
    const own = rows.filter((row) => row.serverId === serverId)
    const request = { exporter, metric: top!.default, limit: 1_000, serverId, window }
    const answer = truthTop(declared, own, request)
    for (const row of answer.rows) {
      const group = groups.get(row.name) ?? {}
      groups.set(row.name, group)
      for (const [key, { by, column }] of Object.entries(top!.rankings)) {
        const { unit } = table.columns[column] as { readonly unit?: keyof typeof SCALES }
        const fields = rankingFields(key, by, table.columns[column]!)
        const gib = unit === "bytes" ? 1 / 1_024 : 1
        const total =
          by === "rate"
            ? Number(row[fields.total!]) * (unit === "seconds" ? 1 / 3_600 : gib)
            : (Number(row[fields.average]) * answer.coveredSeconds * gib) / 3_600
        const peak = Number(row[fields.peak])
        const before = group[key]
        group[key] =
          before === undefined
            ? { total, peak, worst: total }
            : {
                total: before.total + total,
                peak: Math.max(before.peak, peak),
                worst: Math.max(before.worst, total)
              }
      }
    }
  }
  return groups
}

layer(live)("the groups of a fleet", (it) => {
  const servers = ["fleet-a", "fleet-b"]
  const rows = servers.flatMap((server, n) => generated(server, 41 + n, 2))
  const windows: ReadonlyArray<Window> = [hours(0, 2), hours(0.51, 1.87), hours(1, 1.2)]

  const check = Effect.fnUntraced(function* (what: string) {
    const fleet = yield* FleetGroups
    for (const [exporter, metrics] of [
      ["process_exporter", ["cpu", "memory"]],
      ["queue_exporter", ["jobs", "sent", "temperature"]]
    ] as const) {
      for (const [n, window] of windows.entries()) {
        const answer = yield* fleet.ranked(ask({ exporter, metric: metrics[0], window }))
        const expected = truthGroups(rows, exporter, answer.window)
        for (const [name, values] of expected) {
          const group = answer.groups.find((group) => group.name === name)
          const says = `${what}, window ${n}, ${exporter}, ${name}`
          if (group === undefined) {
            // What did not run and used nothing is not listed.
            for (const { total } of Object.values(values)) near(total, 0, says)
            continue
          }
          for (const key of metrics) {
            near(group.values[key]!.total, values[key]!.total, `${says}: total ${key}`)
            near(group.values[key]!.worst.total, values[key]!.worst, `${says}: worst ${key}`)
            if (exporter === "process_exporter")
              near(group.values[key]!.peak, values[key]!.peak, `${says}: peak ${key}`)
          }
          const one = yield* fleet.servers(askOne({ name, exporter, metric: metrics[0], window }))
          assert.strictEqual(one.all, group.servers, says)
          for (const key of metrics) {
            const sum = one.servers.reduce((total, server) => total + server.values[key]!.total, 0)
            near(sum, values[key]!.total, `${says}: servers ${key}`)
          }
        }
        for (const key of metrics) {
          const sum = [...expected.values()].reduce((total, values) => total + values[key]!.total, 0)
          near(answer.totals[key], sum, `${what}: all of ${key}`)
        }
        assert.isAtMost(answer.groups.length, expected.size)
      }
    }
  })

  it.effect("are the sums of what their servers say, from rows and from roll-ups", () =>
    stood(
      Effect.gen(function* () {
        later(40_000)
        yield* store(rows)
        yield* check("rows")
        assert.isAbove(yield* (yield* Rollups).pass, 0)
        later(60)
        yield* check("roll-ups")
      })
    )
  )

  /** Sums are those of the rules' groups; a peak is too, or lies between that and the sum of its members' and says so. */
  const checkRegrouped = Effect.fnUntraced(function* (what: string, bounded: boolean) {
    const fleet = yield* FleetGroups
    let bounds = 0
    for (const window of windows) {
      const plain = yield* fleet.ranked(ask({ window }))
      const answer = yield* fleet.ranked({ ...ask({ window }), regrouping: yield* under("usual", RULES) })
      const expected = truthGroups(regroupedRows(rows), "process_exporter", answer.window, regroupedExporters)
      assert.isBelow(answer.all, plain.all)
      for (const key of ["cpu", "memory"]) {
        near(answer.totals[key], plain.totals[key]!, `${what}: all of ${key}`)
        for (const { name, peakIsBound, servers, values } of answer.groups) {
          const says = `${what}, ${name}: ${key}`
          const truth = expected.get(name)![key]!
          near(values[key]!.total, truth.total, says)
          near(values[key]!.worst.total, truth.worst, says)
          const members = plain.groups.filter((group) => shownOf(group.name) === name)
          const sumOf = (field: "total" | "peak") => members.reduce((sum, group) => sum + group.values[key]![field], 0)
          near(values[key]!.total, sumOf("total"), says)
          if (peakIsBound === true) {
            bounds++
            assert.isAtLeast(values[key]!.peak, truth.peak * (1 - 1e-9), says)
            assert.isAtMost(values[key]!.peak, sumOf("peak") * (1 + 1e-9), says)
          } else near(values[key]!.peak, truth.peak, says)
          const one = yield* fleet.servers({ ...askOne({ name, window }), regrouping: yield* under("usual", RULES) })
          assert.strictEqual(one.all, servers, says)
          assert.strictEqual(
            one.servers.some((server) => server.peakIsBound === true),
            peakIsBound,
            says
          )
          near(
            one.servers.reduce((sum, server) => sum + server.values[key]!.total, 0),
            truth.total,
            says
          )
        }
      }
    }
    assert.strictEqual(bounds > 0, bounded, `${what}: some peaks are bounds`)
  })

  it.effect("are those of a rule set, and their totals the same, from rows and from roll-ups alone", () =>
    stood(
      Effect.gen(function* () {
        const before = now
        later(60)
        yield* checkRegrouped("rows", false)
        // The rows are older than they are kept: retention may have dropped them.
        later(20 * 86_400)
        yield* checkRegrouped("roll-ups", true)
        now = before
        later(60)
      })
    )
  )

  it.effect("are the same under rules that change no name, and each version of a set has its own answer", () =>
    stood(
      Effect.gen(function* () {
        later(60)
        const fleet = yield* FleetGroups
        const asIs = [{ match: "^.*$", name: "$0" }]
        for (const window of [hours(1, 1.2), hours(1.5, 1.7)]) {
          const { groups, ...all } = yield* fleet.ranked(ask({ window }))
          const same = yield* fleet.ranked({ ...ask({ window }), regrouping: yield* under("as-is", asIs) })
          const named = groups.map((group) => ({ ...group, peakIsBound: false }))
          assert.deepStrictEqual(same, { ...all, groups: named })
        }
        const { regrouping, save } = yield* Groupings
        yield* save({ name: "as-is", base: 1, rules: [{ match: "^", name: "all" }], comment: "" })
        const ofVersion = Effect.fnUntraced(function* (version: number) {
          const set = yield* regrouping({ name: "as-is", version })
          return yield* fleet.ranked({ ...ask({ window: hours(1, 1.2), search: "ALL" }), regrouping: set })
        })
        assert.deepInclude(yield* ofVersion(1), { matching: 0, gone: [] })
        const { all, groups } = yield* ofVersion(2)
        assert.deepStrictEqual([all, groups[0]!.name], [1, "all"])
        const [one, other, next] = yield* Effect.all([1, 1, 2].map((version) => regrouping({ name: "as-is", version })))
        assert.deepStrictEqual([Equal.equals(one, other), Equal.equals(one, next)], [true, false])
      })
    )
  )

  it.effect("keep the servers apart where many are read at a time in several pieces", () =>
    stood(
      Effect.gen(function* () {
        later(60)
        const many = Array.from({ length: 70 }, (_, n) => `many-${String(n).padStart(2, "0")}`)
        yield* store(
          many.flatMap((server, n) =>
            Array.from({ length: 46 }, (_, k) => 300 * Math.floor(k / 2) + 15 * (k % 2) + 60).flatMap((t) =>
              ["a", "b"].map((name) => processRow(server, 14_400 + t, name, (n + 1) * t))
            )
          )
        )
        const fleet = yield* FleetGroups
        const window = hours(4, 6)
        const one = yield* fleet.servers({
          ...askOne({ name: "letters", window }),
          limit: 100,
          regrouping: yield* under("usual", RULES)
        })
        const totals = Object.fromEntries(one.servers.map(({ serverId, values }) => [serverId, values.cpu!.total]))
        assert.strictEqual(one.all, many.length)
        for (const [n, server] of many.entries()) near(totals[server], (2 * (22 * 300 + 15) * (n + 1)) / 3_600, server)
      })
    )
  )

  it.effect("are listed a part at a time, each once, in one order", () =>
    stood(
      Effect.gen(function* () {
        const fleet = yield* FleetGroups
        for (const by of ["total", "peak", "growth"] as const) {
          const whole = (yield* fleet.ranked(ask({ by, metric: "memory" }))).groups
          const values = whole.map(({ growth, values }) =>
            by === "growth" ? (growth?.perHour ?? 0) : values.memory![by]
          )
          for (const [n, value] of values.entries()) {
            if (n === 0) continue
            assert.isTrue(
              value < values[n - 1]! ||
                (value === values[n - 1] && compareBytes(whole[n - 1]!.name, whole[n]!.name) < 0),
              `${by} ${n}`
            )
          }
          const parts = [0, 2, 4, 6, 8, 1_000].map((offset) =>
            fleet.ranked(ask({ by, metric: "memory", offset, limit: 2 }))
          )
          const listed = (yield* Effect.all(parts)).flatMap(({ groups }) => groups)
          assert.deepStrictEqual(listed, whole.slice(0, 10))
        }
      })
    )
  )

  it.effect("that were seen in the range are found by a part of their name, whatever its case; others say when", () =>
    stood(
      Effect.gen(function* () {
        const odd = ["<b>Node</b>", "n\u043ede", "%_\\", "\u202eexe", "a".repeat(3_000)]
        const every15 = (from: number, to: number, name: string) =>
          Array.from({ length: (to - from) * 240 }, (_, n) =>
            processRow("search", from * 3_600 + n * 15, name, 10 + n / 10, { memory: 4_096 })
          )
        yield* store([
          ...odd.flatMap((name) => every15(100, 101, name)),
          ...every15(30, 31, "yesterday's CRON"),
          // An exporter goes on listing what is gone.
          ...Array.from({ length: 240 }, (_, n) =>
            processRow("search", 360_000 + n * 15, "yesterday's CRON", 34, { procs: 0 })
          )
        ])
        later(360_000)
        const fleet = yield* FleetGroups
        const find = (search: string, from = 100, to = 101) =>
          fleet.ranked(ask({ search, window: hours(from - 0.1, to + 0.1) }))
        const names = (answer: { readonly groups: ReadonlyArray<{ readonly name: string }> }) =>
          answer.groups.map(({ name }) => name).sort()
        assert.deepStrictEqual(names(yield* find("node")), ["<b>Node</b>"])
        assert.deepStrictEqual(names(yield* find("\u043eD")), ["n\u043ede"])
        assert.deepStrictEqual(names(yield* find("%")), ["%_\\"])
        assert.deepStrictEqual(names(yield* find("\u202e")), ["\u202eexe"])
        assert.deepStrictEqual(names(yield* find("aaaa")), ["a".repeat(3_000)])
        assert.strictEqual((yield* find("")).matching, odd.length)
        const gone = yield* find("cron")
        assert.deepInclude(gone, { matching: 0, all: odd.length })
        const lastSeen = EPOCH + (31 * 3_600 - 15) * SECOND
        assert.deepStrictEqual(gone.gone, [{ name: "yesterday's CRON", lastSeen }])
        assert.deepStrictEqual(names(yield* find("cron", 30, 31)), ["yesterday's CRON"])
        assert.deepInclude(yield* find("nowhere"), { matching: 0, gone: [] })
        for (const name of odd) {
          const one = yield* fleet.servers(askOne({ name, window: hours(99.9, 101.1) }))
          assert.deepStrictEqual(
            one.servers.map(({ serverId }) => serverId),
            ["search"]
          )
        }
        assert.deepInclude(yield* fleet.servers(askOne({ name: "nobody", window: hours(99.9, 101.1) })), {
          all: 0,
          servers: []
        })
      })
    )
  )

  it.effect("grow where their memory does, since when, and until nothing is left", () =>
    stood(
      Effect.gen(function* () {
        const MIB = 1_048_576
        const rowsOf = (server: string, memory: (hour: number) => number, procs = (_: number) => 1) =>
          Array.from({ length: 12 * 60 }, (_, n) => {
            const t = 200 * 3_600 + n * 60
            return [
              processRow(server, t, "leaker", n, { memory: Math.round(memory(n / 60) * MIB), procs: procs(n / 60) }),
              nodeRow(server, t, { memory_available_bytes: 900 * MIB, swap_free_bytes: 100 * MIB })
            ]
          }).flat()
        yield* store([
          ...rowsOf("grow-late", (hour) => 300 + 50 * Math.max(0, hour - 4)),
          ...rowsOf("grow-more", (hour) => 100 + 100 * hour),
          ...rowsOf(
            "grow-anew",
            (hour) => 100 + 20 * hour,
            (hour) => (hour < 6 ? 2 : 1)
          ),
          ...rowsOf("grow-not", (hour) => 500 + 3 * (Math.round(hour * 60) % 7))
        ])
        const window = hours(200, 212)
        const fleet = yield* FleetGroups
        for (const what of ["rows", "roll-ups"]) {
          later(360_000)
          const one = yield* fleet.servers(askOne({ name: "leaker", by: "growth", window }))
          assert.strictEqual(one.growthStepSeconds, 300)
          const found = Object.fromEntries(one.servers.map(({ growth, serverId }) => [serverId, growth]))
          assert.deepStrictEqual(
            one.servers.map(({ serverId }) => serverId),
            ["grow-more", "grow-late", "grow-anew", "grow-not"]
          )
          const expected = { "grow-more": [100, 200], "grow-late": [50, 204], "grow-anew": [20, 206] } as const
          for (const [server, [perHour, began]] of Object.entries(expected)) {
            const growth = found[server]!
            near(growth.perHour / MIB, perHour, `${what}: ${server}`, 0.01)
            near((growth.began - EPOCH) / SECOND / 3_600, began, `${what}: ${server} began`, 0.002)
            near(growth.exhaustsIn, (1_000 * 3_600) / perHour, `${what}: ${server} is exhausted`, 0.01)
          }
          assert.isNull(found["grow-not"])
          const [leaker] = (yield* fleet.ranked(ask({ by: "growth", search: "leaker", window }))).groups
          assert.deepInclude(leaker!.growth, { servers: 3, fastest: "grow-more" })
          near(leaker!.growth!.perHour / MIB, 170, what, 0.01)
          yield* (yield* Rollups).pass
        }
      })
    )
  )

  it.effect("are an empty list where nothing was seen", () =>
    stood(
      Effect.gen(function* () {
        const answer = yield* (yield* FleetGroups).ranked(ask({ window: hours(-900, -800) }))
        assert.deepInclude(answer, { groups: [], matching: 0, all: 0, totals: { cpu: 0, memory: 0 } })
        assert.deepInclude(answer.servers, { seen: 0, coverage: 0 })
      })
    )
  )
})
