/**
 * Answers of the database about secrets, by their hashes, remembered for a moment; and for longer while it is away.
 *
 * {@link REMEMBERED_FOR} is how long something that was revoked may still work, and how seldom something in use costs a
 * query. While the database is away, what it knew within the last {@link TRUSTED_FOR} is still good: what agents push then goes
 * on into the stream, which is there for exactly that, and the page still says what is wrong. Nobody can be revoked meanwhile,
 * since that is written to the same database; only a server that alone cannot reach it may take a revoked secret for so long.
 *
 * Bound: `REMEMBERED_MAX` answers, yes and no.
 */
import { createHash } from "node:crypto"
import { Cache, Clock, Duration, Effect, Exit, Option, Result } from "effect"
import { makeRecentMap } from "../sinks/postgres/RecentMap.ts"
import { DatabaseUnavailable } from "../sinks/storage/DatabaseUnavailable.ts"

const REMEMBERED_FOR = Duration.seconds(3)
const REMEMBERED_MAX = 20_000
const TRUSTED_FOR = Duration.hours(1)
/** A database that takes longer is as good as away. */
const ANSWER_WITHIN = Duration.seconds(2)
/** As many secrets, by their hashes. */
const TRUSTED_COST_MAX = REMEMBERED_MAX * 2 * (64 + 64)
/** What is longer is nobody's secret, and not worth hashing. */
const SECRET_LENGTH_MAX = 512

/** What is known of a secret. */
export interface Known {
  /** Epoch milliseconds from which on it is nobody's; null: never. */
  readonly expiresAt: number | null
}

export interface Remembered<A extends Known> {
  /** What a secret stands for; none where it is unknown, revoked or expired. */
  readonly find: (secret: string) => Effect.Effect<Option.Option<A>, DatabaseUnavailable>
  /** Whether the latest answer about it was that it is good. Asks nobody. */
  readonly isKnown: (secret: string) => boolean
  /** Asks anew from now on, in this process. */
  readonly forget: (secret: string) => Effect.Effect<void>
  readonly forgetAll: Effect.Effect<void>
}

/** SHA-256, which 256 random bits need not be slowed down for. */
export const hashOf = (secret: string): Buffer => createHash("sha256").update(secret).digest()

/** `find` looks a hash up in the database; `operation` is what its absence keeps from being done. */
export const makeRemembered = <A extends Known>(
  operation: string,
  find: (sha256: Buffer) => Effect.Effect<Option.Option<A>, DatabaseUnavailable>
): Effect.Effect<Remembered<A>> =>
  Effect.gen(function* () {
    const clock = yield* Clock.Clock
    const trusted = makeRecentMap<{ readonly known: Option.Option<A>; readonly at: number }>(TRUSTED_COST_MAX)
    const noAnswer = () =>
      new DatabaseUnavailable({
        operation,
        because: "away",
        cause: new Error(`no answer within ${Duration.format(ANSWER_WITHIN)}`)
      })
    const findOrTrust = Effect.fnUntraced(function* (sha256: string) {
      const now = clock.currentTimeMillisUnsafe()
      const found = yield* Effect.result(
        Effect.timeoutOrElse(find(Buffer.from(sha256, "hex")), {
          duration: ANSWER_WITHIN,
          orElse: () => Effect.fail(noAnswer())
        })
      )
      if (Result.isSuccess(found)) {
        trusted.set(sha256, { known: found.success, at: now })
        return found.success
      }
      const before = trusted.get(sha256)
      if (before === undefined || Option.isNone(before.known)) return yield* found.failure
      if (now - before.at > Duration.toMillis(TRUSTED_FOR)) return yield* found.failure
      return before.known
    })
    const cache = yield* Cache.makeWith(findOrTrust, {
      capacity: REMEMBERED_MAX,
      timeToLive: (exit) => (Exit.isSuccess(exit) ? REMEMBERED_FOR : Duration.zero)
    })
    return {
      find: (secret) =>
        secret.length === 0 || secret.length > SECRET_LENGTH_MAX
          ? Effect.succeedNone
          : Effect.map(Cache.get(cache, hashOf(secret).toString("hex")), (known) =>
              Option.filter(known, ({ expiresAt }) => expiresAt === null || expiresAt > clock.currentTimeMillisUnsafe())
            ),
      isKnown: (secret) => {
        const latest = trusted.get(hashOf(secret).toString("hex"))
        return latest !== undefined && Option.isSome(latest.known)
      },
      forget: (secret) => Cache.invalidate(cache, hashOf(secret).toString("hex")),
      forgetAll: Cache.invalidateAll(cache)
    }
  })
