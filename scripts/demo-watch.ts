/**
 * Life for Watch in the demonstration: a rule of its own, a maintenance, a receiver, and what the rules that are shipped find in its
 * seven days, as alerts: those that are over, and those that still fire, in the state that the evaluation goes on from.
 */
import { writeFile } from "node:fs/promises"
import { join } from "node:path"
import { PgClient, PgTypes } from "@effect/sql-pg"
import { Effect, Result } from "effect"
import config from "../plugins.config.ts"
import { Backtest } from "../src/alerts/Backtest.ts"
import { askedOf, metricsOf, subjectOf } from "../src/alerts/Rule.ts"
import { readDocument } from "../src/alerts/RuleDocument.ts"

const HOUR = 3_600_000
const HOURS = 7 * 24

// biome-ignore lint/suspicious/noExplicitAny: answers of every shape.
type Ask = (method: string, path: string, body?: unknown) => Effect.Effect<any>

/** Does not fire: what a lower line would have done is seen where it is opened. */
const OWN = {
  name: "PostgreSQL is busy",
  resource: "processes",
  group: "postgres*",
  server: "db-*",
  metric: "cpu",
  above: 80,
  of: "machine",
  resolve: 70,
  over: "5m",
  for: "5m",
  keep_firing_for: "10m",
  severity: "warning",
  runbook: "https://wiki.example.org/postgres",
  owners: ["dba", "on-call"]
}

/** Somebody who is told, and does nothing. */
const NOTIFY = `receivers:
  - name: "on-call"
    command: {argv: ["true"]}
default: {receivers: ["on-call"]}
`

export const announceReceiver = (dataDir: string) =>
  Effect.promise(() => writeFile(join(dataDir, "notify.yml"), NOTIFY))

/** Keeps the evaluation from asking what is not there yet. Epoch milliseconds. */
const holdEvaluation = (until: number) =>
  Effect.flatMap(PgClient.PgClient, (sql) => sql.unsafe(PROGRESS, [PgTypes.float8(until / 1_000)]))

/** What happened, a rule, a maintenance; and lives through the days until a moment, epoch milliseconds, from which the evaluation goes on. */
export const watchFleet = Effect.fnUntraced(function* (ask: Ask, now: number, idOf: (name: string) => string) {
  const note = (server: string, hoursAgo: number, text: string) =>
    ask("POST", "/api/notes", { server_id: idOf(server), at: new Date(now - hoursAgo * HOUR).toISOString(), text })
  yield* note("web-1", 3.43, "deploy mailqueue 2.14.0")
  yield* note("ci-runner-1", 0.88, "pipeline 8812 started")
  yield* note("media-1", 62.2, "deploy thumbnailer 1.9.2")
  yield* ask("PUT", `/api/rules/${encodeURIComponent(OWN.name)}`, { document: OWN, base_version: 0 })
  yield* ask("POST", "/api/silences", {
    kind: "maintenance",
    server: "batch-*",
    until: new Date(now + 6 * HOUR).toISOString(),
    comment: "Moving the queue to new disks"
  })
  const { rules } = yield* ask("GET", "/api/rules")
  // What NodePulse watches of itself has no past here.
  const tried = rules.filter((rule: Layered) => rule.enabled && rule.resource !== "nodepulse")
  const found = yield* Effect.forEach(tried as ReadonlyArray<Layered>, (rule) => past(rule, now))
  yield* remember(found.flat(), now)
  const { alerts } = yield* ask("GET", "/api/alerts?state=firing")
  const leak = alerts.find(({ rule }: { readonly rule: string }) => rule === "Memory leak")
  if (leak !== undefined) {
    yield* ask("POST", `/api/alerts/${leak.alert_id}/acknowledge`, {
      note: "The fix is in review; restarted on Thursday"
    })
  }
})

interface Layered {
  readonly name: string
  readonly enabled: boolean
  readonly resource: string
  readonly sentence: string
  readonly severity: string
  readonly document: Readonly<Record<string, unknown>>
}

/** What a rule would have done in the days before, as the evaluation stores it: however long that takes to find out. */
const past = Effect.fnUntraced(function* ({ document, name, sentence, severity }: Layered, now: number) {
  const { rule } = Result.getOrThrow(readDocument(document, config.exporters))
  if (rule === undefined) return []
  const asked = askedOf(rule, metricsOf(config.exporters.find((exporter) => exporter.name === rule.exporter)!))
  const window = { from: (now - HOURS * HOUR) * 1_000, to: now * 1_000 }
  const { incidents } = yield* (yield* Backtest).run(rule, window)
  return incidents.map((incident) => ({ ...incident, rule: name, sentence, severity, asked, subject: subjectOf(rule) }))
})

/** Stands for whatever was found before all was there. */
const remember = Effect.fnUntraced(function* (rows: ReadonlyArray<unknown>, now: number) {
  const sql = yield* PgClient.PgClient
  const given = [PgTypes.json(rows)]
  yield* Effect.gen(function* () {
    yield* sql`delete from admiral.alerts`
    yield* sql`delete from admiral.alert_states`
    yield* sql.unsafe(ALERTS, given)
    yield* sql.unsafe(STATES, given)
    // No moment at which rules are asked: whoever asked until then does not take it for its own.
    yield* holdEvaluation(now + 1)
  }).pipe(sql.withTransaction)
})

/** Whoever has asked until another moment begins anew, from what is stored. */
const PROGRESS = `insert into admiral.alert_progress (asked_until) values (to_timestamp($1::float8))
on conflict (single) do update set asked_until = excluded.asked_until, holder = null`

const GIVEN = `json_to_recordset($1::json) as given("serverId" text, "group" text, "from" float8, "to" float8,
  value float8, rule text, sentence text, severity text, asked jsonb, subject text)
join admiral.servers as server on server.server_id = given."serverId"`

const ALERTS = `insert into admiral.alerts (rule, sentence, severity, server_id, alert_group, value, asked, fired_at, resolved_at)
select given.rule, given.sentence, given.severity, server.id, given."group", given.value, given.asked,
  to_timestamp(given."from" / 1000), to_timestamp(given."to" / 1000)
from ${GIVEN} order by given."from"`

const STATES = `insert into admiral.alert_states (rule, server_id, alert_group, subject, state, since)
select given.rule, server.id, given."group", given.subject, 'firing', to_timestamp(given."from" / 1000)
from ${GIVEN} where given."to" is null`
