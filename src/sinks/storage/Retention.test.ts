import { PgClient } from "@effect/sql-pg"
import { expect, layer } from "@effect/vitest"
import { Effect, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"
import * as TestDatabase from "../../../test/TestDatabase.ts"
import { Registry } from "../../plugins/Registry.ts"
import { createPartitionSql, dayOf, dayOfPartition, PARTITION_LOCK, partitionName } from "./Partitions.ts"
import { Retention } from "./Retention.ts"
import { SnapshotRows } from "./SnapshotRows.ts"
import * as SnapshotRowsPostgres from "./SnapshotRowsPostgres.ts"
import { suiteExporters, suiteRow } from "./SnapshotRowsSuite.ts"

const detachesAtOnce = TestDatabase.leaveOut("partitions that are detached concurrently")

const DAY = 86_400_000
const TABLE = "suite_snapshots_scrapes"

const parts = Layer.mergeAll(
  SnapshotRowsPostgres.layer,
  Retention.layer,
  SnapshotRowsPostgres.layer.pipe(Layer.fresh)
).pipe(
  Layer.provideMerge(Registry.layer({ exporters: suiteExporters })),
  Layer.provideMerge(TestDatabase.layerWith({ exporters: suiteExporters }))
)

const partitions = Effect.gen(function* () {
  const sql = yield* PgClient.PgClient
  const rows = yield* sql<{ readonly name: string }>`
    select relname as name from pg_class where relname ~ '^suite_snapshots_scrapes_[0-9]{8}$' and relkind = 'r' order by 1`
  return rows.map(({ name }) => dayOfPartition(TABLE, name))
})

const sweep = (now: number) => Effect.flatMap(Retention, (retention) => retention.sweep(now))

layer(parts)("retention", (it) => {
  it.effect("makes today's and tomorrow's partitions, and keeps every day that is not wholly too old", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      yield* sql`insert into admiral.servers (server_id, name) values ('alpha', 'alpha')`
      const rows = yield* SnapshotRows
      yield* rows.insert(
        "suite_exporter",
        [10, 11, 12, 13].map((day) => suiteRow({ timestamp: day * DAY * 1000 }))
      )
      // Seven days after the last moment of day 11: days 10 and 11 are too old, day 12 is not.
      expect(yield* sweep(19 * DAY - 1)).toMatchObject({
        dropped: [partitionName(TABLE, 10)],
        postponed: [],
        elsewhere: false
      })
      expect(yield* sweep(19 * DAY)).toMatchObject({ dropped: [partitionName(TABLE, 11)] })
      expect(yield* partitions).toEqual([12, 13, 18, 19, 20])
      expect((yield* sql`select * from admiral.suite_snapshots`).length).toBe(2)
      expect(yield* sweep(19 * DAY)).toMatchObject({ dropped: [] })
    })
  )

  it.effect("a row whose day was dropped since we last looked is refused, not stored and dropped again", () =>
    Effect.gen(function* () {
      const rows = yield* SnapshotRows
      yield* TestClock.setTime(19 * DAY)
      const error = yield* Effect.flip(rows.insert("suite_exporter", [suiteRow({ timestamp: 11 * DAY * 1000 })]))
      expect(error._tag).toBe("RowsRefused")
      expect(error.message).toMatch(/row 0 .*1970-01-12 are no longer kept \(7d\)/)
    })
  )

  it.effect("a partition that disappears under a running server is made again", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const rows = yield* SnapshotRows
      const at = (second: number) => suiteRow({ timestamp: 30 * DAY * 1000 + second * 1_000_000 })
      yield* rows.insert("suite_exporter", [at(0)])
      yield* sql.unsafe(`drop table admiral.${partitionName(TABLE, 30)}`)
      expect(yield* rows.insert("suite_exporter", [at(1)])).toEqual({ inserted: 1, duplicates: 0 })
    })
  )

  it.effect("what a crash left detached is dropped by the next sweep", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      yield* sql.unsafe(createPartitionSql(TABLE, 40)).unprepared
      yield* sql.unsafe(`alter table admiral.${TABLE} detach partition admiral.${partitionName(TABLE, 40)}`)
      expect((yield* sweep(60 * DAY)).dropped).toContain(partitionName(TABLE, 40))
      expect(yield* partitions).not.toContain(40)
    })
  )

  it.effect("a reader is not disturbed: what is in use is dropped later, and others go on", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const rows = yield* SnapshotRows
      yield* sql.unsafe(createPartitionSql(TABLE, 70)).unprepared
      const today = Math.floor(Date.parse("2100-01-01T00:00:00Z") / DAY)
      yield* sql.withTransaction(
        Effect.gen(function* () {
          yield* sql`select count(*) from admiral.suite_snapshots`
          const result = yield* sweep(100 * DAY)
          expect(result.postponed).toContain(partitionName(TABLE, 70))
          expect(result.dropped.filter((name) => name.startsWith(TABLE))).toEqual([])
          yield* rows.insert("suite_exporter", [suiteRow({ timestamp: today * DAY * 1000 })])
          yield* sql`select count(*) from admiral.suite_snapshots`
        })
      )
      expect((yield* sweep(100 * DAY)).dropped).toContain(partitionName(TABLE, 70))
    })
  )

  it.effect.skipIf(detachesAtOnce)(
    "neither readers nor writers wait for a day that is being dropped, whoever it waits for itself",
    () =>
      Effect.gen(function* () {
        const sql = yield* PgClient.PgClient
        const rows = yield* SnapshotRows
        const last = dayOf(Date.parse("2100-01-02T00:00:00Z") * 1_000)
        yield* rows.insert("suite_exporter", [suiteRow({ timestamp: last * DAY * 1000 })])
        const count = Effect.map(
          sql<{
            readonly n: number
          }>`select count(*)::int4 as n from admiral.suite_snapshots where timestamp >= '2100-01-02'`,
          ([row]) => row!.n
        )
        /** Whether the sweep waits for a lock, at this statement. */
        const waits = (statement: RegExp) =>
          Effect.map(
            sql<{ readonly query: string }>`select query from pg_stat_activity
            where datname = current_database() and wait_event_type = 'Lock'`,
            (all) => all.some(({ query }) => statement.test(query))
          )
        const untilItWaits = (statement: RegExp) =>
          Effect.repeat(waits(statement), { until: (is) => is }).pipe(Effect.timeout("100 seconds"), TestClock.withLive)
        const writes = (second: number) =>
          rows.insert("suite_exporter", [suiteRow({ timestamp: last * DAY * 1000 + second * 1_000_000 })])

        const other = yield* sql.reserve
        const elsewhere = (statement: string) => other.executeUnprepared(statement, [], undefined)
        const goesOn = Effect.fnUntraced(function* (statement: RegExp, second: number) {
          yield* untilItWaits(statement)
          expect(yield* writes(second)).toEqual({ inserted: 1, duplicates: 0 })
          expect(yield* count).toBe(1 + second)
          expect(yield* waits(statement)).toBe(true)
        })
        yield* sql.unsafe(createPartitionSql(TABLE, 71)).unprepared

        // The sweep waits for a transaction that has read the table and reads on; then for somebody who makes partitions.
        yield* elsewhere("begin")
        yield* elsewhere("select count(*) from admiral.suite_snapshots")
        const sweeping = yield* Effect.forkChild(sweep(101 * DAY))
        yield* goesOn(/detach partition .* concurrently/, 1)
        yield* elsewhere("select count(*) from admiral.suite_snapshots")
        yield* elsewhere("commit")
        expect(yield* Fiber.join(sweeping)).toMatchObject({
          postponed: [],
          drops: [{ partition: partitionName(TABLE, 71) }]
        })

        yield* sql.unsafe(createPartitionSql(TABLE, 72)).unprepared
        yield* elsewhere(`select pg_advisory_lock(${PARTITION_LOCK}, hashtext('${TABLE}'))`)
        const waiting = yield* Effect.forkChild(sweep(101 * DAY))
        yield* goesOn(/drop table/, 2)
        yield* elsewhere(`select pg_advisory_unlock(${PARTITION_LOCK}, hashtext('${TABLE}'))`)
        expect((yield* Fiber.join(waiting)).dropped).toEqual([partitionName(TABLE, 72)])
      }).pipe(Effect.scoped)
  )

  it.effect("one server at a time", () =>
    Effect.gen(function* () {
      yield* (yield* PgClient.PgClient).unsafe(createPartitionSql(TABLE, 80)).unprepared
      const all = yield* Effect.all([sweep(110 * DAY), sweep(110 * DAY), sweep(110 * DAY)], {
        concurrency: "unbounded"
      })
      expect(all.flatMap(({ dropped }) => dropped).filter((name) => name === partitionName(TABLE, 80)).length).toBe(1)
    })
  )

  it.effect("it runs every hour, by itself", () =>
    Effect.gen(function* () {
      const { run } = yield* Retention
      yield* TestClock.setTime(200 * DAY)
      const fiber = yield* Effect.forkChild(run)
      yield* Effect.repeat(partitions, { until: (days) => days.includes(201) })
      yield* Effect.andThen(TestClock.adjust("1 hour"), partitions).pipe(
        Effect.repeat({ until: (days) => days.includes(202) })
      )
      yield* Fiber.interrupt(fiber)
    })
  )

  it.effect("keeps a name as long as anything of its days is kept, and no longer", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const rows = yield* SnapshotRows
      const from = 1_000
      const kept = 400
      yield* TestClock.setTime(from * DAY)
      const at = (day: number, name: string) => suiteRow({ timestamp: day * DAY * 1000, name, user: `user of ${name}` })
      yield* rows.insert("suite_exporter", [at(from, "pid 1"), at(from, "stays")])
      yield* rows.insert("suite_exporter", [at(from - 2, "pid 2")])
      yield* TestClock.setTime((from + 300) * DAY)
      yield* rows.insert("suite_exporter", [at(from + 300, "stays")])
      const names = Effect.map(
        sql<{ readonly value: string }>`
          select value from admiral.label_values where value in ('pid 1', 'pid 2', 'stays', 'user of pid 1') order by value`,
        (found) => found.map(({ value }) => value)
      )
      // Roll-ups are kept for 400 days, and refer to names.
      yield* sweep((from + kept) * DAY)
      expect(yield* names).toEqual(["pid 1", "pid 2", "stays", "user of pid 1"])
      // The day after the last of its roll-ups could have been, and two more.
      yield* sweep((from + kept + 3) * DAY - 1)
      expect(yield* names).toEqual(["pid 1", "stays", "user of pid 1"])
      // Scrapes of an exporter that is not enabled now have names, too.
      yield* sql`create table admiral.gone_snapshots_scrapes (at int) partition by range (at)`.unprepared
      yield* sweep((from + kept + 3) * DAY)
      expect((yield* names).length).toBe(3)
      yield* sql`drop table admiral.gone_snapshots_scrapes`.unprepared
      expect((yield* sweep((from + kept + 3) * DAY)).labelsDropped).toBeGreaterThanOrEqual(2)
      expect(yield* names).toEqual(["stays"])
      // It comes back, although this process has its old id in memory.
      yield* TestClock.setTime((from + kept + 3) * DAY)
      yield* rows.insert("suite_exporter", [at(from + kept + 3, "pid 1")])
      expect(
        yield* sql`select name from admiral.suite_snapshots where "timestamp" = to_timestamp(${(from + kept + 3) * 86_400}::float8)`
      ).toEqual([{ name: "pid 1" }])
    })
  )
})

layer(Layer.empty)("names of partitions", (it) => {
  it.effect("are read as they are written", () =>
    Effect.sync(() => {
      for (const day of [0, 59, 789, 20_000, 100_000]) expect(dayOfPartition("t", partitionName("t", day))).toBe(day)
      expect(dayOf(86_400_000_000 - 1)).toBe(0)
      expect(dayOfPartition("t", "t_2025112")).toBeUndefined()
      expect(dayOfPartition("t", "t_20251399")).toBeUndefined()
      expect(dayOfPartition("t", "tt_20251122")).toBeUndefined()
    })
  )
})
