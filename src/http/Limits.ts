/**
 * Every bound of the HTTP side, in one place. The defaults are meant for one server of 1 000 agents; tests and operators
 * give their own with `Layer.succeed(Limits, …)`.
 */
import { Context, type Duration } from "effect"

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
