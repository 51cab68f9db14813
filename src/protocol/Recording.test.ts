import { describe, expect, it } from "@effect/vitest"
import { Result } from "effect"
import { kill, recording } from "./Recording.fixture.ts"
import { PROCESSES_MAX, readRecording } from "./Recording.ts"

const read = (value: unknown) => readRecording(JSON.parse(JSON.stringify(value)))
const refusal = (value: unknown) => Result.getOrThrow(Result.flip(read(value)))

describe("a recording", () => {
  it("is read as it was sent", () => {
    const sent = recording({ reason: "oom_kill", kills: [kill(), kill({ name: null, pid: null, source: "presumed" })] })
    expect(Result.getOrThrow(read(sent))).toEqual(sent)
  })

  it("is refused by the field and its value where anything in it is something else", () => {
    const { host, processes } = recording()
    const [one] = processes
    const wrong: ReadonlyArray<readonly [unknown, RegExp]> = [
      [null, /^the recording is null, but must be an object/],
      [[], /^the recording is a list/],
      [{ ...recording(), version: 2 }, /^version is 2/],
      [{ ...recording(), id: "../../etc/passwd" }, /^id is "\.\.\/\.\.\/etc\/passwd"/],
      [{ ...recording(), reason: "because" }, /^reason is "because", but must be one of alert, asked, oom_kill/],
      [{ ...recording(), extra: 1 }, /^the recording has a field "extra"/],
      [{ ...recording(), kills: undefined }, /^the recording has no kills/],
      [{ ...recording(), at: [] }, /^at is empty/],
      [{ ...recording(), at: [-2, -2, 0] }, /^at\[1\] is -2, which is not after at\[0\]/],
      [{ ...recording(), at: [-2, -1, -0.5] }, /^the last of at is -0.5/],
      [{ ...recording(), at: [-5_000, -1, 0] }, /^at\[0\] is -5000/],
      [{ ...recording(), cores: 0 }, /^cores is 0/],
      [{ ...recording(), cores: 1.5 }, /^cores is 1.5/],
      [{ ...recording(), host: { ...host, cpu_user: [1, 2] } }, /^host.cpu_user has 2 values, but at has 3/],
      [{ ...recording(), host: { ...host, cpu_user: [1, -2, 3] } }, /^host.cpu_user\[1\] is -2/],
      [{ ...recording(), host: { ...host, cpu_user: [1, "2", 3] } }, /^host.cpu_user\[1\] is "2"/],
      [{ ...recording(), host: { ...host, cpu_user: [1, 1e300, 3] } }, /^host.cpu_user\[1\] is 1e\+300/],
      [{ ...recording(), host: { ...host, secret: [1, 2, 3] } }, /^host has a field "secret"/],
      [{ ...recording(), processes: [{ ...one, name: "" }] }, /^processes\[0\].name is ""/],
      [{ ...recording(), processes: [{ ...one, name: "a\u001b[2J" }] }, /^processes\[0\].name is "a/],
      [{ ...recording(), processes: [{ ...one, name: "x".repeat(257) }] }, /^processes\[0\].name/],
      [{ ...recording(), processes: [{ ...one, pid: 0 }] }, /^processes\[0\].pid is 0/],
      [{ ...recording(), processes: new Array(PROCESSES_MAX + 1).fill(one) }, /^processes has 61 entries, at most 60/],
      [{ ...recording(), kills: [kill({ memory: -1 })] }, /^kills\[0\].memory is -1/],
      [{ ...recording(), kills: new Array(21).fill(kill()) }, /^kills has 21 entries/],
      [{ ...recording(), degraded: [{ at: 1, level: 0 }] }, /^degraded\[0\].at is 1/]
    ]
    for (const [value, words] of wrong) expect(refusal(value)).toMatch(words)
  })

  it("that names a prototype's field has none of it", () => {
    expect(refusal(JSON.parse('{"__proto__": {"version": 1}}'))).toMatch(/^the recording has no version/)
  })
})
