/**
 * One connection to Valkey (or Redis) that fails fast.
 *
 * Guarantees:
 * - While there is no connection, a command fails at once: nothing is queued for later. It reconnects for ever, with
 *   jitter, and picks up where a new primary answers.
 * - A server that takes commands and answers nothing (paused, hung) is left after `silence`: what was under way fails, its
 *   memory is freed.
 * - Bound: at most `maxBytesInFlight` of arguments wait for an answer; a command beyond fails at once.
 *
 * Nothing is sent twice: a command whose connection breaks fails, whether the server has done it or not.
 */
import { createHash } from "node:crypto"
import { readFileSync } from "node:fs"
import { createSecureContext } from "node:tls"
import { Effect, Random, Redacted, Result, Schema, type Scope } from "effect"
import { Redis, type RedisOptions } from "ioredis"
import { readSecretFile } from "../../../SecretFile.ts"
import { StreamUnavailable } from "../SnapshotStream.ts"

/** The address of Valkey makes no sense. Not retryable: the configuration has to change. */
export class ValkeyUrlInvalid extends Schema.TaggedError<ValkeyUrlInvalid>()("ValkeyUrlInvalid", {
  /** Without user and password. */
  url: Schema.String,
  reason: Schema.String
}) {
  readonly retryable = false
  override get message(): string {
    return `VALKEY_URL "${this.url}": ${this.reason}; expected redis://[user:password@]host[:port][/database], rediss://…[?ca_file=/path/ca.crt] for TLS, valkey(s)://… or unix:///path/to/socket`
  }
}

/** Where a server is and how to sign in. */
export interface ValkeyAddress {
  readonly options: Pick<RedisOptions, "host" | "port" | "path" | "username" | "password" | "db" | "tls">
  /** Files of PEM texts: the authority to trust, and our own certificate with its key. */
  readonly files: Partial<Record<TlsFile, string>>
  /** For people: without user and password. */
  readonly shown: string
}

/** Parameters of the address that name a file, and what TLS calls what is in it. */
const TLS_FILES = { ca_file: "ca", cert_file: "cert", key_file: "key" } as const
type TlsFile = keyof typeof TLS_FILES

/**
 * Reads `redis://`, `rediss://`, `valkey://`, `valkeys://` and `unix://` addresses, or the path of a socket. User, password and
 * database may be parameters too, as other clients have them; what is no parameter is refused, not passed over.
 */
export const parseUrl = (url: string): Result.Result<ValkeyAddress, ValkeyUrlInvalid> => {
  if (url.startsWith("/")) return Result.succeed({ options: { path: url }, files: {}, shown: url })
  const parsed = URL.canParse(url) ? new URL(url) : undefined
  if (parsed === undefined) return invalid("(not shown)", "it is not an address")
  const { hash, protocol, hostname, port, pathname } = parsed
  // A password with one of these in it ends its part early, and the rest would be shown.
  if (hash !== "" || pathname.includes("@") || /^\?[^=&]*@/.test(parsed.search)) {
    return invalid(
      "(not shown)",
      "user or password hold a character that has to be percent-encoded (`/` as %2F, `#` as %23)"
    )
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
        if (!isTls) return `${name} goes with rediss://, and this is not encrypted`
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

/** A Lua script, known to the server by its SHA-1. All of ours take three keys: the stream's, and two beside it. */
export interface Script {
  readonly lua: string
  readonly sha: string
}

/** The number of rows that a stream's length does not say, and the fence of its owner (`ValkeyScripts.ts`). */
const keysOf = (key: string) => [key, `${key}:rows`, `${key}:fence`] as const

export const script = (lua: string): Script => ({ lua, sha: createHash("sha1").update(lua).digest("hex") })

export interface ConnectionOptions {
  /** How the connection calls itself in `CLIENT LIST`. */
  readonly name: string
  /** Milliseconds without a byte from the server, while it owes an answer, after which the connection is given up. */
  readonly silence: number
  readonly maxBytesInFlight: number
}

export interface Connection {
  /** Rejects with an error that says what is wrong with the connection, or with the server's own. */
  readonly call: (command: string, ...args: ReadonlyArray<string | number>) => Promise<unknown>
  /** The same for a command that names no key: to the server that has this one. */
  readonly callOn: (key: string, command: string, ...args: ReadonlyArray<string | number>) => Promise<unknown>
  /** Runs a script in one call; where the server does not know it, sends it along. `bytes`: the size of the arguments. */
  readonly run: (script: Script, key: string, args: ReadonlyArray<string | number>, bytes?: number) => Promise<unknown>
  /** Resolves once the server has taken the connection, rejects if that takes longer than `milliseconds`. */
  readonly ready: (milliseconds: number) => Promise<void>
  /** The server's id of the present connection, where it tells. */
  readonly clientId: () => number | undefined
  readonly close: () => void
}

/** Opens a connection that closes with the scope. It is under way, not there: see `ready`. */
export const open = (
  address: ValkeyAddress,
  options: ConnectionOptions
): Effect.Effect<Connection, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.map(Random.Random, (random) => connect(address, options, random)),
    (connection) => Effect.sync(() => connection.close())
  )

const connect = (
  address: ValkeyAddress,
  options: ConnectionOptions,
  random: { nextDoubleUnsafe(): number }
): Connection => {
  let lastError: string | undefined
  let inFlight = 0
  let clientId: number | undefined

  const redis = new Redis({
    ...address.options,
    connectionName: options.name,
    protocol: 2,
    disableClientInfo: true,
    connectTimeout: options.silence,
    socketTimeout: options.silence,
    // The three that keep ioredis from queueing without a bound or sending twice.
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    retryStrategy: (attempt) => Math.min(2_000, 50 * 2 ** Math.min(attempt, 6)) * (0.5 + random.nextDoubleUnsafe() / 2),
    // A primary that became a replica: ask the address again.
    reconnectOnError: (error) => error.message.startsWith("READONLY")
  })
  redis.on("error", (error: Error) => {
    const { code } = error as NodeJS.ErrnoException
    // OpenSSL's own words are lines of its source.
    const text = code?.startsWith("ERR_SSL") ? "TLS fails" : error.message === "" ? error.name : error.message
    lastError = code === undefined || text.includes(code) ? text : `${text} (${code})`
  })
  redis.on("ready", () => {
    lastError = undefined
    clientId = undefined
    redis.client("ID").then(
      (id) => {
        clientId = Number(id)
      },
      () => {}
    )
  })

  /** ioredis speaks of its options; what is wrong is the connection. */
  const clear = (error: unknown): Error => {
    if (!(error instanceof Error)) return new Error(String(error))
    const connection =
      error.name === "MaxRetriesPerRequestError" ||
      error.name === "AbortError" ||
      error.message.startsWith("Stream isn't writeable") ||
      error.message.startsWith("Connection is closed")
    if (!connection) return error
    return new Error(`no connection to ${address.shown}${lastError === undefined ? "" : `: ${lastError}`}`)
  }

  const send = async (command: string, args: ReadonlyArray<string | number>, bytes: number): Promise<unknown> => {
    if (inFlight > 0 && inFlight + bytes > options.maxBytesInFlight) {
      throw new Error(`${address.shown} is slow: ${inFlight} bytes wait for its answer already`)
    }
    inFlight += bytes
    try {
      return await redis.call(command, args as Array<string | number>)
    } catch (error) {
      throw clear(error)
    } finally {
      inFlight -= bytes
    }
  }

  return {
    call: (command, ...args) => send(command, args, 0),
    callOn: (_key, command, ...args) => send(command, args, 0),
    run: async ({ sha, lua }, key, args, bytes = 0) => {
      try {
        return await send("EVALSHA", [sha, 3, ...keysOf(key), ...args], bytes)
      } catch (error) {
        if (!(error instanceof Error && error.message.startsWith("NOSCRIPT"))) throw error
        return await send("EVAL", [lua, 3, ...keysOf(key), ...args], bytes)
      }
    },
    ready: (milliseconds) =>
      new Promise((resolve, reject) => {
        if (redis.status === "ready") return resolve()
        const settle = (error?: Error) => {
          clearTimeout(timer)
          redis.off("ready", settle)
          if (error === undefined) resolve()
          else reject(error)
        }
        const timer = setTimeout(() => settle(clear(new Error("Connection is closed"))), milliseconds)
        redis.once("ready", settle)
      }),
    clientId: () => (redis.status === "ready" ? clientId : undefined),
    close: () => redis.disconnect()
  }
}

/** Turns a call into an Effect. Interrupting it stops waiting, not the server. */
export const attempt = <A>(operation: string, run: () => Promise<A>): Effect.Effect<A, StreamUnavailable> =>
  Effect.tryPromise({ try: run, catch: (cause) => new StreamUnavailable({ operation, cause }) })
