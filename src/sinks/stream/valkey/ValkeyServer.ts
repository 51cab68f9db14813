/**
 * One connection to one Valkey (or Redis) that fails fast.
 *
 * Guarantees:
 * - While there is no connection, a command fails at once: nothing is queued for later. It reconnects for ever, with
 *   jitter, and picks up where a new primary answers.
 * - A server that takes commands and answers nothing (paused, hung) is left after `silence`: what was under way fails, its
 *   memory is freed.
 *
 * Nothing is sent twice: a command whose connection breaks fails, whether the server has done it or not.
 */
import { createHash } from "node:crypto"
import { Redis } from "ioredis"
import type { ValkeyAddress } from "./ValkeyAddress.ts"

/** A Lua script, known to the server by its SHA-1. All of ours take three keys: the stream's, and two beside it. */
export interface Script {
  readonly lua: string
  readonly sha: string
}

/** The number of rows that a stream's length does not say, and the fence of its owner (`ValkeyScripts.ts`). */
const keysOf = (key: string) => [key, `${key}:rows`, `${key}:fence`] as const

export const script = (lua: string): Script => ({ lua, sha: createHash("sha1").update(lua).digest("hex") })

/** What is asked of a server: a command, or a script with the key that it is about. */
export type Work =
  | { readonly command: string; readonly args: ReadonlyArray<string | number> }
  | {
      readonly script: Script
      readonly key: string
      readonly args: ReadonlyArray<string | number>
      readonly bytes: number
    }

export interface ServerOptions {
  /** How the connection calls itself in `CLIENT LIST`. */
  readonly name: string
  /** Milliseconds without a byte from the server, while it owes an answer, after which the connection is given up. */
  readonly silence: number
}

export interface ServerConnection {
  /** `asking`: the server is told that it is asked for a slot that it is only about to have. */
  readonly perform: (work: Work, asking?: boolean) => Promise<unknown>
  readonly ready: (milliseconds: number) => Promise<void>
  readonly clientId: () => number | undefined
  /** How often it was connected: what was asked under another number was asked of another connection. */
  readonly generation: () => number
  readonly close: () => void
}

/** Rejects a command that was surely not sent. */
export class NotSent extends Error {}

/** Refuses what would make more bytes wait than `max`, unless nothing else waits. */
export const makeBound = (max: number, shown: string) => {
  let inFlight = 0
  return async <A>(bytes: number, run: () => Promise<A>): Promise<A> => {
    if (inFlight > 0 && inFlight + bytes > max) {
      throw new Error(`${shown} is slow: ${inFlight} bytes wait for its answer already`)
    }
    inFlight += bytes
    try {
      return await run()
    } finally {
      inFlight -= bytes
    }
  }
}

/** Begins to connect. It is under way, not there: see `ready`. */
export const dialServer = (
  address: ValkeyAddress,
  options: ServerOptions,
  random: { nextDoubleUnsafe(): number }
): ServerConnection => {
  let lastError: string | undefined
  let clientId: number | undefined
  let generation = 0

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
    generation++
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
    const isUnsent = error.message.startsWith("Stream isn't writeable")
    const isLost =
      error.name === "MaxRetriesPerRequestError" ||
      error.name === "AbortError" ||
      error.message.startsWith("Connection is closed")
    if (!isUnsent && !isLost) return error
    const text = `no connection to ${address.shown}${lastError === undefined ? "" : `: ${lastError}`}`
    return isUnsent ? new NotSent(text) : new Error(text)
  }

  const send = async (command: string, args: ReadonlyArray<string | number>, asking: boolean): Promise<unknown> => {
    try {
      if (asking) redis.call("ASKING").catch(() => {})
      return await redis.call(command, args as Array<string | number>)
    } catch (error) {
      throw clear(error)
    }
  }

  return {
    perform: async (work, asking = false) => {
      if ("command" in work) return send(work.command, work.args, asking)
      const { args, key, script } = work
      try {
        return await send("EVALSHA", [script.sha, 3, ...keysOf(key), ...args], asking)
      } catch (error) {
        if (!(error instanceof Error && error.message.startsWith("NOSCRIPT"))) throw error
        return await send("EVAL", [script.lua, 3, ...keysOf(key), ...args], asking)
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
    generation: () => (redis.status === "ready" ? generation : -1),
    close: () => redis.disconnect()
  }
}
