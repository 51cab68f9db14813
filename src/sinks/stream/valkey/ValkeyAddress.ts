/**
 * The address of Valkey, as `VALKEY_URL` has it: one server, or some of the servers of a cluster.
 *
 * Reads user, password, database and the files of TLS; what is no parameter is refused, not passed over. Shown without user and
 * password, also where it makes no sense. Bound: a cluster is named by at most {@link SEEDS_MAX} of its servers.
 */
import { readFileSync } from "node:fs"
import { createSecureContext } from "node:tls"
import { Effect, Redacted, Result, Schema } from "effect"
import type { RedisOptions } from "ioredis"
import { readSecretFile } from "../../../SecretFile.ts"
import type { Endpoint } from "./ValkeyClusterMap.ts"

/** The address of Valkey makes no sense. Not retryable: the configuration has to change. */
export class ValkeyUrlInvalid extends Schema.TaggedError<ValkeyUrlInvalid>()("ValkeyUrlInvalid", {
  /** Without user and password. */
  url: Schema.String,
  reason: Schema.String
}) {
  readonly retryable = false
  override get message(): string {
    return `VALKEY_URL "${this.url}": ${this.reason}; expected redis://[user:password@]host[:port][/database], rediss://…[?ca_file=/path/ca.crt] for TLS, valkey(s)://…, unix:///path/to/socket, or redis-cluster://[user:password@]host[:port],host[:port] (rediss-cluster://… for TLS)`
  }
}

/** Where a server is and how to sign in. */
export interface ValkeyAddress {
  readonly options: Pick<RedisOptions, "host" | "port" | "path" | "username" | "password" | "db" | "tls">
  /** Files of PEM texts: the authority to trust, and our own certificate with its key. */
  readonly files: Partial<Record<TlsFile, string>>
  /** Some servers of a cluster, to ask which there are; absent: one server, and `options` say where it is. */
  readonly seeds?: ReadonlyArray<Endpoint>
  /** For people: without user and password. */
  readonly shown: string
}

/** A cluster tells of the rest by itself. */
const SEEDS_MAX = 100

/** The address of one server of a cluster. */
export const addressOf = ({ files, options, shown }: ValkeyAddress, { host, port }: Endpoint): ValkeyAddress => ({
  files,
  options: { ...options, host, port },
  shown: `${shown.slice(0, shown.indexOf("-cluster:"))}://${host.includes(":") ? `[${host}]` : host}:${port}`
})

/** Parameters of the address that name a file, and what TLS calls what is in it. */
const TLS_FILES = { ca_file: "ca", cert_file: "cert", key_file: "key" } as const
type TlsFile = keyof typeof TLS_FILES

/** Reads an address of one server, or of a cluster: the same with `-cluster` and several hosts. */
export const parseUrl = (url: string): Result.Result<ValkeyAddress, ValkeyUrlInvalid> => {
  const cluster = /^(rediss?|valkeys?)-cluster:\/\/([^/?#]*@)?([^/?#]*)(.*)$/s.exec(url)
  return cluster === null ? parseServer(url) : parseCluster(cluster)
}

/** Each of the hosts is read as if it were alone. */
const parseCluster = ([, scheme, signIn = "", hosts = "", rest = ""]: RegExpExecArray): Result.Result<
  ValkeyAddress,
  ValkeyUrlInvalid
> => {
  const names = hosts.split(",")
  const shown = `${scheme}-cluster://${hosts}`
  const seeds: Array<Endpoint> = []
  let first: ValkeyAddress | undefined
  for (const name of names.slice(0, SEEDS_MAX + 1)) {
    const read = parseServer(`${scheme}://${signIn}${name}${rest}`)
    if (Result.isFailure(read)) {
      const { reason, url } = read.failure
      // A host that holds a part of a password is not shown.
      return invalid(
        url === HIDDEN ? HIDDEN : shown,
        names.length > 1 && url !== HIDDEN ? `${name}: ${reason}` : reason
      )
    }
    first ??= read.success
    seeds.push({ host: read.success.options.host!, port: read.success.options.port! })
  }
  if (first === undefined || seeds.length > SEEDS_MAX) return invalid(shown, `more than ${SEEDS_MAX} hosts`)
  if (first.options.db !== 0) return invalid(shown, `a cluster has only database 0, not ${first.options.db}`)
  return Result.succeed({ ...first, seeds, shown })
}

/** Stands for an address that may hold a password where none is expected. */
const HIDDEN = "(not shown)"

/**
 * Reads `redis://`, `rediss://`, `valkey://`, `valkeys://` and `unix://` addresses, or the path of a socket. User, password and
 * database may be parameters too, as other clients have them; what is no parameter is refused, not passed over.
 */
const parseServer = (url: string): Result.Result<ValkeyAddress, ValkeyUrlInvalid> => {
  if (url.startsWith("/")) return Result.succeed({ options: { path: url }, files: {}, shown: url })
  const parsed = URL.canParse(url) ? new URL(url) : undefined
  if (parsed === undefined) return invalid(HIDDEN, "it is not an address")
  const { hash, protocol, hostname, port, pathname } = parsed
  // A password with one of these in it ends its part early, and the rest would be shown.
  if (hash !== "" || pathname.includes("@") || /^\?[^=&]*@/.test(parsed.search)) {
    return invalid(HIDDEN, "user or password hold a character that has to be percent-encoded (`/` as %2F, `#` as %23)")
  }
  const shown = `${protocol}//${hostname}${port === "" ? "" : `:${port}`}${pathname}`
  const isSocket = protocol === "unix:"
  const isTls = protocol === "rediss:" || protocol === "valkeys:"
  if (!isSocket && !isTls && protocol !== "redis:" && protocol !== "valkey:")
    return invalid(shown, `unknown ${protocol}//`)
  if (isSocket && pathname.length <= 1) return invalid(shown, "the path of the socket is missing")
  if (!isSocket && hostname === "") return invalid(shown, "the host is missing")

  const parameters = parametersOf(parsed, isTls)
  if (typeof parameters === "string") return invalid(shown, parameters)
  const database = (isSocket ? undefined : pathname.replace(/^\//, "")) || parameters.db || (isSocket ? undefined : "0")
  if (database !== undefined && !/^\d{1,4}$/.test(database)) {
    return invalid(shown, `"${database}" is not the number of a database`)
  }
  const signIn = {
    ...(parameters.user === undefined ? {} : { username: parameters.user }),
    ...(parameters.password === undefined ? {} : { password: parameters.password }),
    ...(database === undefined ? {} : { db: Number(database) })
  }
  const options = isSocket
    ? { path: decode(pathname), ...signIn }
    : {
        host: decode(hostname.replace(/^\[(.*)\]$/, "$1")),
        port: port === "" ? 6379 : Number(port),
        ...signIn,
        ...(isTls ? { tls: {} } : {})
      }
  return Result.succeed({ options, files: parameters.files, shown })
}

interface Parameters {
  user?: string
  password?: string
  db?: string
  readonly files: Partial<Record<TlsFile, string>>
}

/** What comes before the host, and after the question mark; a text that says what is wrong. */
const parametersOf = (url: URL, isTls: boolean): Parameters | string => {
  const found: Parameters = { files: {} }
  if (url.username !== "") found.user = decode(url.username)
  if (url.password !== "") found.password = decode(url.password)
  for (const [name, value] of url.searchParams) {
    switch (name) {
      case "user":
      case "username":
      case "password": {
        const field = name === "password" ? "password" : "user"
        if (found[field] !== undefined) return `${field} is given twice, before the host and as a parameter`
        found[field] = value
        break
      }
      case "db":
        found.db = value
        break
      case "ca_file":
      case "cert_file":
      case "key_file":
        if (!isTls) return `${name} is for rediss:// only, and this address is not encrypted`
        found.files[name] = value
        break
      default:
        return `there is no parameter ${JSON.stringify(name.slice(0, 60))}`
    }
  }
  if ((found.files.cert_file === undefined) !== (found.files.key_file === undefined)) {
    return "cert_file and key_file go together"
  }
  return found
}

/** Reads an address, and the files that it names: at each start of a connection's owner, so that renewed ones are taken. */
export const readAddress = (url: string): Effect.Effect<ValkeyAddress, ValkeyUrlInvalid> =>
  Effect.flatMap(Effect.fromResult(parseUrl(url)), (address) => {
    const tls: Record<string, string> = {}
    for (const [name, path] of Object.entries(address.files)) {
      const file = name === "key_file" ? readSecretFile(path) : readPublicFile(path)
      if (Result.isFailure(file)) {
        const reason = `${name}=${path}: ${file.failure.reason}`
        return Effect.fail(new ValkeyUrlInvalid({ url: address.shown, reason }))
      }
      tls[TLS_FILES[name as TlsFile]] = file.success
    }
    if (Object.keys(tls).length === 0) return Effect.succeed(address)
    try {
      createSecureContext(tls)
    } catch (error) {
      const reason = `${Object.values(address.files).join(", ")}: ${(error as Error).message}`
      return Effect.fail(new ValkeyUrlInvalid({ url: address.shown, reason }))
    }
    return Effect.succeed({ ...address, options: { ...address.options, tls } })
  })

/** Whether an address leads over a network without a password. */
export const isOpen = (url: Redacted.Redacted<string>): boolean => {
  const parsed = parseUrl(Redacted.value(url))
  return (
    Result.isSuccess(parsed) &&
    parsed.success.options.path === undefined &&
    parsed.success.options.password === undefined
  )
}

const readPublicFile = (path: string): Result.Result<string, { readonly reason: string }> =>
  Result.try({
    try: () => readFileSync(path, "utf8"),
    catch: (error) => ({ reason: `it cannot be read (${(error as NodeJS.ErrnoException).code})` })
  })

/** The text of an address. */
export const exposed = (url: Redacted.Redacted<string> | string): string =>
  typeof url === "string" ? url : Redacted.value(url)

const invalid = (url: string, reason: string) => Result.fail(new ValkeyUrlInvalid({ url, reason }))

const decode = (text: string): string => {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
