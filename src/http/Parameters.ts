/**
 * The parameters of addresses and queries: what each may be, in one place, for the schemas, the OpenAPI document and
 * the problem that a caller gets. A parameter that is unknown, repeated or out of range is an error, never a guess.
 *
 * Bounds that depend on the registry (which metrics there are, how far back `hours` may reach) are checked by
 * `RankingsHandlers.ts`, with the same problem.
 */
import { Schema, SchemaTransformation } from "effect"
import { LABEL_LENGTH_MAX } from "../plugins/Storable.ts"
import { formatTimestamp, parseTimestamp } from "../plugins/Timestamp.ts"

/** What each parameter may be, in words: the description in the OpenAPI document and `allowed` in the problem. */
export const ALLOWED = {
  metric: "one of the exporter's rankings, see GET /api/exporters",
  limit: "a whole number from 1 to 1000",
  groups: "a whole number from 1 to 50",
  hours: "a number above 0, fractions allowed, up to the longest retention",
  at: "a moment in RFC 3339, such as 2025-10-30T12:00:00Z, not in the future",
  name: "the name of a group, at most 16384 characters, without NUL",
  points: "a whole number from 2 to 2000",
  fields: "names of series of the exporter's history, separated by commas, at most 100",
  server: "the id of a server; may be given several times",
  by: "server or name",
  before: "the id of a dead letter, as in the answer's `next`",
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

const Hours = decimal(/^[0-9]{1,9}(\.[0-9]{1,15})?$/, "hours").pipe(
  Schema.decodeTo(Schema.Finite.check(Schema.isGreaterThan(0)), SchemaTransformation.numberFromString)
)

/** Epoch microseconds. That it is not in the future is checked against the clock, by the handler. */
const At = Schema.String.check(Schema.makeFilter((text: string) => parseTimestamp(text) !== undefined))
  .annotate({ ...describe("at"), format: "date-time" })
  .pipe(
    Schema.decodeTo(
      Schema.Finite,
      SchemaTransformation.transform({ decode: (text) => parseTimestamp(text) ?? Number.NaN, encode: formatTimestamp })
    )
  )

const GroupName = Schema.String.check(Schema.isMaxLength(LABEL_LENGTH_MAX), Schema.isPattern(/^[^\0]*$/)).annotate(
  describe("name")
)

/** `GET …/{resource}/top` */
export const TopQueryParameters = {
  metric: Schema.optionalKey(Schema.String.annotate(describe("metric"))),
  limit: Schema.optionalKey(whole("limit", 1, 1000)),
  hours: Schema.optionalKey(Hours),
  at: Schema.optionalKey(At)
}

/** `GET /api/{resource}/top` */
export const FleetTopQueryParameters = {
  ...TopQueryParameters,
  server: Schema.optionalKey(Schema.Union([Schema.String, Schema.Array(Schema.String)]).annotate(describe("server"))),
  by: Schema.optionalKey(Schema.Literals(["server", "name"]).annotate(describe("by")))
}

/** `GET /api/metrics/{resource}` */
export const TopMetricsParameters = { groups: Schema.optionalKey(whole("groups", 1, 50)) }

/** `GET …/{resource}/history` */
export const HistoryQueryParameters = {
  name: Schema.optionalKey(GroupName),
  hours: Schema.optionalKey(Hours),
  at: Schema.optionalKey(At),
  points: Schema.optionalKey(whole("points", 2, 2000))
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
  limit: Schema.optionalKey(whole("limit", 1, 1000))
}

/** `GET /api/dead-letters` */
export const DeadLettersParameters = {
  limit: Schema.optionalKey(whole("limit", 1, 1000)),
  before: Schema.optionalKey(Schema.String.check(Schema.isPattern(/^[0-9A-Za-z-]{1,64}$/)).annotate(describe("before")))
}

/** `GET /signin` */
export const SignInParameters = { code: Schema.String.check(Schema.isMaxLength(128)).annotate(describe("code")) }

/** The id of a server, as `Servers.register` makes them. Anything else cannot be one, and is asked of no database. */
export const isServerId = (text: string): boolean => /^[a-z0-9._-]{1,64}$/.test(text)
