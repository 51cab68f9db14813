/**
 * Rows in PostgreSQL, a scrape at a time: the rows of a batch are put together as the scrapes that they are of, and one
 * statement inserts them all from one array per column (`ScrapeTable.ts`). Scrapes that are there already, since a batch may end
 * within one and messages are delivered again, are held, get the rows that they lack, and keep everything else. One that is
 * packed and gets a row is not packed any more, until its hour is packed again (`Packing.ts`).
 *
 * One transaction holds the fences of the streams that the rows come from (`Fence.ts`), the scrapes, the series that were seen for the first time (`FirstSeen.ts`) and the queues of changed
 * buckets (`ChangedBuckets.ts`) and late hours (`PackingQueue.ts`): all or none. What it needs is there before it begins, committed: the ids of its servers and labels,
 * and the partitions of its days. A batch that fails after that leaves names and empty partitions behind, never rows.
 *
 * Where rows are distributed, the node that has some of them may be away: those wait then, and hold up no others (`NodesAway.ts`).
 *
 * Locks are taken in three steps, each in the order of its keys (scrapes that are new, scrapes that are there, first-seen),
 * by everybody: digests wait for each other, and never in a circle.
 *
 * Bounds: {@link ROWS_MAX} rows a batch, {@link SCRAPE_ROWS_MAX} rows a scrape, {@link INSERT_WITHIN} in all.
 */
import { PgClient } from "@effect/sql-pg"
import { Context, Data, Duration, Effect, Layer } from "effect"
import type { SqlError } from "effect/sql/SqlError"
import type { Exporter } from "../../plugins/Exporter.ts"
import { Registry } from "../../plugins/Registry.ts"
import type { Snapshots } from "../../plugins/Snapshots.ts"
import { display } from "../../plugins/Storable.ts"
import { classify, isMissingPartition, sqlErrorOf } from "../postgres/Database.ts"
import { checkFences, type LeaseLost } from "../stream/leases/Fence.ts"
import type { Lease } from "../stream/SnapshotStream.ts"
import { makeChangedBuckets } from "./ChangedBuckets.ts"
import { DatabaseUnavailable } from "./DatabaseUnavailable.ts"
import { type Dictionary, makeDictionary } from "./Dictionary.ts"
import { makeFirstSeen, type SeenRow } from "./FirstSeen.ts"
import { type CoresRow, makeHostCores } from "./HostCores.ts"
import { makeNodesAway } from "./NodesAway.ts"
import { makePackingQueue } from "./PackingQueue.ts"
import { makePartitions } from "./Partitions.ts"
import { makeRowCheck, refusal, refuse } from "./RowCheck.ts"
import { makeRowIds } from "./RowIds.ts"
import { type BatchedScrape, beginningsOf, type FlatRows, flatten, scrapesOf, startsOf } from "./ScrapeBatch.ts"
import { mergeRows } from "./ScrapeMerge.ts"
import { makeScrapeTable } from "./ScrapeTable.ts"
import { asColumns, type Rows, type RowsRefused, type ServersWait, SnapshotRows } from "./SnapshotRows.ts"
import { scrapesTable } from "./Tables.ts"

/** PostgreSQL takes more; a batch this size is some megabytes, and larger ones are no faster. */
export const ROWS_MAX = 20_000
/** A scrape is read and written whole: one that grows and grows would cost more with every piece. */
export const SCRAPE_ROWS_MAX = 100_000
/** Longer than PostgreSQL's own limit for a statement: this one is for connections that went silent. */
const INSERT_WITHIN = Duration.seconds(90)

/** Rows of the registry's exporters. Needs their tables (`Migrations.ts`); makes partitions itself. */
export const layer: Layer.Layer<SnapshotRows, never, PgClient.PgClient | Registry> = Layer.effect(
  SnapshotRows,
  Effect.gen(function* () {
    const sql = yield* PgClient.PgClient
    const { exporters } = yield* Registry
    const dictionary = yield* makeDictionary
    const writers = new Map<string, Writer>()
    for (const exporter of exporters) writers.set(exporter.name, yield* makeWriter(exporter, dictionary))

    const nodes = makeNodesAway(sql)
    const insert = Effect.fnUntraced(function* (exporter: string, given: Rows, leases: ReadonlyArray<Lease>) {
      const writer = writers.get(exporter)
      if (writer === undefined) return yield* refuse(`there is no exporter ${display(exporter)}`)
      const batch = asColumns(given)
      const length = batch.reduce((sum, rows) => sum + rows.length, 0)
      if (length === 0) return { inserted: 0, duplicates: 0 }
      if (length > ROWS_MAX) return yield* refuse(`${length} rows at once, at most ${ROWS_MAX}`)
      const servers = batch.map(({ serverId }) => serverId)
      const waits = yield* nodes.known(servers)
      if (waits !== undefined) return yield* waits
      const inserted = yield* writer.store(batch, leases).pipe(
        Effect.catchCause((cause): Effect.Effect<never, Refusal> => {
          const error = sqlErrorOf(cause)
          if (error === undefined) return Effect.failCause(cause as never)
          const classified = classify(`store rows of ${exporter}`, error)
          return classified._tag === "RowsRefused" ? Effect.fail(classified) : failing(servers, classified, error)
        }),
        Effect.timeoutOrElse({ duration: INSERT_WITHIN, orElse: () => failing(servers, tooSlow(exporter)) })
      )
      yield* nodes.stored(servers)
      return { inserted, duplicates: length - inserted }
    })

    /** It is the database that fails, or the nodes of some of these. */
    const failing = (servers: ReadonlyArray<string>, failure: DatabaseUnavailable, error?: SqlError) =>
      Effect.flatMap(nodes.found(servers, error), (waits) => Effect.fail(waits ?? failure))

    return SnapshotRows.of({
      insert: (exporter, rows, leases = []) =>
        insert(exporter, rows, leases).pipe(
          // The ids in our caches must be committed: never take part in a transaction of the caller.
          Effect.updateContext(
            (context: Context.Context<never>) => Context.omit(sql.transactionService)(context) as Context.Context<never>
          )
        ),
      waits: nodes.told
    })
  })
)

/** Why rows were not stored. */
type Refusal = RowsRefused | DatabaseUnavailable | LeaseLost | ServersWait

const tooSlow = (exporter: string) =>
  new DatabaseUnavailable({
    operation: `store rows of ${exporter}`,
    because: "slow",
    cause: new Error(`no answer within ${Duration.format(INSERT_WITHIN)}`)
  })

// -- one exporter

interface Writer {
  /** Stores rows, where all of these leases hold; how many of them were new. */
  readonly store: (
    batch: ReadonlyArray<Snapshots>,
    leases: ReadonlyArray<Lease>
  ) => Effect.Effect<number, RowsRefused | DatabaseUnavailable | LeaseLost | SqlError>
}

/** What a transaction has in hand. */
interface Writing {
  readonly batch: ReadonlyArray<Snapshots>
  readonly scrapes: ReadonlyArray<BatchedScrape>
  readonly rows: FlatRows
  /** Where the rows of each scrape begin. */
  readonly starts: ReadonlyArray<number>
  /** Of each scrape, which of its rows are new. */
  readonly added: Array<ReadonlyArray<number>>
}

/** A scrape that was there is not there any more: retention has dropped its day in between. */
class ScrapeGone extends Data.TaggedError("ScrapeGone")<{ readonly server: number; readonly at: number }> {}

const makeWriter = Effect.fnUntraced(function* (exporter: Exporter, dictionary: Dictionary) {
  const sql = yield* PgClient.PgClient
  const partitions = yield* makePartitions(scrapesTable(exporter.table.name))
  const table = yield* makeScrapeTable(exporter)
  const firstSeen = yield* makeFirstSeen(exporter)
  const queue = yield* makeChangedBuckets(exporter)
  const late = yield* makePackingQueue(exporter)
  const hostCores = exporter.host === undefined ? undefined : yield* makeHostCores(exporter)
  const check = makeRowCheck(exporter)
  const idsOf = makeRowIds(exporter, dictionary)
  const coresPlace = Object.entries(exporter.table.columns)
    .filter(([, { kind }]) => kind !== "label")
    .findIndex(([name]) => name === exporter.host?.cores)
  const numberPlaces = Object.values(exporter.table.columns).flatMap(({ kind }, n) => (kind === "label" ? [] : [n]))

  /** Adds the rows that scrapes of a server lack, which are there already. Notes of each which rows those were. */
  const merge = Effect.fnUntraced(function* (
    { added, batch, rows, scrapes, starts }: Writing,
    server: number,
    places: ReadonlyArray<number>
  ) {
    const found = yield* table.lock(
      server,
      places.map((n) => scrapes[n]!.at)
    )
    const byMoment = new Map(found.map((scrape) => [scrape.at, scrape]))
    for (const n of places) {
      const { at, rows: own, series } = scrapes[n]!
      const before = byMoment.get(at)
      if (before === undefined) return yield* new ScrapeGone({ server, at })
      const merged = mergeRows(before, series, starts[n]!, rows)
      if (merged.added.length === 0) continue
      const room = SCRAPE_ROWS_MAX - before.labels[0]!.length
      if (merged.added.length > room) {
        return yield* refusal(batch, own[merged.added[room]!]!, `its scrape has ${SCRAPE_ROWS_MAX} rows already`)
      }
      yield* table.replace(server, merged.scrape)
      added[n] = merged.added
    }
  })

  /** Within the transaction: which rows were new, by scrape, and what to remember once it is committed. */
  const write = Effect.fnUntraced(function* (
    batch: ReadonlyArray<Snapshots>,
    scrapes: ReadonlyArray<BatchedScrape>,
    rows: FlatRows
  ) {
    const starts = startsOf(scrapes)
    const sinceOf = (n: number) => rows.since.subarray(starts[n]!, starts[n]! + scrapes[n]!.rows.length)
    const beginnings = scrapes.map((_, n) => beginningsOf(sinceOf(n)))
    const stored = yield* table.insert(scrapes, beginnings, rows)
    const added = scrapes.map(({ series }, n): ReadonlyArray<number> => (stored.has(n) ? [...series.keys()] : []))
    if (table.hasLabels && stored.size < scrapes.length) {
      const there = Map.groupBy(
        [...scrapes.keys()].filter((n) => !stored.has(n)),
        (n) => scrapes[n]!.server
      )
      for (const [server, places] of there) {
        yield* merge({ added, batch, rows, scrapes, starts }, server, places)
      }
    }
    const seen: Array<SeenRow> = []
    for (const [n, { at, series, server }] of scrapes.entries()) {
      for (const place of added[n]!) {
        const flat = starts[n]! + place
        const since = rows.since[flat]! <= at ? rows.since[flat]! : Number.NaN
        if (firstSeen.isKnown(server, series[place]!, at, since)) continue
        seen.push({ server, series: series[place]!, at, since, labels: rows.labels.map((ids) => ids[flat]!) })
      }
    }
    const { displaced, entries } = yield* firstSeen.record(seen)
    const changed = scrapes.filter((_, n) => added[n]!.length > 0)
    yield* queue.add(changed, displaced)
    yield* late.note(changed)
    const cores = hostCores === undefined ? [] : coresRows(scrapes, added, rows.values[coresPlace]!)
    if (cores.length > 0) yield* hostCores!.note(cores)
    return { cores, inserted: added.reduce((sum, { length }) => sum + length, 0), entries }
  })

  return {
    store: Effect.fnUntraced(function* (batch, leases) {
      yield* Effect.fromResult(check.values(batch))
      const days = yield* check.days(batch)
      const ids = yield* idsOf(batch, Math.max(...days))
      const scrapes = scrapesOf(batch, ids.servers, ids.labels)
      const flat = flatten(batch, scrapes, ids.labels, numberPlaces)
      const written = Effect.andThen(checkFences(sql, leases), write(batch, scrapes, flat))
      const run = Effect.andThen(partitions.ensure(days), sql.withTransaction(written))
      const isGone = (error: SqlError | ScrapeGone | RowsRefused | LeaseLost) =>
        error._tag === "ScrapeGone" || (error._tag === "SqlError" && isMissingPartition(error))
      const { cores, entries, inserted } = yield* run.pipe(
        // Dropped by retention since we last looked, perhaps of another server: look again, once.
        Effect.catchIf(isGone, () => {
          partitions.forget()
          return run
        }),
        Effect.catchTag("ScrapeGone", ({ at }) =>
          Effect.fail(
            new DatabaseUnavailable({
              operation: `store rows of ${exporter.name}`,
              because: "busy",
              cause: new Error(`a scrape of ${new Date(at / 1_000).toISOString()} was there and is gone`)
            })
          )
        )
      )
      firstSeen.remember(entries)
      queue.remember(scrapes)
      hostCores?.remember(cores)
      return inserted
    })
  } satisfies Writer as Writer
})

/** The rows of the host that are new and know its cores: its scrapes have one row each. */
const coresRows = (
  scrapes: ReadonlyArray<BatchedScrape>,
  added: ReadonlyArray<ReadonlyArray<number>>,
  cores: Float64Array
): ReadonlyArray<CoresRow> =>
  scrapes.flatMap(({ at, server }, n) =>
    added[n]!.length === 0 || Number.isNaN(cores[n]!) ? [] : [{ server, at, cores: cores[n]! }]
  )
