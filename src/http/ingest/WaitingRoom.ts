/**
 * Answers while the server waits for what it stands on: a database or a stream that is not up yet.
 *
 * Guarantee: from the first moment on the address tells the truth. `/healthz` is 200, since waiting is what the process is
 * meant to do (whoever restarts it for that only makes it longer); `/readyz` is 503 and names what is waited for; everything
 * else is 503 with `Retry-After`, so that agents keep what they have. An address in use is said at once.
 *
 * It reads no body, looks at no token, and gives the address to the real server when that can do its work. Where the port is 0
 * nobody could know the address, so nothing is opened.
 */
import type { IncomingMessage, ServerResponse } from "node:http"
import { Clock, Effect, Random } from "effect"
import { Start } from "../../Start.ts"
import { addressOf, pathOf } from "../server/Address.ts"
import { boundedServer } from "../server/Connections.ts"
import { AddressUnavailable, type Listen } from "../server/HttpServer.ts"
import { DEFAULT_LIMITS } from "../server/Limits.ts"
import { ANSWER_HEADERS } from "../server/SecurityHeaders.ts"
import { ServerTls, type Tls } from "../server/Tls.ts"

interface Begun {
  readonly name: string
  /** Epoch milliseconds. */
  readonly since: number
}

/** Answers on the address while `start` runs; then the address is free. */
export const during = <A, E, R>(
  { basePath = "", host, port }: Listen["Service"] & { readonly basePath?: string },
  start: Effect.Effect<A, E, R>
): Effect.Effect<A, E | AddressUnavailable, R> => {
  const begun = new Set<Begun>()
  const noted = Effect.provideService(start, Start, {
    waitingFor: (name, effect) =>
      Effect.acquireUseRelease(
        Effect.map(Clock.currentTimeMillis, (since): Begun => {
          const one = { name, since }
          begun.add(one)
          return one
        }),
        () => effect,
        (one) => Effect.sync(() => begun.delete(one))
      )
  })
  if (port === 0) return noted
  return Effect.flatMap(Clock.Clock, (clock) =>
    Effect.flatMap(Effect.all([Random.Random, ServerTls]), ([random, tls]) =>
      Effect.acquireUseRelease(
        open(host, port, tls, (request, response) =>
          answer(request, response, begun, basePath, clock.currentTimeMillisUnsafe(), random.nextDoubleUnsafe())
        ),
        () => noted,
        (close) => close
      )
    )
  )
}

const open = (
  host: string,
  port: number,
  tls: Tls | undefined,
  handle: (request: IncomingMessage, response: ServerResponse) => void
): Effect.Effect<Effect.Effect<void>, AddressUnavailable> =>
  Effect.callback((resume) => {
    const server = boundedServer(DEFAULT_LIMITS, tls).on("request", handle)
    server.on("error", (error: NodeJS.ErrnoException) =>
      resume(Effect.fail(new AddressUnavailable({ host, port, code: error.code ?? error.message })))
    )
    const close = Effect.callback<void>((closed) => {
      server.close(() => closed(Effect.void))
      server.closeAllConnections()
    })
    server.listen({ host, port }, () => resume(Effect.succeed(close)))
  })

const answer = (
  { method, url = "/" }: IncomingMessage,
  response: ServerResponse,
  begun: ReadonlySet<Begun>,
  basePath: string,
  now: number,
  random: number
): void => {
  const { body, status } = replyTo(pathOf(addressOf(url, basePath)), begun, now)
  const text = JSON.stringify(body)
  response.writeHead(status, {
    "content-type": status === 200 ? "application/json" : "application/problem+json",
    "content-length": Buffer.byteLength(text),
    ...ANSWER_HEADERS,
    connection: "close",
    ...(status === 503 ? { "retry-after": String(RETRY_AFTER_SECONDS + Math.floor(random * RETRY_AFTER_SECONDS)) } : {})
  })
  response.end(method === "HEAD" ? undefined : text)
}

const RETRY_AFTER_SECONDS = 3

const replyTo = (
  path: string,
  begun: ReadonlySet<Begun>,
  now: number
): { readonly status: 200 | 503; readonly body: object } => {
  if (path === "/healthz") return { status: 200, body: { status: "ok" } }
  const checks = [...begun].map(({ name, since }) => ({
    name,
    ready: false,
    reason: `waiting for ${Math.round((now - since) / 1_000)} s, the log says why`
  }))
  const what = checks.map(({ name }) => name).join(" and ")
  const detail = what === "" ? "the server is starting" : `the server is starting and waits for ${what}`
  const problem =
    path === "/readyz"
      ? { type: "urn:nodepulse:problem:not-ready", title: "The server is not ready.", checks }
      : { type: "urn:nodepulse:problem:unavailable", title: "Temporarily unavailable." }
  return { status: 503, body: { ...problem, status: 503, detail } }
}
