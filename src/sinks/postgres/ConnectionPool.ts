/**
 * The pool of connections to PostgreSQL, as the `PgClient` that the ports use.
 *
 * It is `@effect/sql-pg`'s own connections behind a pool that knows three things more: how to dial (`Dialer.ts`), that a
 * session behind a transaction pooler keeps no prepared statements, and that a connection whose server turned read-only (a
 * failover) is of no more use. Like one that is gone, it is replaced.
 *
 * Bound: `maxConnections`, opened when they are needed and closed after `idleTimeout` without use. Questions of clients (whatever
 * has `RowsAllowed`) have all but {@link KEPT} of them: however many there are and however long they take, rows are stored and
 * tokens looked up.
 */
import { PgClient, type PgConnection } from "@effect/sql-pg"
import { Context, type Duration, Effect, Layer, Pool, type Scope, Semaphore, type Stream } from "effect"
import { Reactivity } from "effect/reactivity"
import { SqlClient } from "effect/sql"
import type { Connection } from "effect/sql/SqlConnection"
import { SqlError, UnknownError } from "effect/sql/SqlError"
import * as Statement from "effect/sql/Statement"
import { RowsAllowed } from "../storage/RowsAllowed.ts"
import type { Dialed, Dialer } from "./Dialer.ts"

export interface PoolOptions {
  readonly dialer: Dialer
  readonly maxConnections: number
  readonly idleTimeout: Duration.Input
}

/** Connections that are no question's, or half of them where there are few. */
const KEPT = 3

/** Tells of a client whether its statements go through a transaction pooler; undefined before its first connection. */
const pooling = new WeakMap<object, () => boolean | undefined>()

/** Whether a session keeps nothing from one statement to the next. Opens the first connection where there was none yet. */
export const isPooled = (sql: PgClient.PgClient): Effect.Effect<boolean, SqlError> =>
  Effect.suspend(() => {
    const known = pooling.get(sql)?.()
    if (known !== undefined || !pooling.has(sql)) return Effect.succeed(known === true)
    return Effect.map(sql`select 1`.unprepared, () => pooling.get(sql)?.() === true)
  })

/** Where a client has its connections from. */
export interface Connections {
  readonly get: Effect.Effect<Connection, SqlError, Scope.Scope>
  readonly use: <A, E, R>(f: (connection: Connection) => Effect.Effect<A, E, R>) => Effect.Effect<A, E | SqlError, R>
  /** One that a transaction has for itself. */
  readonly reserve: Effect.Effect<Connection, SqlError, Scope.Scope>
  readonly listen: PgClient.PgClient["listen"]
  readonly pooled: () => boolean | undefined
}

const connectionsOf = new WeakMap<object, Connections>()

/** The connections of a client that `layerPool` has made. */
export const connectionsIn = (client: PgClient.PgClient): Connections => connectionsOf.get(client)!

export const layerPool = (options: PoolOptions): Layer.Layer<PgClient.PgClient | SqlClient.SqlClient> =>
  Layer.effectContext(
    Effect.map(Effect.flatMap(makeConnections(options), clientOver), (client) =>
      Context.make(PgClient.PgClient, client).pipe(Context.add(SqlClient.SqlClient, client))
    )
  ).pipe(Layer.provide(Reactivity.layer))

const makeConnections = Effect.fnUntraced(function* ({ dialer, idleTimeout, maxConnections }: PoolOptions) {
  const runFork = Effect.runForkWith(yield* Effect.context())
  /** Gone, and not yet taken out of the pool. */
  const dead = new Set<Session>()
  let pool: Pool.Pool<Session, SqlError>

  const open = Effect.map(dialer.dial, (dialed) => {
    const session = new Session(dialed, () => {
      dead.add(session)
      // Now, not at the next checkout: somebody may be waiting for this very connection.
      runFork(
        Effect.andThen(
          Pool.invalidate(pool, session),
          Effect.sync(() => dead.delete(session))
        )
      )
    })
    retireHooksOf(dialed.connection).add(() => session.retire())
    return session
  })
  pool = yield* Pool.makeWithTTL({
    acquire: open,
    min: 0,
    max: maxConnections,
    timeToLive: idleTimeout,
    timeToLiveStrategy: "usage"
  })

  const questions = Semaphore.makeUnsafe(Math.max(Math.ceil(maxConnections / 2), maxConnections - KEPT))
  const turn = Effect.flatMap(RowsAllowed, (question) =>
    question === undefined
      ? Effect.void
      : Effect.acquireRelease(questions.take(1), () => questions.release(1), { interruptible: true })
  )
  const fromPool: Effect.Effect<Session, SqlError, Scope.Scope> = Effect.suspend(() =>
    Effect.flatMap(Pool.get(pool), (session) =>
      session.retired ? Effect.andThen(Pool.invalidate(pool, session), fromPool) : Effect.succeed(session)
    )
  )
  const get = Effect.andThen(turn, fromPool)
  const use = <A, E, R>(f: (connection: Connection) => Effect.Effect<A, E, R>): Effect.Effect<A, E | SqlError, R> =>
    Effect.flatMap(RowsAllowed, (question) => {
      const used = dead.size === 0 ? Pool.use(pool, f) : Effect.scoped(Effect.flatMap(fromPool, f))
      return question === undefined ? used : questions.withPermit(used)
    })
  const reserve = Effect.flatMap(get, (session) =>
    Effect.map(session.connection.pin, (pinned) => session.through(pinned))
  )

  return {
    get,
    use,
    reserve,
    listen: (channel: string) => Effect.flatMap(get, ({ connection }) => connection.listen(channel)),
    pooled: dialer.pooled
  }
})

/** A client whose statements go over these connections. */
export const clientOver = Effect.fnUntraced(function* (connections: Connections) {
  const { get, listen, pooled, reserve, use } = connections
  const client: PgClient.PgClient = Object.assign(
    yield* SqlClient.make({
      driver: "postgresql",
      acquirer: get,
      borrower: use,
      transactionAcquirer: reserve,
      prepareTransactionControls: true,
      commit,
      releaseSavepoint: (name) => `RELEASE SAVEPOINT ${name}`,
      compiler: PgClient.makeCompiler(),
      spanAttributes: [["db.system.name", "postgresql"]]
    }),
    {
      [PgClient.TypeId]: PgClient.TypeId,
      config: {},
      json: (value: unknown) => Statement.fragment([Statement.custom<PgClient.PgCustom>("PgJson")(value)]),
      listen,
      notify: (channel: string, payload: string) =>
        use((connection) =>
          Effect.asVoid(connection.executeUnprepared("select pg_notify($1, $2)", [channel, payload], undefined))
        )
    }
  )
  pooling.set(client, pooled)
  connectionsOf.set(client, connections)
  return client
})

/** PostgreSQL answers `ROLLBACK` to the `COMMIT` of a transaction that had failed. */
const commit = (connection: Connection): Effect.Effect<void, SqlError> =>
  Effect.flatMap(connection.executeRaw("COMMIT", []), (result) =>
    (result as PgConnection.Result).command === "ROLLBACK"
      ? Effect.fail(
          new SqlError({
            reason: new UnknownError({
              cause: new Error("COMMIT rolled back a transaction that had failed"),
              operation: "commit"
            })
          })
        )
      : Effect.void
  )

/** One connection of the pool. */
class Session implements Connection {
  readonly connection: PgConnection.PgConnection
  private readonly prepares: boolean
  private readonly onRetire: () => void
  retired = false

  constructor({ connection, pooled }: Pick<Dialed, "connection" | "pooled">, onRetire: () => void) {
    this.connection = connection
    this.prepares = !pooled
    this.onRetire = onRetire
  }

  /** Never to be lent again. What is under way on it goes on. */
  retire(): void {
    if (this.retired) return
    this.retired = true
    this.onRetire()
  }

  /** The same session over its pinned view; it retires the one that is in the pool. */
  through(connection: PgConnection.PgConnection): Session {
    return new Session({ connection, pooled: !this.prepares }, () => this.retire())
  }

  private watched<A>(self: Effect.Effect<A, SqlError>): Effect.Effect<A, SqlError> {
    return Effect.tapError(self, (error) => Effect.sync(() => (isReadOnly(error) ? this.retire() : undefined)))
  }

  private query(sql: string, params: ReadonlyArray<unknown>, prepare = true) {
    return this.watched(this.connection.query(sql, params, prepare && this.prepares))
  }

  private values(sql: string, params: ReadonlyArray<unknown>, prepare = true) {
    return this.watched(this.connection.queryValues(sql, params, prepare && this.prepares))
  }

  execute(sql: string, params: ReadonlyArray<unknown>) {
    return Effect.map(this.query(sql, params), rowsOf)
  }
  executeRaw(sql: string, params: ReadonlyArray<unknown>) {
    return this.query(sql, params)
  }
  executeValues(sql: string, params: ReadonlyArray<unknown>) {
    return this.values(sql, params)
  }
  executeValuesUnprepared(sql: string, params: ReadonlyArray<unknown>) {
    return this.values(sql, params, false)
  }
  executeUnprepared(sql: string, params: ReadonlyArray<unknown>, _transformRows: unknown) {
    return Effect.map(this.query(sql, params, false), rowsOf)
  }
  executeStream(sql: string, params: ReadonlyArray<unknown>): Stream.Stream<PgConnection.Row, SqlError> {
    return this.connection.stream(sql, params)
  }
}

const rowsOf = ({ rows }: PgConnection.Result) => rows

/** 25006: the server takes no writes. Another connection may reach one that does. */
const isReadOnly = ({ reason: { cause } }: SqlError): boolean =>
  typeof cause === "object" && cause !== null && "code" in cause && cause.code === "25006"

/**
 * What a connection calls once it must not be lent again: its socket broke, or a cancellation may arrive late. The client
 * shows this to its own pool only, under this key; its version is exact, and `Database.test.ts` notices where it is gone.
 */
const retireHooksOf = (connection: PgConnection.PgConnection): Set<() => void> =>
  (connection as unknown as Readonly<Record<string, { readonly retireHooks: Set<() => void> }>>)[
    "~@effect/sql-pg/PgConnection/internals"
  ]!.retireHooks
