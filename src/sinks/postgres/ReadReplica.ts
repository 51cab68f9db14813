/**
 * The read replica (`DATABASE_READ_URL`): a standby of the database that questions about windows of rows are read from, and
 * nothing else. Sessions, tokens, what people write, and all that writes stay with the primary.
 *
 * What a standby has, it has in the order in which the primary wrote it. So once a second the primary is asked how far its log
 * is, and the standby how far it has replayed it: whatever was stored before the latest such moment that is replayed is there.
 * That moment is `asOf`. A question's window ends with it, and the answer says how far it is behind (`readUntil`): what
 * is not there yet is no gap, and no server that is offline. Who asks about a later moment is answered by the primary.
 *
 * Guarantee: a standby that is away, is none (any more), is one of another database, or lags more than `lagMax` is not read from;
 * the primary answers then, also what is under way. It is said once in the log, and again when the standby is read from
 * anew: by itself, once it lags less than half of that.
 *
 * Bound: {@link SAMPLES_MAX} moments; a look takes {@link LOOK_WITHIN} on either side.
 */
import { PgClient } from "@effect/sql-pg"
import { Clock, Context, Deferred, Duration, Effect, Layer, type Redacted, Result } from "effect"
import { Reactivity } from "effect/reactivity"
import { ConnectionError, SqlError } from "effect/sql/SqlError"
import { type Connections, clientOver, connectionsIn } from "./ConnectionPool.ts"
import { becauseOf, layer as databaseLayer } from "./Database.ts"
import type { DatabaseUrlInvalid } from "./DatabaseUrl.ts"

const LAG_MAX = Duration.seconds(60)
const LOOK_EVERY = Duration.seconds(1)
const LOOK_WITHIN = Duration.seconds(2)
/** An hour of them: the longest lag that may be allowed. */
const SAMPLES_MAX = 3_700

/** What is known of the replica. */
export interface ReplicaView {
  /** What was stored until then is there, epoch microseconds; undefined: nobody knows yet. */
  readonly asOf: number | undefined
  readonly isUsed: boolean
  /** Why it is not. */
  readonly reason: string | undefined
}

export class ReadReplica extends Context.Service<
  ReadReplica,
  {
    /** Undefined: there is none. */
    readonly view: () => ReplicaView | undefined
    /** Looks for ever how far it is. For the supervisor. */
    readonly run: Effect.Effect<never>
    /** Reads what a question asks where that says (`RowsFrom`), and everything else from the primary. */
    readonly client: PgClient.PgClient
  }
>()("nodepulse/sinks/ReadReplica") {
  /** Without a replica: everything is the primary's. */
  static readonly layerNone: Layer.Layer<ReadReplica, never, PgClient.PgClient> = Layer.effect(
    ReadReplica,
    Effect.map(PgClient.PgClient, (client) => ReadReplica.of({ view: () => undefined, run: Effect.never, client }))
  )

  static readonly layerWith = (
    options: ReplicaOptions
  ): Layer.Layer<ReadReplica, DatabaseUrlInvalid, PgClient.PgClient> =>
    Layer.effect(
      ReadReplica,
      Effect.gen(function* () {
        const primary = yield* PgClient.PgClient
        const replica = Context.get(
          yield* Layer.build(databaseLayer({ url: options.url, applicationName: "nodepulse reads" })),
          PgClient.PgClient
        )
        return yield* make(primary, replica, options.lagMax ?? LAG_MAX)
      })
    ).pipe(Layer.provide(Reactivity.layer))
}

export interface ReplicaOptions {
  readonly url: Redacted.Redacted<string>
  readonly lagMax?: Duration.Duration
}

/** For a layer whose statements are about the rows of windows. */
export const layerReading: Layer.Layer<PgClient.PgClient, never, ReadReplica> = Layer.effect(
  PgClient.PgClient,
  Effect.map(ReadReplica, ({ client }) => client)
)

// -- one question

/** Where the rows of one question are read; shared by all that is read for it. */
export interface RowsFrom {
  is: "primary" | "replica"
  readonly view: ReplicaView | undefined
}

/** Absent: from the primary. */
export const RowsFrom = Context.Reference<RowsFrom | undefined>("nodepulse/sinks/RowsFrom", {
  defaultValue: () => undefined
})

/** Reads what has to be of this very moment, such as whether a server exists. */
export const fromPrimary = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.provideService(self, RowsFrom, undefined)

/** Where a question's window ends, epoch microseconds. */
export interface WindowEnd {
  readonly to: number
  /** How far the rows that are read are behind; absent: they are the primary's. */
  readonly replicaLagSeconds?: number
}

/**
 * Chooses where the rows of the question under way are read, for a window until `at`, or until `now`: from the replica where that
 * has them.
 */
export const readUntil = (now: number, at?: number): Effect.Effect<WindowEnd> =>
  Effect.map(RowsFrom, (question): WindowEnd => {
    const asOf = question?.view?.isUsed === true ? question.view.asOf : undefined
    if (question === undefined || asOf === undefined || asOf > now || (at !== undefined && at > asOf)) {
      if (question !== undefined) question.is = "primary"
      return { to: at ?? now }
    }
    question.is = "replica"
    return { to: at ?? asOf, replicaLagSeconds: Math.round((now - asOf) / 100_000) / 10 }
  })

// -- the replica

/** The primary's log at a moment. */
export interface Sample {
  /** Epoch microseconds. */
  readonly at: number
  /** Bytes. */
  readonly position: number
}

/** The latest moment of which everything is replayed; undefined where none is known. Samples are in order of time. Pure. */
export const asOfIn = (samples: ReadonlyArray<Sample>, replayed: number): number | undefined =>
  samples.findLast(({ position }) => position <= replayed)?.at

const make = Effect.fnUntraced(function* (
  primary: PgClient.PgClient,
  replica: PgClient.PgClient,
  lagMax: Duration.Duration
) {
  const samples: Array<Sample> = []
  let state: State = { is: "unknown", asOf: undefined, reason: "nobody has looked yet" }
  let identity: string | undefined
  /** What the log said last. */
  let told: State["is"] | undefined
  /** Ends what is under way on a replica that is not read from any more. */
  let lost = Deferred.makeUnsafe<never, SqlError>()

  const sample = Effect.gen(function* () {
    const at = (yield* Clock.currentTimeMillis) * 1_000
    const [row] = yield* primary.unsafe<{ readonly position: number; readonly identity: string }>(PRIMARY)
    if (identity !== row!.identity) samples.length = 0
    identity = row!.identity
    if (samples.at(-1)?.position === row!.position) samples.pop()
    samples.push({ at, position: row!.position })
    if (samples.length > SAMPLES_MAX) samples.shift()
  }).pipe(Effect.timeout(LOOK_WITHIN), Effect.ignore)

  const standing = replica
    .unsafe<{ readonly standby: boolean; readonly position: number | null; readonly identity: string }>(REPLICA)
    .pipe(
      Effect.timeoutOrElse({ duration: LOOK_WITHIN, orElse: () => Effect.fail(notInTime) }),
      Effect.map(([row]) => row!),
      Effect.result
    )

  const found = Effect.gen(function* (): Effect.fn.Return<State> {
    yield* sample
    const answer = yield* standing
    if (Result.isFailure(answer)) {
      return { is: "away", asOf: undefined, reason: `does not answer: ${wordsOf(answer.failure)}` }
    }
    const { identity: other, position, standby } = answer.success
    if (!standby)
      return { is: "promoted", asOf: undefined, reason: "is no standby (any more): it takes writes of its own" }
    if (identity !== undefined && other !== identity) {
      return { is: "foreign", asOf: undefined, reason: "is a standby of another database than DATABASE_URL" }
    }
    const asOf = asOfIn(samples, position ?? -1)
    if (asOf === undefined) {
      return { is: "unknown", asOf, reason: "has not replayed yet what was written when it was first looked at" }
    }
    const lag = (yield* Clock.currentTimeMillis) - asOf / 1_000
    const most = Duration.toMillis(lagMax) / (state.is === "behind" ? 2 : 1)
    if (lag <= most) return { is: "used", asOf, reason: undefined }
    return { is: "behind", asOf, reason: `is more than ${Duration.format(Duration.millis(most))} behind` }
  })

  const look = Effect.gen(function* () {
    const was = state
    state = yield* found
    if (was.is === "used" && state.is !== "used") {
      yield* Deferred.fail(lost, notInTime)
      lost = Deferred.makeUnsafe()
    }
    if (state.is === told || state.is === "unknown") return
    yield* state.is === "used"
      ? Effect.logInfo(`questions are read from the replica${told === undefined ? "" : " again"} (DATABASE_READ_URL)`)
      : Effect.logWarning(`questions are read from the primary: the replica (DATABASE_READ_URL) ${state.reason}`)
    told = state.is
  })

  /** From the replica where the question says so; where that fails, what is left of the question is the primary's. */
  const routed = <A, E, R>(
    question: RowsFrom | undefined,
    ofReplica: Effect.Effect<A, E | SqlError, R>,
    ofPrimary: Effect.Effect<A, E | SqlError, R>
  ): Effect.Effect<A, E | SqlError, R> =>
    question?.is !== "replica"
      ? ofPrimary
      : Effect.catchIf(
          Effect.raceFirst(ofReplica, Deferred.await(lost)),
          (error): error is SqlError & E => isOfServer(error),
          () => {
            question.is = "primary"
            return ofPrimary
          }
        )

  const [first, second] = [connectionsIn(primary), connectionsIn(replica)]
  const connections: Connections = {
    ...first,
    get: Effect.flatMap(RowsFrom, (question) => routed(question, second.get, first.get)),
    use: (f) => Effect.flatMap(RowsFrom, (question) => routed(question, second.use(f), first.use(f)))
  }
  return ReadReplica.of({
    view: () => ({ asOf: state.asOf, isUsed: state.is === "used", reason: state.reason }),
    run: Effect.forever(Effect.andThen(look, Effect.sleep(LOOK_EVERY))),
    client: yield* clientOver(connections)
  })
})

interface State extends Pick<ReplicaView, "asOf" | "reason"> {
  readonly is: "used" | "unknown" | "away" | "promoted" | "foreign" | "behind"
}

/** Which database it is: a standby has the same. */
const IDENTITY = `(select system_identifier::text from pg_control_system()) || ' ' ||
  (select own.oid::text from pg_database own where own.datname = current_database()) as identity`

const PRIMARY = `select (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::float8 as position, ${IDENTITY}`

const REPLICA = `select pg_is_in_recovery() as standby, (pg_last_wal_replay_lsn() - '0/0'::pg_lsn)::float8 as position, ${IDENTITY}`

const notInTime = new SqlError({
  reason: new ConnectionError({
    cause: new Error(`no answer within ${Duration.format(LOOK_WITHIN)}`),
    operation: "look at the replica"
  })
})

/** Whether another server may answer what this one did not: not where the question itself takes too long, or asks for too much. */
const isOfServer = (error: unknown): boolean =>
  error instanceof SqlError && !["slow", "large"].includes(becauseOf(error))

const wordsOf = ({ reason: { cause } }: SqlError): string => (cause instanceof Error ? cause.message : String(cause))
