/**
 * Sightings from PostgreSQL: the servers, and for each exporter one statement that reads the latest keys of its scrapes. Pages that are open at the same time share one answer, which is at most `FRESH_FOR` old.
 */
import { PgClient, PgTypes } from "@effect/sql-pg"
import { Duration, Effect, Layer } from "effect"
import type { Exporter } from "../plugins/Exporter.ts"
import { Registry } from "../plugins/Registry.ts"
import { answering } from "../sinks/postgres/Database.ts"
import { micros, moment } from "../sinks/postgres/Moments.ts"
import { COARSE, rollupTable } from "../sinks/rollups/RollupTables.ts"
import { scrapesTable } from "../sinks/storage/Tables.ts"
import { longestInterval, SCRAPES_MAX, seenInterval } from "./SeenInterval.ts"
import { type Sighting, Sightings } from "./Sightings.ts"

const FRESH_FOR = "2 seconds"
/** Longer windows have steps that are wider than any interval. */
const PACE_WITHIN_MICROS = 4 * 3_600_000_000
const PACE_SCRAPES_MAX = 1_000

interface KnownServer {
  readonly id: number
  readonly server_id: string
}

interface Row {
  /** Of the server. */
  readonly id: number
  /** The latest first, epoch microseconds. */
  readonly scrapes: ReadonlyArray<number> | null
}

export const layer: Layer.Layer<Sightings, never, PgClient.PgClient | Registry> = Layer.effect(
  Sightings,
  Effect.gen(function* () {
    const sql = yield* PgClient.PgClient
    const { exporters, get } = yield* Registry
    const asked = exporters.map((exporter) => ({
      exporter,
      ofAll: scrapesSql(exporter, false),
      ofOne: scrapesSql(exporter, true)
    }))

    /** Of one server, or of all where none is named. */
    const find = Effect.fnUntraced(function* (serverId?: string) {
      const ids =
        serverId === undefined
          ? yield* sql<KnownServer>`select server.id, server.server_id from admiral.servers server`
          : yield* sql<KnownServer>`
              select server.id, server.server_id from admiral.servers server where server.server_id = ${serverId}`
      const one = serverId === undefined ? undefined : ids[0]
      const found = yield* Effect.forEach(
        ids.length === 0 ? [] : asked,
        ({ exporter, ofAll, ofOne }) =>
          Effect.map(
            one === undefined ? sql.unsafe<Row>(ofAll) : sql.unsafe<Row>(ofOne, [PgTypes.int4(one.id)]),
            (rows) => ({ exporter, rows })
          ),
        { concurrency: 2 }
      )
      const names = new Map(ids.map(({ id, server_id }) => [id, server_id]))
      const sightings = new Map<string, Array<Sighting>>()
      for (const { exporter, rows } of found) {
        for (const { id, scrapes } of rows) {
          const server = names.get(id)
          if (server === undefined || scrapes === null || scrapes[0] === undefined) continue
          const interval = seenInterval(scrapes, declaredOf(exporter))
          const sighting = { exporter: exporter.name, lastSeen: scrapes[0], interval }
          sightings.set(server, [...(sightings.get(server) ?? []), sighting])
        }
      }
      return sightings
    })

    return Sightings.of({
      all: yield* Effect.cachedWithTTL(find().pipe(answering("sightings")), FRESH_FOR),
      of: Effect.fn("Sightings.of")(function* (serverId) {
        return (yield* find(serverId)).get(serverId) ?? []
      }, answering("sightings")),
      pace: Effect.fn("Sightings.pace")(function* ({ exporter: name, serverId, window }) {
        const exporter = get(name)
        if (exporter === undefined) return yield* Effect.die(new Error(`there is no exporter "${name}"`))
        const from = Math.max(window.from, window.to - PACE_WITHIN_MICROS)
        const [server] = yield* sql<KnownServer>`
          select server.id, server.server_id from admiral.servers server where server.server_id = ${serverId}`
        const rows = yield* sql.unsafe<{ readonly at: number }>(paceSql(exporter), [
          PgTypes.int4(server?.id ?? NOBODYS),
          PgTypes.float8(from),
          PgTypes.float8(window.to)
        ])
        const scrapes = rows.map(({ at }) => at)
        const declared = declaredOf(exporter)
        return { latest: seenInterval(scrapes, declared), longest: longestInterval(scrapes, declared) }
      }, answering("pace"))
    })
  })
)

const declaredOf = ({ scrape, table }: Exporter) => ({
  interval: Duration.toMillis(scrape.interval) * 1_000,
  gapMax: Duration.toMillis(table.staleAfter) * 1_000
})

/** No server has it. */
const NOBODYS = -1

/** The scrapes of a window, the latest of them. Bound: the server's id, the window in epoch microseconds. */
export const paceSql = (exporter: Exporter): string =>
  `select ${micros('scrape."timestamp"')} as at from admiral."${scrapesTable(exporter.table.name)}" scrape
where scrape.server_id = $1::int4
  and scrape."timestamp" > ${moment("$2::float8")} and scrape."timestamp" <= ${moment("$3::float8")}
order by scrape."timestamp" desc limit ${PACE_SCRAPES_MAX}`

/**
 * The latest scrapes of every server, or of one: by its roll-ups where retention has taken the scrapes. Bound: the server's
 * id, where it is of one.
 */
export const scrapesSql = (exporter: Exporter, oneServer: boolean): string => {
  const id = oneServer ? "$1::int4" : "server.id"
  return `select ${id} as id, coalesce(
  (select array_agg(latest.at order by latest.at desc) from (
    select ${micros('scrape."timestamp"')} as at from admiral."${scrapesTable(exporter.table.name)}" scrape
    where scrape.server_id = ${id} order by scrape."timestamp" desc limit ${SCRAPES_MAX}
  ) latest),
  (select array[${micros("bucket.last_at")}] from admiral."${rollupTable(exporter.table.name, COARSE)}" bucket
    where bucket.server_id = ${id} and bucket.last_at is not null order by bucket.bucket desc limit 1)
) as scrapes
from ${oneServer ? "(select) as server" : "admiral.server_ids as server"}`
}
