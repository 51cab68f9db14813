/**
 * Streams, digests and leases in PostgreSQL. Each function is one statement of its own, or two: a process that is frozen between
 * them leaves no lock behind. Only the database's clock counts.
 *
 * Locks are taken in the order of the streams; taking passes by what somebody has locked.
 */
import { type PgClient, PgTypes } from "@effect/sql-pg"
import { Duration, Effect } from "effect"
import { answering, arrayParameter } from "../../postgres/Database.ts"
import type { DatabaseUnavailable } from "../../storage/DatabaseUnavailable.ts"
import type { Lease } from "../SnapshotStream.ts"
import type { LivingDigest, StreamRow } from "./Shares.ts"

export interface SeenStream extends StreamRow {
  readonly fence: number
  /** Nobody has published to it for {@link UNUSED_AFTER}. */
  readonly isUnused: boolean
}

export interface LeaseTable {
  /** Says that this digest lives and which streams' servers do not answer it, renews what it has, and looks around. */
  readonly beat: (
    unreachable: ReadonlyArray<number>
  ) => Effect.Effect<
    { readonly digests: ReadonlyArray<LivingDigest>; readonly streams: ReadonlyArray<SeenStream> },
    DatabaseUnavailable
  >
  /** Takes those that are free still. Each gets a higher fence. */
  readonly take: (streams: ReadonlyArray<number>) => Effect.Effect<ReadonlyArray<Lease>, DatabaseUnavailable>
  /** A fence beyond this one, where this digest still has the stream. */
  readonly raise: (stream: number, beyond: number) => Effect.Effect<ReadonlyArray<Lease>, DatabaseUnavailable>
  readonly free: (streams: ReadonlyArray<number>) => Effect.Effect<void, DatabaseUnavailable>
  /** Frees all, and forgets the digest. */
  readonly leave: Effect.Effect<void, DatabaseUnavailable>
  /** Deletes a stream that nobody uses any more. */
  readonly retire: (lease: Lease) => Effect.Effect<void, DatabaseUnavailable>
}

/** Several times as long as an ingest takes to say again what it uses (`openStreams`). */
const UNUSED_AFTER = Duration.hours(1)
/** Digests that were not heard of for so long are forgotten. */
const FORGOTTEN_AFTER = Duration.hours(1)

/**
 * `$1`: this digest; `$2`: milliseconds of a lease; `$3`: those after which a silent digest is forgotten; `$4`: streams that it
 * cannot reach.
 */
const BEAT = `with alive as (
  insert into admiral.digests (name, unreachable) values ($1::text, $4::int4[])
  on conflict (name) do update set seen_at = now(), unreachable = excluded.unreachable
), forgotten as (
  delete from admiral.digests where seen_at < now() - $3::float8 * interval '1 millisecond'
), mine as (
  select stream from admiral.streams where owner = $1::text order by stream for no key update
)
update admiral.streams s set leased_until = now() + $2::float8 * interval '1 millisecond'
from mine where s.stream = mine.stream`

/** `$1`: milliseconds of a lease. */
const ALIVE = `select name, unreachable from admiral.digests where seen_at > now() - $1::float8 * interval '1 millisecond' order by name`

/** `$1`: milliseconds after which a stream is unused. */
const SEEN = `select stream, owner, fence::text, owner is null or leased_until < now() as free,
  used_at < now() - $1::float8 * interval '1 millisecond' as unused
from admiral.streams order by stream`

/** `$1`: streams; `$2`: this digest; `$3`: milliseconds of a lease. */
const TAKE = `with free as (
  select stream from admiral.streams
  where stream = any($1::int4[]) and (owner is null or leased_until < now())
  order by stream for update skip locked
)
update admiral.streams s
set owner = $2::text, fence = s.fence + 1, leased_until = now() + $3::float8 * interval '1 millisecond', owned_since = now()
from free where s.stream = free.stream returning s.stream, s.fence::text`

/** `$1`: a stream; `$2`: this digest; `$3`: the fence to go beyond. */
const RAISE = `with mine as (
  select stream from admiral.streams where stream = $1::int4 and owner = $2::text for update skip locked
)
update admiral.streams s set fence = greatest(s.fence, $3::float8::int8) + 1
from mine where s.stream = mine.stream returning s.stream, s.fence::text`

/** `$1`: streams; `$2`: this digest. */
const FREE = `update admiral.streams set owner = null, leased_until = null, owned_since = null
where stream = any($1::int4[]) and owner = $2::text`

/** `$1`: this digest. */
const LEAVE = `update admiral.streams set owner = null, leased_until = null, owned_since = null where owner = $1::text`
const FORGET = `delete from admiral.digests where name = $1::text`

/** `$1`: a stream; `$2`: this digest; `$3`: its fence; `$4`: milliseconds after which a stream is unused. */
const RETIRE = `delete from admiral.streams where stream = $1::int4 and owner = $2::text and fence = $3::float8::int8
  and used_at < now() - $4::float8 * interval '1 millisecond'`

/** `$1`: the highest stream that is published to. */
const OPEN = `insert into admiral.streams (stream) select generate_series(0, $1::int4)
on conflict (stream) do update set used_at = now()`

const OWNED = `select stream, case when leased_until > now() then owner end as owner, fence::text,
  case when leased_until > now() then date_part('epoch', now() - owned_since) end as owned_for
from admiral.streams order by stream`

export const leaseStatements = { BEAT, ALIVE, SEEN, TAKE, RAISE, FREE, LEAVE, FORGET, RETIRE, OPEN, OWNED }

const millis = (duration: Duration.Duration) => PgTypes.float8(Duration.toMillis(duration))
const numbers = (streams: ReadonlyArray<number>) => arrayParameter([...streams], PgTypes.OID.int4)

type LeaseRow = { readonly stream: number; readonly fence: string }
const leasesOf = (rows: ReadonlyArray<LeaseRow>): ReadonlyArray<Lease> =>
  rows.map(({ fence, stream }) => ({ stream, fence: Number(fence) }))

export const makeLeaseTable = (sql: PgClient.PgClient, me: string, lease: Duration.Duration): LeaseTable => {
  const run = (statement: string, ...parameters: ReadonlyArray<unknown>) =>
    Effect.asVoid(sql.unsafe(statement, parameters))
  const beat = Effect.fnUntraced(function* (unreachable: ReadonlyArray<number>) {
    yield* run(BEAT, me, millis(lease), millis(FORGOTTEN_AFTER), numbers(unreachable))
    const digests = yield* sql.unsafe<{ readonly name: string; readonly unreachable: ReadonlyArray<number> }>(ALIVE, [
      millis(lease)
    ])
    const streams = yield* sql.unsafe<
      LeaseRow & { readonly owner: string | null; readonly free: boolean; readonly unused: boolean }
    >(SEEN, [millis(UNUSED_AFTER)])
    return {
      digests: digests.map((digest) => ({ name: digest.name, unreachable: new Set(digest.unreachable) })),
      streams: streams.map(({ fence, free, owner, stream, unused }) => ({
        stream,
        owner,
        fence: Number(fence),
        isFree: free,
        isUnused: unused
      }))
    }
  })

  return {
    beat: (unreachable) => beat(unreachable).pipe(answering("renew leases")),
    take: (streams) =>
      Effect.map(sql.unsafe<LeaseRow>(TAKE, [numbers(streams), me, millis(lease)]), leasesOf).pipe(
        answering("take streams")
      ),
    raise: (stream, beyond) =>
      Effect.map(sql.unsafe<LeaseRow>(RAISE, [PgTypes.int4(stream), me, PgTypes.float8(beyond)]), leasesOf).pipe(
        answering("take a higher fence")
      ),
    free: (streams) => run(FREE, numbers(streams), me).pipe(answering("free streams")),
    leave: Effect.andThen(run(LEAVE, me), run(FORGET, me)).pipe(answering("free all streams")),
    retire: ({ fence, stream }) =>
      run(RETIRE, PgTypes.int4(stream), me, PgTypes.float8(fence), millis(UNUSED_AFTER)).pipe(
        answering("retire a stream")
      )
  }
}

/** Says that streams 0 to n - 1 are published to: digests read what is said here. Again every minute, from every ingest. */
export const openStreams = (sql: PgClient.PgClient, streams: number): Effect.Effect<void, DatabaseUnavailable> =>
  sql.unsafe(OPEN, [PgTypes.int4(streams - 1)]).pipe(Effect.asVoid, answering("say which streams are used"))

/** Who has which stream, for people. */
export interface OwnedStream {
  readonly stream: number
  /** Null: nobody, so nobody reads it. */
  readonly owner: string | null
  readonly fence: number
  /** Seconds. */
  readonly ownedFor: number | null
}

export const ownedStreams = (sql: PgClient.PgClient): Effect.Effect<ReadonlyArray<OwnedStream>, DatabaseUnavailable> =>
  Effect.map(
    sql.unsafe<LeaseRow & { readonly owner: string | null; readonly owned_for: number | null }>(OWNED),
    (rows) =>
      rows.map(({ fence, owned_for, owner, stream }) => ({ stream, owner, fence: Number(fence), ownedFor: owned_for }))
  ).pipe(answering("look at streams"))
