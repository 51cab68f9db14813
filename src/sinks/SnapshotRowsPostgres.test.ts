import { PgClient } from "@effect/sql-pg"
import { Effect, Layer } from "effect"
import * as TestDatabase from "../../test/TestDatabase.ts"
import { Registry } from "../plugins/Registry.ts"
import type { Snapshot } from "../plugins/Snapshot.ts"
import { layer as layerPostgres } from "./SnapshotRowsPostgres.ts"
import { suite, suiteExporters, suiteServers } from "./SnapshotRowsSuite.ts"

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
