/**
 * One look at the database before anything stands on it: address, connection, TLS, signing in, pooler, version, encoding,
 * whether it takes writes, rights.
 *
 * Each finding says what was seen. One that somebody has to mend has the command that mends it, and ends the program:
 * waiting for it would be waiting for ever. One that may heal by itself, such as a server that is starting, is waited for.
 * `examine` is for whoever wants all of it (the doctor), `awaitFit` for a start.
 *
 * It changes nothing, on one connection of its own, for at most {@link EXAMINED_WITHIN} at a time.
 */
import type { PgConnection } from "@effect/sql-pg"
import { Duration, Effect, Redacted, Result, Schema } from "effect"
import type { SqlError } from "effect/sql/SqlError"
import { makeNotice, PATIENCE } from "../../Waiting.ts"
import { dialerOf, sqlState } from "./Database.ts"
import { type DatabaseTarget, type DatabaseUrlInvalid, parseDatabaseUrl } from "./DatabaseUrl.ts"
import { type Dialed, type Dialer, NoWritableServer, TlsFileUnusable } from "./Dialer.ts"

export interface DatabaseFinding {
  readonly check:
    | "address"
    | "connection"
    | "tls"
    | "sign-in"
    | "pooler"
    | "version"
    | "encoding"
    | "writes"
    | "rights"
    | "role"
  /** `waits`: it may heal by itself. `mend`: somebody has to do something, which is `remedy`. `doubt`: somebody should. */
  readonly state: "fine" | "waits" | "mend" | "doubt"
  readonly saw: string
  readonly remedy?: string
}

/** The database cannot be used as it is. Not retryable: the message says what to do. */
export class DatabaseUnfit extends Schema.TaggedError<DatabaseUnfit>()("DatabaseUnfit", {
  reason: Schema.String,
  remedy: Schema.String
}) {
  readonly retryable = false
  override get message(): string {
    return `the database cannot be used: ${this.reason}; ${this.remedy}`
  }
}

/** Older versions lack statements that we use. */
const VERSION_LEAST = 150_000
const EXAMINED_WITHIN = Duration.seconds(30)

/** What a role is there for: to own the schema, to read and write in it, or (where there is one role) for both. */
export type Purpose = "owner" | "runtime" | "alone"

/** All findings, in the order of the checks; after one that keeps the others from being made it ends. */
export const examine = (
  url: Redacted.Redacted<string>,
  purpose: Purpose = "alone"
): Effect.Effect<ReadonlyArray<DatabaseFinding>> => {
  const target = parseDatabaseUrl(Redacted.value(url))
  const dialer = dialerOf({ url, applicationName: "nodepulse examination", statementTimeout: EXAMINED_WITHIN })
  if (Result.isFailure(target)) return Effect.succeed([unreadable(target.failure)])
  if (Result.isFailure(dialer)) return Effect.succeed([unreadable(dialer.failure)])
  return Effect.flatMap(dialer.success.dial, (dialed) =>
    look(dialed, target.success, dialer.success.dial, purpose)
  ).pipe(
    Effect.scoped,
    Effect.timeoutOrElse({
      duration: EXAMINED_WITHIN,
      orElse: () =>
        Effect.succeed([
          waits("connection", `${target.success.shown} did not answer within ${Duration.format(EXAMINED_WITHIN)}`)
        ])
    }),
    Effect.catch((error) => Effect.succeed([findingOf(error, target.success)]))
  )
}

/** Waits, and says for what, until the database can be used; fails with what has to be mended. */
export const awaitFit = (
  url: Redacted.Redacted<string>,
  purpose: Purpose = "alone"
): Effect.Effect<void, DatabaseUnfit> =>
  Effect.suspend(() => {
    const notice = makeNotice("the database")
    return examine(url, purpose).pipe(
      Effect.flatMap((findings): Effect.Effect<boolean, DatabaseUnfit> => {
        const broken = findings.find(({ state }) => state === "mend")
        if (broken !== undefined) {
          return Effect.fail(new DatabaseUnfit({ reason: broken.saw, remedy: broken.remedy ?? "" }))
        }
        const absent = findings.find(({ state }) => state === "waits")
        if (absent !== undefined) return Effect.as(notice(absent.saw), false)
        const pooler = findings.find(({ check }) => check === "pooler")
        const superuser = findings.find(({ check, state }) => check === "role" && state === "doubt")
        return Effect.gen(function* () {
          if (pooler !== undefined) yield* Effect.logInfo(`database: ${pooler.saw}`)
          if (superuser !== undefined) yield* Effect.logWarning(`database: ${superuser.saw}; ${superuser.remedy ?? ""}`)
          return true
        })
      }),
      Effect.repeat({ until: (fit) => fit, schedule: PATIENCE }),
      Effect.asVoid
    )
  })

const fine = (check: DatabaseFinding["check"], saw: string): DatabaseFinding => ({ check, state: "fine", saw })
const waits = (check: DatabaseFinding["check"], saw: string): DatabaseFinding => ({ check, state: "waits", saw })
const doubt = (check: DatabaseFinding["check"], saw: string, remedy: string): DatabaseFinding => ({
  check,
  state: "doubt",
  saw,
  remedy
})
const mend = (check: DatabaseFinding["check"], saw: string, remedy: string): DatabaseFinding => ({
  check,
  state: "mend",
  saw,
  remedy
})

const unreadable = ({ reason }: DatabaseUrlInvalid): DatabaseFinding =>
  mend(
    "address",
    `DATABASE_URL: ${reason}`,
    "write it as postgres://user:password@host:5432/database, or postgres:///database?host=/run/postgresql for a socket"
  )

// -- what can be seen once there is a connection

interface About {
  readonly version: number
  readonly shown: string
  readonly encoding: string
  readonly database: string
  readonly user: string
  readonly standby: boolean
}

const look = Effect.fnUntraced(function* (
  dialed: Dialed,
  target: DatabaseTarget,
  dial: Dialer["dial"],
  purpose: Purpose
) {
  const { connection, encrypted, pooled, readOnly } = dialed
  const [about] = yield* ask<About>(
    connection,
    `select current_setting('server_version_num')::int4 as version, current_setting('server_version') as shown,
      current_setting('server_encoding') as encoding, current_database()::text as database, current_user::text as "user",
      pg_is_in_recovery() as standby`
  )
  const { database, standby, user } = about!
  const findings: Array<DatabaseFinding> = [fine("connection", `${target.shown} answers as ${user}`)]
  if (encrypted) findings.push(fine("tls", `encrypted (sslmode=${target.sslMode})`))
  findings.push(versionFinding(about!), encodingFinding(about!))
  if (findings.some(({ state }) => state === "mend")) return findings
  if (pooled) {
    const pooler = yield* lookAtPooler(connection, dial)
    findings.push(pooler)
    // Its connection is closed: nothing more can be asked on it.
    if (pooler.state !== "fine") return findings
  }
  if (readOnly) {
    const why = standby ? "it is a standby" : "default_transaction_read_only is on"
    findings.push(waits("writes", `${target.shown} takes no writes now: ${why}`))
  }
  return [
    ...findings,
    ...(yield* lookAtRights(connection, database, user, purpose)),
    ...(yield* lookAtRole(connection, user, purpose))
  ]
})

/** Pure. */
export const versionFinding = ({ shown, version }: Pick<About, "shown" | "version">): DatabaseFinding =>
  version >= VERSION_LEAST
    ? fine("version", `PostgreSQL ${shown}`)
    : mend(
        "version",
        `PostgreSQL ${shown} is too old`,
        "version 15 or later is needed: upgrade it, or name another one in DATABASE_URL"
      )

const encodingFinding = ({ database, encoding, user }: About): DatabaseFinding =>
  encoding === "UTF8"
    ? fine("encoding", "UTF8")
    : mend(
        "encoding",
        `database ${identifier(database)} is encoded in ${encoding}, which cannot hold every name of a process`,
        `make one that can, and name it in DATABASE_URL: create database nodepulse owner ${identifier(user)} encoding 'UTF8' template template0 lc_collate 'C' lc_ctype 'C'`
      )

/**
 * A transaction has to stay in one session. PgBouncer's statement mode answers `begin` by closing the connection, and so
 * does a pooler that is just being stopped: it is statement mode where the next connection goes the same way.
 */
const lookAtPooler = (first: PgConnection.PgConnection, dial: Dialer["dial"]) => {
  const inTransaction = (connection: PgConnection.PgConnection) =>
    Effect.scoped(
      Effect.flatMap(connection.pin, (pinned) =>
        Effect.andThen(pinned.query("begin", [], false), pinned.query("rollback", [], false))
      )
    )
  return inTransaction(first).pipe(
    Effect.as(fine("pooler", "a pooler is in between: statements are not prepared, and sessions have no settings")),
    Effect.catch(() =>
      Effect.flatMap(dial, ({ connection }) =>
        Effect.match(inTransaction(connection), {
          onSuccess: () => waits("pooler", "the pooler closed the connection"),
          onFailure: () =>
            mend(
              "pooler",
              "the pooler keeps no transaction together (statement mode)",
              "set pool_mode = transaction for this database in pgbouncer.ini"
            )
        })
      )
    )
  )
}

interface Rights {
  readonly may_create: boolean
  readonly there: boolean
  readonly may_use: boolean
  readonly may_add: boolean
  readonly may_write: boolean
}

const lookAtRights = Effect.fnUntraced(function* (
  connection: PgConnection.PgConnection,
  database: string,
  user: string,
  purpose: Purpose
) {
  // The owner makes the schema, and lets this role in.
  if (purpose === "runtime") return []
  const [rights] = yield* ask<Rights>(
    connection,
    `select has_database_privilege(current_database(), 'CREATE') as may_create, n.oid is not null as there,
      coalesce(has_schema_privilege(n.oid, 'USAGE'), false) as may_use,
      coalesce(has_schema_privilege(n.oid, 'CREATE'), false) as may_add,
      coalesce((select has_table_privilege(oid, 'INSERT') from pg_class
        where relnamespace = n.oid and relname = 'servers'), false) as may_write
    from (select 1) as one left join pg_namespace n on n.nspname = 'admiral'`
  )
  const { may_add, may_create, may_use, may_write, there } = rights!
  const [db, role] = [identifier(database), identifier(user)]
  if (!there) {
    return may_create
      ? [fine("rights", `${user} may make the schema`)]
      : [
          mend(
            "rights",
            `${user} may not make the schema admiral in database ${db}`,
            `as its owner: grant create on database ${db} to ${role}`
          )
        ]
  }
  if (may_use && may_write && !may_add) {
    return [fine("rights", `${user} may read and write in the schema admiral, whose owner is another role`)]
  }
  if (!may_use || !may_add) {
    return [
      mend(
        "rights",
        `${user} may not make tables in the schema admiral`,
        `as its owner: grant usage, create on schema admiral to ${role}`
      )
    ]
  }
  // Columns and partitions are added by who owns the table, or is a member of the role that does.
  const owners = yield* ask<{ readonly owner: string; readonly tables: number }>(
    connection,
    `select pg_get_userbyid(c.relowner)::text as owner, count(*)::int4 as tables from pg_class c
    where c.relnamespace = 'admiral'::regnamespace and c.relkind in ('r', 'p', 'v', 'S') and not pg_has_role(c.relowner, 'USAGE')
    group by 1 order by 1 limit 5`
  )
  return owners.length === 0
    ? [fine("rights", `${user} may read, write and alter the schema admiral`)]
    : owners.map(({ owner, tables }) =>
        mend(
          "rights",
          `${tables} tables of the schema admiral belong to ${owner}, and ${user} may not alter them`,
          `as ${owner} or a superuser: grant ${identifier(owner)} to ${role}`
        )
      )
})

interface Role {
  readonly above: string | null
  readonly alters: boolean
}

/** Whether the role may do more than it has to. */
const lookAtRole = Effect.fnUntraced(function* (connection: PgConnection.PgConnection, user: string, purpose: Purpose) {
  const [found] = yield* ask<Role>(
    connection,
    `select case when rolsuper then 'a superuser' when rolcreaterole then 'allowed to make roles'
        when rolreplication then 'allowed to replicate' when rolbypassrls then 'above row security' end as above,
      coalesce((select has_schema_privilege(oid, 'CREATE') from pg_namespace where nspname = 'admiral'), false) as alters
    from pg_roles where rolname = current_user`
  )
  const { above = null, alters = false } = found ?? {}
  if (above !== null) {
    const cure = `as a superuser: alter role ${identifier(user)} nosuperuser nocreaterole noreplication nobypassrls, or give NodePulse roles of its own (docs/deployment.md, "Two roles")`
    return [doubt("role", `${user} is ${above}, which NodePulse needs nowhere`, cure)]
  }
  if (purpose === "owner" || !alters) return []
  const cure = 'let another role own the schema, and name it in DATABASE_OWNER_URL (docs/deployment.md, "Two roles")'
  return [doubt("rights", `${user} may alter and drop what it reads and writes`, cure)]
})

const ask = <Row>(connection: PgConnection.PgConnection, statement: string) =>
  Effect.map(connection.query(statement, [], false), ({ rows }) => rows as unknown as ReadonlyArray<Row>)

/** As SQL wants it: `"My Database"`. */
const identifier = (name: string): string =>
  /^[a-z_][a-z0-9_]*$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`

// -- what kept a connection from being made

/** What an error of connecting says, and whether it can heal. */
const findingOf = (error: SqlError, target: DatabaseTarget): DatabaseFinding => {
  const { cause } = error.reason
  const text = textOf(error)
  if (cause instanceof NoWritableServer) return waits("writes", text)
  if (cause instanceof TlsFileUnusable) {
    return mend("tls", text, "let the user that NodePulse runs as read it, or correct DATABASE_URL")
  }
  const state = sqlState(error)
  const said = state === undefined ? undefined : refusedBy(state, text, target)
  if (said !== undefined) return said
  const code = codeOf(cause)
  const tls = code === undefined ? undefined : tlsFinding(code, text, target)
  if (tls !== undefined) return tls
  if (code === "EACCES" || code === "EPERM") {
    return mend("connection", text, "let the user that NodePulse runs as reach the socket, or connect over TCP")
  }
  if (/does not support TLS/.test(text)) {
    return mend(
      "tls",
      `${target.shown} speaks no TLS, and sslmode=${target.sslMode} asks for it`,
      "set `ssl = on` in its postgresql.conf, or sslmode=disable in DATABASE_URL where the way to it is safe"
    )
  }
  if (/requested password authentication/.test(text)) {
    return mend(
      "sign-in",
      `${target.shown} asks for a password, and DATABASE_URL has none`,
      "add it: postgres://user:password@…"
    )
  }
  if (error.reason._tag === "AuthenticationError") {
    return mend(
      "sign-in",
      text,
      "correct user and password in DATABASE_URL, or the way to sign in in the server's pg_hba.conf"
    )
  }
  if (NOT_POSTGRES.test(`${error.reason.message} ${text}`)) {
    return mend("address", `what answers at ${target.shown} is not PostgreSQL`, "correct host and port in DATABASE_URL")
  }
  return waits("connection", text)
}

const NOT_POSTGRES = /Invalid SSLRequest response|Protocol desync|Failed to parse|in response to SSLRequest/

/** What the server (or a pooler) refused with; undefined where that may pass. */
const refusedBy = (state: string, text: string, target: DatabaseTarget): DatabaseFinding | undefined => {
  switch (state) {
    case "28P01":
      return mend("sign-in", text, "correct user and password in DATABASE_URL, or: alter role … password '…'")
    case "28000":
      return /no pg_hba\.conf entry/.test(text) || /pg_hba\.conf rejects/.test(text)
        ? mend(
            "sign-in",
            text,
            /no encryption/.test(text) && target.sslMode === "disable"
              ? "the server may want TLS: set sslmode=require in DATABASE_URL, or add a line for this user and address to its pg_hba.conf"
              : "add a line for this user, database and address to the server's pg_hba.conf, and reload it"
          )
        : mend("sign-in", text, "make the role (createuser --pwprompt nodepulse), or correct the user in DATABASE_URL")
    case "3D000":
      return mend(
        "sign-in",
        text,
        "make it (createdb --owner=nodepulse nodepulse), or correct the database in DATABASE_URL"
      )
    case "42501":
      return mend(
        "rights",
        text,
        `as the database's owner: grant connect on database ${identifier(target.database ?? "")} to …`
      )
    case "08P01":
      return POOLER_REFUSES.test(text)
        ? mend(
            "sign-in",
            `the pooler says: ${text}`,
            "correct user, password and database in DATABASE_URL, or the pooler's lists of them"
          )
        : undefined
  }
  // Settings that there are not, or values that they do not take: they come from `options`.
  if (/^(22|42|0A)/.test(state)) return mend("address", text, "correct the options in DATABASE_URL")
  return undefined
}

/** PgBouncer before 1.20 has one code for everything; what it could not do with its server may pass. */
const POOLER_REFUSES =
  /^(SASL authentication failed|password authentication failed|auth failed|no such (user|database)|not allowed|unsupported startup parameter|client_login_timeout)/i

const tlsFinding = (code: string, text: string, target: DatabaseTarget): DatabaseFinding | undefined => {
  switch (code) {
    case "DEPTH_ZERO_SELF_SIGNED_CERT":
    case "SELF_SIGNED_CERT_IN_CHAIN":
    case "UNABLE_TO_GET_ISSUER_CERT":
    case "UNABLE_TO_GET_ISSUER_CERT_LOCALLY":
    case "UNABLE_TO_VERIFY_LEAF_SIGNATURE":
    case "CERT_UNTRUSTED":
    case "CERT_SIGNATURE_FAILURE":
      return mend(
        "tls",
        `the certificate of ${target.shown} is of an authority that is not trusted here (${code})`,
        "name the authority's certificate in DATABASE_URL: sslrootcert=/path/to/ca.crt"
      )
    case "CERT_HAS_EXPIRED":
    case "CERT_NOT_YET_VALID":
      return mend(
        "tls",
        `the certificate of ${target.shown} is not valid now (${text})`,
        "renew it, and set both machines' clocks"
      )
    case "ERR_TLS_CERT_ALTNAME_INVALID":
      return mend(
        "tls",
        `the certificate of ${target.shown} is for another name (${text})`,
        "connect by a name that it has, or set sslmode=verify-ca in DATABASE_URL"
      )
  }
  if (/ALERT_(BAD_CERTIFICATE|CERTIFICATE|UNKNOWN_CA|UNSUPPORTED_CERTIFICATE|ACCESS_DENIED)/.test(code)) {
    return mend(
      "tls",
      `the server does not accept our certificate (${code})`,
      "name one that its ssl_ca_file trusts in DATABASE_URL: sslcert=…&sslkey=…"
    )
  }
  return /^(ERR_SSL|ERR_TLS|EPROTO|CERT_|CRL_|INVALID_CA|PATH_LENGTH|HOSTNAME_MISMATCH)/.test(code)
    ? mend(
        "tls",
        `TLS to ${target.shown} fails (${text})`,
        "mend the certificates of both sides, or choose another sslmode"
      )
    : undefined
}

const codeOf = (cause: unknown): string | undefined =>
  typeof cause === "object" && cause !== null && "code" in cause && typeof cause.code === "string"
    ? cause.code
    : undefined

/** The server's or the system's own words. */
const textOf = ({ reason: { cause } }: SqlError): string => {
  if (cause instanceof AggregateError && cause.errors.length > 0) return String((cause.errors[0] as Error).message)
  // OpenSSL's own words are lines of its source.
  if (codeOf(cause)?.startsWith("ERR_SSL")) return codeOf(cause)!
  return cause instanceof Error && cause.message !== "" ? cause.message : (codeOf(cause) ?? "it does not answer")
}
