/**
 * What a hook was told while processes that tell it were killed, against what is stored: each incident at least once, and that it is over
 * after that. For alerts-killed.test.ts.
 */
import { PgClient } from "@effect/sql-pg"
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import { hookServer } from "./HookServer.ts"

/** A message as webhooks get it, as far as it is looked at. */
interface Message {
  readonly id: string
  readonly incidents: ReadonlyArray<{
    readonly key: string
    readonly kind: "firing" | "resolved"
    readonly over: boolean
    readonly alerts: ReadonlyArray<{ readonly alert_id: string }>
  }>
}

/** One message of twenty is refused, and each takes a moment, so that processes are killed while they send it. */
const REFUSED = 0.05
const TAKES_MILLIS = 20

/** A hook, and the messages that it took, in order. */
export const makeHook = Effect.fnUntraced(function* (next: () => number) {
  const taken: Array<Message> = []
  const counts = { refused: 0 }
  const url = yield* hookServer((_, body, response) => {
    const isTaken = next() >= REFUSED
    if (isTaken) taken.push(JSON.parse(body))
    else counts.refused++
    setTimeout(() => response.writeHead(isTaken ? 200 : 503).end(), TAKES_MILLIS * next())
  })
  return { url: `${url}/`, taken, counts }
})

/** A minute goes by for who claimed messages: those of whoever is dead or stands still are claimed by others. */
export const endClaims = Effect.flatMap(
  PgClient.PgClient,
  (sql) =>
    sql`update admiral.notifications set claimed_until = claimed_until - interval '1 minute' where claimed_until is not null`
)

/** Messages that wait, and alerts that nobody is told of yet, but for what waits until a silent server speaks. */
export const unfinished = Effect.gen(function* () {
  const sql = yield* PgClient.PgClient
  const [row] = yield* sql<{ readonly messages: number; readonly incidents: number }>`select
    (select count(*)::int4 from admiral.notifications told where told.sent_at is null and told.dead_at is null) as messages,
    (select count(*)::int4 from admiral.incidents incident where incident.closed_at is null and not exists (
      select from admiral.incident_alerts own join admiral.alerts alert on alert.id = own.alert_id
      where own.incident_id = incident.id and alert.resolved_at is null
    )) as incidents`
  return row!.messages + row!.incidents
})

interface StoredIncident {
  readonly id: string
  readonly is_closed: boolean
  readonly alerts: ReadonlyArray<string>
  /** Whether any of its alerts was told. */
  readonly is_told: boolean
}

/** What was told of an incident first, in order, each message once: those that came twice have the same id. */
const toldOf = (taken: ReadonlyArray<Message>, { alerts }: StoredIncident) => {
  const own = new Set(alerts)
  const ids = new Set<string>()
  const told: Array<Message["incidents"][number]> = []
  for (const message of taken) {
    if (ids.has(message.id)) continue
    ids.add(message.id)
    told.push(...message.incidents.filter(({ alerts }) => alerts.some(({ alert_id }) => own.has(alert_id))))
  }
  return told
}

/** Fails where an incident was not told, or not that it is over; how many there were, and how many messages came twice. */
export const assertDelivered = Effect.fnUntraced(function* (taken: ReadonlyArray<Message>) {
  const sql = yield* PgClient.PgClient
  const dead = yield* sql`select id from admiral.notifications where dead_at is not null`
  assert.deepStrictEqual(dead, [], "a message was given up")
  // What fires while its server is silent waits.
  const forgotten = yield* sql`select alert.id from admiral.alerts alert
    where not exists (select from admiral.incident_alerts own where own.alert_id = alert.id)
      and (alert.resolved_at is not null or not exists (
        select from admiral.alerts silence
        where silence.server_id = alert.server_id and silence.rule = 'silent' and silence.resolved_at is null
      ))`
  assert.deepStrictEqual(forgotten, [], "nobody ever looked at an alert")
  // Who is told of nothing else while its server is silent.
  const unjustly =
    yield* sql`select alert.id from admiral.incident_alerts own join admiral.alerts alert on alert.id = own.alert_id
    where own.state not in ('told', 'followed') and not exists (
      select from admiral.alerts silence where silence.server_id = alert.server_id and silence.rule = 'silent' and alert.rule <> 'silent'
        and silence.fired_at <= coalesce(alert.resolved_at, 'infinity') and coalesce(silence.resolved_at, 'infinity') >= alert.fired_at
    )`
  assert.deepStrictEqual(unjustly, [], "an alert was not told though its server spoke")
  const incidents =
    yield* sql<StoredIncident>`select incident.id::text as id, incident.closed_at is not null as is_closed,
      json_agg(own.alert_id::text) as alerts, bool_or(own.state in ('told', 'followed')) as is_told
    from admiral.incidents incident join admiral.incident_alerts own on own.incident_id = incident.id
    group by incident.id order by incident.id`
  let resolved = 0
  for (const incident of incidents.filter(({ is_told }) => is_told)) {
    const told = toldOf(taken, incident)
    assert.strictEqual(told[0]?.kind, "firing", `incident ${incident.id} was not told first of all`)
    assert.strictEqual(new Set(told.map(({ key }) => key)).size, 1, `incident ${incident.id} has one key`)
    const last = told.at(-1)!
    if (incident.is_closed)
      assert.isTrue(last.over, `incident ${incident.id} was not told to be over: ${JSON.stringify(told)}`)
    if (last.kind === "resolved") resolved++
  }
  const ids = taken.map(({ id }) => id)
  return { told: incidents.filter(({ is_told }) => is_told).length, resolved, again: ids.length - new Set(ids).size }
})
