/**
 * Every bound of the HTTP side, in one place. The defaults are meant for one server of 1 000 agents; tests give their own
 * with `Layer.succeed(Limits, …)`, operators by variables, in bytes or numbers:
 *
 * | variable | default | beyond |
 * |---|---|---|
 * | `NODEPULSE_BODY_BYTES_MAX` | 8 MiB | 413: an ingest body as sent |
 * | `NODEPULSE_JSON_BYTES_MAX` | 32 MiB | 413: the same, unpacked |
 * | `NODEPULSE_INGEST_REQUESTS_MAX` | 256 | 503: ingest requests under way |
 * | `NODEPULSE_INGEST_BYTES_MAX` | 128 MiB | 503: bytes of ingest bodies under way |
 */
import { Config, Context, type Duration, Effect, Layer } from "effect"
import { bound } from "../Settings.ts"

export interface LimitsShape {
  /** An ingest body as sent, in bytes. */
  readonly bodyBytesMax: number
  /** An ingest body after gunzip, in bytes: what a gzip bomb may unpack to. */
  readonly jsonBytesMax: number
  /** Arrays and objects in one ingest body, and how deep: JSON of nothing but brackets costs 30 times its size. */
  readonly containersMax: number
  readonly depthMax: number
  /** Ingest requests whose answer is not given yet. */
  readonly requestsInFlightMax: number
  /** Bytes of bodies, as sent and unpacked, of ingest requests whose answer is not given yet. */
  readonly bytesInFlightMax: number
  /** How long an ingest request waits for the stream to take its snapshots. */
  readonly publishWithin: Duration.Input
  /** Any other body, in bytes. */
  readonly otherBodyBytesMax: number
  /** Read requests: rankings, lists, catalog. */
  readonly answerWithin: Duration.Input
}

const MIB = 1024 * 1024

export const DEFAULT_LIMITS: LimitsShape = {
  bodyBytesMax: 8 * MIB,
  jsonBytesMax: 32 * MIB,
  containersMax: 500_000,
  depthMax: 16,
  requestsInFlightMax: 256,
  bytesInFlightMax: 128 * MIB,
  publishWithin: "25 seconds",
  otherBodyBytesMax: 64 * 1024,
  answerWithin: "30 seconds"
}

export const Limits = Context.Reference<LimitsShape>("nodepulse/http/Limits", { defaultValue: () => DEFAULT_LIMITS })

const wholeNumber = (name: string, otherwise: number) => Config.map(bound(name, 1), (value) => value ?? otherwise)

/** The bounds of the environment, else the defaults. */
export const layerConfig: Layer.Layer<never, Config.ConfigError> = Layer.effect(
  Limits,
  Effect.gen(function* () {
    const configured = yield* Config.all({
      bodyBytesMax: wholeNumber("NODEPULSE_BODY_BYTES_MAX", DEFAULT_LIMITS.bodyBytesMax),
      jsonBytesMax: wholeNumber("NODEPULSE_JSON_BYTES_MAX", DEFAULT_LIMITS.jsonBytesMax),
      requestsInFlightMax: wholeNumber("NODEPULSE_INGEST_REQUESTS_MAX", DEFAULT_LIMITS.requestsInFlightMax),
      bytesInFlightMax: wholeNumber("NODEPULSE_INGEST_BYTES_MAX", DEFAULT_LIMITS.bytesInFlightMax)
    })
    return { ...DEFAULT_LIMITS, ...configured }
  })
)
