import { PgClient } from "@effect/sql-pg"
import { assert, layer } from "@effect/vitest"
import { Deferred, Duration, Effect, Fiber, Layer, Result } from "effect"
import { makeStandingClock } from "../../../test/StandingClock.ts"
import * as TestDatabase from "../../../test/TestDatabase.ts"
import { EPOCH, store, exporters as truthExporters } from "../../../test/TruthRows.ts"
import { generated } from "../../../test/TruthWorld.ts"
import { makeRegistry, Registry } from "../../plugins/Registry.ts"
import type { Snapshot } from "../../plugins/Snapshot.ts"
import { Rollups } from "../rollups/Rollups.ts"
import { areSame } from "./PackedChunk.ts"
import { PACK_AFTER, Packing } from "./Packing.ts"
import { makePackingDay, type Step } from "./PackingDay.ts"
import { DAY_MICROS, dayOf, partitionName } from "./Partitions.ts"
import { Retention } from "./Retention.ts"
import type { Scrape } from "./Scrape.ts"
import { columnsOf } from "./ScrapeColumns.ts"
import { Scrapes } from "./Scrapes.ts"
import { SnapshotRows } from "./SnapshotRows.ts"
import * as SnapshotRowsPostgres from "./SnapshotRowsPostgres.ts"
import { suiteExporters, suiteRow } from "./SnapshotRowsSuite.ts"

const exporters = [...truthExporters, ...suiteExporters]
const registry = Layer.succeed(Registry, Result.getOrThrow(makeRegistry({ exporters })))
const parts = Layer.mergeAll(
  SnapshotRowsPostgres.layer,
  Scrapes.layer,
  Rollups.layer,
  Retention.layer,
  Packing.layerWith()
).pipe(Layer.provideMerge(registry), Layer.provideMerge(TestDatabase.layerWith({ exporters })))

const { set, stood } = makeStandingClock()
const AFTER = Duration.toMillis(PACK_AFTER)
const SECOND = 1_000_000
/** 2025-10-30: what `TruthWorld.ts` generates is of that day, some of the one before. */
const DAY = dayOf(EPOCH) + 1
const DAY_FROM = DAY * DAY_MICROS
/** Epoch milliseconds: the moment at which a day may be packed. */
const readyAt = (day: number) => ((day + 1) * DAY_MICROS) / 1_000 + AFTER

/** Everything that a table's view shows, as text to the last digit, in one order. */
const shown = (table: string) =>
  Effect.flatMap(PgClient.PgClient, (sql) =>
    Effect.map(
      sql.unsafe<{ readonly row: string }>(`select row_to_json(r)::text as row from admiral.${table} r`),
      (rows) => rows.map(({ row }) => row).sort()
    )
  )

interface Everything {
  readonly views: ReadonlyArray<ReadonlyArray<string>>
  readonly read: ReadonlyArray<ReadonlyArray<ReadonlyArray<Scrape>>>
}

/** What the views show and what the program reads, of all exporters. */
const everything = Effect.gen(function* () {
  const scrapes = yield* Scrapes
  const sql = yield* PgClient.PgClient
  const servers = (yield* sql<{ readonly id: number }>`select id from admiral.servers order by id`).map(({ id }) => id)
  const views: Array<ReadonlyArray<string>> = []
  const read: Array<ReadonlyArray<ReadonlyArray<Scrape>>> = []
  for (const exporter of exporters) {
    views.push(yield* shown(exporter.table.name))
    const columns = columnsOf(exporter).numbers.map(({ name }) => name)
    const [found] = yield* scrapes.between(exporter.name, servers, [{ after: 0, upto: DAY_FROM * 2 }], columns)
    read.push(servers.map((id) => found!.get(id) ?? []))
  }
  return { views, read } satisfies Everything
})

const expectSame = (after: Everything, before: Everything) => {
  assert.deepStrictEqual(after.views, before.views)
  for (const [n, servers] of before.read.entries()) {
    for (const [s, own] of servers.entries()) {
      assert.isTrue(areSame(after.read[n]![s]!, own), `${exporters[n]!.name}, server ${s}`)
    }
  }
}

const packAt = (millis: number) =>
  Effect.suspend(() => {
    set(millis)
    return stood(
      Effect.andThen(
        Effect.flatMap(Rollups, ({ pass }) => pass),
        Effect.flatMap(Packing, ({ pass }) => pass)
      )
    )
  })

const counts = Effect.gen(function* () {
  const sql = yield* PgClient.PgClient
  const found: Record<string, { readonly hot: number; readonly packed: number }> = {}
  for (const { table } of exporters) {
    const [row] = yield* sql.unsafe<{ readonly hot: number; readonly packed: number }>(
      `select count(*) filter (where packed_in is null)::int4 as hot, count(packed_in)::int4 as packed from admiral.${table.name}_scrapes`
    )
    found[table.name] = row!
  }
  return found
})

const odd: ReadonlyArray<readonly [number, number, number, number | null, number | null]> = [
  [0, 0, 0, 0, 0],
  [2_147_483_647, Number.MAX_SAFE_INTEGER, Number.MAX_VALUE, -Number.MAX_VALUE, -Number.MAX_SAFE_INTEGER],
  [1, 1, Number.MIN_VALUE, -Number.MIN_VALUE, -1],
  [2, 2 ** 52 + 1, 0.1 + 0.2, -1e-300, null],
  [3, 123_456_789_012_345, 12.340000000000002, null, Number.MAX_SAFE_INTEGER],
  [4, 4_096 * 77, 7_184_190.53, -0, -(2 ** 40) - 1]
]

/** Rows of the suite's exporter on a day: each series has a row of another kind in each scrape, or sums of hundredths. */
const suiteDay = (serverId: string, day: number): ReadonlyArray<Snapshot> =>
  Array.from({ length: 400 }, (_, n) => {
    const [scrape, series] = [Math.floor(n / 10), n % 10]
    return suiteRow({
      serverId,
      timestamp: day * DAY_MICROS + (scrape * 240 + 3) * SECOND + series * 0,
      countersSince: scrape % 3 === 0 ? day * DAY_MICROS + series : scrape % 3 === 1 ? null : 7,
      name: `name ${series}`,
      numbers:
        series < 5
          ? odd[(scrape + series) % odd.length]!
          : [scrape % 2, 4_096 * scrape, scrape * 0.1 + series * 0.7, scrape * 0.01, null]
    })
  })

const insert = (rows: ReadonlyArray<Snapshot>) =>
  stood(Effect.flatMap(SnapshotRows, (sink) => sink.insert(rows[0]!.exporter, rows)))

const suite = exporters.find(({ name }) => name === "suite_exporter")!

/** All steps of a day, with something done before each. */
const steps = Effect.fnUntraced(function* <E = never, R = never>(
  day: number,
  before: (n: number) => Effect.Effect<void, E, R> = () => Effect.void
) {
  const packing = yield* makePackingDay(suite, () => {})
  const taken: Array<Step> = []
  while (taken.at(-1) === undefined || taken.at(-1) === "again") {
    yield* before(taken.length)
    taken.push(yield* packing.step(day))
  }
  return taken
})

const rowsOf = (serverId: string) =>
  Effect.map(shown("suite_snapshots"), (rows) => rows.filter((row) => row.includes(`"server_id":"${serverId}"`)))
layer(parts)("packed days", (it) => {
  it.effect("give back what was stored, to the last bit, in the view and to the program", () =>
    Effect.gen(function* () {
      set(DAY_FROM / 1_000)
      yield* stood(
        store([...generated("one", 1, 1), ...generated("two", 2, 1), ...suiteDay("one", DAY), ...suiteDay("two", DAY)])
      )
      const before = yield* everything
      assert.isAbove(before.views[1]!.length, 500)
      yield* packAt(readyAt(DAY))
      const found = yield* counts
      for (const [n, { table }] of exporters.entries()) {
        assert.strictEqual(found[table.name]!.hot, 0, table.name)
        assert.strictEqual(found[table.name]!.packed > 0, before.views[n]!.length > 0, table.name)
      }
      expectSame(yield* everything, before)
      const { packed, rows, waiting } = yield* stood(Effect.flatMap(Packing, ({ stats }) => stats))
      assert.strictEqual(waiting, 0)
      assert.isAbove(rows, 1_000)
      assert.isAbove(packed.find(({ exporter }) => exporter === "process_exporter")!.bytes, 0)
      // Once is enough.
      assert.strictEqual(yield* packAt(readyAt(DAY)), 0)
    })
  )

  it.effect("take rows that come late: seen at once, counted once, and packed by the next pass", () =>
    Effect.gen(function* () {
      const day = DAY + 10
      set((day * DAY_MICROS) / 1_000)
      yield* stood(store(suiteDay("late", day)))
      yield* packAt(readyAt(day))
      const before = yield* rowsOf("late")
      const all = suiteDay("late", day)
      const more = all.slice(0, 20).map((row) => ({ ...row, values: ["another", ...row.values.slice(1)] }))
      const scrape = all.slice(30, 40).map((row) => ({ ...row, timestamp: row.timestamp + SECOND }))
      // In one batch: rows that are there and packed, new rows of packed scrapes (of which ten are one twice), a new scrape.
      const counted = yield* insert([...all.slice(0, 20), ...more, ...scrape])
      assert.deepStrictEqual(counted, { inserted: 12, duplicates: 38 })
      assert.deepStrictEqual(yield* insert([...all.slice(0, 20), ...more, ...scrape]), { inserted: 0, duplicates: 50 })
      const after = yield* rowsOf("late")
      assert.strictEqual(after.length, before.length + 12)
      assert.deepStrictEqual(
        after.filter((row) => before.includes(row)),
        before
      )
      assert.strictEqual((yield* counts).suite_snapshots!.hot, 3)
      assert.strictEqual(yield* packAt(readyAt(day)), 1)
      assert.strictEqual((yield* counts).suite_snapshots!.hot, 0)
      assert.deepStrictEqual(yield* rowsOf("late"), after)
      assert.deepStrictEqual(yield* insert([...all, ...more, ...scrape]), { inserted: 0, duplicates: 430 })
      assert.strictEqual((yield* counts).suite_snapshots!.hot, 0)
    })
  )

  it.effect("miss nothing that comes while they are being packed, whenever it comes", () =>
    Effect.gen(function* () {
      const day = DAY + 20
      set((day * DAY_MICROS) / 1_000)
      const servers = ["during 1", "during 2", "during 3"]
      yield* stood(store(servers.flatMap((serverId) => suiteDay(serverId, day).slice(0, 60))))
      set(readyAt(day))
      let late = 0
      const come = (n: number) =>
        Effect.asVoid(
          insert(
            servers.map((serverId) => ({
              ...suiteDay(serverId, day)[n]!,
              // In scrapes that are there, and in others of hours that are packed already, or have no scrape.
              timestamp: day * DAY_MICROS + (n % 2 === 0 ? 3 : n * 1_000) * SECOND,
              values: [`late ${late++}`, ...suiteDay(serverId, day)[n]!.values.slice(1)]
            }))
          )
        )
      const rollUp = Effect.asVoid(stood(Effect.flatMap(Rollups, ({ pass }) => pass)))
      const taken = yield* steps(day, (n) => (n < 9 ? Effect.andThen(come(n), rollUp) : Effect.void))
      assert.strictEqual(taken.at(-1), "done")
      for (const serverId of servers) assert.strictEqual((yield* rowsOf(serverId)).length, 60 + 9)
      assert.strictEqual((yield* counts).suite_snapshots!.hot, 0)
    })
  )

  it.effect("miss nothing where clocks disagree: to who packs the day is over, to who stores it is today", () =>
    Effect.gen(function* () {
      const day = DAY + 25
      const [begun, packed, late] = [0, 10, 20].map((from) => suiteDay("clock", day).slice(from, from + 10))
      const today = Effect.sync(() => set((day * DAY_MICROS) / 1_000))
      const rollUp = Effect.suspend(() => {
        set(readyAt(day))
        return stood(Effect.flatMap(Rollups, ({ pass }) => pass))
      })
      yield* today
      yield* stood(store(begun!))
      yield* rollUp
      const taken = yield* steps(day, (n) =>
        n === 2 ? today.pipe(Effect.andThen(insert(packed!)), Effect.andThen(rollUp), Effect.asVoid) : Effect.void
      )
      assert.strictEqual(taken.at(-1), "done")
      assert.strictEqual((yield* rowsOf("clock")).length, 20)
      assert.strictEqual((yield* counts).suite_snapshots!.hot, 0)
      yield* today
      yield* insert(late!)
      assert.strictEqual((yield* rowsOf("clock")).length, 30)
      yield* packAt(readyAt(day))
      assert.strictEqual((yield* counts).suite_snapshots!.hot, 0)
    })
  )

  it.effect("are packed when nothing more is expected of them, and not a moment before", () =>
    Effect.gen(function* () {
      const day = DAY + 30
      set((day * DAY_MICROS) / 1_000)
      yield* stood(store(suiteDay("early", day).slice(0, 10)))
      assert.strictEqual(yield* packAt(readyAt(day) - 1), 0)
      assert.isAbove((yield* counts).suite_snapshots!.hot, 0)
      assert.strictEqual(yield* packAt(readyAt(day)), 1)
    })
  )

  it.effect("are not packed before they are rolled up", () =>
    Effect.gen(function* () {
      const day = DAY + 31
      set((day * DAY_MICROS) / 1_000)
      yield* stood(store(suiteDay("dirty", day).slice(0, 10)))
      set(readyAt(day))
      assert.deepStrictEqual(yield* steps(day), ["rolling up"])
      yield* stood(Effect.flatMap(Rollups, ({ pass }) => pass))
      assert.strictEqual((yield* steps(day)).at(-1), "done")
    })
  )

  it.effect("are begun anew where the table has got a column since they were begun", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const day = DAY + 40
      set((day * DAY_MICROS) / 1_000)
      yield* stood(store(suiteDay("column", day).slice(0, 10)))
      set(readyAt(day))
      yield* stood(Effect.flatMap(Rollups, ({ pass }) => pass))
      const before = yield* rowsOf("column")
      const append = sql`alter table admiral.suite_snapshots_scrapes add column appended integer[]`
      const taken = yield* steps(day, (n) => (n === 2 ? Effect.orDie(Effect.asVoid(append)) : Effect.void))
      assert.strictEqual(taken.at(-1), "done")
      assert.deepStrictEqual(yield* rowsOf("column"), before)
      assert.strictEqual((yield* counts).suite_snapshots!.hot, 0)
      yield* sql`alter table admiral.suite_snapshots_scrapes drop column appended`
    })
  )

  it.effect("leave nothing behind where retention drops them before they are packed", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const day = DAY + 45
      set((day * DAY_MICROS) / 1_000)
      yield* stood(store(suiteDay("dropped", day).slice(0, 10)))
      set(readyAt(day))
      yield* stood(Effect.flatMap(Rollups, ({ pass }) => pass))
      assert.strictEqual(yield* (yield* makePackingDay(suite, () => {})).step(day), "again")
      const after = ((day + 1) * DAY_MICROS) / 1_000 + Duration.toMillis(Duration.days(7))
      yield* Effect.flatMap(Retention, ({ sweep }) => sweep(after))
      yield* packAt(after)
      assert.deepStrictEqual(yield* sql`select relname from pg_class where relname like '%_packing'`, [])
    })
  )

  it.effect("are packed by several servers at once, each row once", () =>
    Effect.gen(function* () {
      const day = DAY + 32
      set((day * DAY_MICROS) / 1_000)
      yield* stood(store(["a", "b", "c", "d"].flatMap((serverId) => suiteDay(serverId, day))))
      const before = yield* Effect.forEach(["a", "b", "c", "d"], rowsOf)
      set(readyAt(day))
      yield* stood(Effect.flatMap(Rollups, ({ pass }) => pass))
      const one = Effect.flatMap(Packing, ({ pass }) => pass)
      const other = Effect.provide(one, Packing.layerWith().pipe(Layer.fresh), { local: true })
      const done = yield* stood(Effect.repeat(Effect.all([one, other, other], { concurrency: 3 }), { times: 5 }))
      assert.deepStrictEqual(done, [0, 0, 0])
      assert.strictEqual((yield* counts).suite_snapshots!.hot, 0)
      assert.deepStrictEqual(yield* Effect.forEach(["a", "b", "c", "d"], rowsOf), before)
    })
  )

  it.effect("let a reader finish: the switch waits a moment, and is tried again", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const day = DAY + 33
      set((day * DAY_MICROS) / 1_000)
      yield* stood(store(suiteDay("read", day).slice(0, 10)))
      set(readyAt(day))
      yield* stood(Effect.flatMap(Rollups, ({ pass }) => pass))
      const reading = yield* Deferred.make<void>()
      const finish = yield* Deferred.make<void>()
      const reader = yield* Effect.forkChild(
        sql.withTransaction(
          sql`select count(*) from admiral.suite_snapshots`.pipe(
            Effect.andThen(Deferred.succeed(reading, undefined)),
            Effect.andThen(Deferred.await(finish)),
            Effect.andThen(sql`select count(*) from admiral.suite_snapshots`)
          )
        )
      )
      yield* Deferred.await(reading)
      assert.strictEqual((yield* steps(day)).at(-1), "in use")
      // Others are not held up meanwhile, and nothing has changed.
      assert.strictEqual((yield* rowsOf("read")).length, 10)
      yield* Deferred.succeed(finish, undefined)
      yield* Fiber.join(reader)
      assert.strictEqual((yield* steps(day)).at(-1), "done")
      assert.strictEqual((yield* rowsOf("read")).length, 10)
    })
  )

  it.effect("stop no other where one cannot be packed", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const days = [DAY + 50, DAY + 51]
      for (const day of days) {
        set((day * DAY_MICROS) / 1_000)
        yield* stood(store(suiteDay("broken", day).slice(0, 10)))
      }
      yield* packAt(readyAt(DAY + 51))
      yield* stood(store(days.flatMap((day) => suiteDay("broken", day).slice(10, 20))))
      const first = sql`server_id = (select id from admiral.servers where server_id = 'broken')
        and "timestamp" < to_timestamp(${days[1]! * 86_400}::float8)`
      yield* stood(Effect.flatMap(Rollups, ({ pass }) => pass))
      // A scrape then names a chunk that is not there.
      yield* sql`delete from admiral.suite_snapshots_packed where ${first}`
      assert.strictEqual(yield* stood(Effect.flatMap(Packing, ({ pass }) => pass)), 1)
      assert.strictEqual((yield* counts).suite_snapshots!.hot, 1)
      yield* sql`delete from admiral.suite_snapshots_scrapes where ${first}`
      assert.strictEqual(yield* stood(Effect.flatMap(Packing, ({ pass }) => pass)), 1)
    })
  )

  it.effect("go whole with their retention, with all that is known of them", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const day = DAY + 60
      set((day * DAY_MICROS) / 1_000)
      yield* stood(store(suiteDay("old", day).slice(0, 10)))
      yield* packAt(readyAt(day))
      const chunks = sql`select 1 from admiral.suite_snapshots_packed`
      assert.isAbove((yield* chunks).length, 0)
      const { dropped, postponed } = yield* Effect.flatMap(Retention, ({ sweep }) =>
        sweep(((day + 1) * DAY_MICROS) / 1_000 + Duration.toMillis(Duration.days(7)))
      )
      assert.deepStrictEqual(postponed, [])
      assert.include(dropped, partitionName("suite_snapshots_packed", day))
      assert.strictEqual((yield* chunks).length, 0)
      assert.strictEqual((yield* shown("suite_snapshots")).length, 0)
      yield* packAt(((day + 9) * DAY_MICROS) / 1_000)
      assert.strictEqual((yield* sql`select 1 from admiral.packed_days where exporter = 'suite_exporter'`).length, 0)
    })
  )
})
