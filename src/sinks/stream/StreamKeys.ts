/**
 * The keys that entries of the stream are sealed with (`SealedStream.ts`): the first seals, all are accepted.
 *
 * They come from the file that NODEPULSE_STREAM_KEY_FILE names (a key a line, the one to seal with first), else from the
 * database, which all processes that seal or open share: who reaches the stream's storage need not reach that. A new key is
 * accepted by everybody before anybody seals with it: it is read every {@link READ_EVERY}, and begins a while later.
 *
 * While the keys cannot be read anew, those that are known are used.
 */
import { createSecretKey, type KeyObject, randomBytes } from "node:crypto"
import { PgClient } from "@effect/sql-pg"
import { Clock, Context, Duration, Effect, Layer, Result, Schema } from "effect"
import { readSecretFile } from "../../SecretFile.ts"
import { answering } from "../postgres/Database.ts"
import type { DatabaseUnavailable } from "../storage/DatabaseUnavailable.ts"
import { StreamUnavailable } from "./SnapshotStream.ts"

/** Made once: to take bytes for a key costs five times what a MAC does. */
type Keys = ReadonlyArray<KeyObject>
type Load = Effect.Effect<Keys, StreamKeyFileUnusable | DatabaseUnavailable>

/** The file with the keys cannot be used. Not retryable: somebody has to mend it. */
class StreamKeyFileUnusable extends Schema.TaggedError<StreamKeyFileUnusable>()("StreamKeyFileUnusable", {
  path: Schema.String,
  reason: Schema.String
}) {
  readonly retryable = false
  override get message(): string {
    return `NODEPULSE_STREAM_KEY_FILE ${this.path}: ${this.reason}`
  }
}

const READ_EVERY = Duration.seconds(20)
const READ_WITHIN = Duration.seconds(2)
/** Several times `READ_EVERY`. */
const BEGINS_AFTER = Duration.minutes(2)
const KEY_LENGTH_MIN = 32

export class StreamKeys extends Context.Service<
  StreamKeys,
  {
    /** At least one. */
    readonly fresh: Effect.Effect<Keys, StreamUnavailable>
    /** Says where they come from, before the first is needed. */
    readonly readFrom: (load: Load) => void
  }
>()("nodepulse/sinks/StreamKeys") {
  static readonly layer: Layer.Layer<StreamKeys> = Layer.effect(
    StreamKeys,
    Effect.map(Clock.Clock, (clock) => make(clock))
  )
}

const make = (clock: Clock.Clock): StreamKeys["Service"] => {
  let load: Load = Effect.succeed([])
  let keys: Keys = []
  let readAgainAt = Number.NEGATIVE_INFINITY
  const read = Effect.gen(function* () {
    const found = yield* Effect.result(Effect.timeout(load, READ_WITHIN))
    if (Result.isSuccess(found) && found.success.length > 0) keys = found.success
    if (keys.length > 0) return keys
    readAgainAt = Number.NEGATIVE_INFINITY
    const cause = Result.isFailure(found) ? new Error(found.failure.message) : new Error("there is none")
    return yield* new StreamUnavailable({ operation: "read its keys", cause })
  })
  return StreamKeys.of({
    fresh: Effect.suspend(() => {
      const now = clock.currentTimeMillisUnsafe()
      if (now < readAgainAt) return Effect.succeed(keys)
      // At once, so that those who come meanwhile do not all read.
      if (keys.length > 0) readAgainAt = now + Duration.toMillis(READ_EVERY)
      return Effect.tap(read, () =>
        Effect.sync(() => {
          readAgainAt = now + Duration.toMillis(READ_EVERY)
        })
      )
    }),
    readFrom: (from) => {
      load = from
    }
  })
}

/** A key a line, the one to seal with first. */
export const keysOfFile = (path: string): Effect.Effect<Keys, StreamKeyFileUnusable> =>
  Effect.suspend(() => {
    const refuse = (reason: string) => Effect.fail(new StreamKeyFileUnusable({ path, reason }))
    const file = readSecretFile(path)
    if (Result.isFailure(file)) return refuse(file.failure.reason)
    const lines = file.success.split("\n").flatMap((line) => (line.trim() === "" ? [] : [line.trim()]))
    const short = lines.length === 0 || lines.some((line) => line.length < KEY_LENGTH_MIN)
    return short
      ? refuse(`each line is a key of at least ${KEY_LENGTH_MIN} characters, and there is at least one`)
      : Effect.succeed(lines.map((line) => createSecretKey(line, "utf8")))
  })

/** Those of the database; makes the first. */
export const keysOfDatabase = (sql: PgClient.PgClient): Load =>
  Effect.gen(function* () {
    const found = yield* readKeys(sql)
    if (found.length > 0) return found
    yield* addKey(sql, { beginsAfter: Duration.zero, onlyFirst: true })
    return yield* readKeys(sql)
  }).pipe(answering("read the stream's keys"))

const readKeys = (sql: PgClient.PgClient) =>
  Effect.map(
    sql<{ readonly secret: Uint8Array }>`
      select secret from admiral.stream_keys order by begins_at <= now() desc, begins_at desc, id desc`,
    (rows) => rows.map(({ secret }) => createSecretKey(secret))
  )

/** Any number that nobody else takes. */
const KEYS_LOCK = 7_246_005

const addKey = (
  sql: PgClient.PgClient,
  { beginsAfter, onlyFirst }: { readonly beginsAfter: Duration.Duration; readonly onlyFirst: boolean }
) =>
  sql.withTransaction(
    Effect.andThen(
      sql`select pg_advisory_xact_lock(${KEYS_LOCK}::int8)`,
      sql`insert into admiral.stream_keys (secret, begins_at)
        select ${randomBytes(32)}, now() + ${Duration.toMillis(beginsAfter)}::float8 * interval '1 millisecond'
        where not ${onlyFirst}::boolean or not exists (select from admiral.stream_keys)`
    )
  )

/**
 * A new key, which seals from some minutes on; those before it are still accepted, for what waits in the stream. `atOnce`: it
 * is the only one from now on, and what was sealed with another becomes dead letters.
 */
export const rotateKeys = (options: { readonly atOnce: boolean }) =>
  Effect.gen(function* () {
    const sql = yield* PgClient.PgClient
    if (options.atOnce) yield* sql`delete from admiral.stream_keys`
    // Nothing waits in a stream for a month.
    yield* sql`delete from admiral.stream_keys where begins_at < now() - interval '30 days' and id < (
      select max(id) from admiral.stream_keys where begins_at <= now())`
    const beginsAfter = options.atOnce ? Duration.zero : BEGINS_AFTER
    yield* addKey(sql, { beginsAfter, onlyFirst: false })
    return beginsAfter
  })
