/**
 * The outbox, in PostgreSQL: `admiral.notifications`. A message is claimed, sent, and noted as sent; a claim that nobody keeps ends
 * by itself, by the clock of the database, and somebody else sends it.
 */
import { randomUUID } from "node:crypto"
import { PgClient, PgTypes } from "@effect/sql-pg"
import { Clock, Duration, Effect, Random } from "effect"
import { answering } from "../../sinks/postgres/Database.ts"
import { micros, moment } from "../../sinks/postgres/Moments.ts"
import { SIGNATURE_RESOURCE } from "../Acts.ts"
import type { NotificationKind } from "./Incidents.ts"
import { ALERT_COLUMNS, type AlertRow, alertOf } from "./IncidentsPostgres.ts"
import type { NotDelivered } from "./NotDelivered.ts"
import { TRIED_FOR } from "./Notifications.ts"
import type { ToldAlert } from "./ToldAlert.ts"
import { type Load, nextOf, type Waiting } from "./Turn.ts"

/** Any number that no other advisory lock takes: who claims waits for who does. */
const CLAIM_LOCK = 7_246_022
const FIRST_PAUSE_MILLIS = 5_000
const PAUSE_MAX_MILLIS = 600_000
/** Of each receiver, so that none of them hides the others. */
const WAITING_MAX = 100
const KEPT_DAYS = 30

/** A message that was claimed: what it says of each incident. */
export interface Claimed {
  /** Of the first notification of it: the message's. */
  readonly id: string
  readonly ids: ReadonlyArray<string>
  readonly claim: string
  readonly route: string
  readonly receiver: string
  /** The highest of them, this one counted. */
  readonly attempts: number
  readonly parts: ReadonlyArray<ClaimedPart>
}

interface ClaimedPart {
  readonly incidentId: string
  readonly kind: NotificationKind
  readonly server: string
  /** Epoch milliseconds. */
  readonly openedAt: number
  readonly alerts: ReadonlyArray<ToldAlert>
}

/** How long whoever claims a message may take until others do: longer than any delivery. */
const CLAIM_FOR = Duration.seconds(60)
/** A delivery may take as long (`Deliver.ts`), and a little. */
const LEFT_AT_LEAST = Duration.seconds(45)

export const makeOutbox = Effect.gen(function* () {
  const sql = yield* PgClient.PgClient

  const take = Effect.fnUntraced(function* (rateOf: (route: string) => number) {
    const now = PgTypes.float8((yield* Clock.currentTimeMillis) * 1_000)
    yield* sql`select pg_advisory_xact_lock(${CLAIM_LOCK}::int8)`
    yield* sql.unsafe(DROP_SIGNED, [now])
    yield* sql.unsafe(DROP_UNTOLD, [now])
    const waiting = yield* sql.unsafe<Waiting>(WAITING, [now])
    if (waiting.length === 0) return undefined
    const chosen = nextOf(waiting, yield* sql.unsafe<Load>(LOADS, [now]), rateOf)
    const [first] = chosen
    if (first === undefined) return undefined
    const ids = chosen.map(({ id }) => id)
    const claim = randomUUID()
    const seconds = PgTypes.float8(Duration.toSeconds(CLAIM_FOR))
    const rows = yield* sql.unsafe<PartRow>(CLAIM, [PgTypes.json(ids), PgTypes.text(claim), seconds])
    return { first, ids, claim, rows }
  })

  const claim = Effect.fnUntraced(function* (rateOf: (route: string) => number) {
    const [any] = yield* sql.unsafe(ANY, [PgTypes.float8((yield* Clock.currentTimeMillis) * 1_000)])
    if (any === undefined) return undefined
    const taken = yield* sql.withTransaction(take(rateOf))
    if (taken === undefined) return undefined
    const { claim, first, ids, rows } = taken
    const alerts = yield* sql.unsafe<AlertRow & { readonly notification: string }>(ALERTS, [PgTypes.json(ids)])
    const ofMessage = Map.groupBy(alerts, ({ notification }) => notification)
    return {
      id: first.id,
      ids,
      claim,
      route: first.route,
      receiver: first.receiver,
      attempts: Math.max(...rows.map(({ attempts }) => attempts)),
      parts: rows.map((row) => ({
        incidentId: row.incident_id,
        kind: row.kind,
        server: row.server,
        openedAt: row.opened,
        alerts: (ofMessage.get(row.id) ?? []).map(alertOf)
      }))
    } satisfies Claimed as Claimed
  }, answering("claim a notification"))

  /** Whether there is time to send it before others may: a process can stand still for as long as it likes. */
  const isHeld = Effect.fnUntraced(function* ({ claim }: Claimed) {
    const rows = yield* sql.unsafe(HELD, [PgTypes.text(claim), PgTypes.float8(Duration.toSeconds(LEFT_AT_LEAST))])
    return rows.length > 0
  }, answering("look whether a notification is still claimed"))

  /** Also where somebody else has claimed it meanwhile: it was sent. */
  const sent = Effect.fnUntraced(function* ({ id, ids }: Claimed) {
    const now = PgTypes.float8((yield* Clock.currentTimeMillis) * 1_000)
    yield* sql.unsafe(SENT, [PgTypes.json(ids), now, PgTypes.text(id)])
  }, answering("note that a notification was sent"))

  /** Whether it is dead now. */
  const failed = Effect.fnUntraced(function* ({ attempts, claim, ids }: Claimed, { after, reason }: NotDelivered) {
    const now = yield* Clock.currentTimeMillis
    const pause = Math.max(after ?? 0, yield* pauseAfter(attempts))
    const rows = yield* sql.unsafe<{ readonly dead: boolean }>(FAILED, [
      PgTypes.json(ids),
      PgTypes.float8(now * 1_000),
      PgTypes.text(claim),
      PgTypes.float8((now + pause) * 1_000),
      PgTypes.text(reason.slice(0, 500))
    ])
    return rows.some(({ dead }) => dead)
  }, answering("note that a notification was not sent"))

  const prune = Effect.flatMap(Clock.currentTimeMillis, (now) =>
    Effect.forEach(PRUNE, (statement) => sql.unsafe(statement, [PgTypes.float8(now * 1_000)]), { discard: true })
  ).pipe(answering("drop old notifications"))

  return { claim, isHeld, sent, failed, prune }
})

/**
 * How long after so many attempts the next one is: twice as long each time, up to ten minutes, and a fifth more or less, so that
 * what failed together does not come back together. Of the stored number, which a restart does not forget as a schedule would.
 */
const pauseAfter = (attempts: number): Effect.Effect<number> =>
  Effect.map(Random.nextBetween(0.8, 1.2), (jitter) =>
    Math.round(Math.min(PAUSE_MAX_MILLIS, FIRST_PAUSE_MILLIS * 2 ** Math.min(attempts - 1, 20)) * jitter)
  )

interface PartRow {
  readonly id: string
  readonly incident_id: string
  readonly kind: NotificationKind
  readonly server: string
  readonly opened: number
  readonly attempts: number
}

const isOpen = (name: string): string => `${name}.sent_at is null and ${name}.dead_at is null`

/** Whether somebody may be sending it; not where a clock that was ahead said until when. */
export const isClaimed = (name: string): string =>
  `${name}.claimed_until >= clock_timestamp() and ${name}.claimed_until < clock_timestamp() + interval '10 minutes'`

/** No pause is longer than an hour: what waits for longer has its moment from a clock that was ahead. */
const isDue = `${isOpen("waiting")}
  and (waiting.due_at <= ${moment("$1::float8")} or waiting.due_at > ${moment("$1::float8")} + interval '2 hours')
  and coalesce(not (${isClaimed("waiting")}), true)`

const ANY = `select true as found from admiral.notifications as waiting where ${isDue} limit 1`

/** That an order waits for a second person is sent while it does: a message that could not be sent in time is dead. */
const DROP_SIGNED = `update admiral.notifications as waiting
set dead_at = ${moment("$1::float8")}, error = 'it was signed, or over, before this could be sent'
where ${isDue} and waiting.kind = 'firing' and not exists (
  select from unnest(waiting.alerts) as one(alert_id)
  join admiral.alerts as alert on alert.id = one.alert_id
  where alert.resolved_at is null or (alert.asked ->> 'resource') is distinct from '${SIGNATURE_RESOURCE}'
)`

/** Whoever was not told that something fires is not told that it is over, or taken note of: the message that said so is dead. */
const DROP_UNTOLD = `update admiral.notifications as waiting
set dead_at = ${moment("$1::float8")}, error = 'the message before it could not be sent'
where ${isDue} and waiting.kind not in ('firing', 'repeated') and not exists (
  select from admiral.notifications as earlier
  where earlier.incident_id = waiting.incident_id and earlier.receiver = waiting.receiver and earlier.id < waiting.id
    and earlier.dead_at is null
)`

const WAITING = `select ranked.id::text as id, ranked.route, ranked.receiver from (
  select waiting.id, waiting.route, waiting.receiver, row_number() over (partition by waiting.receiver order by waiting.id) as place
  from admiral.notifications as waiting
  where ${isDue} and not exists (
    select from admiral.notifications as earlier
    where earlier.incident_id = waiting.incident_id and earlier.receiver = waiting.receiver and earlier.id < waiting.id
      and ${isOpen("earlier")}
  )
) as ranked where ranked.place <= ${WAITING_MAX} order by ranked.id`

const LOADS = `select told.route, told.receiver,
  (count(*) filter (where told.sent_at is not null and told.sent_with is null))::int4 as "sent",
  (count(distinct told.claimed_by) filter (where ${isOpen("told")} and ${isClaimed("told")}))::int4 as "underWay"
from admiral.notifications as told
where (told.sent_at > ${moment("$1::float8")} - interval '10 minutes' and told.sent_at < ${moment("$1::float8")} + interval '10 minutes')
  or (${isOpen("told")} and ${isClaimed("told")})
group by told.route, told.receiver`

const IDS = `(select value::int8 from json_array_elements_text($1::json))`

const CLAIM = `update admiral.notifications as waiting
set claimed_by = $2::text, claimed_until = clock_timestamp() + $3::float8 * interval '1 second', attempts = waiting.attempts + 1
from admiral.incidents as incident
where waiting.id in ${IDS} and incident.id = waiting.incident_id
returning waiting.id::text as id, waiting.incident_id::text as incident_id, waiting.kind, incident.server,
  ${micros("incident.opened_at")} / 1000 as opened, waiting.attempts`

const ALERTS = `select told.id::text as notification, ${ALERT_COLUMNS}
from admiral.notifications as told
cross join lateral unnest(told.alerts) with ordinality as one(alert_id, place)
join admiral.alerts as alert on alert.id = one.alert_id
left join admiral.servers as server on server.id = alert.server_id
where told.id in ${IDS} order by told.id, one.place`

const HELD = `select true as held from admiral.notifications as told
where told.claimed_by = $1::text and ${isOpen("told")}
  and told.claimed_until > clock_timestamp() + $2::float8 * interval '1 second' limit 1`

const SENT = `update admiral.notifications as told set sent_at = ${moment("$2::float8")}, claimed_until = null, error = null,
  sent_with = nullif($3::text::int8, told.id)
where told.id in ${IDS} and told.sent_at is null`

const FAILED = `update admiral.notifications as told set claimed_until = null, error = $5::text, due_at = ${moment("$4::float8")},
  dead_at = case when told.created_at <= ${moment("$2::float8")} - interval '${Duration.toHours(TRIED_FOR)} hours' then ${moment("$2::float8")} end
where told.id in ${IDS} and told.claimed_by = $3::text and ${isOpen("told")} returning told.dead_at is not null as dead`

const PRUNE = [
  `delete from admiral.incidents as incident where incident.closed_at < ${moment("$1::float8")} - interval '${KEPT_DAYS} days'`,
  `delete from admiral.notifications as told where told.created_at < ${moment("$1::float8")} - interval '${KEPT_DAYS} days'
and (told.sent_at is not null or told.dead_at is not null)`
]

/** The statements by name, as `docs/sql` has them. */
export const outboxStatements = { ANY, DROP_SIGNED, DROP_UNTOLD, WAITING, LOADS, CLAIM, ALERTS, HELD, SENT, FAILED }
