/**
 * Life for Watch in the demonstration: a rule of its own, a maintenance, and what all rules would have done in the days before, as
 * alerts: those that are over, and those that still fire, in the state that the evaluation goes on from.
 */
import { PgClient, PgTypes } from "@effect/sql-pg"
import { Effect, Result } from "effect"
import config from "../plugins.config.ts"
import { subjectOf } from "../src/alerts/Rule.ts"
import { readRules } from "../src/alerts/RuleFile.ts"

const DAY = 86_400_000
const HOURS = 72
/** Any of its rules more often than that in a week is a bad rule, and would bury the others. */
const INCIDENTS_MAX = 40
/** The lock of the evaluation (`src/alerts/AlertsPostgres.ts`): it goes on from what is written here. */
const ALERT_LOCK = 7_246_011

// biome-ignore lint/suspicious/noExplicitAny: answers of every shape.
type Ask = (method: string, path: string, body?: unknown) => Effect.Effect<any>

const OWN = [
  {
    name: "PostgreSQL is busy",
    resource: "processes",
    group: "postgres*",
    server: "db-*",
    metric: "cpu",
    above: 55,
    of: "machine",
    resolve: 45,
    over: "5m",
    for: "5m",
    keep_firing_for: "10m",
    severity: "warning",
    owners: ["dba"]
  },
  {
    name: "A build runs away",
    resource: "processes",
    group: "rustc",
    server: "ci-*",
    metric: "cpu",
    above: 75,
    of: "machine",
    over: "5m",
    for: "30m",
    severity: "critical"
  }
]

/** Saves the rules, announces a maintenance, and lives through the days before. */
export const watchFleet = Effect.fnUntraced(function* (ask: Ask) {
  for (const document of OWN)
    yield* ask("PUT", `/api/rules/${encodeURIComponent(document.name)}`, { document, base_version: 0 })
  yield* ask("POST", "/api/silences", {
    kind: "maintenance",
    server: "batch-*",
    until: new Date(Date.now() + DAY / 4).toISOString(),
    comment: "Moving the queue to new disks"
  })
  const { rules } = yield* ask("GET", "/api/rules")
  for (const rule of rules) {
    // What NodePulse watches of itself has no past here.
    if (!rule.enabled || rule.resource === "nodepulse") continue
    // A slow machine may not answer in time: then that rule has no past, and fires from now on.
    yield* ask("POST", `/api/rules/backtest?hours=${HOURS}`, { text: rule.text }).pipe(
      Effect.flatMap((tried) => remember(rule, tried.rules[0].incidents.slice(-INCIDENTS_MAX))),
      Effect.catchCause((cause) => Effect.logWarning(`the demonstration has no past of "${rule.name}"`, cause))
    )
  }
})

interface Incident {
  readonly server_id: string | null
  readonly group: string
  readonly from: string
  readonly to: string | null
  readonly value: number | null
}

// biome-ignore lint/suspicious/noExplicitAny: a rule as the API answers it.
const remember = Effect.fnUntraced(function* (rule: any, incidents: ReadonlyArray<Incident>) {
  const sql = yield* PgClient.PgClient
  const subject = subjectOf(Result.getOrThrow(readRules(rule.text, config.exporters))[0]!)
  const rows = incidents.map((incident) => ({
    ...incident,
    rule: rule.name,
    sentence: rule.sentence,
    severity: rule.severity,
    asked: askedOf(rule.document),
    subject
  }))
  const given = [PgTypes.json(rows)]
  yield* Effect.gen(function* () {
    yield* sql`select pg_advisory_xact_lock(${ALERT_LOCK}::int8)`
    yield* sql.unsafe(ALERTS, given)
    yield* sql.unsafe(STATES, given)
  }).pipe(sql.withTransaction)
})

const UNITS: Readonly<Record<string, string>> = { cpu: "% of a core", memory: "MiB" }

/** As `askedOf` of the rules keeps it. */
const askedOf = (document: Readonly<Record<string, unknown>>) => ({
  resource: document.resource,
  metric: document.metric ?? null,
  unit: document.of === "machine" ? "% of the machine" : (UNITS[String(document.metric)] ?? ""),
  span: 600_000
})

const GIVEN = `json_to_recordset($1::json) as given(server_id text, "group" text, "from" timestamptz, "to" timestamptz,
  value float8, rule text, sentence text, severity text, asked jsonb, subject text)
join admiral.servers as server on server.server_id = given.server_id`

const ALERTS = `insert into admiral.alerts (rule, sentence, severity, server_id, alert_group, value, asked, fired_at, resolved_at)
select given.rule, given.sentence, given.severity, server.id, given."group", given.value, given.asked, given."from", given."to"
from ${GIVEN} on conflict do nothing`

const STATES = `insert into admiral.alert_states (rule, server_id, alert_group, subject, state, since)
select given.rule, server.id, given."group", given.subject, 'firing', given."from"
from ${GIVEN} where given."to" is null on conflict do nothing`
