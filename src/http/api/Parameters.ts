/**
 * The parameters of addresses and queries: what each may be, in one place, for the schemas, the OpenAPI document and
 * the problem that a caller gets. A parameter that is unknown, repeated or out of range is an error, never a guess.
 *
 * Bounds that depend on the registry (which metrics there are, how far back `hours` may reach) are checked by
 * `RankingsHandlers.ts`, with the same problem.
 */
import { Schema, SchemaTransformation } from "effect"
import { isIdentifier } from "../../plugins/Names.ts"
import { LABEL_LENGTH_MAX } from "../../plugins/Storable.ts"
import { formatTimestamp, parseTimestamp } from "../../plugins/Timestamp.ts"
import { isPrintable } from "../../protocol/PrintableText.ts"
import { parseReference, REFERENCE_ALLOWED } from "../../query/grouping/Rules.ts"

/** What each parameter may be, in words: the description in the OpenAPI document and `allowed` in the problem. */
export const ALLOWED = {
  metric: "one of the exporter's rankings, see GET /api/exporters",
  limit: "a whole number from 1 to 1000",
  groups: "a whole number from 1 to 50",
  hours: "a number above 0, fractions allowed, up to the longest retention",
  at: "a moment in RFC 3339, such as 2025-10-30T12:00:00Z, not in the future",
  name: "the name of a group, at most 16384 characters, without NUL",
  label: "a value of the label, at most 16384 characters, without NUL; with hours at most 24",
  points: "a whole number from 2 to 2000",
  fields: "names of series of the exporter's history, separated by commas, at most 100",
  server: "the id of a server; may be given several times",
  servers: "the ids of 2 to 8 servers: server=a&server=b",
  scale: "own (the ranking's unit) or machine (percent of what the server has)",
  by: "server or name",
  against:
    "previous (the span just before), same (the same time, on another server), day or week (the same time that much earlier)",
  against_at: "a moment in RFC 3339, not in the future, at which the window before ends",
  against_hours: "a number above 0, fractions allowed, up to the longest retention",
  against_server: "the id of a server",
  before: "an id as in the answer's `next`",
  who: "a part of a name or address, at most 200 characters",
  action: "an action such as token.revoke, or what several are about, such as token",
  since: "a moment in RFC 3339",
  until: "a moment in RFC 3339",
  role: "read, operator or admin; read unless given",
  for: "whom the link is for: 1 to 80 characters, not only blanks, without control or invisible characters",
  principal: "as GET /api/sessions names it, at most 300 characters",
  search: "a part of the name of a server, or of something that runs on it; at most 200 characters",
  state: "live, stale or silent",
  sort: "name, state, cpu, memory, load or busiest",
  dir: "up or down",
  order: "total, peak or growth",
  group: "a part of the name of a group, whatever its case; at most 200 characters",
  offset: "a whole number from 0 to 1000000",
  grouping: REFERENCE_ALLOWED,
  version: "a whole number from 1 on",
  base_version: "a whole number from 1 on: the version that is removed",
  alert_from: "a moment in RFC 3339: alerts that still fired after it",
  alert_to: "a moment in RFC 3339: alerts that fired by then",
  alert_state: "firing or resolved",
  alert_server: "the id of a server",
  alert_rule: "the name of a rule, at most 100 characters, without NUL",
  code: "the code of a sign-in link"
} as const

export type ParameterName = keyof typeof ALLOWED

const describe = (name: ParameterName) => ({ description: ALLOWED[name] })

/** Digits only: what `Number` would also take (an empty text, `0x10`, `1e999`, blanks) is not a number here. */
const decimal = (pattern: RegExp, name: ParameterName) =>
  Schema.String.check(Schema.isPattern(pattern)).annotate(describe(name))

const whole = (name: ParameterName, minimum: number, maximum: number) =>
  decimal(/^[0-9]{1,9}$/, name).pipe(
    Schema.decodeTo(Schema.Finite.check(Schema.isBetween({ minimum, maximum })), SchemaTransformation.numberFromString)
  )

const hours = (name: ParameterName) =>
  decimal(/^[0-9]{1,9}(\.[0-9]{1,15})?$/, name).pipe(
    Schema.decodeTo(Schema.Finite.check(Schema.isGreaterThan(0)), SchemaTransformation.numberFromString)
  )
const Hours = hours("hours")

/** Epoch microseconds. That it is not in the future is checked against the clock, by the handler. */
const moment = (name: ParameterName) =>
  Schema.String.check(Schema.makeFilter((text: string) => parseTimestamp(text) !== undefined))
    .annotate({ ...describe(name), format: "date-time" })
    .pipe(
      Schema.decodeTo(
        Schema.Finite,
        SchemaTransformation.transform({
          decode: (text) => parseTimestamp(text) ?? Number.NaN,
          encode: formatTimestamp
        })
      )
    )
const At = moment("at")

/** The id of a server, as `Servers.register` makes them. Anything else cannot be one, and is asked of no database. */
export const isServerId = (text: string): boolean => /^[a-z0-9._-]{1,64}$/.test(text)

const isLinkName = (text: string): boolean => text.trim() !== "" && text.length <= 80 && isPrintable(text)

/** PostgreSQL has no text with such a character. */
const NoNul = Schema.isPattern(/^[^\0]*$/)
const GroupName = Schema.String.check(Schema.isMaxLength(LABEL_LENGTH_MAX), NoNul).annotate(describe("name"))

/** Whose rules put names together: what every question takes that is about names. */
const grouping = Schema.optionalKey(
  Schema.String.check(Schema.makeFilter((text: string) => parseReference(text) !== undefined)).annotate(
    describe("grouping")
  )
)

/** `GET …/{resource}/top` */
export const TopQueryParameters = {
  metric: Schema.optionalKey(Schema.String.annotate(describe("metric"))),
  limit: Schema.optionalKey(whole("limit", 1, 1000)),
  hours: Schema.optionalKey(Hours),
  at: Schema.optionalKey(At),
  grouping
}

/** `GET /api/servers/{id}/breakdown` */
export const BreakdownQueryParameters = {
  limit: TopQueryParameters.limit,
  hours: TopQueryParameters.hours,
  at: TopQueryParameters.at,
  grouping
}

/** `GET /api/servers/{id}/verdict` */
export const VerdictQueryParameters = { hours: TopQueryParameters.hours, at: TopQueryParameters.at }

/** `GET …/{resource}/diff` */
export const DiffQueryParameters = {
  ...TopQueryParameters,
  against: Schema.optionalKey(Schema.Literals(["previous", "same", "day", "week"]).annotate(describe("against"))),
  against_at: Schema.optionalKey(moment("against_at")),
  against_hours: Schema.optionalKey(hours("against_hours")),
  against_server: Schema.optionalKey(Schema.String.annotate(describe("against_server")))
}

/** `GET /api/servers/{id}/marks` */
export const MarksQueryParameters = { hours: Schema.optionalKey(Hours), at: Schema.optionalKey(At) }

/** `GET /api/alerts` */
export const AlertsParameters = {
  limit: Schema.optionalKey(whole("limit", 1, 1000)),
  from: Schema.optionalKey(moment("alert_from")),
  to: Schema.optionalKey(moment("alert_to")),
  state: Schema.optionalKey(Schema.Literals(["firing", "resolved"]).annotate(describe("alert_state"))),
  server: Schema.optionalKey(Schema.String.check(Schema.makeFilter(isServerId)).annotate(describe("alert_server"))),
  rule: Schema.optionalKey(Schema.String.check(Schema.isMaxLength(100), NoNul).annotate(describe("alert_rule")))
}

/** `DELETE /api/rules/{name}` */
export const RuleParameters = { base_version: Schema.optionalKey(whole("base_version", 1, 999_999_999)) }

/** `POST /api/rules/backtest` */
export const BacktestParameters = MarksQueryParameters

/** `GET /api/{resource}/top` */
export const FleetTopQueryParameters = {
  ...TopQueryParameters,
  server: Schema.optionalKey(Schema.Union([Schema.String, Schema.Array(Schema.String)]).annotate(describe("server"))),
  by: Schema.optionalKey(Schema.Literals(["server", "name"]).annotate(describe("by")))
}

const Scale = Schema.Literals(["own", "machine"]).annotate(describe("scale"))

/** `GET /api/{resource}/compare` */
export const CompareQueryParameters = {
  ...TopQueryParameters,
  server: Schema.optionalKey(Schema.Union([Schema.String, Schema.Array(Schema.String)]).annotate(describe("servers"))),
  scale: Schema.optionalKey(Scale),
  points: Schema.optionalKey(whole("points", 2, 2000))
}

/** `GET /api/{resource}/spread` */
export const SpreadQueryParameters = {
  name: GroupName,
  metric: TopQueryParameters.metric,
  hours: TopQueryParameters.hours,
  at: TopQueryParameters.at,
  scale: Schema.optionalKey(Scale),
  grouping
}

const groupsQuery = {
  metric: Schema.optionalKey(Schema.String.annotate(describe("metric"))),
  by: Schema.optionalKey(Schema.Literals(["total", "peak", "growth"]).annotate(describe("order"))),
  hours: Schema.optionalKey(Hours),
  at: Schema.optionalKey(At),
  offset: Schema.optionalKey(whole("offset", 0, 1_000_000)),
  limit: Schema.optionalKey(whole("limit", 1, 1000)),
  grouping
}

/** `GET /api/{resource}/groups` */
export const GroupsQueryParameters = {
  ...groupsQuery,
  search: Schema.optionalKey(Schema.String.check(Schema.isMaxLength(200), NoNul).annotate(describe("group")))
}

/** `GET /api/{resource}/groups/servers` */
export const GroupServersQueryParameters = { ...groupsQuery, name: GroupName }

/** `GET /api/metrics/{resource}` */
export const TopMetricsParameters = { groups: Schema.optionalKey(whole("groups", 1, 50)) }

/**
 * The parameters of a question about groups, and any other that could be a label's name: which labels there are is up to the registry,
 * so that `LabelFilters.ts` says which of them is none.
 */
export const withLabels = <F extends Schema.Struct.Fields>(fields: F): Schema.Struct<F> => {
  const isOther = (key: string) => !Object.hasOwn(fields, key) && isIdentifier(key)
  const name = Schema.String.check(Schema.makeFilter(isOther, { expected: "a parameter" }))
  // The type of the declared ones: a record of the others would have to hold all of them.
  return Schema.StructWithRest(Schema.Struct(fields) as unknown as Schema.Struct<{}>, [
    Schema.Record(name, Schema.Union([Schema.String, Schema.Array(Schema.String)]))
  ]) as unknown as Schema.Struct<F>
}

/** `GET …/{resource}/history` */
export const HistoryQueryParameters = {
  name: Schema.optionalKey(GroupName),
  hours: Schema.optionalKey(Hours),
  at: Schema.optionalKey(At),
  points: Schema.optionalKey(whole("points", 2, 2000)),
  grouping
}

/** `GET …/{resource}/series` */
export const SeriesQueryParameters = {
  ...TopQueryParameters,
  name: Schema.optionalKey(GroupName),
  points: Schema.optionalKey(whole("points", 2, 2000)),
  fields: Schema.optionalKey(Schema.String.check(Schema.isMaxLength(8_000)).annotate(describe("fields")))
}

/** `GET /api/{resource}/across` */
export const AcrossQueryParameters = {
  name: GroupName,
  metric: Schema.optionalKey(Schema.String.annotate(describe("metric"))),
  limit: Schema.optionalKey(whole("limit", 1, 1000)),
  grouping
}

/** `GET /api/groupings/{name}` */
export const GroupingParameters = { version: Schema.optionalKey(whole("version", 1, 999_999)) }

/** `GET /api/groupings/{name}/versions` */
export const GroupingVersionsParameters = {
  limit: Schema.optionalKey(whole("limit", 1, 1000)),
  before: Schema.optionalKey(whole("before", 1, 999_999))
}

/** `GET /api/fleet`: without any of them, all servers as they are listed. */
export const FleetQueryParameters = {
  search: Schema.optionalKey(Schema.String.check(Schema.isMaxLength(200)).annotate(describe("search"))),
  state: Schema.optionalKey(Schema.Literals(["live", "stale", "silent"]).annotate(describe("state"))),
  sort: Schema.optionalKey(
    Schema.Literals(["name", "state", "cpu", "memory", "load", "busiest"]).annotate(describe("sort"))
  ),
  dir: Schema.optionalKey(Schema.Literals(["up", "down"]).annotate(describe("dir"))),
  offset: Schema.optionalKey(whole("offset", 0, 1_000_000)),
  limit: Schema.optionalKey(whole("limit", 1, 1000))
}

/** `GET /api/dead-letters` */
export const DeadLettersParameters = {
  limit: Schema.optionalKey(whole("limit", 1, 1000)),
  before: Schema.optionalKey(Schema.String.check(Schema.isPattern(/^[0-9A-Za-z-]{1,64}$/)).annotate(describe("before")))
}

/** `GET /api/notifications` */
export const NotificationsParameters = {
  limit: Schema.optionalKey(whole("limit", 1, 1000)),
  before: Schema.optionalKey(Schema.String.check(Schema.isPattern(/^[0-9]{1,15}$/)).annotate(describe("before")))
}

/** `GET /api/orders` */
export const OrdersParameters = {
  limit: Schema.optionalKey(whole("limit", 1, 1000)),
  before: Schema.optionalKey(Schema.String.check(Schema.isPattern(/^[0-9]{1,15}$/)).annotate(describe("before"))),
  server: Schema.optionalKey(Schema.String.check(Schema.makeFilter(isServerId)).annotate(describe("alert_server")))
}

/** `GET /api/audit` */
export const AuditParameters = {
  ...DeadLettersParameters,
  who: Schema.optionalKey(Schema.String.check(Schema.isMaxLength(200)).annotate(describe("who"))),
  action: Schema.optionalKey(
    Schema.String.check(Schema.isPattern(/^[a-z-]{1,40}(\.[a-z-]{1,40})?$/)).annotate(describe("action"))
  ),
  since: Schema.optionalKey(moment("since")),
  until: Schema.optionalKey(moment("until"))
}

/** `POST /api/session/links` */
export const LinkParameters = {
  role: Schema.optionalKey(Schema.Literals(["read", "operator", "admin"]).annotate(describe("role"))),
  for: Schema.optionalKey(Schema.String.check(Schema.makeFilter(isLinkName)).annotate(describe("for")))
}

/** `DELETE /api/sessions` */
export const SessionsParameters = {
  principal: Schema.optionalKey(Schema.String.check(Schema.isMaxLength(300)).annotate(describe("principal")))
}

/** `GET /signin` */
export const SignInParameters = { code: Schema.String.check(Schema.isMaxLength(128)).annotate(describe("code")) }
