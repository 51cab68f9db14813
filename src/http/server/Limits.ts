/**
 * Every bound of the HTTP side, in one place: what it bounds, its default, its variable, and what whoever exceeds it is told.
 * `docs/limits.md` is made of this. The defaults are meant for one server of 1 000 agents; tests give their own with
 * `Layer.succeed(Limits, …)`, operators by variables, in bytes, seconds or numbers.
 */
import { type Config, Context, Duration, Effect, Layer } from "effect"
import { bound } from "../../Settings.ts"

interface Bound {
  readonly variable: string
  readonly most: number
  readonly unit: "bytes" | "seconds" | "number"
  /** What it bounds, for the table. */
  readonly of: string
  /** What happens beyond it. */
  readonly beyond: string
}

const MIB = 1024 * 1024

export const BOUNDS = {
  bodyBytesMax: {
    variable: "NODEPULSE_BODY_BYTES_MAX",
    most: 8 * MIB,
    unit: "bytes",
    of: "a push's body, as sent",
    beyond: "413 `body-too-large`"
  },
  jsonBytesMax: {
    variable: "NODEPULSE_JSON_BYTES_MAX",
    most: 8 * MIB,
    unit: "bytes",
    of: "the same, unpacked: what a gzip bomb may unpack to",
    beyond: "413 `body-too-large`"
  },
  otherBodyBytesMax: {
    variable: "NODEPULSE_OTHER_BODY_BYTES_MAX",
    most: 64 * 1024,
    unit: "bytes",
    of: "any other body",
    beyond: "413 `body-too-large`"
  },
  rowsMax: {
    variable: "NODEPULSE_INGEST_ROWS_MAX",
    most: 10_000,
    unit: "number",
    of: "rows in one push: a full one of an agent has 5 000, and a scrape is never split",
    beyond: "413 `body-too-large`, before anything is decoded"
  },
  exportersMax: {
    variable: "NODEPULSE_INGEST_EXPORTERS_MAX",
    most: 100,
    unit: "number",
    of: "exporters in one push",
    beyond: "400 `malformed-body`"
  },
  fieldsMax: {
    variable: "NODEPULSE_INGEST_FIELDS_MAX",
    most: 1_000,
    unit: "number",
    of: "fields in one row of a push",
    beyond: "400 `malformed-body`"
  },
  valuesMax: {
    variable: "NODEPULSE_INGEST_VALUES_MAX",
    most: 500_000,
    unit: "number",
    of: "values, arrays and objects in one push: JSON of nothing but brackets costs 30 times its size",
    beyond: "413 `body-too-large`"
  },
  depthMax: {
    variable: "NODEPULSE_INGEST_DEPTH_MAX",
    most: 16,
    unit: "number",
    of: "levels of arrays and objects in one push",
    beyond: "400 `malformed-body`"
  },
  serversMax: {
    variable: "NODEPULSE_SERVERS_MAX",
    most: 10_000,
    unit: "number",
    of: "servers that are added or enrol themselves",
    beyond: "409 `too-many-servers`"
  },
  groupsMax: {
    variable: "NODEPULSE_GROUPS_MAX",
    most: 5_000,
    unit: "number",
    of: "groups of one exporter that a server may have within a day",
    beyond: "the row is rejected: `too_many_groups`"
  },
  newGroupsPerHour: {
    variable: "NODEPULSE_NEW_GROUPS_PER_HOUR",
    most: 200,
    unit: "number",
    of: "new ones an hour, once it has had as many as it may have at first",
    beyond: "the row is rejected: `too_many_groups`"
  },
  serverRequestsPerSecond: {
    variable: "NODEPULSE_SERVER_REQUESTS_PER_SECOND",
    most: 2_500,
    unit: "number",
    of: "pushes a second for one server, ten times as many at once; an agent sends two",
    beyond: "429 `too-many-requests`"
  },
  addressRequestsPerSecond: {
    variable: "NODEPULSE_ADDRESS_REQUESTS_PER_SECOND",
    most: 10_000,
    unit: "number",
    of: "requests a second from one address, ten times as many at once",
    beyond: "429 `too-many-requests`"
  },
  requestsInFlightMax: {
    variable: "NODEPULSE_INGEST_REQUESTS_MAX",
    most: 256,
    unit: "number",
    of: "pushes whose answer is not given yet; from half of it on, one server no more than the others have on average",
    beyond: "503 `unavailable`"
  },
  bytesInFlightMax: {
    variable: "NODEPULSE_INGEST_BYTES_MAX",
    most: 128 * MIB,
    unit: "bytes",
    of: "the bodies of those, as sent and unpacked",
    beyond: "503 `unavailable`"
  },
  publishWithin: {
    variable: "NODEPULSE_PUBLISH_SECONDS_MAX",
    most: 25,
    unit: "seconds",
    of: "how long a push waits for the stream to take its rows",
    beyond: "503 `unavailable`"
  },
  answerWithin: {
    variable: "NODEPULSE_ANSWER_SECONDS_MAX",
    most: 30,
    unit: "seconds",
    of: "how long a read may take: rankings, lists, metrics",
    beyond: "504 `answer-too-slow`"
  },
  answerRowsMax: {
    variable: "NODEPULSE_ANSWER_ROWS_MAX",
    most: 50_000_000,
    unit: "number",
    of: "stored rows that a read may read where there are no roll-ups yet: an hour of a thousand servers has 36 million",
    beyond: "422 `question-too-large`"
  },
  readerReadsMax: {
    variable: "NODEPULSE_READER_READS_MAX",
    most: 8,
    unit: "number",
    of: "reads of one token or session that are answered at a time; eight times as many wait",
    beyond: "429 `too-many-requests`"
  },
  readerChangesPerSecond: {
    variable: "NODEPULSE_READER_CHANGES_PER_SECOND",
    most: 5,
    unit: "number",
    of: "changes of one token or session a second, two hundred times as many at once: each is in the audit, which is never shortened",
    beyond: "429 `too-many-requests`"
  },
  connectionsMax: {
    variable: "NODEPULSE_CONNECTIONS_MAX",
    most: 8_192,
    unit: "number",
    of: "connections",
    beyond: "closed"
  },
  addressConnectionsMax: {
    variable: "NODEPULSE_ADDRESS_CONNECTIONS_MAX",
    most: 2_048,
    unit: "number",
    of: "connections of one address, behind which there may be a fleet; an IPv6 network of 64 bits is one",
    beyond: "429 `too-many-connections`, closed"
  },
  headersWithin: {
    variable: "NODEPULSE_HEADERS_SECONDS_MAX",
    most: 10,
    unit: "seconds",
    of: "how long a request's headers may take",
    beyond: "408, closed"
  },
  requestWithin: {
    variable: "NODEPULSE_REQUEST_SECONDS_MAX",
    most: 60,
    unit: "seconds",
    of: "how long a whole request may take to arrive",
    beyond: "408, closed"
  },
  idleWithin: {
    variable: "NODEPULSE_IDLE_SECONDS_MAX",
    most: 75,
    unit: "seconds",
    of: "how long a connection may be idle between two requests: longer than an agent's interval",
    beyond: "closed"
  },
  stalledWithin: {
    variable: "NODEPULSE_STALLED_SECONDS_MAX",
    most: 45,
    unit: "seconds",
    of: "how long nothing may move on a connection with a request, as when its client does not read; longer than an answer may take",
    beyond: "closed"
  }
} as const satisfies Readonly<Record<string, Bound>>

type Name = keyof typeof BOUNDS

/** The bounds by name: a number, or a time where its unit is seconds. */
export type LimitsShape = {
  readonly [N in Name]: (typeof BOUNDS)[N]["unit"] extends "seconds" ? Duration.Input : number
}

const limitsOf = (numbers: Readonly<Record<Name, number>>): LimitsShape =>
  Object.fromEntries(
    Object.entries(BOUNDS).map(([name, { unit }]) => {
      const value = numbers[name as Name]
      return [name, unit === "seconds" ? Duration.seconds(value) : value]
    })
  ) as unknown as LimitsShape

export const DEFAULT_LIMITS: LimitsShape = limitsOf(
  Object.fromEntries(Object.entries(BOUNDS).map(([name, { most }]) => [name, most])) as Record<Name, number>
)

export const Limits = Context.Reference<LimitsShape>("nodepulse/http/Limits", { defaultValue: () => DEFAULT_LIMITS })

/** The bounds of the environment, else the defaults. */
export const layerConfig: Layer.Layer<never, Config.ConfigError> = Layer.effect(
  Limits,
  Effect.gen(function* () {
    const numbers: Record<string, number> = {}
    for (const [name, { most, variable }] of Object.entries(BOUNDS)) {
      numbers[name] = (yield* bound(variable, 1)) ?? most
    }
    return limitsOf(numbers as Record<Name, number>)
  })
)
