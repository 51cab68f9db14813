/**
 * What `DATABASE_URL` says, read as libpq reads it: `postgres://…`, or `host=… dbname=…`; over TCP or a Unix socket, to one
 * server or to the writable one of several.
 *
 * What libpq refuses is refused here, and what it knows and NodePulse does not is said instead of ignored: a parameter that
 * is passed over in silence may have been the one that makes the connection safe. An error never shows a user's name,
 * a password, or a part of the text in which one could be hidden.
 *
 * Pure: it opens nothing and reads no file.
 */
import { Redacted, Result, Schema } from "effect"

/** `DATABASE_URL` cannot be used as it is. Not retryable: somebody has to change it. */
export class DatabaseUrlInvalid extends Schema.TaggedError<DatabaseUrlInvalid>()("DatabaseUrlInvalid", {
  reason: Schema.String
}) {
  readonly retryable = false
  override get message(): string {
    return `DATABASE_URL: ${this.reason}; expected ${EXPECTED}`
  }
}

const EXPECTED =
  "postgres://user:password@host:5432/database, postgres:///database?host=/run/postgresql for a socket, or host=… port=… dbname=… user=… password=…"

const SSL_MODES = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] as const
export type SslMode = (typeof SSL_MODES)[number]

export interface DatabaseHost {
  /** A name or address, or the folder of a Unix socket (it begins with `/`). */
  readonly host: string
  /** Where to connect to instead of what `host` resolves to. */
  readonly address?: string
  readonly port: number
}

export interface DatabaseTarget {
  /** Tried in this order. */
  readonly hosts: ReadonlyArray<DatabaseHost>
  readonly database?: string
  readonly user?: string
  readonly password?: Redacted.Redacted<string>
  readonly sslMode: SslMode
  /** A file of certificates, or `system` for those that the system trusts. */
  readonly sslRootCert?: string
  readonly sslCert?: string
  readonly sslKey?: string
  readonly sslPassword?: Redacted.Redacted<string>
  readonly sslMinVersion?: "TLSv1.2" | "TLSv1.3"
  readonly options?: string
  readonly applicationName?: string
  readonly connectSeconds?: number
  /** Only a server that takes writes will do. So it is where several are named, unless the text says `any`. */
  readonly writable: boolean
  /** Whether a transaction pooler is in between; undefined: find out. */
  readonly pooled?: boolean
  /** For people: hosts and database, without user and password. */
  readonly shown: string
}

/** Reads either form. */
export const parseDatabaseUrl = (text: string): Result.Result<DatabaseTarget, DatabaseUrlInvalid> =>
  Result.flatMap(
    /^\s*[a-z_]+\s*=/i.test(text) ? keywordForm(text) : Result.map(urlForm(text.trim()), withoutAliases),
    targetOf
  )

type Parameters = ReadonlyMap<string, string>

const invalid = (reason: string): Result.Result<never, DatabaseUrlInvalid> =>
  Result.fail(new DatabaseUrlInvalid({ reason }))

// -- the two forms, as parameters

const URL_FORM = /^([a-z][a-z0-9+.-]*):\/\/([^/?#]*)(?:\/([^?#]*))?(?:\?([^#]*))?(#.*)?$/i

const urlForm = (text: string): Result.Result<Parameters, DatabaseUrlInvalid> => {
  const match = URL_FORM.exec(text)
  if (match === null) return invalid("it is neither an address nor a list of keywords")
  const [, scheme = "", authority = "", path = "", query = "", fragment] = match
  if (!/^postgres(ql)?$/i.test(scheme)) return invalid(`${scheme}:// is not PostgreSQL's`)
  // A password with one of these in it ends the authority early, and what follows would be shown.
  if (fragment !== undefined || (!authority.includes("@") && (path.includes("@") || /^[^=&]*@/.test(query)))) {
    return invalid(
      "user or password hold a character that has to be percent-encoded (`/` as %2F, `#` as %23, `?` as %3F)"
    )
  }
  const found = new Map<string, string>()
  const at = authority.lastIndexOf("@")
  const [user, ...password] = at < 0 ? [] : authority.slice(0, at).split(":")
  const hosts = authority.slice(at + 1)
  const parts: Array<readonly [string, string | undefined]> = [
    ["user", user],
    ["password", password.length === 0 ? undefined : password.join(":")],
    ["dbname", path]
  ]
  for (const [name, value] of parts) {
    if (value === undefined || value === "") continue
    const decoded = decode(value)
    if (decoded === undefined) return invalid(`${name} has a % that begins no character (%25 is a %)`)
    found.set(name, decoded)
  }
  const listed = hosts === "" ? [] : hosts.split(",").map((one) => /^(\[[^\]]*\]|[^:]*)(?::(.*))?$/.exec(one))
  if (listed.some((one) => one === null))
    return invalid("a host has more than one port (an IPv6 address is in brackets)")
  if (listed.length > 0) {
    found.set("host", listed.map((one) => decode(one![1]!.replace(/^\[(.*)\]$/, "$1")) ?? "").join(","))
    if (listed.some((one) => one![2] !== undefined)) found.set("port", listed.map((one) => one![2] ?? "").join(","))
  }
  for (const pair of query.split("&").filter((one) => one !== "")) {
    const [name = "", value = ""] = pair.split(/=(.*)/s)
    // A plus is a plus, as in PostgreSQL's own client; but forms make one of each space between options.
    const decoded = decode(name === "options" ? value.replaceAll("+", " ") : value)
    if (decoded === undefined) return invalid(`${name} has a % that begins no character (%25 is a %)`)
    found.set(name, decoded)
  }
  return Result.succeed(found)
}

/** What JDBC and others call things, as libpq reads it in addresses. */
const withoutAliases = (parameters: Parameters): Parameters => {
  if (parameters.get("ssl") !== "true") return parameters
  const copy = new Map(parameters)
  copy.delete("ssl")
  if (!copy.has("sslmode")) copy.set("sslmode", "require")
  return copy
}

const KEYWORD = /\s*([a-z_]+)\s*=\s*(?:'((?:[^'\\]|\\.)*)'|((?:[^\s'\\]|\\.)*))(?=\s|$)/giy

const keywordForm = (text: string): Result.Result<Parameters, DatabaseUrlInvalid> => {
  const found = new Map<string, string>()
  KEYWORD.lastIndex = 0
  let end = 0
  for (let match = KEYWORD.exec(text); match !== null; match = KEYWORD.exec(text)) {
    found.set(match[1]!, (match[2] ?? match[3] ?? "").replace(/\\(.)/gs, "$1"))
    end = KEYWORD.lastIndex
  }
  if (text.slice(end).trim() !== "") {
    const after = [...found.keys()].at(-1)
    const where = after === undefined ? "" : ` after ${after}`
    return invalid(`no keyword = value can be read${where} (a value with spaces is in single quotes)`)
  }
  return Result.succeed(found)
}

const decode = (text: string): string | undefined => {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}

// -- parameters, as a target

/** What changes nothing here: tuning of TCP, names for logs, ways of signing in that are tried anyway. */
const HARMLESS = new Set([
  "fallback_application_name",
  "gssdelegation",
  "gsslib",
  "keepalives",
  "keepalives_count",
  "keepalives_idle",
  "keepalives_interval",
  "krbsrvname",
  "load_balance_hosts",
  "sslcompression",
  "sslsni",
  "tcp_user_timeout"
])

/** Known to libpq, and not to NodePulse: these values are what it does anyway, any other is refused. */
const DONE_ANYWAY: Readonly<Record<string, ReadonlyArray<string>>> = {
  channel_binding: ["disable", "prefer"],
  client_encoding: ["auto", "utf8", "utf-8"],
  gssencmode: ["disable", "prefer"],
  sslnegotiation: ["postgres"],
  replication: ["false", "off", "no", "0"]
}

const UNKNOWN_HERE = new Set([
  "passfile",
  "require_auth",
  "requirepeer",
  "service",
  "servicefile",
  "sslcertmode",
  "sslcrl",
  "sslcrldir",
  "ssl_max_protocol_version"
])

const READ = new Set([
  "application_name",
  "connect_timeout",
  "dbname",
  "host",
  "hostaddr",
  "options",
  "password",
  "pgbouncer",
  "port",
  "ssl_min_protocol_version",
  "sslcert",
  "sslkey",
  "sslmode",
  "sslpassword",
  "sslrootcert",
  "target_session_attrs",
  "user"
])

const WRITABLE: Readonly<Record<string, boolean>> = {
  any: false,
  "read-write": true,
  primary: true,
  "prefer-standby": false
}

const targetOf = (parameters: Parameters): Result.Result<DatabaseTarget, DatabaseUrlInvalid> => {
  for (const [name, value] of parameters) {
    const refused = refusal(name, value)
    if (refused !== undefined) return invalid(refused)
  }
  const text = (name: string) => (parameters.get(name) === "" ? undefined : parameters.get(name))
  const secret = (name: string) => {
    const value = text(name)
    return value === undefined ? undefined : Redacted.make(value)
  }
  const attributes = text("target_session_attrs")
  const connectSeconds = Number(text("connect_timeout") ?? 0)
  const pgbouncer = text("pgbouncer")
  return Result.map(hostsOf(text("host"), text("hostaddr"), text("port")), (hosts) =>
    defined({
      hosts,
      database: text("dbname"),
      user: text("user"),
      password: secret("password"),
      sslMode:
        (text("sslmode") as SslMode | undefined) ?? (text("sslrootcert") === "system" ? "verify-full" : "prefer"),
      sslRootCert: text("sslrootcert"),
      sslCert: text("sslcert"),
      sslKey: text("sslkey"),
      sslPassword: secret("sslpassword"),
      sslMinVersion: text("ssl_min_protocol_version") as "TLSv1.2" | "TLSv1.3" | undefined,
      options: text("options"),
      applicationName: text("application_name"),
      connectSeconds: connectSeconds > 0 ? connectSeconds : undefined,
      writable: attributes === undefined ? hosts.length > 1 : (WRITABLE[attributes] ?? false),
      pooled: pgbouncer === undefined ? undefined : pgbouncer === "true",
      shown: `${hosts.map(shownHost).join(",")}/${text("dbname") ?? ""}`
    })
  )
}

/** Leaves out what is undefined. */
const defined = (target: { readonly [K in keyof DatabaseTarget]: DatabaseTarget[K] | undefined }): DatabaseTarget =>
  Object.fromEntries(Object.entries(target).filter(([, value]) => value !== undefined)) as unknown as DatabaseTarget

/** Why a parameter cannot be used; undefined where it can. */
const refusal = (name: string, value: string): string | undefined => {
  const oneOf = (allowed: ReadonlyArray<string>, said = value) =>
    allowed.includes(said) || value === "" ? undefined : `${name}=${value} is not one of ${allowed.join(", ")}`
  switch (name) {
    case "sslmode":
      return oneOf(SSL_MODES)
    case "target_session_attrs":
      return value === "read-only" || value === "standby"
        ? `${name}=${value} asks for a server that takes no writes, and NodePulse has to write`
        : oneOf(Object.keys(WRITABLE))
    case "pgbouncer":
      return oneOf(["true", "false"])
    case "ssl_min_protocol_version":
      return oneOf(["TLSv1.2", "TLSv1.3"])
    case "connect_timeout":
      return /^-?\d{0,6}$/.test(value) ? undefined : `${name}=${value} is not a number of seconds`
  }
  if (READ.has(name) || HARMLESS.has(name)) return undefined
  if (Object.hasOwn(DONE_ANYWAY, name)) return oneOf(DONE_ANYWAY[name]!, value.toLowerCase())
  if (UNKNOWN_HERE.has(name)) return `${name} is not supported by NodePulse`
  return `there is no parameter ${JSON.stringify(name.slice(0, 60))}`
}

/** Where PostgreSQL's own client looks where no host is named: the socket, then this machine. */
const DEFAULT_HOSTS: ReadonlyArray<string> = ["/var/run/postgresql", "localhost"]
const HOSTS_MAX = 16

const hostsOf = (
  host: string | undefined,
  hostaddr: string | undefined,
  port: string | undefined
): Result.Result<ReadonlyArray<DatabaseHost>, DatabaseUrlInvalid> => {
  const names = host?.split(",") ?? []
  const addresses = hostaddr?.split(",") ?? []
  const ports = port?.split(",") ?? []
  const count = Math.max(names.length, addresses.length)
  if (count > HOSTS_MAX) return invalid(`${count} hosts, at most ${HOSTS_MAX}`)
  if (names.length > 0 && addresses.length > 0 && names.length !== addresses.length) {
    return invalid(`host names ${names.length} servers and hostaddr ${addresses.length}`)
  }
  if (ports.length > 1 && ports.length !== count) return invalid(`${ports.length} ports for ${count} hosts`)
  const hosts: Array<DatabaseHost> = []
  for (let at = 0; at < Math.max(1, count); at++) {
    const said = ports.length > 1 ? ports[at]! : (ports[0] ?? "")
    const number = said === "" ? 5432 : Number(said)
    if (!/^\d{0,5}$/.test(said) || number < 1 || number > 65_535) {
      // What is no number may be a password whose host is missing.
      return invalid(`port ${/^\d+$/.test(said) ? said.slice(0, 10) : "(not shown)"} is not a number from 1 to 65535`)
    }
    const address = addresses[at]
    const name = names[at] || address
    if (name === undefined || name === "") {
      hosts.push(...DEFAULT_HOSTS.map((one) => ({ host: one, port: number })))
    } else {
      hosts.push({ host: name, port: number, ...(address === undefined || address === "" ? {} : { address }) })
    }
  }
  return Result.succeed(hosts)
}

const shownHost = ({ host, port }: DatabaseHost): string =>
  host.startsWith("/") ? host : `${host.includes(":") ? `[${host}]` : host}:${port}`
