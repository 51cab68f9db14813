/** What tests of the evaluation share: rules in their short form, a clock that shows a moment of the test's rows, and a busy group. */
import { PgClient } from "@effect/sql-pg"
import { Clock, Effect, Layer, Result } from "effect"
import { Alerts } from "../src/alerts/Alerts.ts"
import * as AlertsPostgres from "../src/alerts/AlertsPostgres.ts"
import * as BacktestPostgres from "../src/alerts/BacktestPostgres.ts"
import type { Rule } from "../src/alerts/Rule.ts"
import { Rulebook } from "../src/alerts/Rulebook.ts"
import { readRules } from "../src/alerts/RuleFile.ts"
import { makeRegistry, Registry } from "../src/plugins/Registry.ts"
import type { Snapshot } from "../src/plugins/Snapshot.ts"
import * as SnapshotRowsPostgres from "../src/sinks/storage/SnapshotRowsPostgres.ts"
import * as TestDatabase from "./TestDatabase.ts"
import { EPOCH, exporters, processRow, SECOND } from "./TruthRows.ts"

/** The rules in force. */
export const book: { rules: ReadonlyArray<Rule> } = { rules: [] }

export const live = Layer.mergeAll(AlertsPostgres.layer, BacktestPostgres.layer, SnapshotRowsPostgres.layer).pipe(
  Layer.provideMerge(Layer.succeed(Rulebook, { rules: Effect.sync(() => book.rules) })),
  Layer.provideMerge(Layer.succeed(Registry, Result.getOrThrow(makeRegistry({ exporters })))),
  Layer.provideMerge(TestDatabase.layerWith({ exporters }))
)

/** They are called r0, r1 and so on. */
export const rulesOf = (...texts: ReadonlyArray<string>): ReadonlyArray<Rule> =>
  Result.getOrThrow(readRules(`rules:\n${texts.map((text, n) => `  - {name: r${n}, ${text}}`).join("\n")}`, exporters))

/** By a clock that shows so many seconds since `EPOCH`, and the five that a scrape may take until it is stored. */
export const by = <A, E, R>(t: number, self: Effect.Effect<A, E, R>) =>
  Effect.flatMap(Clock.Clock, (clock) =>
    Effect.provideService(self, Clock.Clock, {
      ...clock,
      currentTimeMillis: Effect.succeed((EPOCH + t * SECOND) / 1_000 + 5_000)
    } as Clock.Clock)
  )

/** Evaluates at a moment, in seconds since `EPOCH`. */
export const evaluated = (t: number) => Effect.flatMap(Alerts, ({ pass }) => by(t, pass))

/** Begins anew: nothing was asked until a moment. */
export const anew = Effect.fnUntraced(function* (rules: ReadonlyArray<Rule>, t: number) {
  const sql = yield* PgClient.PgClient
  for (const table of ["alerts", "alert_states", "alert_progress"]) yield* sql.unsafe(`delete from admiral.${table}`)
  book.rules = rules
  yield* evaluated(t)
})

/** A group that uses so many percent of a core until each moment. */
export const busy = (
  server: string,
  at: ReadonlyArray<number>,
  percent: (t: number) => number
): ReadonlyArray<Snapshot> => {
  let used = 1_000
  let before = at[0]!
  return at.map((t) => {
    used += ((t - before) * percent(t)) / 100
    before = t
    return processRow(server, t, "worker", used, { since: -500 })
  })
}
