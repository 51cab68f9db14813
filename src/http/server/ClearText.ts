/**
 * Tells when a token or a session's cookie comes over a network unencrypted: whoever is on the way can use it from then on.
 *
 * A request counts that brings one, comes from another machine, and neither over TLS nor by a proxy that says so. It is said in
 * the log once an hour at most, and on the page (`SessionHandlers.ts`) for {@link TOLD_FOR} since the last one. Whether a proxy
 * speaks the truth about that, nobody here can know.
 *
 * Bound: the last one is remembered, by each process for itself.
 */
import { Clock, Context, Duration, Effect, Layer } from "effect"
import type { HttpServerRequest } from "effect/http"
import { addressOfClient } from "./ClientAddress.ts"

const SAID_EVERY = Duration.hours(1)
const TOLD_FOR = Duration.days(1)

interface ClearTextShape {
  /** What there is to log before a request is answered; undefined where there is nothing. */
  readonly observe: (request: HttpServerRequest.HttpServerRequest) => Effect.Effect<void> | undefined
  /** Where a token came from unencrypted, and when it did last; undefined where none did lately. */
  readonly lastToken: () => { readonly address: string; readonly at: number } | undefined
}

export class ClearText extends Context.Service<ClearText, ClearTextShape>()("nodepulse/http/ClearText") {
  static readonly layer: Layer.Layer<ClearText> = Layer.effect(ClearText, Effect.map(Clock.Clock, makeClearText))
}

export function makeClearText(clock: Clock.Clock): ClearTextShape {
  let saidAt = Number.NEGATIVE_INFINITY
  let last: { readonly address: string; readonly at: number } | undefined
  return {
    observe: (request) => {
      if (!bringsSecret(request) || !isInTheClear(request)) return undefined
      const now = clock.currentTimeMillisUnsafe()
      const address = addressOfClient(request)
      if (request.headers.authorization !== undefined) last = { address, at: now }
      if (now - saidAt < Duration.toMillis(SAID_EVERY)) return undefined
      saidAt = now
      return Effect.logWarning(
        `a token or cookie came from ${address} unencrypted: whoever is on the way can read it. Let NodePulse speak TLS (NODEPULSE_TLS_CERT_FILE), or put a proxy that speaks https before it (docs/deployment.md), and rotate what has travelled`
      )
    },
    lastToken: () =>
      last !== undefined && clock.currentTimeMillisUnsafe() - last.at < Duration.toMillis(TOLD_FOR) ? last : undefined
  }
}

const bringsSecret = ({ headers }: HttpServerRequest.HttpServerRequest): boolean =>
  headers.authorization !== undefined || headers.cookie !== undefined

/** Whether what a request brings can be read on the way. */
export const isInTheClear = (request: HttpServerRequest.HttpServerRequest): boolean =>
  request.headers["x-forwarded-proto"] !== "https" && !isLoopback(addressOfClient(request))

const isLoopback = (address: string): boolean => address === "" || address === "::1" || address.startsWith("127.")
