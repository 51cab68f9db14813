/**
 * One HTTP request with its whole response, bounded in bytes and time: what scraper and push have in common.
 *
 * Written on `node:http` rather than on fetch or `effect/http`: it is part of every Node process already (fetch adds
 * some 15 MiB, `@effect/platform-node`'s client 10 MiB to a process that aims at 64), reports `ECONNREFUSED` and its like
 * unwrapped, never follows a redirect, and hands out the body as it comes, so that it is counted before it is kept.
 *
 * Guarantees: at most `bodyLimit` bytes of the body are held, after decompression too (a gzip bomb fails as soon as its
 * output passes the limit); it ends within `timeout`, wherever the peer hangs; interrupting it closes the socket. A
 * status is never an error here. It does not reuse connections: a request every 15 seconds outlives every keep-alive.
 */
import type * as Http from "node:http"
import * as Zlib from "node:zlib"
import { Clock, Duration, Effect, Schema } from "effect"
import { clipped } from "../../src/protocol/PrintableText.ts"
import { type ProxyAddress, shownProxy } from "../config/ProxySettings.ts"
import { isSocketAddress, socketAddress } from "../config/SocketAddress.ts"
import { dial } from "./Dial.ts"

/** Why there is no response. */
export const ExchangeFailure = Schema.Literals([
  /** Nothing listens on the address. */
  "refused",
  /** The name is unknown, or there is no route to the address. */
  "unreachable",
  /** The connection was closed or reset before the response was complete. */
  "broken",
  /** The certificate is not trusted, or the TLS handshake failed. */
  "tls",
  /** No connection, no status or no whole body in time: see `phase`. */
  "timeout",
  /** The body is larger than the limit. */
  "too-large",
  /** The body's content encoding is unknown, or the compressed data is damaged. */
  "encoding",
  /** Not HTTP, or not valid. */
  "protocol",
  /** The proxy cannot be reached, or does not lead to the address. */
  "proxy"
])
export type ExchangeFailure = typeof ExchangeFailure.Type

export class ExchangeFailed extends Schema.TaggedError<ExchangeFailed>()("ExchangeFailed", {
  failure: ExchangeFailure,
  /** In words, without the address: "connection refused". */
  detail: Schema.String
}) {
  override get message(): string {
    return this.detail
  }
}

export interface ExchangeRequest {
  readonly method: "GET" | "POST"
  /** `http:`, `https:` or `unix:`; user and password in it become basic authentication. */
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: Uint8Array
  /** For the whole exchange, from connecting to the last byte. */
  readonly timeout: Duration.Duration
  /** The largest body in bytes, decompressed. */
  readonly bodyLimit: number
  /** Certificates to trust instead of the built-in ones, PEM: a private authority. */
  readonly ca?: string
  /** A certificate of our own, and the way there. */
  readonly cert?: string
  readonly key?: string
  readonly proxy?: ProxyAddress
}

export interface ExchangeResponse {
  readonly status: number
  /** Names in lower case. */
  readonly headers: Http.IncomingHttpHeaders
  readonly body: Uint8Array
  /** When status and headers arrived, epoch milliseconds. */
  readonly respondedAt: number
  /** From the request's beginning until then, by the monotonic clock. */
  readonly elapsedMillis: number
}

/** Sends the request and reads the whole response. */
export const exchange = (request: ExchangeRequest): Effect.Effect<ExchangeResponse, ExchangeFailed> =>
  Effect.gen(function* () {
    const clock = yield* Clock.Clock
    const progress: Progress = { phase: "connecting", received: 0 }
    return yield* Effect.timeoutOrElse(send(request, clock, progress), {
      duration: request.timeout,
      orElse: () => Effect.fail(timedOut(request.timeout, progress))
    })
  })

interface Progress {
  phase: "connecting" | "waiting" | "reading"
  received: number
}

const send = (
  request: ExchangeRequest,
  clock: Clock.Clock,
  progress: Progress
): Effect.Effect<ExchangeResponse, ExchangeFailed> =>
  Effect.callback((resume) => {
    const fail = (failure: ExchangeFailure, detail: string) =>
      resume(Effect.fail(new ExchangeFailed({ failure, detail })))
    const startedNanos = clock.monotonicTimeNanosUnsafe()
    const opened = (outgoing: Http.ClientRequest) => {
      outgoing.on("error", (cause) => {
        const [failure, detail] = describe(cause, progress, request.proxy === undefined ? request.url : undefined)
        const through = request.proxy === undefined || request.url.startsWith("https:") ? undefined : request.proxy
        if (through === undefined || progress.phase === "reading") fail(failure, detail)
        else fail("proxy", `the proxy ${shownProxy(through)}: ${detail}`)
      })
      outgoing.on("finish", () => {
        if (progress.phase === "connecting") progress.phase = "waiting"
      })
      let preliminary = 0
      outgoing.on("information", () => {
        if (++preliminary <= PRELIMINARY_MAX) return
        fail("protocol", `more than ${PRELIMINARY_MAX} preliminary answers (1xx) came, and none that counts`)
        outgoing.destroy()
      })
      outgoing.on("response", (incoming) => {
        const respondedAt = clock.currentTimeMillisUnsafe()
        const elapsedMillis = Number(clock.monotonicTimeNanosUnsafe() - startedNanos) / 1e6
        progress.phase = "reading"
        if (incoming.statusCode === 407 && request.proxy !== undefined) {
          incoming.destroy()
          return fail("proxy", proxyRefusal(request.proxy, 407))
        }
        const { headers, statusCode: status = 0 } = incoming
        read(incoming, request.bodyLimit, progress, fail, (body) =>
          resume(Effect.succeed({ status, headers, body, respondedAt, elapsedMillis }))
        )
      })
      outgoing.end(request.body)
    }
    const { body, method, url } = request
    const headers = {
      ...request.headers,
      ...(isSocketAddress(url) ? { host: "localhost" } : {}),
      connection: "close",
      ...(body === undefined ? {} : { "content-length": body.byteLength })
    }
    let close: () => void
    try {
      close = dial(
        { method, url, headers, connection: request },
        {
          opened,
          proxyFailed: (cause) => {
            if (request.proxy === undefined) return
            fail("proxy", `the proxy ${shownProxy(request.proxy)} cannot be used: ${describe(cause, progress)[1]}`)
          },
          proxyRefused: (status) => {
            if (request.proxy !== undefined) fail("proxy", proxyRefusal(request.proxy, status))
          }
        }
      )
    } catch (cause) {
      fail("protocol", `the request cannot be made: ${messageOf(cause)}`)
      return
    }
    return Effect.sync(close)
  })

/** A peer says "continue" once, and "processing" a few times. */
const PRELIMINARY_MAX = 16

const proxyRefusal = (proxy: ProxyAddress, status: number): string =>
  status === 407
    ? `the proxy ${shownProxy(proxy)} wants credentials (HTTP 407): http://user:password@… in its setting`
    : `the proxy ${shownProxy(proxy)} does not lead there (HTTP ${status})`

/** Collects the body, decompressed, and gives up on the first byte past the limit. */
const read = (
  incoming: Http.IncomingMessage,
  limit: number,
  progress: Progress,
  fail: (failure: ExchangeFailure, detail: string) => void,
  done: (body: Uint8Array) => void
): void => {
  const encoding = (incoming.headers["content-encoding"] ?? "identity").trim().toLowerCase()
  const stop = (failure: ExchangeFailure, detail: string) => {
    fail(failure, detail)
    incoming.destroy()
    gunzip?.destroy()
  }
  let gunzip: Zlib.Gunzip | undefined
  if (encoding === "gzip" || encoding === "x-gzip") gunzip = Zlib.createGunzip()
  else if (encoding !== "identity" && encoding !== "") {
    stop("encoding", `the body is encoded as "${clipped(encoding, 40)}", which was not asked for`)
    return
  } else if (Number(incoming.headers["content-length"] ?? 0) > limit) {
    stop(
      "too-large",
      `the body has ${clipped(incoming.headers["content-length"] ?? "", 20)} bytes, the limit is ${limit}`
    )
    return
  }
  const chunks: Array<Buffer> = []
  const source = gunzip ?? incoming
  source.on("data", (chunk: Buffer) => {
    progress.received += chunk.byteLength
    if (progress.received > limit) return stop("too-large", `the body is larger than the limit of ${limit} bytes`)
    chunks.push(chunk)
  })
  source.on("end", () => {
    // Without a length, a connection that broke off ends like one that was closed properly, but is not `complete`.
    if (!incoming.complete && gunzip === undefined) return stop("broken", "the connection was closed in the body")
    done(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks))
  })
  incoming.on("error", () => stop("broken", "the connection was closed in the body"))
  if (gunzip !== undefined) {
    gunzip.on("error", (cause) => stop("encoding", `the gzip data is damaged: ${messageOf(cause)}`))
    incoming.pipe(gunzip)
  }
}

const timedOut = (timeout: Duration.Duration, progress: Progress): ExchangeFailed => {
  const within = `within ${Duration.toMillis(timeout)} ms`
  const detail = {
    connecting: `no connection ${within}`,
    waiting: `connected, but no response ${within}`,
    reading: `the response began, but was not complete ${within} (${progress.received} bytes came)`
  }[progress.phase]
  return new ExchangeFailed({ failure: "timeout", detail })
}

/** What an error means; `url`, where it was on the way to that address itself. */
const describe = (cause: Error, progress: Progress, url?: string): readonly [ExchangeFailure, string] => {
  const code = "code" in cause && typeof cause.code === "string" ? cause.code : ""
  const socket = url === undefined ? undefined : socketAddress(url)?.path
  if (socket !== undefined && code === "ENOENT") return ["refused", `there is no socket ${socket}`]
  if (socket !== undefined && (code === "EACCES" || code === "EPERM")) {
    return ["unreachable", `this user may not use the socket ${socket} (${code})`]
  }
  if (code === "ECONNREFUSED") return ["refused", "connection refused"]
  if (code === "ENOTFOUND" || code === "EAI_AGAIN") return ["unreachable", `the name cannot be resolved (${code})`]
  if (UNREACHABLE.has(code)) return ["unreachable", `the address cannot be reached (${code})`]
  if (code === "ETIMEDOUT") return ["timeout", "no connection (ETIMEDOUT)"]
  if (code.startsWith("HPE_")) return ["protocol", `the answer is not HTTP (${messageOf(cause)})`]
  // OpenSSL's own words: a peer that speaks TLS and refuses us sends an alert.
  const said = code === "EPROTO" || code.startsWith("ERR_SSL") ? cause.message.split(":") : []
  const alert = said.find((part) => /\balert\b/i.test(part))
  if (alert !== undefined) return ["tls", `TLS failed (${alert.trim()})`]
  if (/CERT|TLS|SSL|SELF_SIGNED|UNABLE_TO/.test(code)) return ["tls", `TLS failed (${messageOf(cause)})`]
  if (code === "EPROTO") return ["tls", "TLS failed: does the peer speak TLS on this port?"]
  const where = progress.phase === "reading" ? "in the body" : "before it answered"
  return ["broken", `the connection was closed ${where}${code === "" ? "" : ` (${code})`}`]
}

const UNREACHABLE: ReadonlySet<string> = new Set(["EHOSTUNREACH", "ENETUNREACH", "ENETDOWN", "EADDRNOTAVAIL", "EACCES"])

/** Node's messages can quote what the peer sent. */
const messageOf = (cause: unknown): string => clipped(cause instanceof Error ? cause.message : String(cause), 300)
