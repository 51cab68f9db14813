/** What NodePulse finds of itself: the same machine as all rules, over values that may not be known. */
import { assert, describe, it } from "@effect/vitest"
import { INACTIVE } from "../AlertState.ts"
import { EVERY_MILLIS, type Rule } from "../Rule.ts"
import { countUntil, liveThroughValues } from "./InstallationWatch.ts"

const rule: Rule = {
  name: "full",
  exporter: "nodepulse",
  resource: "nodepulse",
  group: "*",
  server: "*",
  condition: { kind: "value", metric: "disk_used", side: "above", of: "core", threshold: 90, resolve: 80 },
  over: 60_000,
  for: 2 * EVERY_MILLIS,
  keepFiringFor: EVERY_MILLIS,
  severity: "critical",
  runbook: undefined,
  owners: []
}

const lived = (values: ReadonlyArray<number | undefined>) => {
  const { state, turns } = liveThroughValues(
    rule,
    INACTIVE,
    { from: 0, to: values.length * EVERY_MILLIS },
    (at) => values[at / EVERY_MILLIS - 1]
  )
  return { is: state.is, turns: turns.map(({ at, to, value }) => [at / EVERY_MILLIS, to, value]) }
}

describe("a rule about NodePulse itself", () => {
  it("fires once it has held for as long as it says, and is over at a threshold of its own", () => {
    assert.deepStrictEqual(lived([91, 92, 93, 85, 79, 79]), {
      is: "inactive",
      turns: [
        [3, "firing", 93],
        [6, "resolved", 79]
      ]
    })
  })

  it("neither fires nor is over while nobody knows", () => {
    assert.deepStrictEqual(lived([91, 92, undefined, 95, 95]), { is: "pending", turns: [] })
    assert.deepStrictEqual(lived([91, 92, 93, undefined, undefined]), { is: "unknown", turns: [[3, "firing", 93]] })
    assert.deepStrictEqual(lived([undefined, undefined]), { is: "inactive", turns: [] })
  })

  it("counts what came in the time before a moment, that moment included", () => {
    const letters = [10, 20, 20, 30, 90]
    assert.strictEqual(countUntil(letters, 30, 20), 3)
    assert.strictEqual(countUntil(letters, 29, 20), 3)
    assert.strictEqual(countUntil(letters, 9, 20), 0)
    assert.strictEqual(countUntil(letters, 100, 1_000), 5)
    assert.strictEqual(countUntil([], 100, 1_000), 0)
  })
})
