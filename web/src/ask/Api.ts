/**
 * What the page asks the server: a client whose requests and answers are those of the API's definition, by types only.
 *
 * The definition's own client (`HttpApiClient`) would bring the schemas and their machinery along; the ADR about the page has
 * the numbers. So the addresses are repeated here, and a test holds them to the OpenAPI document.
 */
import type { Effect } from "effect"
import type { HttpClientResponse } from "effect/http"
import type { HttpApiClient } from "effect/http-api"
import type { Api } from "../../../src/http/api/Api.ts"
import { BASE, encoded } from "./Base.ts"

type Client = HttpApiClient.ForApi<typeof Api>
/** Groups and endpoints of the definition, as the page uses them. */
export const ROUTES = {
  "overview.fleet": ["GET", "/api/fleet"],
  "overview.series": ["GET", "/api/servers/:id/:resource/series"],
  "overview.across": ["GET", "/api/:resource/across"],
  "comparison.compare": ["GET", "/api/:resource/compare"],
  "comparison.spread": ["GET", "/api/:resource/spread"],
  "groups.ranked": ["GET", "/api/:resource/groups"],
  "groups.servers": ["GET", "/api/:resource/groups/servers"],
  "rankings.top": ["GET", "/api/servers/:id/:resource/top"],
  "rankings.history": ["GET", "/api/servers/:id/:resource/history"],
  "breakdown.breakdown": ["GET", "/api/servers/:id/breakdown"],
  "verdict.verdict": ["GET", "/api/servers/:id/verdict"],
  "changes.diff": ["GET", "/api/servers/:id/:resource/diff"],
  "marks.marks": ["GET", "/api/servers/:id/marks"],
  "marks.addNote": ["POST", "/api/notes"],
  "marks.removeNote": ["DELETE", "/api/notes/:id"],
  "recordings.list": ["GET", "/api/servers/:id/recordings"],
  "recordings.ask": ["POST", "/api/servers/:id/recordings"],
  "recordings.get": ["GET", "/api/recordings/:id"],
  "acting.get": ["GET", "/api/servers/:id/acting"],
  "acting.preview": ["POST", "/api/servers/:id/previews"],
  "acting.previewed": ["GET", "/api/previews/:id"],
  "acting.order": ["POST", "/api/servers/:id/orders"],
  "acting.ordered": ["GET", "/api/orders/:id"],
  "acting.approve": ["POST", "/api/orders/:id/approvals"],
  "acting.orders": ["GET", "/api/orders"],
  "alerts.list": ["GET", "/api/alerts"],
  "alerts.get": ["GET", "/api/alerts/:id"],
  "alerts.acknowledge": ["POST", "/api/alerts/:id/acknowledge"],
  "silences.list": ["GET", "/api/silences"],
  "silences.add": ["POST", "/api/silences"],
  "silences.end": ["DELETE", "/api/silences/:id"],
  "rules.list": ["GET", "/api/rules"],
  "rules.resources": ["GET", "/api/rules/resources"],
  "rules.save": ["PUT", "/api/rules/:name"],
  "rules.remove": ["DELETE", "/api/rules/:name"],
  "notifications.list": ["GET", "/api/notifications"],
  "notifications.test": ["POST", "/api/notifications/test"],
  "rules.check": ["POST", "/api/rules/check"],
  "rules.backtest": ["POST", "/api/rules/backtest"],
  "groupings.list": ["GET", "/api/groupings"],
  "groupings.get": ["GET", "/api/groupings/:name"],
  "groupings.versions": ["GET", "/api/groupings/:name/versions"],
  "groupings.save": ["POST", "/api/groupings"],
  "groupings.preview": ["POST", "/api/groupings/preview"],
  "groupings.rollback": ["POST", "/api/groupings/:name/rollback"],
  "groupings.retire": ["DELETE", "/api/groupings/:name"],
  "exporters.catalog": ["GET", "/api/exporters"],
  "pipeline.snapshot": ["GET", "/api/pipeline"],
  "pipeline.readiness": ["GET", "/api/readiness"],
  "deadLetters.list": ["GET", "/api/dead-letters"],
  "servers.get": ["GET", "/api/servers/:id"],
  "servers.register": ["POST", "/api/servers"],
  "tokens.list": ["GET", "/api/tokens"],
  "tokens.create": ["POST", "/api/tokens"],
  "tokens.rotate": ["POST", "/api/tokens/:id/rotate"],
  "tokens.revoke": ["DELETE", "/api/tokens/:id"],
  "sessions.list": ["GET", "/api/sessions"],
  "sessions.revoke": ["DELETE", "/api/sessions/:id"],
  "sessions.revokeAll": ["DELETE", "/api/sessions"],
  "audit.list": ["GET", "/api/audit"],
  "session.newLink": ["POST", "/api/session/links"],
  "session.whoAmI": ["GET", "/api/session"],
  "session.signInWithToken": ["POST", "/api/session"],
  "session.signOut": ["DELETE", "/api/session"]
} as const

export type Route = keyof typeof ROUTES
type Method<R extends Route> = R extends `${infer G}.${infer E}`
  ? G extends keyof Client
    ? E extends keyof Client[G]
      ? Client[G][E]
      : never
    : never
  : never
/** What the server answers. */
export type Answer<R extends Route> =
  // biome-ignore lint/suspicious/noExplicitAny: only the success of the client's effect is looked at.
  Method<R> extends (...args: any) => Effect.Effect<infer A, any, any>
    ? Exclude<A, HttpClientResponse.HttpClientResponse | readonly [unknown, HttpClientResponse.HttpClientResponse]>
    : never

export type Catalog = Answer<"exporters.catalog">
export type Exporter = Catalog["exporters"][number]
export type Ranking = NonNullable<Exporter["top"]>["rankings"][number]
export type HistorySeries = Exporter["history"][number]
export type Top = Answer<"rankings.top">
export type Group = { readonly name: string; readonly [field: string]: string | number | null }
export type Series = Answer<"overview.series">
export type History = Answer<"rankings.history">
export type Changes = Answer<"changes.diff">
export type Fleet = Answer<"overview.fleet">
export type Comparison = Answer<"comparison.compare">
export type Spread = Answer<"comparison.spread">
export type FleetServer = Fleet["servers"][number]

/** The server's problem (RFC 9457), or that it could not be reached at all (status 0). */
export class AskFailed extends Error {
  readonly status: number
  readonly title: string
  readonly retryAfter: number | undefined
  /** The rule that a rule set is refused for, from 1 on. */
  readonly rule: number | undefined
  /** All that is wrong with a text, a sentence each. */
  readonly problems: ReadonlyArray<string>
  constructor(
    status: number,
    title: string,
    detail: string,
    retryAfter?: number,
    rule?: number,
    problems: ReadonlyArray<string> = []
  ) {
    super(detail)
    this.status = status
    this.title = title
    this.retryAfter = retryAfter
    this.rule = rule
    this.problems = problems
  }
}

const endings = new Set<() => void>()
/** Tells when an answer says that nobody is signed in any more, whatever asked; returns how to hear of it no longer. */
export const onSessionEnd = (listener: () => void): (() => void) => {
  endings.add(listener)
  return () => {
    endings.delete(listener)
  }
}

/** A list is a parameter that is given several times. */
export type Query = Readonly<Record<string, string | number | undefined | ReadonlyArray<string>>>

/** The address of a request, with its parameters in their places. */
export const addressOf = (route: Route, parameters: Query): string => {
  const rest = new URLSearchParams()
  const used = new Set<string>()
  const path = ROUTES[route][1].replace(/:([a-z]+)/g, (_, name: string) => {
    used.add(name)
    return encoded(String(parameters[name] ?? ""))
  })
  for (const [name, value] of Object.entries(parameters)) {
    if (used.has(name) || value === undefined) continue
    for (const one of Array.isArray(value) ? value : [value]) rest.append(name, String(one))
  }
  return rest.size === 0 ? path : `${path}?${rest}`
}

/** Asks, with the session's cookie. Fails with `AskFailed`, or as an aborted `fetch` does. */
export const ask = async <R extends Route>(
  route: R,
  parameters: Query = {},
  options: { readonly signal?: AbortSignal; readonly body?: unknown; readonly token?: string } = {}
): Promise<Answer<R>> => {
  let response: Response
  try {
    response = await fetch(BASE + addressOf(route, parameters), {
      method: ROUTES[route][0],
      headers: {
        ...(options.body === undefined ? {} : { "content-type": "application/json" }),
        ...(options.token === undefined ? {} : { authorization: `Bearer ${options.token}` })
      },
      ...(options.body === undefined ? {} : { body: JSON.stringify(options.body) }),
      ...(options.signal === undefined ? {} : { signal: options.signal })
    })
  } catch (error) {
    if (options.signal?.aborted === true) throw error
    throw new AskFailed(
      0,
      "NodePulse does not answer",
      "The server cannot be reached. Is it running, and is the network up?"
    )
  }
  const text = await response.text()
  let body: unknown
  try {
    body = text === "" ? undefined : JSON.parse(text)
  } catch {
    body = undefined
  }
  if (!response.ok) {
    const problem = (body ?? {}) as Partial<Pick<AskFailed, "title" | "rule" | "problems">> & {
      readonly detail?: string
    }
    const retryAfter = Number(response.headers.get("retry-after"))
    if (response.status === 401 && options.token === undefined) for (const told of endings) told()
    throw new AskFailed(
      response.status,
      problem.title ?? `The server answered ${response.status}`,
      problem.detail ?? "",
      retryAfter > 0 ? retryAfter : undefined,
      problem.rule,
      problem.problems
    )
  }
  return body as Answer<R>
}
