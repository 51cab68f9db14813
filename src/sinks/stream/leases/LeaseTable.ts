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
import type { StreamRow } from "./Shares.ts"

export interface SeenStream extends StreamRow {
  readonly fence: number
  /** Nobody has published to it for {@link UNUSED_AFTER}. */
  readonly isUnused: boolean
}

export interface LeaseTable {
  /** Says that this digest lives, renews what it has, and looks around. */
  readonly beat: Effect.Effect<
    { readonly digests: ReadonlyArray<string>; readonly streams: ReadonlyArray<SeenStream> },
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

export const makeLeaseTable = (sql: PgClient.PgClient, me: string, lease: Duration.Duration): LeaseTable => {
  const until = (duration: Duration.Duration) => sql`${Duration.toMillis(duration)}::float8 * interval '1 millisecond'`
  const beat = Effect.gen(function* () {
    yield* sql`
      with alive as (
        insert into admiral.digests (name) values (${me}::text) on conflict (name) do update set seen_at = now()
      ), forgotten as (
        delete from admiral.digests where seen_at < now() - ${until(FORGOTTEN_AFTER)}
      ), mine as (
        select stream from admiral.streams where owner = ${me}::text order by stream for no key update
      )
      update admiral.streams s set leased_until = now() + ${until(lease)} from mine where s.stream = mine.stream`
    const digests = yield* sql<{ readonly name: string }>`
      select name from admiral.digests where seen_at > now() - ${until(lease)} order by name`
    const streams = yield* sql<{
      readonly stream: number
      readonly owner: string | null
      readonly fence: string
      readonly free: boolean
      readonly unused: boolean
    }>`
      select stream, owner, fence::text, owner is null or leased_until < now() as free,
        used_at < now() - ${until(UNUSED_AFTER)} as unused
      from admiral.streams order by stream`
    return {
      digests: digests.map(({ name }) => name),
      streams: streams.map(({ fence, free, owner, stream, unused }) => ({
        stream,
        owner,
        fence: Number(fence),
        isFree: free,
        isUnused: unused
      }))
    }
  })
  const numbers = (streams: ReadonlyArray<number>) => arrayParameter([...streams], PgTypes.OID.int4)
  const leases = (rows: ReadonlyArray<{ readonly stream: number; readonly fence: string }>): ReadonlyArray<Lease> =>
    rows.map(({ fence, stream }) => ({ stream, fence: Number(fence) }))

  return {
    beat: beat.pipe(answering("renew leases")),
    take: (streams) =>
      Effect.map(
        sql<{ readonly stream: number; readonly fence: string }>`
          with free as (
            select stream from admiral.streams
            where stream = any(${numbers(streams)}) and (owner is null or leased_until < now())
            order by stream for update skip locked
          )
          update admiral.streams s
          set owner = ${me}::text, fence = s.fence + 1, leased_until = now() + ${until(lease)}, owned_since = now()
          from free where s.stream = free.stream returning s.stream, s.fence::text`,
        leases
      ).pipe(answering("take streams")),
    raise: (stream, beyond) =>
      Effect.map(
        sql<{ readonly stream: number; readonly fence: string }>`
          with mine as (
            select stream from admiral.streams
            where stream = ${stream}::int4 and owner = ${me}::text for update skip locked
          )
          update admiral.streams s set fence = greatest(s.fence, ${beyond}::float8::int8) + 1
          from mine where s.stream = mine.stream returning s.stream, s.fence::text`,
        leases
      ).pipe(answering("take a higher fence")),
    free: (streams) =>
      sql`update admiral.streams set owner = null, leased_until = null, owned_since = null
        where stream = any(${numbers(streams)}) and owner = ${me}::text`.pipe(Effect.asVoid, answering("free streams")),
    leave: Effect.andThen(
      sql`update admiral.streams set owner = null, leased_until = null, owned_since = null where owner = ${me}::text`,
      sql`delete from admiral.digests where name = ${me}::text`
    ).pipe(Effect.asVoid, answering("free all streams")),
    retire: ({ fence, stream }) =>
      sql`delete from admiral.streams where stream = ${stream}::int4 and owner = ${me}::text
        and fence = ${fence}::float8::int8 and used_at < now() - ${until(UNUSED_AFTER)}`.pipe(
        Effect.asVoid,
        answering("retire a stream")
      )
  }
}

/** Says that streams 0 to n - 1 are published to: digests read what is said here. Again every minute, from every ingest. */
export const openStreams = (sql: PgClient.PgClient, streams: number): Effect.Effect<void, DatabaseUnavailable> =>
  sql`insert into admiral.streams (stream) select generate_series(0, ${streams - 1}::int4)
    on conflict (stream) do update set used_at = now()`.pipe(Effect.asVoid, answering("say which streams are used"))

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
    sql<{
      readonly stream: number
      readonly owner: string | null
      readonly fence: string
      readonly owned_for: number | null
    }>`
      select stream, case when leased_until > now() then owner end as owner, fence::text,
        case when leased_until > now() then date_part('epoch', now() - owned_since) end as owned_for
      from admiral.streams order by stream`,
    (rows) =>
      rows.map(({ fence, owned_for, owner, stream }) => ({ stream, owner, fence: Number(fence), ownedFor: owned_for }))
  ).pipe(answering("look at streams"))
