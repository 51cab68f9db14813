import { PgClient } from "@effect/sql-pg"
import { describe, expect, it, layer } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, Result } from "effect"
import * as TestDatabase from "../../../test/TestDatabase.ts"
import { counter, label } from "../../plugins/Column.ts"
import { defineExporter } from "../../plugins/Exporter.ts"
import { Registry } from "../../plugins/Registry.ts"
import type { Snapshot } from "../../plugins/Snapshot.ts"
import { decide, makeFirstSeen, pruneFirstSeen } from "./FirstSeen.ts"
import { Scrapes } from "./Scrapes.ts"
import { SnapshotRows } from "./SnapshotRows.ts"
import * as SnapshotRowsPostgres from "./SnapshotRowsPostgres.ts"

const DAY = 86_400_000_000

const exporter = defineExporter({
  name: "seen_exporter",
  title: "Seen",
  scrape: { endpoint: "http://127.0.0.1:1/metrics", interval: "15 seconds", timeout: "5 seconds" },
  table: {
    name: "seen_snapshots",
    retention: "7 days",
    beginsAtZero: true,
    columns: { name: label({ doc: "A name." }), total: counter({ doc: "A total." }) }
  },
  parse: () => Result.succeed({ rows: [], skipped: [], countersSince: null })
})()

describe("the entries that rows of one series need", () => {
  const row = (at: number, since: number) => ({ at, since })

  it("are one for each beginning, in whatever order they come", () => {
    const rows = [row(30, 10), row(15, 10), row(45, 10), row(60, 50), row(75, 50)]
    expect(decide([], rows)).toEqual({ added: [row(15, 10), row(60, 50)], displaced: [], known: 60 })
    expect(decide([row(15, 10)], rows.slice(0, 3))).toEqual({ added: [], displaced: [], known: 15 })
  })

  it("displace those that lie after them and began before them, and no others", () => {
    const before = [row(30, 10), row(60, 50)]
    expect(decide(before, [row(20, 10)])).toEqual({ added: [row(20, 10)], displaced: [30], known: 60 })
    // A clock that was set back: this beginning is long before.
    expect(decide(before, [row(55, 52)])).toEqual({ added: [row(55, 52)], displaced: [60], known: 60 })
    expect(decide(before, [row(40, 35)])).toEqual({ added: [row(40, 35)], displaced: [], known: 60 })
  })

  it("are displaced by a late row that needs none itself: a clock that was set moved their beginning past the former entry", () => {
    const before = [row(20, 10), row(90, 40)]
    expect(decide(before, [row(50, 10)])).toEqual({ added: [], displaced: [90], known: 90 })
    expect(decide(before, [row(30, 10)])).toEqual({ added: [], displaced: [], known: 90 })
  })
})

const parts = Layer.mergeAll(SnapshotRowsPostgres.layer, Scrapes.layer).pipe(
  Layer.provideMerge(Registry.layer({ exporters: [exporter] })),
  Layer.provideMerge(TestDatabase.layerWith({ exporters: [exporter] }))
)

layer(parts)("two processes that look at one server at once", (it) => {
  /** One holds its transaction open, while the other begins: what the other finds, once the first has committed. */
  const recordedAfter = (server: number, first: number, second: number) =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const one = yield* makeFirstSeen(exporter)
      const other = yield* makeFirstSeen(exporter)
      const row = (at: number) => ({ server, series: 7, labels: [7], at: at * DAY, since: DAY / 2 })
      const written = yield* Deferred.make<void>()
      const commit = yield* Deferred.make<void>()
      const holding = yield* one
        .record([row(first)])
        .pipe(
          Effect.andThen(Deferred.succeed(written, undefined)),
          Effect.andThen(Deferred.await(commit)),
          sql.withTransaction,
          Effect.forkChild
        )
      yield* Deferred.await(written)
      const asking = yield* Effect.forkChild(sql.withTransaction(other.record([row(second)])))
      yield* Effect.repeat(
        sql`select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
        { until: (rows) => rows.length > 0 }
      )
      yield* Deferred.succeed(commit, undefined)
      yield* Fiber.join(holding)
      const { displaced } = yield* Fiber.join(asking)
      const entries = yield* sql<{ readonly day: number }>`
        select (date_part('epoch', first_at) / 86400)::float8 as day from admiral.seen_snapshots_first_seen
        where server_id = ${server}::int4 order by 1`
      return { displaced: displaced.map(({ at }) => at / DAY), entries: entries.map(({ day }) => day) }
    })

  it.effect("see what the other has written: a later row is not the first, a sooner one displaces it", () =>
    Effect.gen(function* () {
      expect(yield* recordedAfter(1, 2, 3)).toEqual({ displaced: [], entries: [2] })
      expect(yield* recordedAfter(2, 3, 2)).toEqual({ displaced: [3], entries: [2, 3] })
    })
  )
})

layer(parts)("pruning", (it) => {
  const register = (name: string) =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const [row] = yield* sql<{ readonly id: number }>`
        insert into admiral.servers (server_id, name) values (${name}, ${name}) returning id`
      return row!.id
    })
  const row = (serverId: string, day: number, name: string, since: number): Snapshot => ({
    exporter: "seen_exporter",
    serverId,
    timestamp: day * DAY,
    countersSince: since * DAY,
    values: [name, day]
  })
  const insert = (rows: ReadonlyArray<Snapshot>) =>
    Effect.flatMap(SnapshotRows, (sink) => sink.insert("seen_exporter", rows))
  /** Days of the entries of a series. */
  const entries = (server: number, name: string) =>
    Effect.map(
      Effect.flatMap(
        PgClient.PgClient,
        (sql) => sql<{ readonly day: number }>`
          select (date_part('epoch', entry.first_at) / 86400)::float8 as day from admiral.seen_snapshots_first_seen as entry
          join admiral.label_values as name on name.id = entry.name and name.value = ${name}
          where entry.server_id = ${server}::int4 order by 1`
      ),
      (rows) => rows.map(({ day }) => day)
    )
  /** As retention does it: rows from before a day are dropped, then entries. */
  const drop = (day: number) =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      yield* sql`delete from admiral.seen_snapshots_scrapes where "timestamp" < to_timestamp(${day}::float8 * 86400)`
      return yield* pruneFirstSeen(exporter, day * DAY)
    })

  it.effect("keeps what a row that may still come could stand behind", () =>
    Effect.gen(function* () {
      const server = yield* register("kept")
      yield* insert([
        row("kept", 1, "steady", 0.5),
        row("kept", 12, "steady", 0.5),
        row("kept", 1, "gone for a while", 0.5),
        // Two beginnings, the later one after the first day that is kept: a late row may lie between.
        row("kept", 2, "between", 0.5),
        row("kept", 14, "between", 13)
      ])
      expect(yield* drop(10)).toBe(0)
      expect(yield* entries(server, "steady")).toEqual([1])
      expect(yield* entries(server, "gone for a while")).toEqual([1])
      expect(yield* entries(server, "between")).toEqual([2, 14])
      // They come back, after more than anything of theirs is kept: not for the first time.
      yield* insert([row("kept", 13, "gone for a while", 0.5), row("kept", 11, "between", 0.5)])
      const found = yield* (yield* Scrapes).firsts("seen_exporter", [server], [{ after: 10 * DAY, upto: 20 * DAY }])
      expect(found.get(server)?.map(({ at }) => at / DAY)).toEqual([14])
    })
  )

  it.effect("deletes what a later entry stands for, what began long after, and what is of nobody", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const server = yield* register("pruned")
      yield* insert([
        row("pruned", 1, "superseded", 0.5),
        row("pruned", 5, "superseded", 4),
        row("pruned", 8, "superseded", 7),
        row("pruned", 1, "of another time", 0.5),
        row("pruned", 8, "of this time", 7),
        row("pruned", 10, "superseded", 7)
      ])
      expect(yield* drop(10)).toBeGreaterThanOrEqual(2)
      expect(yield* entries(server, "superseded")).toEqual([8])
      // Everything that is kept began on day 7.
      expect(yield* entries(server, "of another time")).toEqual([])
      expect(yield* entries(server, "of this time")).toEqual([8])
      yield* sql`delete from admiral.servers where id = ${server}::int4`
      yield* drop(10)
      expect(yield* entries(server, "of this time")).toEqual([])
    })
  )

  it.effect("knows nothing of counters that have no kept scrape", () =>
    Effect.gen(function* () {
      const server = yield* register("silent")
      yield* insert([row("silent", 1, "a", 0.5), row("silent", 14, "a", 0.5)])
      // The server was silent in the oldest days that are kept: what is on its way from there may be of any beginning.
      yield* insert([row("silent", 15, "b", 13)])
      yield* drop(10)
      expect(yield* entries(server, "a")).toEqual([1])
    })
  )
})
