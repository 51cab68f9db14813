import { assert, describe, it } from "@effect/vitest"
import { NO_AGENT } from "../../access/AgentHolder.ts"
import { agentFields, makeLastSeen } from "./AgentNotes.ts"

const SECOND = 1_000_000
const NOW = Date.UTC(2026, 2, 1) * 1_000
const skewed = (skewSeconds: number, corrected: number | null = null) => ({
  ...NO_AGENT,
  clock: { skewSeconds, at: 0 },
  corrected: corrected === null ? null : { seconds: corrected, at: 0 }
})

describe("when a server was last heard of", () => {
  it("is its latest row, less what its clock is ahead, unless its agent corrects that itself", () => {
    const lastSeen = makeLastSeen()
    assert.strictEqual(lastSeen("a", NOW - SECOND, undefined, NOW), NOW - SECOND)
    assert.strictEqual(lastSeen("b", NOW + 500 * SECOND, skewed(540), NOW), NOW - 40 * SECOND)
    assert.strictEqual(lastSeen("c", NOW - SECOND, skewed(1_200, -1_200), NOW), NOW - SECOND)
    assert.strictEqual(lastSeen("d", NOW - 90 * SECOND, skewed(-90), NOW), NOW - 90 * SECOND)
    assert.isNull(lastSeen("e", null, undefined, NOW))
  })

  it("goes on ageing where the row is ahead of now and nobody says why, also once its time has come", () => {
    const lastSeen = makeLastSeen()
    const row = NOW + 300 * SECOND
    for (const seconds of [0, 60, 300, 310]) {
      assert.strictEqual(lastSeen("a", row, undefined, NOW + seconds * SECOND), NOW)
    }
    assert.strictEqual(lastSeen("a", row + SECOND, undefined, NOW + 10 * SECOND), NOW + 10 * SECOND)
  })
})

it("times that an agent told are shown as times, whatever it told", () => {
  const fields = agentFields({ ...NO_AGENT, step: { seconds: 1, at: -99_999_999_999 } }, NOW / 1_000)
  assert.strictEqual(fields.clock_stepped_at, "1970-01-01T00:00:00.000Z")
})
