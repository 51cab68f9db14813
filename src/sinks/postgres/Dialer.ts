/**
 * Opens one connection to PostgreSQL as libpq would: the hosts in their order, with and without TLS as `sslmode` means it,
 * to a server that takes writes where one is asked for.
 *
 * | `sslmode` | tries | checks |
 * |---|---|---|
 * | `disable` | plain | |
 * | `allow` | plain, then TLS | nothing |
 * | `prefer` (where nothing is said) | TLS, then plain | nothing |
 * | `require` | TLS | nothing; the authority where `sslrootcert` names one |
 * | `verify-ca` | TLS | the certificate's authority |
 * | `verify-full` | TLS | authority and host name |
 *
 * A Unix socket is never encrypted. Without `sslrootcert` the authorities are those of Node.js and of the system. Files are
 * read at each connection: a renewed certificate needs no restart.
 *
 * A transaction pooler (PgBouncer and its kin) is recognised at the first connection: it refuses startup parameters, or the
 * process id that it tells is not the backend's. What a session would keep is then left out: parameters and prepared
 * statements. See `Database.ts` for what follows from it.
 */
import { readFileSync } from "node:fs"
import * as Net from "node:net"
import { userInfo } from "node:os"
import * as Tls from "node:tls"
import { PgConnection } from "@effect/sql-pg"
import { Cause, Duration, Effect, Exit, Option, Redacted, Result, Scope } from "effect"
import { ConnectionError, SqlError } from "effect/sql/SqlError"
import { readSecretFile } from "../../SecretFile.ts"
import type { DatabaseHost, DatabaseTarget } from "./DatabaseUrl.ts"

export interface DialerOptions {
  readonly target: DatabaseTarget
  readonly applicationName: string
  /** Settings of each session; not sent through a transaction pooler. */
  readonly session: Readonly<Record<string, string>>
}

export interface Dialed {
  readonly connection: PgConnection.PgConnection
  /** Whether statements go through a transaction pooler, so that a session keeps nothing from one to the next. */
  readonly pooled: boolean
  readonly encrypted: boolean
  /** Whether the server takes no writes: a standby, or set so. */
  readonly readOnly: boolean
  readonly host: DatabaseHost
}

export interface Dialer {
  readonly dial: Effect.Effect<Dialed, SqlError, Scope.Scope>
  /** What is known of it: undefined before the first connection. */
  readonly pooled: () => boolean | undefined
}

/** A certificate or key that the address names cannot be used. Inside a `ConnectionError`; waiting does not help. */
export class TlsFileUnusable extends Error {
  override readonly name = "TlsFileUnusable"
}

/** None of the hosts takes writes now. Inside a `ConnectionError`; one of them may be promoted. */
export class NoWritableServer extends Error {
  override readonly name = "NoWritableServer"
}

const CONNECT_WITHIN = Duration.seconds(10)
const KEEP_ALIVE_MILLIS = 30_000

export const makeDialer = (options: DialerOptions): Dialer => {
  const { target } = options
  let pooled = target.pooled
  /** The host that answered last is tried first: the others may be slow to fail. */
  let last: DatabaseHost | undefined

  const connectTo = (at: Attempt, plain = false): Effect.Effect<Dialed, SqlError, Scope.Scope> =>
    Effect.suspend(() => {
      const bare = plain || pooled === true
      return Effect.catchIf(connectOnce(options, at, bare), isStartupParameterRefused(bare), () => {
        pooled = true
        return connectOnce(options, at, true)
      })
    }).pipe(
      Effect.tap((dialed) =>
        Effect.sync(() => {
          pooled ??= dialed.pooled
        })
      ),
      Effect.map((dialed) => ({ ...dialed, pooled: pooled === true }))
    )

  const dial = Effect.gen(function* () {
    const outer = yield* Scope.Scope
    const hosts = last === undefined ? target.hosts : [last, ...target.hosts.filter((host) => host !== last)]
    let failure: SqlError | undefined
    for (const host of hosts) {
      for (const tls of encryptions(target, host)) {
        const scope = yield* Scope.fork(outer)
        const tried = yield* Effect.exit(Scope.provide(connectTo({ host, tls }), scope))
        if (Exit.isSuccess(tried) && !(target.writable && tried.value.readOnly)) {
          last = host
          return tried.value
        }
        yield* Scope.close(scope, Exit.void)
        const error = Exit.isSuccess(tried) ? readOnlyError(host) : failureOf(tried.cause)
        if (error === undefined) return yield* tried as Exit.Exit<never, SqlError>
        failure = failure === undefined || weight(error) >= weight(failure) ? error : failure
        if (isAboutPassword(error)) return yield* error
        if (!mayBeAboutEncryption(error)) break
      }
    }
    return yield* failure ?? connectionError(new Error("no host is named"))
  })

  return { dial, pooled: () => pooled }
}

interface Attempt {
  readonly host: DatabaseHost
  readonly tls: boolean
}

const encryptions = ({ sslMode }: DatabaseTarget, { host }: DatabaseHost): ReadonlyArray<boolean> => {
  if (host.startsWith("/") || sslMode === "disable") return [false]
  if (sslMode === "allow") return [false, true]
  return sslMode === "prefer" ? [true, false] : [true]
}

/** One connection, and a look at what it is connected to. */
const connectOnce = Effect.fnUntraced(function* (
  { applicationName, session, target }: DialerOptions,
  at: Attempt,
  bare: boolean
): Effect.fn.Return<Dialed, SqlError, Scope.Scope> {
  const ssl = at.tls ? yield* tlsOptions(target, at.host) : false
  const connection = yield* PgConnection.make({
    stream: () => openSocket(at.host),
    host: at.host.host,
    port: at.host.port,
    ssl,
    username: target.user ?? userInfo().username,
    ...(target.database === undefined ? {} : { database: target.database }),
    ...(target.password === undefined ? {} : { password: target.password }),
    applicationName: target.applicationName ?? applicationName,
    connectTimeout: target.connectSeconds === undefined ? CONNECT_WITHIN : Duration.seconds(target.connectSeconds),
    // Of those that a session has, poolers know these two.
    startupParameters: { client_encoding: "UTF8", timezone: "UTC", ...(bare ? {} : session) },
    ...(target.options === undefined ? {} : { startupOptions: target.options }),
    prepare: true
  })
  const { rows } = yield* connection.query(LOOK, [], false)
  const [row] = rows as ReadonlyArray<{ readonly pid: number; readonly read_only: boolean; readonly citus: boolean }>
  // Citus plans a statement by its values: without them it does not know which node has the rows.
  if (row?.citus === true && !bare) yield* connection.query("set plan_cache_mode = auto", [], false)
  return {
    connection,
    pooled: bare || row?.pid !== connection.processId,
    encrypted: at.tls,
    readOnly: row?.read_only === true,
    host: at.host
  }
})

const LOOK = `select pg_backend_pid()::int4 as pid,
  pg_is_in_recovery() or current_setting('transaction_read_only') = 'on' as read_only,
  exists (select from pg_extension where extname = 'citus') as citus`

const openSocket = ({ address, host, port }: DatabaseHost): Net.Socket =>
  host.startsWith("/")
    ? Net.connect({ path: `${host}/.s.PGSQL.${port}` })
    : Net.connect({
        host: address ?? host,
        port,
        noDelay: true,
        keepAlive: true,
        keepAliveInitialDelay: KEEP_ALIVE_MILLIS
      })

/** What TLS checks and shows. */
const tlsOptions = (target: DatabaseTarget, { host }: DatabaseHost): Effect.Effect<Tls.ConnectionOptions, SqlError> =>
  Effect.try({
    try: () => {
      const { sslCert, sslKey, sslMode, sslRootCert } = target
      const verifies = sslMode === "verify-full" || sslMode === "verify-ca" || sslRootCert !== undefined
      const read = (parameter: string, path: string) => {
        try {
          return readFileSync(path)
        } catch (error) {
          throw new TlsFileUnusable(`${parameter}=${path} cannot be read (${(error as NodeJS.ErrnoException).code})`)
        }
      }
      const secret = (parameter: string, path: string) =>
        Result.getOrThrowWith(
          readSecretFile(path),
          ({ reason }) => new TlsFileUnusable(`${parameter}=${path}: ${reason}`)
        )
      if ((sslCert === undefined) !== (sslKey === undefined)) {
        throw new TlsFileUnusable(
          sslCert === undefined ? "sslkey is named and sslcert is not" : "sslcert is named and sslkey is not"
        )
      }
      const tls: Tls.ConnectionOptions = {
        ...(Net.isIP(host) === 0 ? { servername: host } : {}),
        ...(verifies
          ? {
              ca:
                sslRootCert === undefined || sslRootCert === "system"
                  ? [...Tls.getCACertificates("default"), ...Tls.getCACertificates("system")]
                  : read("sslrootcert", sslRootCert)
            }
          : { rejectUnauthorized: false }),
        ...(verifies && sslMode !== "verify-full" ? { checkServerIdentity: () => undefined } : {}),
        ...(sslCert === undefined ? {} : { cert: read("sslcert", sslCert) }),
        ...(sslKey === undefined ? {} : { key: secret("sslkey", sslKey) }),
        ...(target.sslPassword === undefined ? {} : { passphrase: Redacted.value(target.sslPassword) }),
        ...(target.sslMinVersion === undefined ? {} : { minVersion: target.sslMinVersion })
      }
      try {
        Tls.createSecureContext(tls)
      } catch (error) {
        const files = [sslRootCert, sslCert, sslKey].filter((file) => file !== undefined).join(", ")
        throw new TlsFileUnusable(`the certificates or keys of ${files} cannot be used (${(error as Error).message})`)
      }
      return tls
    },
    catch: (error) => connectionError(error)
  })

// -- failures

const connectionError = (cause: unknown): SqlError =>
  new SqlError({ reason: new ConnectionError({ cause, operation: "connect" }) })

const readOnlyError = ({ host, port }: DatabaseHost): SqlError =>
  connectionError(new NoWritableServer(`${host.startsWith("/") ? host : `${host}:${port}`} takes no writes now`))

/** The failure of an attempt; undefined where it was interrupted, or died. */
const failureOf = (cause: Cause.Cause<SqlError>): SqlError | undefined =>
  Cause.hasInterrupts(cause) || Cause.hasDies(cause) ? undefined : Option.getOrUndefined(Cause.findErrorOption(cause))

const codeOf = ({ reason: { cause } }: SqlError): string | undefined =>
  typeof cause === "object" && cause !== null && "code" in cause && typeof cause.code === "string"
    ? cause.code
    : undefined

/** What a server said says more than that another could not be reached. */
const weight = (error: SqlError): number => {
  const { cause } = error.reason
  if (cause instanceof NoWritableServer) return 1
  return isSqlState(codeOf(error)) || cause instanceof TlsFileUnusable ? 2 : 0
}

const isSqlState = (code: string | undefined): boolean =>
  code !== undefined && /^[0-9A-Z]{5}$/.test(code) && !SOCKET.has(code)

/** The system's words for a connection that there is not: encrypting it, or not, changes nothing. */
const SOCKET = new Set([
  "EACCES",
  "EADDRNOTAVAIL",
  "EAI_AGAIN",
  "ECONNREFUSED",
  "EHOSTDOWN",
  "EHOSTUNREACH",
  "EINVAL",
  "ENETUNREACH",
  "ENOENT",
  "ENOTFOUND",
  "EPERM",
  "EPIPE",
  "ETIMEDOUT"
])

/** As libpq: a server that does not let us in this way may let us in the other way (`hostssl`, `hostnossl`). */
const mayBeAboutEncryption = (error: SqlError): boolean => {
  const code = codeOf(error)
  if (error.reason.cause instanceof TlsFileUnusable) return false
  if (isSqlState(code)) return code === "28000"
  return !(code !== undefined && SOCKET.has(code)) && !/timed out/.test(String(error.reason.cause))
}

const isAboutPassword = (error: SqlError): boolean =>
  codeOf(error) === "28P01" || error.reason.cause instanceof TlsFileUnusable

const isStartupParameterRefused = (bare: boolean) => (error: SqlError) =>
  !bare && codeOf(error) === "08P01" && /startup parameter/i.test(String(error.reason.cause))
