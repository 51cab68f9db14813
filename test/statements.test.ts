/**
 * The statements that read and keep numbers are committed as text, for the shipped exporters, in `docs/sql`: whoever changes
 * one sees the change in review. Each runs, and finds its rows by a key: its plan reads no table from end to end.
 *
 * `npx vitest run test/statements.test.ts -u` writes them anew.
 */

import { PgClient } from "@effect/sql-pg"
import { assert, layer } from "@effect/vitest"
import { Effect, Layer, Result } from "effect"
import { expect } from "vitest"
import config from "../plugins.config.ts"
import { actingStatements } from "../src/acting/ActingStatements.ts"
import { TELL_ACT } from "../src/alerts/Acts.ts"
import { alertStatements } from "../src/alerts/AlertRows.ts"
import { alertStateStatements } from "../src/alerts/AlertStates.ts"
import { arrivalsSql } from "../src/alerts/Arrivals.ts"
import { incidentStatements } from "../src/alerts/delivery/IncidentsPostgres.ts"
import { notificationStatements } from "../src/alerts/delivery/NotificationsPostgres.ts"
import { outboxStatements } from "../src/alerts/delivery/OutboxPostgres.ts"
import { storedRuleStatements } from "../src/alerts/StoredRulesPostgres.ts"
import { silenceStatements } from "../src/alerts/silences/SilencesPostgres.ts"
import type { Exporter } from "../src/plugins/Exporter.ts"
import { makeRegistry, Registry } from "../src/plugins/Registry.ts"
import { marksSql } from "../src/query/MarksPostgres.ts"
import { latestSql } from "../src/query/RankingsPostgres.ts"
import { coresSql, timesSql } from "../src/query/RawReader.ts"
import { paceSql, scrapesSql } from "../src/query/SightingsPostgres.ts"
import { changedSql } from "../src/query/WindowReader.ts"
import { recordingStatements } from "../src/recordings/RecordingsPostgres.ts"
import { readSql, writeSql } from "../src/sinks/rollups/Buckets.ts"
import { putAllSql, spreadSql, takeOnwardSql, takeSql } from "../src/sinks/rollups/RollupQueue.ts"
import { pruneSql } from "../src/sinks/rollups/Rollups.ts"
import { COARSE, FINE } from "../src/sinks/rollups/RollupTables.ts"
import { chunksSql } from "../src/sinks/storage/PackedTable.ts"
import * as TestDatabase from "./TestDatabase.ts"

const { exporters } = config
const host = exporters.find((exporter) => exporter.host !== undefined)!

/** The types of a statement's parameters, each of which is cast where it is first named. */
const typesIn = (text: string): ReadonlyArray<string> => {
  const types: Array<string> = []
  for (const [, n, type] of text.matchAll(/\$(\d+)::([a-z0-9]+)/g)) types[Number(n) - 1] ??= type!
  return types
}

const named = (of: string, all: Readonly<Record<string, string>>) =>
  Object.entries(all).map(
    ([name, text]) => [`${of}-${name.toLowerCase().replaceAll("_", "-")}`, text, typesIn(text)] as const
  )

/** What each statement is called, its text, and the types of its parameters. */
const statements: ReadonlyArray<readonly [name: string, sql: string, types: ReadonlyArray<string>]> = [
  ["queue-of-one-server", changedSql(true), ["int4", "float8", "float8"]],
  ["queue-of-several-servers", changedSql(false), ["int4[]", "float8", "float8"]],
  ["queue-take", takeSql, ["int4", "float8", "int4"]],
  ["queue-take-onward", takeOnwardSql, []],
  ["queue-spread", spreadSql(host, exporters), ["int4", "float8"]],
  ["queue-everything-of-one-server", putAllSql(exporters), ["int4"]],
  ["host-cores-of-one-server", coresSql(host, true), ["int4", "float8", "float8"]],
  ["host-cores-of-several-servers", coresSql(host, false), ["int4[]", "float8", "float8"]],
  ...named("alerts", alertStatements),
  ...named("alert-states", alertStateStatements),
  ...named("incidents", incidentStatements),
  ...named("notifications", notificationStatements),
  ...named("outbox", outboxStatements),
  ...named("rules", storedRuleStatements),
  ...named("silences", silenceStatements),
  ...named("recordings", recordingStatements),
  ...named("acting", { ...actingStatements, TELL: TELL_ACT }),
  ...exporters.flatMap((exporter: Exporter) => {
    const of = (name: string) => `${name}-${exporter.resource}`
    const write = writeSql(exporter, FINE)
    const bounds = ["timestamptz", "timestamptz", "timestamptz", "timestamptz"]
    return [
      [of("scrape-times"), timesSql(exporter, true), ["int4", "float8[]", "float8[]"]],
      [of("arrivals"), arrivalsSql(exporter), ["int4[]", "float8", "float8", "float8", "float8"]],
      [of("latest-scrape"), latestSql(exporter), ["int4[]", "float8"]],
      [of("sightings-of-one-server"), scrapesSql(exporter, true), ["int4"]],
      [of("sightings-of-all-servers"), scrapesSql(exporter, false), []],
      [of("pace"), paceSql(exporter), ["int4", "float8", "float8"]],
      [of("marks"), marksSql(exporter), ["int4", "float8", "float8", "float8"]],
      [of("chunks-of-one-server"), chunksSql(exporter, true), ["int4", "timestamptz[]"]],
      [of("chunks-of-several-servers"), chunksSql(exporter, false), ["int4[]", "timestamptz[]"]],
      [of("buckets-of-one-server"), readSql(exporter, [FINE, COARSE], true), ["int4", ...bounds]],
      [of("buckets-of-several-servers"), readSql(exporter, [FINE, COARSE], false), ["int4[]", ...bounds]],
      [of("bucket-write"), write, [...write.matchAll(/::([a-z ]+\[\])/g)].map(([, type]) => type!)],
      [of("buckets-prune"), pruneSql(exporter, COARSE), ["int4", "float8"]]
    ] as const
  })
]

const registry = Layer.succeed(Registry, Result.getOrThrow(makeRegistry({ exporters })))

layer(TestDatabase.layerWith({ exporters }).pipe(Layer.provideMerge(registry)))(
  "each statement that is shipped",
  (it) => {
    for (const [name, text, types] of statements) {
      it.effect(`${name} is the one that was reviewed, and looks nothing up without a key`, () =>
        Effect.gen(function* () {
          yield* Effect.promise(() => expect(`${text};\n`).toMatchFileSnapshot(`../docs/sql/${name}.sql`))
          const sql = yield* PgClient.PgClient
          const shape = yield* planOf(sql, text, types)
          assert.isFalse(
            shape.some((line) => /Seq Scan on "?\w+_(scrapes|5m|1h|1d)/.test(line)),
            shape.join("\n")
          )
        })
      )
    }
  }
)

/** The plan of a statement whose parameters are not known, with scans from end to end made dear. */
const planOf = (sql: PgClient.PgClient, text: string, types: ReadonlyArray<string>) =>
  sql.withTransaction(
    Effect.gen(function* () {
      yield* sql`set local enable_seqscan = off`.unprepared
      yield* sql`set local plan_cache_mode = force_generic_plan`.unprepared
      const list = types.length === 0 ? "" : `(${types.join(", ")})`
      yield* sql.unsafe(`prepare reviewed${list} as ${text}`).unprepared
      const nulls = types.length === 0 ? "" : `(${types.map(() => "null").join(", ")})`
      const rows = yield* sql.unsafe<{ readonly "QUERY PLAN": string }>(`explain (costs off) execute reviewed${nulls}`)
        .unprepared
      yield* sql`deallocate reviewed`.unprepared
      return rows.map((row) => row["QUERY PLAN"])
    })
  )
