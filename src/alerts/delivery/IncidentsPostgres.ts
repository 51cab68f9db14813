/** Incidents, in PostgreSQL: `admiral.incidents`, `admiral.incident_alerts`; and the messages that they make. */
import { PgClient, PgTypes } from "@effect/sql-pg"
import { Clock, Effect } from "effect"
import { Registry } from "../../plugins/Registry.ts"
import { answering } from "../../sinks/postgres/Database.ts"
import { micros, moment } from "../../sinks/postgres/Moments.ts"
import { takeTurn } from "../../sinks/postgres/Turn.ts"
import { isOfActs } from "../Acts.ts"
import type { Severity } from "../Rule.ts"
import { Rulebook } from "../Rulebook.ts"
import { silencedBy } from "../silences/Silence.ts"
import { Silences } from "../silences/Silences.ts"
import { type Facts, type Incident, type Member, type NotificationKind, type Planned, plan } from "./Incidents.ts"
import { titleOfIncident } from "./Message.ts"
import type { NotifyState } from "./NotifyBook.ts"
import type { Way } from "./NotifyFile.ts"
import type { ToldAlert } from "./ToldAlert.ts"

/** Any number that no other advisory lock takes. */
const PLAN_LOCK = 7_246_021
/** Alerts that no incident has, at a time. */
const ALERTS_MAX = 5_000
/** What was over before anybody could be told is told for as long: what an evaluation catches up on, and a little. */
const TOLD_WITHIN_MILLIS = 7_200_000

/** Receivers that are programs, or hand an incident on: they are told that somebody acknowledged it, or signed an order. */
const TAKE_NOTE: ReadonlySet<Way["kind"]> = new Set(["pagerduty", "webhook", "command"])

/** Makes the messages that are due by a configuration; how many. */
export const makePlanner = Effect.gen(function* () {
  const sql = yield* PgClient.PgClient
  const rulebook = yield* Rulebook
  const silences = yield* Silences
  const { host } = yield* Registry

  const facts = Effect.fnUntraced(function* (now: number) {
    const at = PgTypes.float8(now * 1_000)
    yield* sql.unsafe(BEGAN, [at])
    const incidents = yield* sql.unsafe<IncidentRow>(OPEN)
    const members = yield* sql.unsafe<MemberRow>(MEMBERS)
    const alerts = yield* sql.unsafe<AlertRow>(CANDIDATES, [at])
    const ofIncident = Map.groupBy(members, ({ incident_id }) => incident_id)
    return {
      incidents: incidents.map((row) => incidentOf(row, ofIncident.get(row.id) ?? [])),
      alerts: alerts.map(alertOf)
    }
  })

  return (notify: NotifyState) =>
    Effect.gen(function* () {
      const { config } = notify
      if (config === undefined) return 0
      const now = yield* Clock.currentTimeMillis
      if (!(yield* takeTurn(sql, PLAN_LOCK))) return 0
      const { alerts, incidents } = yield* facts(now)
      if (alerts.length === 0 && incidents.length === 0) return 0
      const active = yield* silences.active(now)
      const rules = yield* rulebook.rules
      const silentRules = new Set(rules.filter(({ condition }) => condition.kind === "silent").map(({ name }) => name))
      const all = [...alerts, ...incidents.flatMap(({ members }) => members.map(({ alert }) => alert))]
      const silent = Map.groupBy(
        all.filter(({ resolvedAt, rule }) => resolvedAt === null && silentRules.has(rule)),
        ({ server }) => server
      )
      const unheardOf = ({ resource }: ToldAlert) => (resource === host?.resource ? "*" : resource)
      const planned: Facts = {
        now,
        routes: config.routes,
        incidents,
        alerts,
        silentRules,
        silent: new Map([...silent].map(([server, alerts]) => [server, new Set(alerts.map(unheardOf))])),
        isSilenced: (alert) => silencedBy(silenceable(alert), active, now) !== undefined
      }
      const { changed, passedOver } = plan(planned)
      const notes = config.receivers.filter(({ way }) => TAKE_NOTE.has(way.kind)).map(({ name }) => name)
      return yield* store(sql, changed, passedOver, now, new Set(notes))
    }).pipe(sql.withTransaction, answering("plan notifications"))
})

const silenceable = (alert: ToldAlert) => ({ ...alert, serverId: alert.server })

const store = Effect.fnUntraced(function* (
  sql: PgClient.PgClient,
  changed: ReadonlyArray<Planned>,
  passedOver: ReadonlyArray<ToldAlert>,
  now: number,
  takeNote: ReadonlySet<string>
) {
  const made = changed.filter(({ incident }) => incident.id === undefined).map(({ incident }) => storable(incident))
  const rows = made.length === 0 ? [] : yield* sql.unsafe<MadeRow>(MAKE, [PgTypes.json(made)])
  const ids = new Map(rows.map(({ id, route, server }) => [JSON.stringify([route, server]), id]))
  const idOf = ({ id, route, server }: Incident) => id ?? ids.get(JSON.stringify([route, server]))!
  const kept = changed.filter(({ incident }) => incident.id !== undefined).map(({ incident }) => storable(incident))
  if (kept.length > 0) yield* sql.unsafe(CHANGE, [PgTypes.json(kept)])
  const members = [
    ...passedOver.map(({ id }) => ({ alert: id, incident: null, state: "passed-over" })),
    ...changed.flatMap(({ incident }) =>
      incident.members.map(({ alert, state }) => ({ alert: alert.id, incident: idOf(incident), state }))
    )
  ]
  if (members.length > 0) yield* sql.unsafe(JOIN, [PgTypes.json(members)])
  const messages = changed.flatMap(({ due, incident }) =>
    due.flatMap(({ alerts, kind }) =>
      incident.receivers
        .filter((receiver) => takeNote.has(receiver) || !isForPrograms(kind, alerts))
        .map((receiver) => ({
          incident: idOf(incident),
          kind,
          route: incident.route,
          receiver,
          title: titleOfIncident({ kind, server: incident.server, key: "", alerts: alerts.map(bare) }),
          alerts: alerts.map(({ id }) => id)
        }))
    )
  )
  if (messages.length > 0) yield* sql.unsafe(NOTIFY, [PgTypes.json(messages), PgTypes.float8(now * 1_000)])
  return messages.length
})

/** People see what becomes of an order: that it does not wait any more is no news to them. */
const isForPrograms = (kind: NotificationKind, alerts: ReadonlyArray<ToldAlert>): boolean =>
  kind === "acknowledged" || (kind === "resolved" && alerts.every(({ resource }) => isOfActs(resource)))

const bare = (alert: ToldAlert) => ({ ...alert, runbook: undefined, owners: [], story: undefined, link: undefined })

// -- rows

export interface AlertRow {
  readonly id: string
  readonly rule: string
  readonly sentence: string
  readonly severity: Severity
  readonly server: string
  readonly server_name: string
  readonly of_itself: boolean
  readonly resource: string
  readonly alert_group: string
  readonly value: number | null
  readonly fired: number
  readonly resolved: number | null
  readonly acknowledged: boolean
  readonly order_id: string | null
}

/** Of an alert and its server, for `alertOf`. */
export const ALERT_COLUMNS = `alert.id::text as id, alert.rule, alert.sentence, alert.severity,
  coalesce(server.server_id, 'nodepulse') as server, coalesce(server.name, '') as server_name,
  alert.server_id is null as of_itself, alert.asked ->> 'resource' as resource, alert.alert_group, alert.value,
  ${micros("alert.fired_at")} / 1000 as fired, ${micros("alert.resolved_at")} / 1000 as resolved, alert.acknowledged_at is not null as acknowledged,
  alert.asked ->> 'order_id' as order_id`

export const alertOf = (row: AlertRow): ToldAlert => ({
  id: row.id,
  rule: row.rule,
  sentence: row.sentence,
  severity: row.severity,
  server: row.server,
  serverName: row.server_name,
  isOfItself: row.of_itself,
  resource: row.resource,
  group: row.alert_group,
  value: row.value,
  firedAt: row.fired,
  resolvedAt: row.resolved,
  isAcknowledged: row.acknowledged,
  orderId: row.order_id ?? undefined
})

interface MemberRow extends AlertRow {
  readonly incident_id: string
  readonly state: Member["state"]
}

interface IncidentRow {
  readonly id: string
  readonly route: string
  readonly server: string
  /** JSON. */
  readonly receivers: string
  readonly opened: number
  readonly due: number | null
  readonly closing: number | null
  readonly told: number | null
  readonly owes_resolve: boolean
  readonly took_note: boolean
}

interface MadeRow {
  readonly id: string
  readonly route: string
  readonly server: string
}

const incidentOf = (row: IncidentRow, members: ReadonlyArray<MemberRow>): Incident => ({
  id: row.id,
  route: row.route,
  server: row.server,
  receivers: JSON.parse(row.receivers) as ReadonlyArray<string>,
  openedAt: row.opened,
  dueAt: row.due,
  closingAt: row.closing,
  toldAt: row.told,
  owesResolve: row.owes_resolve,
  tookNote: row.took_note,
  closedAt: null,
  members: members.map((member) => ({ alert: alertOf(member), state: member.state }))
})

const storable = (incident: Incident) => ({
  id: incident.id ?? null,
  route: incident.route,
  server: incident.server,
  receivers: incident.receivers,
  opened: incident.openedAt,
  due: incident.dueAt,
  closing: incident.closingAt,
  told: incident.toldAt,
  owes: incident.owesResolve,
  noted: incident.tookNote,
  closed: incident.closedAt
})

const BEGAN = `insert into admiral.delivery_progress (began_at) values (${moment("$1::float8")}) on conflict (single) do nothing`

const OPEN = `select incident.id::text as id, incident.route, incident.server, to_json(incident.receivers)::text as receivers,
  ${micros("incident.opened_at")} / 1000 as opened, ${micros("incident.due_at")} / 1000 as due,
  ${micros("incident.closing_at")} / 1000 as closing, ${micros("incident.told_at")} / 1000 as told,
  incident.owes_resolve, incident.took_note
from admiral.incidents as incident where incident.closed_at is null order by incident.id`

const MEMBERS = `select member.incident_id::text as incident_id, member.state, ${ALERT_COLUMNS}
from admiral.incidents as incident
join admiral.incident_alerts as member on member.incident_id = incident.id
join admiral.alerts as alert on alert.id = member.alert_id
left join admiral.servers as server on server.id = alert.server_id
where incident.closed_at is null and member.state in ('untold', 'told') order by alert.id`

const CANDIDATES = `select ${ALERT_COLUMNS}
from admiral.alerts as alert
cross join admiral.delivery_progress as progress
left join admiral.servers as server on server.id = alert.server_id
where (alert.resolved_at is null
  or alert.resolved_at > greatest(least(progress.began_at, ${moment("$1::float8")}), ${moment("$1::float8")} - interval '${TOLD_WITHIN_MILLIS} milliseconds'))
  and not exists (select from admiral.incident_alerts as member where member.alert_id = alert.id)
order by alert.id desc limit ${ALERTS_MAX}`

const GIVEN = `(select id, route, server, receivers, ${["opened", "due", "closing", "told", "closed"]
  .map((at) => `${moment(`${at} * 1000`)} as ${at}_at`)
  .join(", ")}, owes, noted
  from json_to_recordset($1::json) as given(id bigint, route text, server text, receivers text[], opened float8, due float8,
    closing float8, told float8, closed float8, owes boolean, noted boolean)) as given`

const MAKE = `insert into admiral.incidents as incident
  (route, server, receivers, opened_at, due_at, closing_at, told_at, owes_resolve, took_note, closed_at)
select given.route, given.server, given.receivers, given.opened_at, given.due_at, given.closing_at, given.told_at, given.owes, given.noted,
  given.closed_at
from ${GIVEN}
returning incident.id::text as id, incident.route, incident.server`

const CHANGE = `update admiral.incidents as incident set due_at = given.due_at, closing_at = given.closing_at, told_at = given.told_at,
  owes_resolve = given.owes, took_note = given.noted, closed_at = given.closed_at
from ${GIVEN} where incident.id = given.id`

const JOIN = `insert into admiral.incident_alerts as member (alert_id, incident_id, state)
select given.alert, given.incident, given.state
from json_to_recordset($1::json) as given(alert bigint, incident bigint, state text)
on conflict (alert_id, incident_id) do update set state = excluded.state where member.state <> excluded.state`

const NOTIFY = `insert into admiral.notifications (incident_id, kind, route, receiver, title, alerts, created_at, due_at)
select given.incident, given.kind, given.route, given.receiver, given.title, given.alerts, ${moment("$2::float8")}, ${moment("$2::float8")}
from json_to_recordset($1::json) as given(incident bigint, kind text, route text, receiver text, title text, alerts bigint[])`

/** The statements by name, as `docs/sql` has them. */
export const incidentStatements = { BEGAN, OPEN, MEMBERS, CANDIDATES, MAKE, CHANGE, JOIN, NOTIFY }
