/** Alerts over PostgreSQL: `Evaluator.ts` asks the rules, and what fired is `admiral.alerts`. */
import { PgClient, PgTypes } from "@effect/sql-pg"
import { Clock, Duration, Effect, Layer } from "effect"
import type { Registry } from "../plugins/Registry.ts"
import { answering } from "../sinks/postgres/Database.ts"
import { micros, moment } from "../sinks/postgres/Moments.ts"
import { Scrapes } from "../sinks/storage/Scrapes.ts"
import { type Alert, Alerts, type Asked } from "./Alerts.ts"
import { makeEvaluator, SETTLE_MILLIS } from "./Evaluator.ts"
import { EVERY_MILLIS, type Severity } from "./Rule.ts"
import type { Rulebook } from "./Rulebook.ts"

const RETRY_AFTER = Duration.seconds(15)

const make = Effect.gen(function* () {
  const sql = yield* PgClient.PgClient
  const evaluator = yield* makeEvaluator
  const pass = evaluator.pass.pipe(answering("ask the rules"))

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
    run: Effect.forever(Effect.flatMap(once, Effect.sleep)).pipe(
      Effect.onInterrupt(() => Effect.ignore(evaluator.release))
    ),
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
