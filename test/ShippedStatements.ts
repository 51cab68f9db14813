/**
 * The statements that read and keep numbers, as they are shipped for the exporters of `plugins.config.ts`: what each is called, its
 * text, and the types of its parameters. `statements.test.ts` keeps their texts, `distributed.test.ts` asks where they go.
 */
import config from "../plugins.config.ts"
import { agreementStatements } from "../src/Agreement.ts"
import { actingStatements } from "../src/acting/ActingStatements.ts"
import { actAlertStatements } from "../src/alerts/Acts.ts"
import { alertStatements } from "../src/alerts/AlertRows.ts"
import { alertStateStatements } from "../src/alerts/AlertStates.ts"
import { arrivalsSql } from "../src/alerts/Arrivals.ts"
import { incidentStatements } from "../src/alerts/delivery/IncidentsPostgres.ts"
import { notificationStatements } from "../src/alerts/delivery/NotificationsPostgres.ts"
import { outboxStatements } from "../src/alerts/delivery/OutboxPostgres.ts"
import { storedRuleStatements } from "../src/alerts/StoredRulesPostgres.ts"
import { silenceStatements } from "../src/alerts/silences/SilencesPostgres.ts"
import type { Exporter } from "../src/plugins/Exporter.ts"
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
import { firstSeenStatements } from "../src/sinks/storage/FirstSeen.ts"
import { coresBeforeSql } from "../src/sinks/storage/HostCores.ts"
import { chunksSql, insertChunkSql } from "../src/sinks/storage/PackedTable.ts"
import { packHourStatements } from "../src/sinks/storage/PackHour.ts"
import { columnsOf } from "../src/sinks/storage/ScrapeColumns.ts"
import { scrapesStatements } from "../src/sinks/storage/Scrapes.ts"
import { scrapeTableStatements } from "../src/sinks/storage/ScrapeTable.ts"
import { fenceStatements } from "../src/sinks/stream/leases/Fence.ts"
import { leaseStatements } from "../src/sinks/stream/leases/LeaseTable.ts"

export const exporters = config.exporters
const host = exporters.find((exporter) => exporter.host !== undefined)!

/** The types of a statement's parameters, each of which is cast where it is first named. */
const typesIn = (text: string): ReadonlyArray<string> => {
  const types: Array<string> = []
  for (const [, n, type] of text.matchAll(/\$(\d+)::([a-z0-9]+(?:\[\])?)/g)) types[Number(n) - 1] ??= type!
  return types
}

const named = (of: string, all: Readonly<Record<string, string>>) =>
  Object.entries(all).map(
    ([name, text]) => [`${of}-${name.toLowerCase().replaceAll("_", "-")}`, text, typesIn(text)] as const
  )

/** What stores, reads and packs an exporter's scrapes. */
const scrapeStatements = (exporter: Exporter, of: (name: string) => string) => {
  const { labels, numbers } = columnsOf(exporter)
  const reads = scrapesStatements(exporter)
  const table = scrapeTableStatements(exporter)
  const hour = packHourStatements(exporter)
  const seen = firstSeenStatements(exporter)
  const columns = numbers.map(({ name }) => name)
  const arrays = labels.length > 0
  const values = numbers.map(({ type }) => `${SQL_TYPE[type]}${arrays ? "[]" : ""}`)
  const ids = labels.map(() => "int4[]")
  const key = ["int4", "timestamptz"]
  const span = ["timestamptz", "timestamptz"]
  const listed: ReadonlyArray<string> = ["timestamptz[]", "timestamptz[]"]
  return [
    [
      of("scrapes-insert"),
      table.insert,
      [...table.insert.matchAll(/\$(\d+)::([a-z0-9 ]+)\[\]/g)].reduce(typesByPlace, [])
    ],
    ...(arrays
      ? ([
          [of("scrapes-lock"), table.lock, ["int4", "timestamptz[]"]],
          [of("scrapes-replace"), table.replace, [...key, "timestamptz", "timestamptz[]", ...ids, ...values]]
        ] as const)
      : []),
    [of("scrapes-between-of-one-server"), reads.between(true, 2, columns), ["int4", ...span, ...span]],
    [of("scrapes-between-of-several-servers"), reads.between(false, 2, columns), ["int4[]", ...span, ...span]],
    [of("scrapes-with-previous-of-one-server"), reads.withPrevious(true, 1, columns), ["int4", "timestamptz", ...span]],
    [
      of("scrapes-with-previous-of-several-servers"),
      reads.withPrevious(false, 1, columns),
      ["int4[]", "timestamptz", ...span]
    ],
    ...(arrays
      ? ([
          [
            of("scrapes-of-a-group-of-one-server"),
            reads.withPrevious(true, 1, columns, labels[0]),
            ["int4", "timestamptz", ...span, "int4"]
          ],
          [
            of("scrapes-of-a-group-of-several-servers"),
            reads.withPrevious(false, 1, columns, labels[0]),
            ["int4[]", "timestamptz", ...span, "int4"]
          ]
        ] as const)
      : []),
    [of("scrapes-latest-of-one-server"), reads.latest("one", columns), [...span, "int4", "int4"]],
    [of("scrapes-latest-of-several-servers"), reads.latest("several", columns), [...span, "int4", "int4[]"]],
    [of("scrapes-latest-of-all-servers"), reads.latest("all", columns), [...span, "int4"]],
    [of("hour-sizes"), hour.sizes, ["int4", ...span]],
    [of("hour-scrapes"), hour.scrapes, ["int4", ...span]],
    [of("hour-clear"), hour.clear, ["int4", ...span]],
    [
      of("chunk-insert"),
      insertChunkSql(exporter),
      [...key, "timestamptz[]", "int4[]", "int4[]", "float8[]", "float8[]", "bytea", "float8[]"]
    ],
    ...(exporter.table.beginsAtZero
      ? ([
          [of("first-seen-find"), seen.find, ["int4", ...ids]],
          [of("first-seen-add"), seen.add, ["int4[]", ...listed, ...ids]],
          [of("first-seen-prune"), seen.prune, ["timestamptz"]],
          [of("firsts-of-one-server"), reads.firsts(true), ["int4", ...listed]],
          [of("firsts-of-several-servers"), reads.firsts(false), ["int4[]", ...listed]]
        ] as const)
      : [])
  ] as const
}

const SQL_TYPE = { integer: "int4", bigint: "int8", double: "float8" } as const

const typesByPlace = (types: ReadonlyArray<string>, [, n, type]: RegExpExecArray): ReadonlyArray<string> =>
  Object.assign([...types], { [Number(n) - 1]: `${type}[]` })

/** What each statement is called, its text, and the types of its parameters. */
export const statements: ReadonlyArray<readonly [name: string, sql: string, types: ReadonlyArray<string>]> = [
  ["queue-of-one-server", changedSql(true), ["int4", "float8", "float8"]],
  ["queue-of-several-servers", changedSql(false), ["int4[]", "float8", "float8"]],
  ["queue-take", takeSql, ["int4", "float8", "int4"]],
  ["queue-take-onward", takeOnwardSql, []],
  ["queue-spread", spreadSql(host, exporters), ["int4", "float8"]],
  ["queue-everything-of-one-server", putAllSql(exporters), ["int4"]],
  ["host-cores-before", coresBeforeSql(host), ["int4[]", "timestamptz[]"]],
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
  ...named("agreement", agreementStatements),
  ...named("leases", leaseStatements),
  ...named("fence", fenceStatements),
  ...named("acting", { ...actingStatements, ...actAlertStatements }),
  ...exporters.flatMap((exporter: Exporter) => {
    const of = (name: string) => `${name}-${exporter.resource}`
    const write = writeSql(exporter, FINE)
    const bounds = ["timestamptz", "timestamptz", "timestamptz", "timestamptz"]
    return [
      [of("scrape-times"), timesSql(exporter, true), ["int4", "float8[]", "float8[]"]],
      [of("arrivals"), arrivalsSql(exporter), ["int4[]", "float8", "float8", "float8", "float8"]],
      [of("latest-scrape"), latestSql(exporter), ["int4[]", "float8"]],
      ...scrapeStatements(exporter, of),
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
