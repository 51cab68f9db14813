/**
 * What can go wrong with a scrape, as typed errors that tell cause and cure.
 *
 * `ScrapeDown`: nothing came that could be read. `ScrapeUnsupported`: something came, but nothing that we understand.
 * Neither is a body without rows: an exporter that has nothing to report is up.
 */
import { Schema } from "effect"
import type { EmptyScrape } from "../../src/plugins/Exporter.ts"
import { printable } from "../../src/protocol/PrintableText.ts"
import { redactedLocation } from "../config/ShownUrl.ts"
import { socketAddress } from "../config/SocketAddress.ts"
import { ExchangeFailure } from "./HttpExchange.ts"

/** The exporter did not answer, not in time, not with 200, or not whole. Retryable: it is asked again at the next tick. */
export class ScrapeDown extends Schema.TaggedError<ScrapeDown>()("ScrapeDown", {
  exporter: Schema.String,
  /** Without user and password. */
  endpoint: Schema.String,
  /** How: as in `HttpExchange`, or a status other than 200, too many series, or a collector that fails. */
  failure: Schema.Union([ExchangeFailure, Schema.Literals(["status", "too-many", "collector"])]),
  detail: Schema.String,
  /** The HTTP status, where the failure is one. */
  status: Schema.optionalKey(Schema.Int)
}) {
  readonly retryable = true
  override get message(): string {
    return `${this.exporter} ${this.complaint} (${this.detail}). ${this.cure}`
  }
  /** The predicate of the sentence: "does not answer on 127.0.0.1:9256". */
  get complaint(): string {
    const where = placeOf(this.endpoint)
    if (this.failure === "status") {
      return `${isRedirect(this.status) ? "redirects to another address" : "answers with an error"} on ${where}`
    }
    if (this.failure === "collector") return "cannot be stood in for by the built-in collector"
    if (this.failure === "timeout") return `does not answer in time on ${where}`
    if (limitOf(this) !== undefined) return `sends too much on ${where}`
    if (this.failure === "encoding" || this.failure === "protocol") return `answers unreadably on ${where}`
    return `does not answer on ${where}`
  }
  get cure(): string {
    if (this.failure === "status") return cureOfStatus(this.status)
    return (this.failure === "tls" ? cureOfTls(this.detail) : undefined) ?? cureOf(this.failure)
  }
}

/** The limit that a scrape is over (`ScrapeLimits.ts`); undefined where it failed of something else. */
export const limitOf = (error: ScrapeError): "body" | "series" | undefined => {
  if (error._tag === "ScrapeUnsupported") return undefined
  return error.failure === "too-large" ? "body" : error.failure === "too-many" ? "series" : undefined
}

/** The state that an exporter is in by it. */
export const stateOf = (error: ScrapeError): "down" | "refused" | "unsupported" =>
  error._tag === "ScrapeUnsupported" ? "unsupported" : limitOf(error) === undefined ? "down" : "refused"

/** What helps where TLS failed for a reason other than an authority that is not known. */
const cureOfTls = (detail: string): string | undefined => {
  if (/altnames/i.test(detail)) return "Use the name that its certificate is for in its endpoint in nodepulse.yml."
  if (/expired|not yet valid/i.test(detail)) return "Renew its certificate, and check the clocks."
  const refused = /alert/i.test(detail) && /certificate/i.test(detail)
  if (refused || /certificate required|handshake failure/i.test(detail)) {
    return "It wants a certificate of the agent: cert_file and key_file of the exporter in nodepulse.yml."
  }
  if (/wrong version|speak TLS/i.test(detail)) return "Use http:// in its endpoint in nodepulse.yml."
  return undefined
}

const isRedirect = (status = 0): boolean => status >= 300 && status < 400

/** What helps where the status is another than 200. */
export const cureOfStatus = (status = 0): string => {
  if (isRedirect(status)) return "Put the final address into its endpoint in nodepulse.yml."
  if (status === 401 || status === 403) {
    return "It wants credentials: put them into its endpoint in nodepulse.yml (http://user:password@…), or a client certificate."
  }
  if (status === 404 || status === 405) return "Check the endpoint's path: it is usually /metrics."
  if (status >= 500) return "See the exporter's log."
  return "Check the endpoint's path, and the exporter's log."
}

/** What a status other than 200 says, and where a redirect leads. */
export const statusDetail = (status: number, location: string | undefined): string =>
  `HTTP ${status}${location === undefined || !isRedirect(status) ? "" : `, to ${printable(redactedLocation(location))}`}`

/** What helps against a failure. */
export const cureOf = (failure: keyof typeof CURES): string => CURES[failure]

const CURES: Readonly<Record<Exclude<ScrapeDown["failure"], "status">, string>> = {
  refused: "Start the exporter, or correct its endpoint in nodepulse.yml.",
  unreachable: "Correct its endpoint in nodepulse.yml, or check network and name resolution.",
  broken: "See the exporter's log: it may have crashed while it collected.",
  tls: "Name the authority of its certificate in ca_file, or use http:// for an exporter on this machine.",
  timeout: "See what the exporter waits for, or raise its timeout in nodepulse.yml.",
  "too-large": "Let the exporter serve less, or raise its body_limit in nodepulse.yml.",
  "too-many": "Let the exporter serve less, or raise its series_limit in nodepulse.yml.",
  encoding: "Check that the endpoint is the exporter's metrics page.",
  protocol: "Check that the endpoint is the exporter's metrics page.",
  proxy: "Check the proxy's address.",
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

/** The sentence about an exporter that answers and has no rows, where that is a fault, with all that mends it. */
export const emptySentence = (
  { endpoint, exporter }: { readonly endpoint: string; readonly exporter: string },
  { complaint, remedy }: EmptyScrape,
  standIn: boolean
): string =>
  `${exporter} answers on ${placeOf(endpoint)}, but ${complaint}. To mend it: ${remedy.join("; ")}.${
    standIn ? " Until then the built-in collector stands in." : ""
  }`

/** The sentence for people: since when, why, and what helps. `since` in epoch milliseconds. */
export const sentenceOf = (error: ScrapeError, since: number): string =>
  `${error.exporter} ${error.complaint} since ${clockTime(since)} (${error.detail}). ${error.cure}`

/** Time of day in the machine's own zone, to the minute: `14:02`. */
const clockTime = (millis: number): string => {
  const time = new Date(millis)
  return [time.getHours(), time.getMinutes()].map((part) => String(part).padStart(2, "0")).join(":")
}

/** Host and port of an address, the default port included; the path of a socket. */
const placeOf = (endpoint: string): string => {
  const socket = socketAddress(endpoint)
  if (socket !== undefined) return socket.path
  if (!URL.canParse(endpoint)) return endpoint
  const url = new URL(endpoint)
  return `${url.hostname}:${url.port === "" ? (url.protocol === "https:" ? "443" : "80") : url.port}`
}
