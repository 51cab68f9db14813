/**
 * What the rules found when they were asked last, in PostgreSQL: `admiral.alert_progress` (until when, and by whom),
 * `admiral.alert_states` (all that is not inactive) and `admiral.alerts`.
 *
 * Guarantee: one transaction holds them all, and only who goes on from what is stored writes: where somebody else has asked in
 * between, nothing is written. What did not change is not written either. A process that stands still in the middle of it loses
 * its transaction after {@link IDLE_WITHIN}.
 */
import { PgClient, PgTypes } from "@effect/sql-pg"
import { Clock, Effect } from "effect"
import { ASK_FOR_ALERTS } from "../recordings/RecordingsPostgres.ts"
import { micros, moment } from "../sinks/postgres/Moments.ts"
import { SIGNATURE_RESOURCE } from "./Acts.ts"
import type { AlertState } from "./AlertState.ts"
import type { Asked } from "./Alerts.ts"
import { type Rule, type Severity, subjectOf } from "./Rule.ts"

/** A state as it is stored; epoch milliseconds. */
export interface StoredState {
  readonly rule: string
  /** Null: of NodePulse itself. */
  readonly server_id: number | null
  readonly alert_group: string
  /** What the rule was about: `subjectOf`. */
  readonly subject: string
  readonly state: "pending" | "firing" | "unknown"
  readonly since: number | null
  readonly clear: number | null
}

/** An alert that began to fire, or is over, as it is stored; epoch milliseconds. */
export interface StoredTurn {
  readonly rule: string
  readonly server_id: number | null
  readonly alert_group: string
  readonly to: "firing" | "resolved"
  readonly at: number
  readonly sentence: string
  readonly severity: Severity
  readonly value: number | null
  readonly asked: Asked
}

/** Until when the rules were asked, epoch milliseconds, and which process did; null: nobody who goes on. */
export interface Progress {
  readonly until: number
  readonly holder: string | null
}

/** The same as it is stored. `isPassing`: the holder has said lately that it is still asking. */
export interface StoredProgress extends Progress {
  readonly isPassing: boolean
}

/** What is written of a pass. */
interface Written {
  /** What is stored if nobody else has asked in between; undefined: nobody ever has. */
  readonly expected: Progress | undefined
  readonly next: Progress
  readonly turns: ReadonlyArray<StoredTurn>
  readonly changed: ReadonlyArray<StoredState>
  readonly gone: ReadonlyArray<StoredState>
  /** What was of a rule that was about something else: its alerts are over. */
  readonly others: ReadonlyArray<StoredState>
}

const IDLE_WITHIN = "15s"
/** A pass that said longer ago that it goes on does not: its process is gone, or stands still. By the database's clock. */
const PASSING_FOR = "30 seconds"

export const makeAlertStates = Effect.map(PgClient.PgClient, (sql) => ({
  progress: Effect.map(sql.unsafe<StoredProgress>(PROGRESS), ([progress]) => progress),

  all: sql.unsafe<StoredState>(STATES),

  /** Whether it was written: not where somebody else has asked in between. */
  write: Effect.fnUntraced(function* ({ changed, expected, gone, next, others, turns }: Written) {
    yield* sql`select set_config('idle_in_transaction_session_timeout', ${IDLE_WITHIN}::text, true)`
    const until = PgTypes.float8(next.until * 1_000)
    const holder = PgTypes.text(next.holder)
    const claimed =
      expected === undefined
        ? yield* sql.unsafe(BEGIN, [until, holder])
        : yield* sql.unsafe(GO_ON, [until, holder, PgTypes.float8(expected.until * 1_000)])
    if (claimed.length === 0) return false
    if (expected !== undefined && expected.until > next.until) yield* sql.unsafe(SET_BACK, [until])
    if (others.length > 0)
      yield* sql.unsafe(RESOLVE, [PgTypes.json(others.map((state) => ({ ...state, at: next.until })))])
    for (const round of roundsOf(turns)) {
      const [over, began] = [round.filter(({ to }) => to === "resolved"), round.filter(({ to }) => to === "firing")]
      if (over.length > 0) yield* sql.unsafe(RESOLVE, [PgTypes.json(over)])
      if (began.length === 0) continue
      yield* sql.unsafe(FIRE, [PgTypes.json(began)])
      const now = yield* Clock.currentTimeMillis
      yield* sql.unsafe(ASK_FOR_ALERTS, [PgTypes.json(began), PgTypes.float8(now * 1_000)])
    }
    if (gone.length > 0) yield* sql.unsafe(FORGET, [PgTypes.json(gone)])
    if (changed.length > 0) yield* sql.unsafe(NOTE, [PgTypes.json(changed)])
    yield* sql.unsafe(CLOSE_OTHERS, [until])
    return true
  }, sql.withTransaction),

  /** Says that a pass that goes on from there takes long, and is not over. */
  goesOn: ({ holder, until }: Progress) =>
    Effect.asVoid(sql.unsafe(PASSING, [PgTypes.text(holder), PgTypes.float8(until * 1_000)])),

  /** There are no rules: nothing fires, and who asks the next ones begins at their moment. Writes where there is something. */
  rest: Effect.fnUntraced(function* (now: number) {
    yield* sql`delete from admiral.alert_progress`
    yield* sql`delete from admiral.alert_states`
    yield* sql.unsafe(CLOSE_OTHERS, [PgTypes.float8(now * 1_000)])
  }, sql.withTransaction),

  /** Others need not wait until it is clear that this process is gone. */
  release: (holder: string) => sql`update admiral.alert_progress set holder = null where holder = ${holder}`
}))

/** A state by what it is of. */
export const keyOf = ({ alert_group, rule, server_id }: StoredState | StoredTurn): string =>
  `${server_id} ${rule.length} ${rule} ${alert_group}`

/** Which states are new or others than before, which are gone, and which are of a rule that was about something else. */
export const differences = (before: ReadonlyMap<string, StoredState>, after: ReadonlyMap<string, StoredState>) => {
  const changed: Array<StoredState> = []
  for (const [key, state] of after) {
    const was = before.get(key)
    const isSame =
      was?.state === state.state &&
      was.since === state.since &&
      was.clear === state.clear &&
      was.subject === state.subject
    if (!isSame) changed.push(state)
  }
  const all = [...before]
  return {
    changed,
    gone: all.flatMap(([key, state]) => (after.has(key) ? [] : [state])),
    others: all.flatMap(([key, state]) => ((after.get(key)?.subject ?? state.subject) === state.subject ? [] : [state]))
  }
}

export const stateOf = ({ clear, since, state }: StoredState): AlertState =>
  state === "pending"
    ? { is: "pending", since: since! }
    : state === "firing"
      ? { is: "firing", since: since!, clear: clear ?? undefined }
      : { is: "unknown", firing: since ?? undefined }

export const storable = (rule: Rule, server: number | null, group: string, state: AlertState): StoredState => ({
  rule: rule.name,
  server_id: server,
  alert_group: group,
  subject: subjectOf(rule),
  state: state.is as StoredState["state"],
  since: (state.is === "unknown" ? state.firing : state.is === "inactive" ? undefined : state.since) ?? null,
  clear: (state.is === "firing" ? state.clear : undefined) ?? null
})

/** Turns in the order of their moments, such that each alert has one in each part. */
const roundsOf = (turns: ReadonlyArray<StoredTurn>): ReadonlyArray<ReadonlyArray<StoredTurn>> => {
  const rounds: Array<Array<StoredTurn>> = []
  const times = new Map<string, number>()
  for (const turn of turns) {
    const key = keyOf(turn)
    const round = times.get(key) ?? 0
    times.set(key, round + 1)
    rounds[round] ??= []
    rounds[round].push(turn)
  }
  return rounds
}

const PROGRESS = `select ${micros("progress.asked_until")} / 1000 as until, progress.holder,
  coalesce(progress.passing_until between now() and now() + interval '${PASSING_FOR}', false) as "isPassing"
from admiral.alert_progress as progress`

const BEGIN = `insert into admiral.alert_progress (asked_until, holder) values (${moment("$1::float8")}, $2::text)
on conflict (single) do nothing returning 1`

const GO_ON = `update admiral.alert_progress set asked_until = ${moment("$1::float8")}, holder = $2::text
where asked_until = ${moment("$3::float8")} returning 1`

const PASSING = `update admiral.alert_progress set holder = $1::text, passing_until = now() + interval '${PASSING_FOR}'
where asked_until = ${moment("$2::float8")}`

/** What was found by a clock that was ahead was found now. */
const SET_BACK = `update admiral.alerts as alert
set fired_at = least(alert.fired_at, ${moment("$1::float8")}), resolved_at = least(alert.resolved_at, ${moment("$1::float8")})
where alert.fired_at > ${moment("$1::float8")} or alert.resolved_at > ${moment("$1::float8")}`

const STATES = `select stored.rule, stored.server_id, stored.alert_group, stored.subject, stored.state,
  ${micros("stored.since")} / 1000 as since, ${micros("stored.clear_since")} / 1000 as clear
from admiral.alert_states as stored`

const FIRE = `insert into admiral.alerts (rule, server_id, alert_group, fired_at, sentence, severity, value, asked)
select turn.rule, turn.server_id, turn.alert_group, ${moment("turn.at * 1000")}, turn.sentence, turn.severity, turn.value, turn.asked
from json_to_recordset($1::json) as turn(
  rule text, server_id int, alert_group text, at float8, sentence text, severity text, value float8, asked jsonb
)
where turn.server_id is null or exists (select from admiral.servers server where server.id = turn.server_id)
on conflict (rule, server_id, alert_group) where resolved_at is null do nothing`

const RESOLVE = `update admiral.alerts as alert set resolved_at = ${moment("turn.at * 1000")}
from json_to_recordset($1::json) as turn(rule text, server_id int, alert_group text, at float8)
where alert.rule = turn.rule and coalesce(alert.server_id, 0) = coalesce(turn.server_id, 0)
  and alert.alert_group = turn.alert_group and alert.resolved_at is null`

const FORGET = `delete from admiral.alert_states as stored
using json_to_recordset($1::json) as gone(rule text, server_id int, alert_group text)
where stored.rule = gone.rule and coalesce(stored.server_id, 0) = coalesce(gone.server_id, 0) and stored.alert_group = gone.alert_group`

const NOTE = `insert into admiral.alert_states (rule, server_id, alert_group, subject, state, since, clear_since)
select found.rule, found.server_id, found.alert_group, found.subject, found.state, ${moment("found.since * 1000")}, ${moment("found.clear * 1000")}
from json_to_recordset($1::json) as found(rule text, server_id int, alert_group text, subject text, state text, since float8, clear float8)
where found.server_id is null or exists (select from admiral.servers server where server.id = found.server_id)
on conflict (rule, server_id, alert_group)
do update set subject = excluded.subject, state = excluded.state, since = excluded.since, clear_since = excluded.clear_since`

/** Rules that are no more, or not about a server any more, leave nothing that fires. Orders that wait are nothing that rules ask. */
const CLOSE_OTHERS = `update admiral.alerts as alert set resolved_at = ${moment("$1::float8")}
where alert.resolved_at is null and (alert.asked ->> 'resource') is distinct from '${SIGNATURE_RESOURCE}' and not exists (
  select from admiral.alert_states as stored
  where stored.rule = alert.rule and coalesce(stored.server_id, 0) = coalesce(alert.server_id, 0)
    and stored.alert_group = alert.alert_group and stored.since is not null and stored.state in ('firing', 'unknown')
)`

/** The statements by name, as `docs/sql` has them. */
export const alertStateStatements = {
  PROGRESS,
  BEGIN,
  GO_ON,
  PASSING,
  SET_BACK,
  STATES,
  FIRE,
  RESOLVE,
  FORGET,
  NOTE,
  CLOSE_OTHERS
}
