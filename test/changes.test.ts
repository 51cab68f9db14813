/**
 * What changed between two windows is what `docs/numbers.md` says: held to the reference computation on generated rows, from rows
 * and from roll-ups, and to the properties that the ledger promises.
 */
import { assert, describe, layer } from "@effect/vitest"
import { Effect, Layer, Result } from "effect"
import { makeRegistry, Registry } from "../src/plugins/Registry.ts"
import type { Snapshot } from "../src/plugins/Snapshot.ts"
import { Changes, type ChangesAnswer, type ChangesRequest } from "../src/query/Changes.ts"
import * as ChangesPostgres from "../src/query/ChangesPostgres.ts"
import { Rankings } from "../src/query/Rankings.ts"
import * as RankingsPostgres from "../src/query/RankingsPostgres.ts"
import { Rollups } from "../src/sinks/rollups/Rollups.ts"
import * as SnapshotRowsPostgres from "../src/sinks/storage/SnapshotRowsPostgres.ts"
import { makeStandingClock } from "./StandingClock.ts"
import * as TestDatabase from "./TestDatabase.ts"
import { truthChanges } from "./TruthChanges.ts"
import { EPOCH, exporters, nodeRow, processRow, SECOND, store } from "./TruthRows.ts"
import { near, same } from "./TruthSame.ts"
import { seconds, times } from "./TruthVector.ts"
import { generated } from "./TruthWorld.ts"

const registry = Layer.succeed(Registry, Result.getOrThrow(makeRegistry({ exporters })))
const live = Layer.mergeAll(
  ChangesPostgres.layer,
  RankingsPostgres.layer,
  SnapshotRowsPostgres.layer,
  Rollups.layer
).pipe(Layer.provideMerge(registry), Layer.provideMerge(TestDatabase.layerWith({ exporters })))

const { set, stood } = makeStandingClock()

/** Two windows of one server, or of two. */
interface Ask {
  readonly exporter?: string
  readonly metric?: string
  readonly limit?: number
  readonly before: readonly [number, number]
  readonly after: readonly [number, number]
  readonly against?: string
}

const asked = (server: string, { after, against, before, exporter, limit, metric }: Ask): ChangesRequest => ({
  exporter: exporter ?? "process_exporter",
  metric: metric ?? "cpu",
  limit: limit ?? 10,
  before: { serverId: against ?? server, window: seconds(...before) },
  after: { serverId: server, window: seconds(...after) }
})

const asks: ReadonlyArray<Ask> = [
  { before: [0, 5_400], after: [5_400, 10_800] },
  { before: [500.5, 4_000], after: [6_000, 10_000], limit: 2 },
  { metric: "memory", before: [0, 5_400], after: [5_400, 10_800], limit: 3 },
  { before: [3_600, 3_660], after: [9_000, 9_100] },
  { exporter: "queue_exporter", metric: "jobs", before: [600, 4_000], after: [4_000, 9_000], limit: 1 },
  { exporter: "queue_exporter", metric: "temperature", before: [600, 4_000], after: [4_000, 9_000] },
  { before: [-9_000, -3_600], after: [0, 5_400] }
]

const checkAll = Effect.fnUntraced(function* (server: string, rows: ReadonlyArray<Snapshot>, what: string) {
  const changes = yield* Changes
  for (const [n, ask] of asks.entries()) {
    const request = asked(server, ask)
    const { unit: _, waiting: __, ...answer } = yield* changes.between(request)
    same(answer, truthChanges(exporters, rows, request), `${what} ${n}`)
  }
})

const values = ({ groups, other, total, unaccounted }: ChangesAnswer) => ({
  listed: [...groups, other, ...(unaccounted === null ? [] : [unaccounted])],
  total
})

layer(live)("what changed", (it) => {
  for (const seed of [21, 22]) {
    const server = `changes-${seed}`
    it.effect(`seed ${seed}: is the reference computation, from rows and from roll-ups`, () =>
      stood(
        Effect.gen(function* () {
          set((EPOCH + 40_000 * SECOND) / 1_000)
          const rows = generated(server, seed, 3)
          yield* store(rows)
          yield* checkAll(server, rows, "rows")
          assert.isAbove(yield* (yield* Rollups).pass, 0)
          yield* checkAll(server, rows, "roll-ups")
        })
      )
    )

    it.effect(`seed ${seed}: swapped windows swap every sign, and equal windows change nothing`, () =>
      Effect.gen(function* () {
        const changes = yield* Changes
        for (const { after, before, ...ask } of asks.slice(0, 6)) {
          const there = yield* changes.between(asked(server, { ...ask, before, after }))
          const back = yield* changes.between(asked(server, { ...ask, before: after, after: before }))
          near(back.total.change, -there.total.change, "total")
          for (const [n, group] of there.groups.entries()) {
            const other = back.groups[n]!
            assert.deepStrictEqual([other.name, other.appeared, other.gone], [group.name, group.gone, group.appeared])
            near(other.change, -group.change, group.name)
            near(other.share ?? 0, group.share ?? 0, group.name)
          }
          const none = yield* changes.between(asked(server, { ...ask, before: after, after }))
          for (const line of [...values(none).listed, none.total]) assert.deepInclude(line, { change: 0, share: null })
        }
      })
    )

    it.effect(`seed ${seed}: the lines add up to the last one, however many are listed, and the shares to 1`, () =>
      Effect.gen(function* () {
        const changes = yield* Changes
        for (const ask of asks) {
          for (const limit of [1, 2, 5, 100]) {
            const { listed, total } = values(yield* changes.between(asked(server, { ...ask, limit })))
            for (const side of ["before", "after", "change"] as const) {
              near(
                listed.reduce((sum, line) => sum + line[side], 0),
                total[side],
                `${side} of ${limit}`
              )
            }
            if (total.share !== null)
              near(
                listed.reduce((sum, line) => sum + line.share!, 0),
                1,
                "shares"
              )
          }
        }
      })
    )
  }

  describe("the last line", () => {
    // Four cores; the host is busy with the groups and with something that no group is.
    const world = (server: string) =>
      times(0, 7_200).flatMap((t) => {
        const later = Math.max(0, t - 3_600)
        return [
          nodeRow(server, t, {
            cpu_cores: 4,
            cpu_user_seconds: 5_000 + 1.2 * t + 0.9 * later,
            cpu_system_seconds: 700 + 0.1 * t,
            cpu_iowait_seconds: 10 + 0.02 * later,
            cpu_steal_seconds: 0
          }),
          processRow(server, t, "steady", 100 + 0.5 * t),
          processRow(server, t, "grows", 10 + 0.1 * t + 0.8 * later),
          processRow(server, t, "shrinks", 900 + 0.3 * Math.min(t, 3_600)),
          ...(t > 3_600 ? [processRow(server, t, "new", 0.25 * later, { since: -1_000 })] : [])
        ]
      })

    it.effect("is the change of the host's busy CPU, as its own history tells it", () =>
      Effect.gen(function* () {
        const rows = world("host")
        yield* store(rows)
        const request = asked("host", { before: [0, 3_600], after: [3_600, 7_200] })
        const answer = yield* (yield* Changes).between(request)
        const busy = yield* busyPercent("host")
        assert.strictEqual(answer.total.of, "host")
        near(answer.total.before, yield* busy(request.before.window), "before")
        near(answer.total.after, yield* busy(request.after.window), "after")
        near(answer.total.change, 90, "change")
        assert.strictEqual(answer.total.share, 1)
        assert.deepStrictEqual(
          answer.groups.map(({ appeared, gone, name, restarted }) => [name, appeared, gone, restarted]),
          [
            ["grows", false, false, false],
            ["shrinks", false, false, false],
            ["new", true, false, false],
            ["steady", false, false, false]
          ]
        )
        near(answer.groups[0]!.share!, 80 / 90, "share of what grew")
        near(answer.groups[1]!.share!, -30 / 90, "share of what fell")
        near(answer.unaccounted!.change, 90 - 80 + 30 - 25, "unaccounted")
        assert.isFalse(answer.partial)
      })
    )

    it.effect("has the host's waiting beside it, blamed on nobody", () =>
      Effect.gen(function* () {
        const { waiting } = yield* (yield* Changes).between(
          asked("host", { before: [0, 3_600], after: [3_600, 7_200] })
        )
        same(waiting, [
          { field: "cpu_iowait_seconds", before: 0, after: 2, change: 2 },
          { field: "cpu_steal_seconds", before: 0, after: 0, change: 0 }
        ])
      })
    )

    it.effect("is of the groups where one of the windows has no rows of the host, and the answer says so", () =>
      Effect.gen(function* () {
        const rows = [
          ...world("half").filter((row) => row.exporter !== "node_exporter" || row.timestamp > EPOCH + 3_700 * SECOND)
        ]
        yield* store(rows)
        const answer = yield* (yield* Changes).between(
          asked("half", { before: [0, 3_600], after: [3_600, 7_200], limit: 2 })
        )
        assert.strictEqual(answer.total.of, "groups")
        assert.isNull(answer.unaccounted)
        near(answer.total.change, 80 - 30 + 25, "change of the groups' sum")
        assert.deepStrictEqual(
          answer.waiting.map(({ change }) => change),
          [null, null]
        )
      })
    )

    it.effect("compares two servers at the same time", () =>
      Effect.gen(function* () {
        yield* store(times(0, 7_200).flatMap((t) => [processRow("twin", t, "steady", 50 + 0.5 * t)]))
        const answer = yield* (yield* Changes).between(
          asked("twin", { before: [3_600, 7_200], after: [3_600, 7_200], against: "host" })
        )
        assert.deepStrictEqual(
          answer.groups.map(({ change, gone, name }) => [name, Math.round(change), gone]),
          [
            ["grows", -90, true],
            ["new", -25, true],
            ["shrinks", 0, true],
            ["steady", 0, false]
          ]
        )
      })
    )
  })

  it.effect("an unknown server is an error, whichever of the two it is", () =>
    Effect.gen(function* () {
      const changes = yield* Changes
      for (const request of [
        asked("nobody", { before: [0, 60], after: [60, 120] }),
        asked("host", { before: [0, 60], after: [60, 120], against: "nobody" })
      ]) {
        const error = yield* Effect.flip(changes.between(request))
        assert.deepInclude(error, { _tag: "UnknownServer", serverId: "nobody" })
      }
    })
  )
})

/** The host's busy CPU over a window, from the history that its own exporter gives. */
const busyPercent = Effect.fnUntraced(function* (server: string) {
  const rankings = yield* Rankings
  return Effect.fnUntraced(function* (window: ChangesRequest["after"]["window"]) {
    const { series, timestamps } = yield* rankings.history({
      exporter: "node_exporter",
      serverId: server,
      window,
      points: 2_000
    })
    const busy = timestamps.map((_, n) =>
      ["cpu_user_seconds_per_second", "cpu_system_seconds_per_second"].reduce(
        (sum, field) => sum + (series[field]![n] ?? 0),
        0
      )
    )
    // Steps are equally long, and each was seen in whole.
    return (100 * busy.reduce((sum, value) => sum + value, 0)) / busy.length
  })
})
