/**
 * Packing is ended again and again, at any of its statements: its fiber is interrupted, or its connection is cut. At every
 * moment each row is there once, and in the end all days are packed. Rows come late meanwhile, and twice.
 *
 * NODEPULSE_SEED repeats the choices; NODEPULSE_KILLS is how often.
 */
import { PgClient } from "@effect/sql-pg"
import { assert, it } from "@effect/vitest"
import { Deferred, Duration, Effect, Fiber, Layer, References, Tracer } from "effect"
import { type Chance, makeChance } from "../../../test/conservation/Chance.ts"
import { makeStandingClock } from "../../../test/StandingClock.ts"
import * as TestDatabase from "../../../test/TestDatabase.ts"
import { Registry } from "../../plugins/Registry.ts"
import type { Snapshot } from "../../plugins/Snapshot.ts"
import * as Database from "../postgres/Database.ts"
import { PACK_AFTER, Packing } from "./Packing.ts"
import { DAY_MICROS, partitionName } from "./Partitions.ts"
import { SnapshotRows } from "./SnapshotRows.ts"
import * as SnapshotRowsPostgres from "./SnapshotRowsPostgres.ts"
import { suiteExporters, suiteRow } from "./SnapshotRowsSuite.ts"

const SEED = Number(process.env.NODEPULSE_SEED ?? 11)
const KILLS = Number(process.env.NODEPULSE_KILLS ?? 250)
const SECOND = 1_000_000
const SERVERS = ["alpha", "beta"]
/** More than a whole day takes. */
const STATEMENTS_MAX = 90
const PACKER = "packer"
/** Enough to be anywhere: some ten ends a day. */
const exporters = suiteExporters.slice(0, 1)

const { set, stood } = makeStandingClock()

/** Rows of some hours of a day. */
const rowsOf = (chance: Chance, day: number, count: number): ReadonlyArray<Snapshot> =>
  Array.from({ length: count }, () =>
    suiteRow({
      serverId: chance.oneOf(SERVERS),
      timestamp: day * DAY_MICROS + chance.between(0, 2) * 3_600 * SECOND + chance.between(0, 2) * 15 * SECOND,
      countersSince: chance.oneOf([null, day * DAY_MICROS, day * DAY_MICROS + 1]),
      name: `name ${chance.between(0, 3)}`,
      numbers: [chance.between(0, 2), chance.between(0, 9) * 4_096, chance.next(), null, chance.between(-5, 5)]
    })
  )

const keyOf = ({ serverId, timestamp, values }: Snapshot) => `${serverId} ${timestamp} ${values[0]}`
const textOf = ({ countersSince, values }: Snapshot) => JSON.stringify([countersSince, ...values.slice(2)])

/** What is stored of a day, by key; a key that is there twice is an error. */
const stored = Effect.fnUntraced(function* (day: number) {
  const sql = yield* PgClient.PgClient
  const rows = yield* sql<{ readonly key: string; readonly text: string }>`
    select server_id || ' ' || (extract(epoch from "timestamp") * 1000000)::int8 || ' ' || name as key,
      json_build_array((extract(epoch from counters_since) * 1000000)::int8, whole, large, exact, temperature, "offset")::text as text
    from admiral.suite_snapshots
    where "timestamp" >= to_timestamp(${day * 86_400}::float8) and "timestamp" < to_timestamp(${(day + 1) * 86_400}::float8)`
  const found = new Map(rows.map(({ key, text }) => [key, JSON.stringify(JSON.parse(text))]))
  assert.strictEqual(found.size, rows.length, "a row is there twice")
  return found
})

/** Ends an effect at its nth statement. */
const endedAt = <A, E, R>(n: number, end: Effect.Effect<unknown>, self: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const reached = yield* Deferred.make<void>()
    let statements = 0
    const tracer = Tracer.make({
      span: (options) => {
        if (options.kind === "client" && ++statements === n) Deferred.doneUnsafe(reached, Effect.void)
        return new Tracer.NativeSpan(options)
      }
    })
    const fiber = yield* Effect.forkChild(Effect.exit(self).pipe(Effect.provideService(Tracer.Tracer, tracer)))
    const wasEnded = yield* Effect.raceFirst(
      Effect.as(Deferred.await(reached), true),
      Effect.as(Fiber.await(fiber), false)
    )
    if (wasEnded) yield* end
    else return false
    yield* Fiber.interrupt(fiber)
    return true
  })

const packer = Layer.unwrap(
  Effect.map(TestDatabase.TestDatabase, ({ url }) =>
    Packing.layerWith().pipe(Layer.provide(Database.layer({ url, maxConnections: 2, applicationName: PACKER })))
  )
)

it.live(
  `packing that is ended ${KILLS} times, anywhere, loses no row and stores none twice (seed ${SEED})`,
  () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const rows = yield* SnapshotRows
      const { pass } = yield* Packing
      const chance = makeChance(SEED)
      yield* sql`insert into admiral.servers (server_id, name) select name, name from unnest(array['alpha', 'beta']) as name`
      const cut = sql`select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and application_name = ${PACKER}`
      const packed = (day: number) =>
        Effect.map(
          sql`select 1 from admiral.packed_days where day = date '1970-01-01' + ${day}::int4`,
          ({ length }) => length > 0
        )

      let kills = 0
      let day = 20_000
      for (; kills < KILLS; day++) {
        const expected = new Map<string, string>()
        const store = Effect.fnUntraced(function* (batch: ReadonlyArray<Snapshot>) {
          const { inserted } = yield* rows.insert("suite_exporter", batch)
          const before = expected.size
          for (const row of batch) if (!expected.has(keyOf(row))) expected.set(keyOf(row), textOf(row))
          assert.strictEqual(inserted, expected.size - before)
        })
        set((day * DAY_MICROS) / 1_000)
        yield* store(rowsOf(chance, day, 20))
        yield* sql`delete from admiral.rollup_queue`
        set(((day + 1) * DAY_MICROS) / 1_000 + Duration.toMillis(PACK_AFTER))
        for (let rest = 2; rest > 0; ) {
          const isCut = chance.next() < 0.3
          const ended = yield* endedAt(chance.between(1, STATEMENTS_MAX), isCut ? Effect.orDie(cut) : Effect.void, pass)
          if (ended) kills++
          if (chance.next() < 0.15) {
            yield* store(rowsOf(chance, day, 3))
            yield* sql`delete from admiral.rollup_queue`
          }
          if (chance.next() < 0.3) assert.deepStrictEqual(yield* stored(day), expected)
          // Once more when it is packed: what came late is packed in place.
          if (yield* packed(day)) rest--
        }
        // Nobody ends it.
        yield* pass
        assert.deepStrictEqual(yield* stored(day), expected)
        const [hot] = yield* sql<{ readonly count: number }>`
          select count(*)::int4 as count from admiral.suite_snapshots_scrapes where packed_in is null`
        assert.strictEqual(hot!.count, 0, "a day is packed whole")
        // Days that are done would make every statement about the table slower.
        for (const table of ["suite_snapshots_scrapes", "suite_snapshots_packed"]) {
          yield* sql.unsafe(`drop table admiral.${partitionName(table, day)}`).unprepared
        }
        yield* sql`delete from admiral.packed_days`
      }
      const left = yield* sql`select 1 from pg_class where relname like '%_packing' and relkind = 'r'`
      assert.strictEqual(left.length, 0)
    }).pipe(
      stood,
      Effect.provideService(References.MinimumLogLevel, "None"),
      Effect.provide(
        Layer.mergeAll(SnapshotRowsPostgres.layer, packer).pipe(
          Layer.provideMerge(Registry.layer({ exporters })),
          Layer.provideMerge(TestDatabase.layerWith({ exporters, maxConnections: 3 }))
        )
      )
    ),
  Math.max(600_000, KILLS * 2_000)
)
