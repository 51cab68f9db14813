import { assert, describe, it } from "@effect/vitest"
import { helloOf } from "../protocol/AgentHello.fixture.ts"
import { type AgentHello, hashOf } from "../protocol/AgentHello.ts"
import { type AgentState, conflictOf, decide, NO_AGENT, unknownOf, withUnknown } from "./AgentHolder.ts"

const NOW = Date.UTC(2026, 2, 1)
const SECOND = 1_000

/** One agent process; `restart` gives the next one of the same folder. */
const agent = (machine: string, boot: string, start: string, after: ReadonlyArray<string> = []) => {
  let sequence = 0
  return {
    hello: (changes: Partial<AgentHello> = {}): AgentHello =>
      helloOf(machine, {
        boot: hashOf("boot", boot),
        start: hashOf("start", start),
        after: after.map((each) => hashOf("start", each)),
        sequence: ++sequence,
        ...changes
      })
  }
}

/** A server that decides push by push. */
const server = () => {
  let state: AgentState = NO_AGENT
  let writes = 0
  const events: Array<string> = []
  return {
    push: (hello: AgentHello, seconds: number) => {
      const decision = decide(state, hello, NOW + seconds * SECOND)
      if (decision.state !== state) writes++
      state = decision.state
      if (decision.event !== undefined) events.push(decision.event.text)
      return decision.verdict._tag
    },
    state: () => state,
    writes: () => writes,
    events
  }
}

describe("one agent", () => {
  it("writes from its first push on, and costs one write a minute, not one a push", () => {
    const { push, writes } = server()
    const one = agent("a", "a1", "1")
    for (let second = 0; second < 3_600; second += 15) assert.strictEqual(push(one.hello(), second), "Holder")
    assert.isAtMost(writes(), 61)
  })

  it("goes on at once after it was restarted, also where the start in between never got through", () => {
    const { push } = server()
    assert.strictEqual(push(agent("a", "a1", "1").hello(), 0), "Holder")
    assert.strictEqual(push(agent("a", "a1", "2", ["1"]).hello(), 1), "Holder")
    assert.strictEqual(push(agent("a", "a1", "4", ["2", "3"]).hello(), 2), "Holder")
  })

  it("goes on within three intervals after a reboot, a reinstallation or a move, and it is no conflict", () => {
    for (const next of [agent("a", "a2", "2", ["1"]), agent("a", "a1", "2"), agent("b", "b1", "2")]) {
      const { events, push, state } = server()
      push(agent("a", "a1", "1").hello(), 0)
      assert.strictEqual(push(next.hello(), 5), "Wait")
      assert.strictEqual(push(next.hello(), 40), "Wait")
      assert.strictEqual(push(next.hello(), 50), "Holder")
      assert.isNull(conflictOf(state(), NOW + 50 * SECOND))
      assert.strictEqual(events.length, 1)
      assert.match(events[0]!, /takes over/)
    }
  })

  it("that comes long after the one before writes at once", () => {
    const { push } = server()
    push(agent("a", "a1", "1").hello(), 0)
    assert.strictEqual(push(agent("b", "b1", "2").hello(), 3_600), "Holder")
  })

  it("with a long interval is given three of it before another takes over", () => {
    const { push } = server()
    const slow = agent("a", "a1", "1")
    push(slow.hello({ intervalSeconds: 3_600 }), 0)
    assert.strictEqual(push(agent("b", "b1", "2").hello(), 3_000), "Wait")
    assert.strictEqual(push(slow.hello({ intervalSeconds: 3_600 }), 3_600), "Holder")
    assert.strictEqual(push(agent("b", "b1", "2").hello(), 3_700), "Conflict")
  })
})

describe("two machines with one token", () => {
  it("never write in turns: the first writes, the other is told, and it is a conflict", () => {
    const { events, push, state } = server()
    const [one, clone] = [agent("a", "a1", "1"), agent("a", "a2", "2", ["1"])]
    for (let second = 0; second < 1_800; second += 15) {
      assert.strictEqual(push(one.hello(), second), "Holder")
      assert.notStrictEqual(push(clone.hello(), second + 7), "Holder")
    }
    assert.deepInclude(conflictOf(state(), NOW + 1_800 * SECOND), { name: "a", sameMachine: true })
    assert.strictEqual(events.length, 1)
    assert.match(events[0]!, /two machines report with one token/)
  })

  it("never write in turns, whoever is restarted", () => {
    const { push, state } = server()
    let [one, clone] = [agent("a", "a1", "1"), agent("a", "a2", "c1", ["1"])]
    push(one.hello(), 0)
    for (let round = 1; round <= 20; round++) {
      const second = round * 60
      one = agent("a", "a1", `${round + 1}`, [`${round}`])
      clone = agent("a", "a2", `c${round + 1}`, ["1", `c${round}`])
      assert.strictEqual(push(one.hello(), second), "Holder")
      assert.notStrictEqual(push(clone.hello(), second + 5), "Holder")
      assert.strictEqual(push(one.hello(), second + 15), "Holder")
    }
    assert.isNotNull(state().conflict)
  })

  it("on one boot, with a copied state file, do not write in turns either", () => {
    const { push } = server()
    const [one, copy] = [agent("host", "h1", "1"), agent("host", "h1", "2", ["1"])]
    assert.strictEqual(push(one.hello(), 0), "Holder")
    assert.strictEqual(push(copy.hello(), 5), "Holder")
    let turns = 0
    for (let second = 15; second < 900; second += 15) {
      if (push(one.hello(), second) === "Holder") turns++
      assert.strictEqual(push(copy.hello(), second + 5), "Holder")
    }
    assert.strictEqual(turns, 0)
  })

  it("of which one was copied while it ran are told apart by the sequence that repeats", () => {
    const { push } = server()
    const one = agent("a", "a1", "1")
    for (let second = 0; second < 120; second += 15) push(one.hello(), second)
    assert.strictEqual(push(one.hello({ sequence: 3 }), 121), "Replayed")
    assert.strictEqual(push(agent("a", "a1", "new").hello(), 122), "Wait")
  })

  it("are no conflict any more ten minutes after the second one stopped", () => {
    const { push, state } = server()
    const [one, other] = [agent("a", "a1", "1"), agent("b", "b1", "2")]
    push(one.hello(), 0)
    push(other.hello(), 5)
    for (let second = 15; second <= 600; second += 15) push(one.hello(), second)
    assert.isNotNull(conflictOf(state(), NOW + 600 * SECOND))
    push(one.hello(), 660)
    assert.isNull(conflictOf(state(), NOW + 660 * SECOND))
  })
})

describe("what an agent tells of its clock", () => {
  const at = (second: number, skew: number) => ({ sent: (NOW + second * SECOND) / 1_000 + skew })

  it("is its skew, ahead and behind, written when it changes by more than the network could", () => {
    const { push, state, writes } = server()
    const one = agent("a", "a1", "1")
    push(one.hello(at(0, 1_200)), 0)
    assert.strictEqual(state().clock?.skewSeconds, 1_200)
    const before = writes()
    push(one.hello(at(15, 1_200.4)), 15)
    assert.strictEqual(writes(), before)
    push(one.hello(at(30, -90)), 30)
    assert.strictEqual(state().clock?.skewSeconds, -90)
  })

  it("is the last step and the last correction, and neither outlives the machine", () => {
    const { push, state } = server()
    const step = { seconds: -60, at: NOW / 1_000 }
    const one = agent("a", "a1", "1")
    push(one.hello(), 0)
    push(one.hello({ step, corrected: -1_200 }), 15)
    push(one.hello({ step }), 30)
    assert.deepStrictEqual([state().step, state().corrected?.seconds], [step, -1_200])
    push(agent("b", "b1", "2").hello(), 3_600)
    assert.deepStrictEqual([state().step, state().corrected], [null, null])
  })
})

it("exporters that the server does not know are told until 15 minutes after they were last sent", () => {
  const noted = withUnknown(withUnknown(NO_AGENT, ["redis"], NOW), ["mysql"], NOW + 600_000)
  assert.deepStrictEqual(unknownOf(noted, NOW + 600_000), ["mysql", "redis"])
  assert.strictEqual(withUnknown(noted, ["mysql"], NOW + 630_000), noted)
  assert.deepStrictEqual(unknownOf(noted, NOW + 1_000_000), ["mysql"])
})
