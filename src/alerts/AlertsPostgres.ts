/** Alerts over PostgreSQL: `Evaluator.ts` asks the rules, and what fired is `admiral.alerts`. */
import { PgClient } from "@effect/sql-pg"
import { Clock, Duration, Effect, Layer } from "effect"
import type { Registry } from "../plugins/Registry.ts"
import { answering } from "../sinks/postgres/Database.ts"
import { micros } from "../sinks/postgres/Moments.ts"
import { Scrapes } from "../sinks/storage/Scrapes.ts"
import { makeAlertRows } from "./AlertRows.ts"
import { Alerts } from "./Alerts.ts"
import { makeEvaluator, SETTLE_MILLIS } from "./Evaluator.ts"
import { EVERY_MILLIS } from "./Rule.ts"
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
    stats: Effect.gen(function* () {
      const now = yield* Clock.currentTimeMillis
      const [row] = yield* sql.unsafe<{ readonly firing: number; readonly until: number | null }>(STATS)
      const behindSeconds = row!.until === null ? null : Math.max(0, (now - row!.until) / 1_000)
      return { firing: row!.firing, behindSeconds, pass: yield* evaluator.latest }
    }).pipe(answering("count alerts")),
    ...makeAlertRows(sql)
  })
})

export const layer: Layer.Layer<Alerts, never, PgClient.PgClient | Registry | Rulebook> = Layer.effect(
  Alerts,
  make
).pipe(Layer.provide(Scrapes.layer))

const STATS = `select (select count(*)::int4 from admiral.alerts as alert where alert.resolved_at is null) as firing,
  (select ${micros("progress.asked_until")} / 1000 from admiral.alert_progress as progress) as until`
