/**
 * Pages that are open beside a stream of rows, in one process, as `nodepulse start` has both: how long the answers of a
 * server's page take, and a batch of the digest.
 */
import { Clock, Effect } from "effect"
import type { Snapshot } from "../src/plugins/Snapshot.ts"
import { Overview } from "../src/query/Overview.ts"
import { Rankings } from "../src/query/Rankings.ts"
import { SnapshotRows } from "../src/sinks/storage/SnapshotRows.ts"

const PAGES = 50
const REFRESH_SECONDS = 15
const BATCH = 5_000
const SECOND = 1_000_000

/** Milliseconds at 50, 95 and 100 %. */
export interface Spread {
  readonly median: number
  readonly p95: number
  readonly most: number
}

const spreadOf = (times: ReadonlyArray<number>): Spread => {
  const sorted = [...times].sort((a, b) => a - b)
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN
  return { median: at(0.5), p95: at(0.95), most: at(1) }
}

/** For so many seconds; `end` is the moment that pages show, epoch microseconds. */
export const pagesBesideIngest = Effect.fnUntraced(function* (
  seconds: number,
  rowsPerSecond: number,
  servers: number,
  groups: number,
  end: number
) {
  const rankings = yield* Rankings
  const overview = yield* Overview
  const store = yield* SnapshotRows
  const pages: Array<number> = []
  const batches: Array<number> = []
  let rows = 0
  const timed = <A, E, R>(into: Array<number>, self: Effect.Effect<A, E, R>) =>
    Effect.gen(function* () {
      const began = performance.now()
      yield* self
      into.push(performance.now() - began)
    })

  const page = (n: number) => {
    const window = { from: end - [1, 6, 24][n % 3]! * 3_600 * SECOND, to: end }
    const asked = { exporter: "process_exporter", serverId: `server-${1 + (n % servers)}`, metric: "cpu", window }
    const one = Effect.gen(function* () {
      const { rows } = yield* rankings.top({ ...asked, limit: 10 })
      yield* overview.series({ ...asked, names: rows.slice(0, 8).map(({ name }) => name), points: 120 })
    })
    const refreshing = Effect.forever(Effect.andThen(timed(pages, one), Effect.sleep(`${REFRESH_SECONDS} seconds`)))
    return Effect.andThen(Effect.sleep(`${Math.round((n * REFRESH_SECONDS * 1_000) / PAGES)} millis`), refreshing)
  }

  /** Scrapes of all servers, one moment after the other. */
  const batch = (first: number): ReadonlyArray<Snapshot> =>
    Array.from({ length: BATCH }, (_, n) => {
      const scrape = Math.floor((first + n) / groups)
      return {
        exporter: "process_exporter",
        serverId: `server-${1 + (scrape % servers)}`,
        timestamp: end + (1 + Math.floor(scrape / servers)) * 15 * SECOND,
        countersSince: null,
        values: [`process-${1 + ((first + n) % groups)}`, 1, 1_000_000 + first + n, 1_000_000]
      }
    })
  const began = yield* Clock.currentTimeMillis
  const ingest = Effect.gen(function* () {
    for (;;) {
      yield* timed(batches, store.insert("process_exporter", batch(rows)))
      rows += BATCH
      const due = began + (rows / rowsPerSecond) * 1_000
      yield* Effect.sleep(`${Math.max(0, Math.round(due - (yield* Clock.currentTimeMillis)))} millis`)
    }
  })
  yield* Effect.raceAllFirst([
    ...Array.from({ length: PAGES }, (_, n) => page(n)),
    ingest,
    Effect.sleep(`${seconds} seconds`)
  ])
  return { pages: spreadOf(pages), batches: spreadOf(batches), answered: pages.length, rowsPerSecond: rows / seconds }
})
