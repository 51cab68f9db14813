/**
 * Whether the server can do its work: named checks, and the truth about each, for `GET /readyz`.
 *
 * Guarantee: a check that fails, hangs (`CHECK_WITHIN`) or dies is "not ready" with a reason. Bound: checks run at most
 * once a second however often they are asked for, since the endpoint is open to everyone.
 */
import { Cause, Context, Duration, Effect, Layer, Option } from "effect"
import { Servers } from "../../access/Servers.ts"
import { ReadReplica } from "../../sinks/postgres/ReadReplica.ts"
import { SnapshotRows } from "../../sinks/storage/SnapshotRows.ts"
import { WriteHealth } from "../../sinks/storage/WriteHealth.ts"
import { SnapshotStream, type StreamStats } from "../../sinks/stream/SnapshotStream.ts"

const CHECK_WITHIN = Duration.seconds(2)
const FRESH_FOR = Duration.seconds(1)
const REASON_LENGTH_MAX = 200

export interface Check {
  readonly name: string
  readonly ready: boolean
  /** Why not; of one that is ready, what does its work instead of it. Null where there is nothing to tell. */
  readonly reason: string | null
}

export class Readiness extends Context.Service<Readiness, { readonly checks: Effect.Effect<ReadonlyArray<Check>> }>()(
  "nodepulse/http/Readiness"
) {
  /**
   * Database, stream and the last real writes are always checked; `more` are checks of other parts, such as migrations. A process
   * that writes nothing has nothing to tell about writes.
   */
  static readonly layer = (
    more: Readonly<Record<string, Effect.Effect<unknown, { readonly message: string }>>> = {}
  ): Layer.Layer<Readiness, never, Servers | SnapshotStream> =>
    Layer.effect(
      Readiness,
      Effect.gen(function* () {
        const servers = yield* Servers
        const stream = yield* SnapshotStream
        const health = yield* WriteHealth
        // Rows that wait for a node of the database while others are stored are no reason to be taken away.
        const rows = Option.getOrUndefined(yield* Effect.serviceOption(SnapshotRows))
        const writes = Effect.andThen(health.check, rows?.waits ?? Effect.succeed(undefined))
        const all = { database: servers.list, stream: Effect.map(stream.stats, noteOnStreams), writes, ...more }
        const run = Effect.forEach(Object.entries(all), ([name, effect]) => check(name, effect), {
          concurrency: Object.keys(all).length
        })
        // A replica that is not used keeps nothing from being answered.
        const replica = Option.getOrUndefined(yield* Effect.serviceOption(ReadReplica))
        const ofReplica = Effect.sync((): ReadonlyArray<Check> => {
          const view = replica?.view()
          if (view === undefined) return []
          const reason = view.reason === undefined ? null : `the database answers instead: the replica ${view.reason}`
          return [{ name: "replica", ready: true, reason }]
        })
        const checks = Effect.map(Effect.all([run, ofReplica]), (found) => found.flat())
        return Readiness.of({ checks: yield* Effect.cachedWithTTL(checks, FRESH_FOR) })
      })
    )
}

/** Streams that do not answer while others do keep nobody from serving: pushes of their servers are answered with 503. */
const noteOnStreams = ({ silent }: StreamStats): string | undefined =>
  silent.length === 0
    ? undefined
    : `of the streams ${silent.join(", ")} ${silent.length === 1 ? "does" : "do"} not answer`

/** What succeeds with a text is ready, and says that. */
const check = (name: string, effect: Effect.Effect<unknown, { readonly message: string }>): Effect.Effect<Check> =>
  effect.pipe(
    Effect.timeoutOrElse({
      duration: CHECK_WITHIN,
      orElse: () => Effect.fail({ message: `no answer within ${Duration.format(CHECK_WITHIN)}` })
    }),
    Effect.map((found) => ({ name, ready: true, reason: typeof found === "string" ? found : null })),
    Effect.catchCause((cause) => {
      const failure = cause.reasons.find(Cause.isFailReason)
      const reason = failure === undefined ? "unexpected error" : failure.error.message
      return Effect.succeed({ name, ready: false, reason: reason.slice(0, REASON_LENGTH_MAX) })
    })
  )
