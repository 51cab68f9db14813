/** Alerts that fired, as they are read and acknowledged: `admiral.alerts`. What writes them is `AlertsPostgres.ts`. */
import { type PgClient, PgTypes } from "@effect/sql-pg"
import { Clock, Effect } from "effect"
import { CurrentAuthor } from "../access/Audit.ts"
import { record } from "../access/AuditPostgres.ts"
import { answering } from "../sinks/postgres/Database.ts"
import { micros, moment } from "../sinks/postgres/Moments.ts"
import { type Alert, type AlertFilter, AlertIsOver, type Alerts, type Asked, UnknownAlert } from "./Alerts.ts"
import type { Severity } from "./Rule.ts"
import { silencedBy } from "./silences/Silence.ts"
import { activeSilences } from "./silences/SilencesPostgres.ts"

export const makeAlertRows = (sql: PgClient.PgClient): Pick<Alerts["Service"], "list" | "acknowledge" | "firing"> => {
  /** With what silences say of those that fire. */
  const shown = Effect.fnUntraced(function* (rows: ReadonlyArray<AlertRow>) {
    const now = yield* Clock.currentTimeMillis
    const silences = rows.some(({ resolved }) => resolved === null) ? yield* activeSilences(sql, now) : []
    return rows.map((row): Alert => {
      const alert = alertOf(row)
      const isSilenced = alert.resolvedAt === null && silencedBy(alert, silences, now) !== undefined
      return { ...alert, isSilenced }
    })
  })

  const acknowledge = Effect.fnUntraced(function* (alertId: string, note: string) {
    const [alert] = yield* shown(yield* sql.unsafe<AlertRow>(LIST, listParameters({ id: alertId, limit: 1 })))
    if (alert === undefined) return yield* new UnknownAlert({ alertId })
    const { name: by } = yield* CurrentAuthor
    const at = yield* Clock.currentTimeMillis
    const parameters = [PgTypes.int8(idOf(alertId)), PgTypes.float8(at * 1_000), PgTypes.text(by), PgTypes.text(note)]
    const [still] = yield* sql.unsafe<{ readonly id: string }>(ACKNOWLEDGE, parameters)
    if (still === undefined) return yield* new AlertIsOver({ alertId, resolvedAt: alert.resolvedAt ?? at })
    yield* record(sql, "alert.acknowledge", `alert ${alertId}`, `${nameOf(alert)}${note === "" ? "" : `: ${note}`}`)
    return { ...alert, acknowledged: { at, by, note } }
  })

  return {
    list: Effect.fn("Alerts.list")(function* (request) {
      return yield* shown(yield* sql.unsafe<AlertRow>(LIST, listParameters(request)))
    }, answering("list alerts")),
    acknowledge: Effect.fn("Alerts.acknowledge")(
      (alertId, note) => sql.withTransaction(acknowledge(alertId, note)),
      answering("acknowledge an alert")
    ),
    firing: Effect.map(
      sql.unsafe<{ readonly rule: string; readonly count: number }>(FIRING),
      (rows) => new Map(rows.map(({ count, rule }) => [rule, count]))
    ).pipe(answering("count alerts"))
  }
}

interface AlertRow {
  readonly id: string
  readonly rule: string
  readonly sentence: string
  readonly severity: Severity
  readonly server_id: string | null
  readonly server_name: string | null
  readonly alert_group: string
  readonly value: number | null
  readonly asked: Asked
  readonly fired: number
  readonly resolved: number | null
  readonly is_unknown: boolean
  readonly acknowledged: number | null
  readonly acknowledged_by: string | null
  readonly acknowledged_note: string | null
}

/** $1: how many, $2: its id, $3 and $4: the span it fired in, $5: whether it still fires, $6: server, $7: rule; null: any. */
const LIST = `select alert.id::text as id, alert.rule, alert.sentence, alert.severity, server.server_id, server.name as server_name,
  alert.alert_group, alert.value, alert.asked,
  ${micros("alert.fired_at")} / 1000 as fired, ${micros("alert.resolved_at")} / 1000 as resolved,
  coalesce(stored.state = 'unknown', false) as is_unknown,
  ${micros("alert.acknowledged_at")} / 1000 as acknowledged, alert.acknowledged_by, alert.acknowledged_note
from admiral.alerts as alert
left join admiral.servers as server on server.id = alert.server_id
left join admiral.alert_states as stored
  on alert.resolved_at is null and stored.rule = alert.rule and stored.alert_group = alert.alert_group
    and coalesce(stored.server_id, 0) = coalesce(alert.server_id, 0)
where ($2::int8 is null or alert.id = $2::int8)
  and ($3::float8 is null or alert.resolved_at is null or alert.resolved_at > ${moment("$3::float8")})
  and ($4::float8 is null or alert.fired_at <= ${moment("$4::float8")})
  and ($5::bool is null or (alert.resolved_at is null) = $5::bool)
  and ($6::text is null or server.server_id = $6::text)
  and ($7::text is null or alert.rule = $7::text)
order by alert.resolved_at is not null, alert.fired_at desc, alert.id desc limit $1::int4`

const listParameters = ({ from, id, limit, rule, serverId, state, to }: AlertFilter & { readonly limit: number }) => [
  PgTypes.int4(limit),
  PgTypes.int8(id === undefined ? null : idOf(id)),
  PgTypes.float8(from === undefined ? null : from * 1_000),
  PgTypes.float8(to === undefined ? null : to * 1_000),
  PgTypes.bool(state === undefined ? null : state === "firing"),
  PgTypes.text(serverId ?? null),
  PgTypes.text(rule ?? null)
]

const ACKNOWLEDGE = `update admiral.alerts as alert
set acknowledged_at = ${moment("$2::float8")}, acknowledged_by = $3::text, acknowledged_note = $4::text
where alert.id = $1::int8 and alert.resolved_at is null returning alert.id::text as id`

const FIRING = `select alert.rule, count(*)::int4 as count from admiral.alerts as alert where alert.resolved_at is null group by alert.rule`

/** The statements by name, as `docs/sql` has them. */
export const alertStatements = { LIST, ACKNOWLEDGE, FIRING }

/** An id as it is handed out; of a text that is none, one that nothing has. */
const idOf = (text: string): bigint => (/^\d{1,18}$/.test(text) ? BigInt(text) : -1n)

/** As the audit calls it. */
const nameOf = ({ group, rule, serverName }: Alert): string =>
  [rule, group, serverName ?? "NodePulse"].filter((part) => part !== "").join(", ")

const alertOf = (row: AlertRow): Omit<Alert, "isSilenced"> => ({
  id: row.id,
  rule: row.rule,
  sentence: row.sentence,
  severity: row.severity,
  serverId: row.server_id,
  serverName: row.server_name,
  group: row.alert_group,
  value: row.value,
  asked: row.asked,
  firedAt: row.fired,
  resolvedAt: row.resolved,
  isUnknown: row.is_unknown,
  acknowledged:
    row.acknowledged === null
      ? undefined
      : { at: row.acknowledged, by: row.acknowledged_by!, note: row.acknowledged_note! }
})
