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
import { Effect, Random, Result, Schema, type Scope } from "effect"
import { Redis, type RedisOptions } from "ioredis"
import { StreamUnavailable } from "./SnapshotStream.ts"

/** The address of Valkey makes no sense. Not retryable: the configuration has to change. */
export class ValkeyUrlInvalid extends Schema.TaggedError<ValkeyUrlInvalid>()("ValkeyUrlInvalid", {
  /** Without user and password. */
  url: Schema.String,
  reason: Schema.String
}) {
  readonly retryable = false
  override get message(): string {
    return `VALKEY_URL "${this.url}": ${this.reason}; expected redis://[user:password@]host[:port][/database], rediss://… for TLS, valkey(s)://… or unix:///path/to/socket`
  }
}

/** Where a server is and how to sign in. */
export interface ValkeyAddress {
  readonly options: Pick<RedisOptions, "host" | "port" | "path" | "username" | "password" | "db" | "tls">
  /** For people: without user and password. */
  readonly shown: string
}

/** Reads `redis://`, `rediss://`, `valkey://`, `valkeys://` and `unix://` addresses, or the path of a socket. */
export const parseUrl = (url: string): Result.Result<ValkeyAddress, ValkeyUrlInvalid> => {
  if (url.startsWith("/")) return Result.succeed({ options: { path: url }, shown: url })
  const parsed = URL.canParse(url) ? new URL(url) : undefined
  if (parsed === undefined) return invalid("(not shown)", "it is not an address")
  const { protocol, hostname, port, pathname } = parsed
  const shown = `${protocol}//${hostname}${port === "" ? "" : `:${port}`}${pathname}`
  const signIn = {
    ...(parsed.username === "" ? {} : { username: decode(parsed.username) }),
    ...(parsed.password === "" ? {} : { password: decode(parsed.password) })
  }
  if (protocol === "unix:") {
    return pathname.length > 1
      ? Result.succeed({ options: { path: decode(pathname), ...signIn }, shown })
      : invalid(shown, "the path of the socket is missing")
  }
  if (!["redis:", "rediss:", "valkey:", "valkeys:"].includes(protocol)) return invalid(shown, `unknown ${protocol}//`)
  if (hostname === "") return invalid(shown, "the host is missing")
  const database = pathname.replace(/^\//, "")
  if (!/^\d{0,4}$/.test(database)) return invalid(shown, `"${database}" is not the number of a database`)
  return Result.succeed({
    options: {
      host: decode(hostname.replace(/^\[(.*)\]$/, "$1")),
      port: port === "" ? 6379 : Number(port),
      db: Number(database),
      ...signIn,
      ...(protocol === "rediss:" || protocol === "valkeys:" ? { tls: {} } : {})
    },
    shown
  })
}

const invalid = (url: string, reason: string) => Result.fail(new ValkeyUrlInvalid({ url, reason }))

const decode = (text: string): string => {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** A Lua script, known to the server by its SHA-1. All of ours take one key, the stream's. */
export interface Script {
  readonly lua: string
  readonly sha: string
}

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
    lastError = error.message === "" ? error.name : error.message
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
    run: async ({ sha, lua }, key, args, bytes = 0) => {
      try {
        return await send("EVALSHA", [sha, 1, key, ...args], bytes)
      } catch (error) {
        if (!(error instanceof Error && error.message.startsWith("NOSCRIPT"))) throw error
        return await send("EVAL", [lua, 1, key, ...args], bytes)
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
