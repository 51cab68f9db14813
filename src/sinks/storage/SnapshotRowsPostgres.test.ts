import { PgClient } from "@effect/sql-pg"
import { expect, layer as withLayer } from "@effect/vitest"
import { Effect, Fiber, Layer } from "effect"
import * as TestDatabase from "../../../test/TestDatabase.ts"
import { Registry } from "../../plugins/Registry.ts"
import type { Snapshot } from "../../plugins/Snapshot.ts"
import { SnapshotRows } from "./SnapshotRows.ts"
import { layer as layerPostgres, ROWS_MAX, SCRAPE_ROWS_MAX } from "./SnapshotRowsPostgres.ts"
import { suite, suiteExporters, suiteRow, suiteServers } from "./SnapshotRowsSuite.ts"

const waitsElsewhere = TestDatabase.leaveOut("who waits for whom, which only the node with the rows tells")

const servers = Layer.effectDiscard(
  Effect.gen(function* () {
    const sql = yield* PgClient.PgClient
    for (const name of suiteServers) yield* sql`insert into admiral.servers (server_id, name) values (${name}, ${name})`
  })
)

const layer = layerPostgres.pipe(
  Layer.provideMerge(servers),
  Layer.provideMerge(Registry.layer({ exporters: suiteExporters })),
  Layer.provideMerge(TestDatabase.layerWith({ exporters: suiteExporters }))
)

/** Through the view, as a person would read it; times as text to the microsecond. */
const readBack = (exporter: string) =>
  Effect.gen(function* () {
    const sql = yield* PgClient.PgClient
    const declared = suiteExporters.find(({ name }) => name === exporter)!
    const rows = yield* sql.unsafe<Record<string, unknown>>(
      `select *, (extract(epoch from "timestamp") * 1000000)::int8 as at, (extract(epoch from counters_since) * 1000000)::int8 as since
      from admiral.${declared.table.name}`
    )
    return rows.map(
      (row): Snapshot => ({
        exporter,
        serverId: String(row.server_id),
        timestamp: Number(row.at),
        countersSince: row.since === null ? null : Number(row.since),
        values: Object.keys(declared.table.columns).map((name) => {
          const value = row[name]
          return typeof value === "bigint" ? Number(value) : (value as string | number | null)
        })
      })
    )
  })

suite("PostgreSQL", layer, readBack)

withLayer(layer)("SnapshotRows in PostgreSQL", (it) => {
  const insert = (rows: ReadonlyArray<Snapshot>) =>
    Effect.flatMap(SnapshotRows, (sink) => sink.insert("suite_exporter", rows))

  it.effect("one scrape takes the largest batch, and a larger one is refused", () =>
    Effect.gen(function* () {
      const rows = Array.from({ length: ROWS_MAX }, (_, n) => suiteRow({ timestamp: 7, name: `name ${n}` }))
      expect((yield* Effect.flip(insert([...rows, suiteRow({ timestamp: 8 })]))).message).toContain(
        "20001 rows at once"
      )
      expect(yield* insert(rows.slice(1))).toEqual({ inserted: ROWS_MAX - 1, duplicates: 0 })
      expect(yield* insert(rows)).toEqual({ inserted: 1, duplicates: ROWS_MAX - 1 })
      const sql = yield* PgClient.PgClient
      expect(
        yield* sql`select count(*)::int4 as scrapes, sum(cardinality(name))::int4 as rows from admiral.suite_snapshots_scrapes`
      ).toEqual([{ scrapes: 1, rows: ROWS_MAX }])
    })
  )

  it.effect("a scrape that grows and grows is refused the row that is too many, by name", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const row = (name: string) => suiteRow({ timestamp: 8_000_000, name })
      yield* insert([row("first")])
      const filled = (type: string) => `array_fill(0::${type}, array[${SCRAPE_ROWS_MAX - 2}])`
      yield* sql.unsafe(`update admiral.suite_snapshots_scrapes set name = name || (select array_agg(-n) from generate_series(1, ${SCRAPE_ROWS_MAX - 2}) n)::int4[],
        "user" = "user" || ${filled("int4")}, whole = whole || ${filled("int4")}, large = large || ${filled("int8")}, exact = exact || ${filled("float8")},
        temperature = temperature || ${filled("float8")}, "offset" = "offset" || ${filled("int8")} where "timestamp" = '1970-01-01 00:00:08+00'`)
      const error = yield* Effect.flip(insert([row("first"), row("last"), row("one too many"), row("and another")]))
      expect(error.message).toMatch(/row 2 \(server "alpha", timestamp 8000000\): its scrape has 100000 rows already/)
      expect(yield* insert([row("first"), row("last")])).toEqual({ inserted: 1, duplicates: 1 })
    })
  )

  it.effect.skipIf(waitsElsewhere)(
    "who waits for a scrape holds none with a later key, so that nobody waits in a circle",
    () =>
      Effect.gen(function* () {
        const sql = yield* PgClient.PgClient
        const row = (serverId: string, timestamp: number, name: string) => suiteRow({ serverId, timestamp, name })
        yield* insert(["alpha", "beta", "gamma"].map((server) => row(server, 11_000_000, "there")))
        const other = yield* sql.reserve
        const elsewhere = (statement: string) => other.executeUnprepared(statement, [], undefined)
        const waiting = Effect.repeat(
          sql`select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
          { until: (rows) => rows.length > 0 }
        )
        const [alpha] = yield* sql<{ readonly id: number }>`select id from admiral.servers where server_id = 'alpha'`
        // First of new scrapes, then of scrapes that are there: somebody has the one of alpha.
        for (const [timestamp, held] of [
          [
            12_000_000,
            `insert into admiral.suite_snapshots_scrapes (server_id, "timestamp", name, "user", whole, large, exact, temperature, "offset")
            values (${alpha!.id}, '1970-01-01 00:00:12+00', '{}', '{}', '{}', '{}', '{}', '{}', '{}')`
          ],
          [
            11_000_000,
            `select from admiral.suite_snapshots_scrapes where server_id = ${alpha!.id} and "timestamp" = '1970-01-01 00:00:11+00' for update`
          ]
        ] as const) {
          yield* elsewhere("begin")
          yield* elsewhere(held)
          // In the order of the batch, gamma comes first.
          const all = yield* Effect.forkChild(
            insert(["gamma", "beta", "alpha"].map((server) => row(server, timestamp, "all")))
          )
          yield* waiting
          expect((yield* insert([row("gamma", timestamp, "one")])).inserted).toBe(1)
          yield* elsewhere("rollback")
          expect(yield* Fiber.join(all)).toEqual({ inserted: 3, duplicates: 0 })
        }
      }).pipe(Effect.scoped)
  )

  it.effect("a scrape says when its first piece was stored", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const created = sql<{ readonly at: Date }>`
        select distinct created_at as at from admiral.suite_snapshots where "timestamp" = '1970-01-01 00:00:09+00'`
      yield* insert([suiteRow({ timestamp: 9_000_000 })])
      const before = yield* created
      yield* insert([suiteRow({ timestamp: 9_000_000, name: "later" })])
      expect(yield* created).toEqual(before)
      expect(before.length).toBe(1)
    })
  )

  it.effect("a digest that does not know a column that was appended adds its rows beside those that have it", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      yield* sql`alter table admiral.suite_snapshots_scrapes add column more bigint[]`
      yield* insert([suiteRow({ timestamp: 10_000_000, name: "a" })])
      yield* sql`update admiral.suite_snapshots_scrapes set more = array[7] where "timestamp" = '1970-01-01 00:00:10+00'`
      yield* insert([suiteRow({ timestamp: 10_000_000, name: "b" })])
      expect(
        yield* sql`select cardinality(name) as names, more::text as more from admiral.suite_snapshots_scrapes
          where "timestamp" = '1970-01-01 00:00:10+00'`
      ).toEqual([{ names: 2, more: "{7}" }])
    })
  )
})
