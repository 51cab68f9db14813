/** What the rules found, as it is stored: only by who goes on from what is there. */
import { PgClient } from "@effect/sql-pg"
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { makeAlertStates, type Progress, type StoredState, type StoredTurn } from "../src/alerts/AlertStates.ts"
import { EVERY_MILLIS } from "../src/alerts/Rule.ts"
import * as TestDatabase from "./TestDatabase.ts"
import { exporters } from "./TruthRows.ts"

const T = 1_762_000_005_000
const ASKED = { resource: "processes", metric: "cpu", unit: "% of a core", span: 60_000 }

const fires = (group: string, at: number): { readonly turn: StoredTurn; readonly state: StoredState } => ({
  turn: {
    rule: "busy",
    server_id: null,
    alert_group: group,
    to: "firing",
    at,
    sentence: "busy",
    severity: "warning",
    value: 1,
    asked: ASKED
  },
  state: { rule: "busy", server_id: null, alert_group: group, subject: "", state: "firing", since: at, clear: null }
})

layer(TestDatabase.layerWith({ exporters }), { timeout: "4 minutes", excludeTestServices: true })(
  "what the rules found",
  (it) => {
    it.effect("is written by one of two processes that asked the same moments, and the other one leaves no trace", () =>
      Effect.gen(function* () {
        const sql = yield* PgClient.PgClient
        const states = yield* makeAlertStates
        const write = (expected: Progress | undefined, next: Progress, group: string) => {
          const { state, turn } = fires(group, next.until)
          return states.write({ expected, next, turns: [turn], changed: [state], gone: [], others: [] })
        }
        const stored = Effect.gen(function* () {
          const alerts = yield* sql<{ readonly of: string }>`
          select alert_group as of from admiral.alerts where resolved_at is null order by alert_group`
          const found = yield* states.all
          return { alerts: alerts.map(({ of }) => of), states: found.map(({ alert_group }) => alert_group).sort() }
        })

        // Nobody has asked yet, and both begin.
        assert.isTrue(yield* write(undefined, { until: T, holder: "a" }, "one"))
        assert.isFalse(yield* write(undefined, { until: T, holder: "b" }, "never"))
        // Both go on from the same moment; the first stood still before it wrote.
        const seen = yield* states.progress
        assert.deepStrictEqual(seen, { until: T, holder: "a", isPassing: false })
        assert.isTrue(yield* write(seen, { until: T + EVERY_MILLIS, holder: "b" }, "two"))
        assert.isFalse(yield* write(seen, { until: T + EVERY_MILLIS, holder: "a" }, "never"))
        assert.isFalse(yield* write(seen, { until: T + 2 * EVERY_MILLIS, holder: "a" }, "never"))

        assert.deepStrictEqual(yield* states.progress, { until: T + EVERY_MILLIS, holder: "b", isPassing: false })
        assert.deepStrictEqual(yield* stored, { alerts: ["one", "two"], states: ["one", "two"] })
      })
    )
  }
)
