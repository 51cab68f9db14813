/** The evaluation of rules over stored rows, its state in PostgreSQL: `admiral.alert_states`, `admiral.alerts`. */
import { PgClient, PgTypes } from "@effect/sql-pg"
import { Array as Arr, Clock, Duration, Effect, Layer } from "effect"
import type { Registry } from "../plugins/Registry.ts"
import type { Window } from "../query/Rankings.ts"
import { answering } from "../sinks/postgres/Database.ts"
import { micros, moment } from "../sinks/postgres/Moments.ts"
import { Scrapes } from "../sinks/storage/Scrapes.ts"
import type { AlertState } from "./AlertState.ts"
import { type Alert, Alerts, type Asked, CATCH_UP_MILLIS, type Evaluated } from "./Alerts.ts"
import { askedOf, EVERY_MILLIS, type Rule, type Severity, sentence } from "./Rule.ts"
import { Rulebook } from "./Rulebook.ts"
import {
  groupsIn,
  isAbout,
  liveThrough,
  lookbackFor,
  makeRuleReader,
  NO_SIZE,
  type RuleSource,
  type WatchedServer
} from "./RuleReader.ts"
import { ServerWatch, type Turn } from "./ServerWatch.ts"

/** Any number that no other advisory lock takes. */
const ALERT_LOCK = 7_246_011
/** Servers that are asked at a time. */
const SLICE = 50
/** A scrape takes a moment until it is stored: the latest moments are asked then. */
const SETTLE_MILLIS = 5_000
const RETRY_AFTER = Duration.seconds(15)
const NOTHING: Evaluated = { moments: 0, fired: 0, resolved: 0 }

const make = Effect.gen(function* () {
  const sql = yield* PgClient.PgClient
  const rulebook = yield* Rulebook
  const reader = yield* makeRuleReader

  const storedStates = Effect.map(
    sql.unsafe<StoredState>(`select rule, server_id, alert_group, state, ${micros("since")} / 1000 as since,
  ${micros("clear_since")} / 1000 as clear from admiral.alert_states`),
    (rows) => Map.groupBy(rows, ({ server_id }) => server_id)
  )

  /** Asks the rules about one exporter of some servers; what they found, by server. */
  const ask = Effect.fnUntraced(function* (
    source: RuleSource,
    rules: ReadonlyArray<Rule>,
    servers: ReadonlyArray<WatchedServer>,
    window: Window,
    stored: ReadonlyMap<number | null, ReadonlyArray<StoredState>>,
    missed: boolean
  ) {
    const ids = servers.map(({ id }) => id)
    const lookback = lookbackFor(rules, source)
    const names = reader.names()
    const seen = yield* reader.read(source, rules, ids, window)
    for (const own of seen.values()) yield* names.learn(groupsIn(own))
    const sizes = rules.some(isOfMachine) ? yield* reader.sizes(ids, window) : new Map()
    return yield* Effect.forEach(
      servers,
      Effect.fnUntraced(function* (server) {
        const own = rules.filter((rule) => isAbout(rule, server))
        const watch = new ServerWatch({
          rules: own,
          metrics: source.metrics,
          measures: source.measures,
          presence: source.exporter.top?.presence,
          nameOf: names.of,
          sizeAt: sizes.get(server.id) ?? (() => NO_SIZE),
          host: reader.host,
          id: server.id
        })
        const before = stored.get(server.id) ?? []
        for (const rule of own) watch.resume(rule, statesIn(before, rule))
        // Nobody knows what was between the moments that were asked and those that are: nothing was seen yet.
        if (missed) watch.lose(window.from / 1_000)
        const turns = yield* liveThrough(watch, seen.get(server.id)!, window, lookback)
        yield* Effect.yieldNow
        return { server, turns, states: own.map((rule) => [rule, watch.statesOf(rule)] as const) } satisfies Found
      })
    )
  })

  const store = Effect.fnUntraced(function* (found: ReadonlyArray<Found>, source: RuleSource) {
    const turns = found.flatMap(({ server, turns }) => turns.map((turn) => ({ ...turn, id: server.id })))
    for (const turn of turns) {
      const group = PgTypes.text(turn.group)
      const [rule, id, at] = [PgTypes.text(turn.rule.name), PgTypes.int4(turn.id), PgTypes.float8(turn.at * 1_000)]
      if (turn.to === "resolved") yield* sql.unsafe(RESOLVE, [rule, id, group, at])
      else {
        const told = [PgTypes.text(sentence(turn.rule, source.metrics)), PgTypes.text(turn.rule.severity)]
        const asked = PgTypes.jsonb(askedOf(turn.rule, source.metrics))
        yield* sql.unsafe(FIRE, [rule, id, group, at, ...told, PgTypes.float8(turn.value), asked])
      }
    }
    const states = found.flatMap(({ server, states }) =>
      states.flatMap(([rule, own]) => [...own].map(([group, state]) => storable(rule, server.id, group, state)))
    )
    return { turns, states }
  })

  /** Rules that are no more, or not about a server any more, leave nothing that fires. */
  const closeOthers = (now: number) => sql.unsafe(CLOSE_OTHERS, [PgTypes.float8(now * 1_000)])

  const pass = Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    const [lock] = yield* sql<{
      readonly taken: boolean
    }>`select pg_try_advisory_xact_lock(${ALERT_LOCK}::int8) as taken`
    if (lock?.taken !== true) return NOTHING
    const [progress] = yield* sql.unsafe<{ readonly until: number }>(PROGRESS)
    const upto = Math.floor((now - SETTLE_MILLIS) / EVERY_MILLIS) * EVERY_MILLIS
    const asked = progress === undefined ? upto - EVERY_MILLIS : progress.until
    if (upto <= asked) return NOTHING
    const from = Math.max(asked, upto - CATCH_UP_MILLIS)
    const rules = yield* rulebook.rules
    const stored = yield* storedStates
    const servers = rules.length === 0 ? [] : yield* reader.servers
    const turns: Array<Turn> = []
    const states: Array<StoredState> = []
    for (const [name, own] of Map.groupBy(rules, ({ exporter }) => exporter)) {
      const source = reader.sources.get(name)
      if (source === undefined) continue
      const about = servers.filter((server) => own.some((rule) => isAbout(rule, server)))
      for (const slice of Arr.chunksOf(about, SLICE)) {
        const window = { from: from * 1_000, to: upto * 1_000 }
        const found = yield* store(yield* ask(source, own, slice, window, stored, from > asked), source)
        turns.push(...found.turns)
        states.push(...found.states)
        yield* Effect.yieldNow
      }
    }
    yield* sql.unsafe(REPLACE_STATES, [PgTypes.json(states)])
    yield* closeOthers(upto)
    yield* sql.unsafe(ASKED, [PgTypes.float8(upto * 1_000)])
    const fired = turns.filter(({ to }) => to === "firing").length
    return { moments: (upto - from) / EVERY_MILLIS, fired, resolved: turns.length - fired }
  }).pipe(sql.withTransaction, answering("ask the rules"))

  const once = pass.pipe(
    Effect.andThen(
      Effect.map(Clock.currentTimeMillis, (now) =>
        Duration.millis(EVERY_MILLIS - ((now - SETTLE_MILLIS) % EVERY_MILLIS))
      )
    ),
    Effect.catch((error) => Effect.as(Effect.logWarning(error.message), RETRY_AFTER))
  )

  return Alerts.of({
    pass,
    run: Effect.forever(Effect.flatMap(once, Effect.sleep)),
    list: Effect.fn("Alerts.list")(function* (request) {
      const id = request.id === undefined ? null : idOf(request.id)
      if (id === undefined) return []
      const rows = yield* sql.unsafe<AlertRow>(LIST, [
        PgTypes.int4(request.limit),
        PgTypes.int8(id),
        PgTypes.float8(request.from === undefined ? null : request.from * 1_000),
        PgTypes.float8(request.to === undefined ? null : request.to * 1_000),
        PgTypes.bool(request.state === undefined ? null : request.state === "firing"),
        PgTypes.text(request.serverId ?? null),
        PgTypes.text(request.rule ?? null)
      ])
      return rows.map(alertOf)
    }, answering("list alerts"))
  })
})

export const layer: Layer.Layer<Alerts, never, PgClient.PgClient | Registry | Rulebook> = Layer.effect(
  Alerts,
  make
).pipe(Layer.provide(Scrapes.layer))

const isOfMachine = ({ condition }: Rule): boolean => condition.kind === "value" && condition.of === "machine"

/** What was found of a server. */
interface Found {
  readonly server: WatchedServer
  readonly turns: ReadonlyArray<Turn>
  readonly states: ReadonlyArray<readonly [rule: Rule, states: ReadonlyMap<string, AlertState>]>
}

// -- states

/** As they are stored; epoch milliseconds. */
interface StoredState {
  readonly rule: string
  /** Null: of NodePulse itself. */
  readonly server_id: number | null
  readonly alert_group: string
  readonly state: "pending" | "firing" | "unknown"
  readonly since: number | null
  readonly clear: number | null
}

const statesIn = (stored: ReadonlyArray<StoredState>, { name }: Rule) =>
  stored
    .filter(({ rule }) => rule === name)
    .map(({ alert_group, clear, since, state }): readonly [string, AlertState] => [
      alert_group,
      state === "pending"
        ? { is: "pending", since: since! }
        : state === "firing"
          ? { is: "firing", since: since!, clear: clear ?? undefined }
          : { is: "unknown", firing: since ?? undefined }
    ])

const storable = ({ name }: Rule, server: number, group: string, state: AlertState): StoredState => ({
  rule: name,
  server_id: server,
  alert_group: group,
  state: state.is as StoredState["state"],
  since: (state.is === "unknown" ? state.firing : state.is === "inactive" ? undefined : state.since) ?? null,
  clear: (state.is === "firing" ? state.clear : undefined) ?? null
})

const PROGRESS = `select ${micros("progress.asked_until")} / 1000 as until from admiral.alert_progress as progress for update`

const ASKED = `insert into admiral.alert_progress (asked_until) values (${moment("$1::float8")})
on conflict (single) do update set asked_until = excluded.asked_until`

const REPLACE_STATES = `with found as (
  select rule, server_id, alert_group, state, ${moment("since * 1000")} as since, ${moment("clear * 1000")} as clear_since
  from json_to_recordset($1::json) as found(rule text, server_id int, alert_group text, state text, since float8, clear float8)
), gone as (
  delete from admiral.alert_states as stored where not exists (
    select from found where found.rule = stored.rule and coalesce(found.server_id, 0) = coalesce(stored.server_id, 0)
      and found.alert_group = stored.alert_group
  )
)
insert into admiral.alert_states (rule, server_id, alert_group, state, since, clear_since)
select found.rule, found.server_id, found.alert_group, found.state, found.since, found.clear_since
from found where found.server_id is null or exists (select from admiral.servers server where server.id = found.server_id)
on conflict (rule, server_id, alert_group)
do update set state = excluded.state, since = excluded.since, clear_since = excluded.clear_since`

// -- alerts

interface AlertRow {
  readonly id: string
  readonly rule: string
  readonly sentence: string
  readonly severity: Severity
  readonly server_id: string | null
  readonly alert_group: string
  readonly value: number | null
  readonly asked: Asked
  readonly fired: number
  readonly resolved: number | null
  readonly is_unknown: boolean
}

const FIRE = `insert into admiral.alerts (rule, server_id, alert_group, fired_at, sentence, severity, value, asked)
values ($1::text, $2::int4, $3::text, ${moment("$4::float8")}, $5::text, $6::text, $7::float8, $8::jsonb)
on conflict (rule, server_id, alert_group) where resolved_at is null do nothing`

const RESOLVE = `update admiral.alerts as alert set resolved_at = ${moment("$4::float8")}
where alert.rule = $1::text and alert.server_id is not distinct from $2::int4 and alert.alert_group = $3::text and alert.resolved_at is null`

const CLOSE_OTHERS = `update admiral.alerts as alert set resolved_at = ${moment("$1::float8")}
where alert.resolved_at is null and not exists (
  select from admiral.alert_states as stored
  where stored.rule = alert.rule and coalesce(stored.server_id, 0) = coalesce(alert.server_id, 0)
    and stored.alert_group = alert.alert_group and stored.since is not null and stored.state in ('firing', 'unknown')
)`

/** $1: how many, $2: its id, $3 and $4: the span it fired in, $5: whether it still fires, $6: server, $7: rule; null: any. */
const LIST = `select alert.id::text as id, alert.rule, alert.sentence, alert.severity, server.server_id, alert.alert_group, alert.value,
  alert.asked, ${micros("alert.fired_at")} / 1000 as fired, ${micros("alert.resolved_at")} / 1000 as resolved,
  coalesce(stored.state = 'unknown', false) as is_unknown
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

/** An id as it is handed out; undefined where the text is none. */
const idOf = (text: string): bigint | undefined => (/^\d{1,18}$/.test(text) ? BigInt(text) : undefined)

const alertOf = (row: AlertRow): Alert => ({
  id: row.id,
  rule: row.rule,
  sentence: row.sentence,
  severity: row.severity,
  serverId: row.server_id,
  group: row.alert_group,
  value: row.value,
  asked: row.asked,
  firedAt: row.fired,
  resolvedAt: row.resolved,
  isUnknown: row.is_unknown
})
