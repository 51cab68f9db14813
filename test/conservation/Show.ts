/**
 * What is done to a cluster and its digests, one after the other, while agents push: a digest is killed, one is frozen in the middle
 * of a transaction for longer than its lease and wakes up, a primary is killed and replaced, a slot moves with the stream in it, a primary is added, gets the slots of two streams, gives them
 * back and goes.
 *
 * After each it waits until what every server sends from then on is stored, and notes how long that took. Each agent has a stream
 * of its own, so that none can hide behind the others.
 */
import { PgClient } from "@effect/sql-pg"
import { Effect, Fiber, Schedule } from "effect"
import config from "../../plugins.config.ts"
import * as Database from "../../src/sinks/postgres/Database.ts"
import { scrapesTable } from "../../src/sinks/storage/Tables.ts"
import { keyOf } from "../../src/sinks/stream/valkey/StreamNumber.ts"
import { reshardThereAndBack } from "../TestValkeyCluster.ts"
import type { Stage } from "./Conservation.ts"
import type { Program } from "./Program.ts"

export interface Show {
  readonly run: (stage: Stage) => Effect.Effect<void>
  /** Seconds until the rows of all streams were stored again, by what had been done. */
  readonly backAfter: () => Readonly<Record<string, number>>
}

const ROWS = scrapesTable(config.exporters.find(({ top }) => top?.per !== undefined)!.table.name)

/** Beyond what a slow machine takes: it is told, and nothing hangs. */
const BACK_WITHIN = "60 seconds"
/** Twice a digest's lease, and more. */
const FROZEN_MILLIS = 14_000

export const makeShow = (): Show => {
  const took: Record<string, number> = {}
  const run = (stage: Stage) =>
    perform(stage, (what, seconds) => {
      took[what] = seconds
    }).pipe(
      Effect.provide(Database.layer({ url: stage.postgres.url, maxConnections: 3 }), { local: true }),
      Effect.orDie
    )
  return { run, backAfter: () => took }
}

const perform = (stage: Stage, tell: (what: string, seconds: number) => void) =>
  Effect.gen(function* () {
    const { count, digests, note, place, servers } = stage
    const cluster = place.cluster!
    const begun = (what: string) => {
      note(what)
      count(what)
      return { what, wall: Date.now(), at: performance.now() }
    }
    const back = Effect.fnUntraced(function* ({ at, wall, what }: ReturnType<typeof begun>) {
      yield* storedSince(servers, wall).pipe(
        Effect.repeat({ until: (count) => count === servers.length, schedule: Schedule.spaced(100) }),
        Effect.timeout(BACK_WITHIN)
      )
      const seconds = (performance.now() - at) / 1_000
      tell(what, seconds)
      note(`  rows of all streams are stored again, ${seconds.toFixed(1)} s after it`)
    })
    const samples: Array<number> = []
    const sampling = yield* Effect.forkChild(
      Effect.repeat(
        Effect.map(storedRows, (rows) => samples.push(rows)),
        { schedule: Schedule.fixed(1_000) }
      )
    )
    yield* back(begun("nothing"))

    const first = yield* ownerOf(0, digests)
    const killed = begun("a digest is killed")
    yield* Effect.promise(first.kill)
    yield* back(killed)
    first.start()

    const second = yield* ownerOf(
      1,
      digests.filter((digest) => digest !== first)
    )
    const since = yield* freezeInTransaction(second)
    const frozen = { ...begun("a digest is frozen in the middle of a transaction"), ...since }
    yield* back(frozen)
    yield* Effect.sleep(Math.max(0, frozen.at + FROZEN_MILLIS - performance.now()))
    second.resume()
    yield* back(begun("it wakes up"))

    const primary = yield* cluster.primaryOf(keyOf(2))
    const failed = begun("a primary is killed")
    yield* primary.kill
    yield* back(failed)
    yield* primary.start
    yield* cluster.whole

    const from = yield* cluster.primaryOf(keyOf(3))
    const others = yield* Effect.forEach(["a", "b", "c", "d", "e", "f"], cluster.primaryOf)
    yield* cluster.moveSlot(keyOf(3), others.find((node) => node !== from)!, Effect.sleep(100))
    yield* back(begun("a slot has moved with the stream in it"))

    const resharded = begun("slots of two streams go to a new primary, which goes away again")
    const parts = { half: Effect.sleep(100), there: Effect.sleep(500) }
    // Nobody stores rows meanwhile, so that there is something in them.
    yield* whileNobodyStores(reshardThereAndBack(cluster, [keyOf(1), keyOf(2)], parts))
    yield* back(resharded)
    yield* Fiber.interrupt(sampling)
    note(
      `rows stored in each second: ${samples
        .slice(1)
        .map((rows, n) => rows - samples[n]!)
        .join(" ")}`
    )
  })

const whileNobodyStores = Effect.fnUntraced(function* (run: Effect.Effect<void>) {
  const sql = yield* PgClient.PgClient
  const locked = sql`lock table admiral.${sql.literal(ROWS)} in share row exclusive mode`
  yield* sql.withTransaction(Effect.andThen(Effect.andThen(locked, Effect.sleep("2 seconds")), run))
})

/** How many of these have rows that they measured after that moment. */
const storedSince = (servers: ReadonlyArray<string>, wall: number) =>
  Effect.gen(function* () {
    const sql = yield* PgClient.PgClient
    const [row] = yield* sql<{ readonly count: number }>`
      select count(distinct server_id)::int4 as count from admiral.process_snapshots
      where server_id in ${sql.in(servers)} and "timestamp" > to_timestamp(${wall}::float8 / 1000)`
    return row!.count
  })

const storedRows = Effect.gen(function* () {
  const sql = yield* PgClient.PgClient
  const [row] = yield* sql<{ readonly count: number }>`select count(*)::int4 as count from admiral.process_snapshots`
  return row!.count
})

/** Which of these reads a stream: a digest's name has its process in it. */
const ownerOf = (stream: number, digests: ReadonlyArray<Program>) =>
  Effect.gen(function* () {
    const sql = yield* PgClient.PgClient
    const owners = yield* sql<{ readonly owner: string | null }>`
      select owner from admiral.streams order by stream = ${stream}::int4 desc`
    for (const { owner } of owners) {
      const found = digests.find((digest) => owner?.includes(`.${digest.pid()}.`))
      if (found !== undefined) return found
    }
    return yield* Effect.die(new Error(`no digest reads any stream: ${JSON.stringify(owners)}`))
  })

/**
 * Stops it while it has a transaction open in which it has looked at its fences. Nobody can store rows for a moment, so that
 * all are in one. Where this one is not, it goes on, and it is tried again. Gives the moment at which it was stopped.
 */
const freezeInTransaction = (digest: Program) =>
  Effect.gen(function* () {
    const sql = yield* PgClient.PgClient
    while (true) {
      const since = yield* sql.withTransaction(
        Effect.gen(function* () {
          yield* sql`lock table admiral.${sql.literal(ROWS)} in share row exclusive mode`
          yield* Effect.sleep("2 seconds")
          digest.pause()
          return { at: performance.now(), wall: Date.now() }
        })
      )
      // What the others had waiting is done by then.
      yield* Effect.sleep("1 second")
      const open = yield* sql`select 1 from pg_stat_activity
        where state = 'idle in transaction' and state_change < now() - interval '800 milliseconds'`
      if (open.length > 0) return since
      digest.resume()
    }
  })
