/**
 * Where a request really comes from: the connection's other end, or what a proxy that is trusted says of it.
 *
 * `X-Forwarded-For` is believed only as far as trusted proxies have written it: from its right end on, the first address that
 * is no trusted proxy's is the client's. Anybody can write the rest.
 */
import { Config, Context, Effect, Layer, Option, Schema } from "effect"
import type { HttpServerRequest } from "effect/http"
import { isNetwork, makeNetworks, plainAddress } from "../../access/Networks.ts"

/** Whether a proxy at that address is trusted. None is unless NODEPULSE_TRUSTED_PROXIES names its network. */
export const isTrustedProxy = Context.Reference<((address: string) => boolean) | undefined>(
  "nodepulse/http/isTrustedProxy",
  { defaultValue: () => undefined }
)

const Networks = Schema.String.check(
  Schema.makeFilter((text: string) => networksOf(text).every(isNetwork), {
    expected: "addresses or networks such as 10.0.0.0/8, separated by commas"
  })
)

const networksOf = (text: string): ReadonlyArray<string> =>
  text
    .split(",")
    .map((one) => one.trim())
    .filter((one) => one !== "")

/** NODEPULSE_TRUSTED_PROXIES. */
export const layerConfig: Layer.Layer<never, Config.ConfigError> = Layer.effect(
  isTrustedProxy,
  Effect.gen(function* () {
    const networks = networksOf(yield* Config.withDefault(Config.schema(Networks, "NODEPULSE_TRUSTED_PROXIES"), ""))
    return networks.length === 0 ? undefined : makeNetworks(networks)
  })
)

const PROXIES_MAX = 16

/** The client's address; `peer` is the other end of the connection. */
export const clientOf = (
  peer: string,
  forwardedFor: string | undefined,
  isTrusted: ((address: string) => boolean) | undefined
): string => {
  let client = plainAddress(peer)
  if (isTrusted === undefined || forwardedFor === undefined || !isTrusted(client)) return client
  for (const said of forwardedFor.slice(-1_000).split(",").slice(-PROXIES_MAX).reverse()) {
    const address = plainAddress(said.trim().replace(/^\[|\](:\d+)?$/g, ""))
    // What is no address was written by nobody who is trusted.
    if (!isNetwork(address)) return client
    client = address
    if (!isTrusted(client)) return client
  }
  return client
}

/** The address that a request comes from, as the boundary has found it; empty where the connection is gone. */
export const addressOfClient = (request: HttpServerRequest.HttpServerRequest): string =>
  Option.match(request.remoteAddress, { onNone: () => "", onSome: plainAddress })
