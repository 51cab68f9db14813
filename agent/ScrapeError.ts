/**
 * What can go wrong with a scrape, as typed errors that tell cause and cure.
 *
 * `ScrapeDown`: nothing came that could be read. `ScrapeUnsupported`: something came, but nothing that we understand.
 * Neither is a body without rows: an exporter that has nothing to report is up.
 */
import { Schema } from "effect"
import { ExchangeFailure } from "./HttpExchange.ts"

/** The exporter did not answer, not in time, not with 200, or not whole. Retryable: it is asked again at the next tick. */
export class ScrapeDown extends Schema.TaggedError<ScrapeDown>()("ScrapeDown", {
  exporter: Schema.String,
  /** Without user and password. */
  endpoint: Schema.String,
  /** How: as in `HttpExchange`, or a status other than 200, or a collector that fails. */
  failure: Schema.Union([ExchangeFailure, Schema.Literals(["status", "collector"])]),
  detail: Schema.String
}) {
  readonly retryable = true
  override get message(): string {
    return `${this.exporter} ${this.complaint} (${this.detail}). ${this.cure}`
  }
  /** The predicate of the sentence: "does not answer on 127.0.0.1:9256". */
  get complaint(): string {
    const where = placeOf(this.endpoint)
    if (this.failure === "status") return `answers with an error on ${where}`
    if (this.failure === "collector") return "cannot be stood in for by the built-in collector"
    if (this.failure === "timeout") return `does not answer in time on ${where}`
    if (this.failure === "too-large") return `sends too much on ${where}`
    if (this.failure === "encoding" || this.failure === "protocol") return `answers unreadably on ${where}`
    return `does not answer on ${where}`
  }
  get cure(): string {
    return CURES[this.failure]
  }
}

const CURES: Readonly<Record<ScrapeDown["failure"], string>> = {
  refused: "Start the exporter, or correct its endpoint in nodepulse.yml.",
  unreachable: "Correct its endpoint in nodepulse.yml, or check network and name resolution.",
  broken: "See the exporter's log: it may have crashed while it collected.",
  tls: "Check the certificate, or use http:// for an exporter on this machine.",
  timeout: "See what the exporter waits for, or raise its timeout in nodepulse.yml.",
  "too-large": "Let the exporter serve less, or raise its body_limit in nodepulse.yml.",
  encoding: "Check that the endpoint is the exporter's metrics page.",
  protocol: "Check that the endpoint is the exporter's metrics page.",
  status: "Check the endpoint's path, and the exporter's log.",
  collector: "Install the exporter itself."
}

/** The answer holds nothing that this exporter's plugin understands. */
export class ScrapeUnsupported extends Schema.TaggedError<ScrapeUnsupported>()("ScrapeUnsupported", {
  exporter: Schema.String,
  endpoint: Schema.String,
  detail: Schema.String
}) {
  readonly retryable = true
  override get message(): string {
    return `${this.exporter} ${this.complaint} (${this.detail}). ${this.cure}`
  }
  get complaint(): string {
    return `answers on ${placeOf(this.endpoint)}, but not with what this exporter serves`
  }
  get cure(): string {
    return "Check that the endpoint is this exporter's metrics page, and its version."
  }
}

export type ScrapeError = ScrapeDown | ScrapeUnsupported

/** The sentence for people: since when, why, and what helps. `since` in epoch milliseconds. */
export const sentenceOf = (error: ScrapeError, since: number): string =>
  `${error.exporter} ${error.complaint} since ${clockTime(since)} (${error.detail}). ${error.cure}`

/** Time of day in the machine's own zone, to the minute: `14:02`. */
const clockTime = (millis: number): string => {
  const time = new Date(millis)
  return [time.getHours(), time.getMinutes()].map((part) => String(part).padStart(2, "0")).join(":")
}

/** Host and port of an address, the default port included. */
const placeOf = (endpoint: string): string => {
  if (!URL.canParse(endpoint)) return endpoint
  const url = new URL(endpoint)
  return `${url.hostname}:${url.port === "" ? (url.protocol === "https:" ? "443" : "80") : url.port}`
}
