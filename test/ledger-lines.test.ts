/** A ledger as the page shows it, without a browser: its numbers add up to the last digit, and say what is worth telling. */
import { describe, expect, test } from "vitest"
import type { Changes, Ranking } from "../web/src/ask/Api.ts"
import { spansOf, windowQuery } from "../web/src/ask/Spans.ts"
import { apportioned, type Line, type Lines, linesOf } from "../web/src/ledger/Lines.ts"

const CPU: Ranking = {
  key: "cpu",
  column: "cpu",
  by: "rate",
  share: "cpu",
  unit: "percent",
  ranked_by: "",
  on_demand: false,
  fields: { now: "", average: "", peak: "", total: null }
}
const MEMORY: Ranking = { ...CPU, key: "memory", by: "peak", share: "memory", unit: "mb" }

type Sides = readonly [before: number, after: number]
const side = { server_id: "a", window: { from: "", to: "" }, coverage: 1, covered_seconds: 3_600, scrapes: 240 }

/** An answer whose total is what all of it adds up to. */
const answerOf = (
  groups: Readonly<Record<string, Sides>>,
  { other = [0, 0], unaccounted, unit = "percent" }: { other?: Sides; unaccounted?: Sides; unit?: string } = {}
): Changes => {
  const all = [...Object.values(groups), other, ...(unaccounted === undefined ? [] : [unaccounted])]
  const [before, after] = [0, 1].map((n) => all.reduce((sum, sides) => sum + sides[n]!, 0)) as [number, number]
  const whole = after - before
  const line = ([before, after]: Sides) => ({
    before,
    after,
    change: after - before,
    share: Math.abs(whole) < 1 ? null : (after - before) / whole
  })
  return {
    resource: "processes",
    metric: "cpu",
    unit,
    before: side,
    after: side,
    partial: false,
    changes: Object.entries(groups).map(([name, sides]) => ({
      name,
      ...line(sides),
      appeared: false,
      gone: false,
      restarted: false,
      count_before: 1,
      count_after: 1
    })),
    other: { groups: 3, ...line(other) },
    unaccounted: unaccounted === undefined ? null : line(unaccounted),
    total: { of: unaccounted === undefined ? "groups" : "host", ...line([before, after]) },
    waiting: []
  }
}

const parts = ({ against, along, other, unaccounted }: Lines): ReadonlyArray<Line> =>
  [...along, ...against, other, unaccounted].filter((line) => line !== undefined)
const sumOf = (lines: ReadonlyArray<Line>, of: (line: Line) => number) => lines.reduce((sum, line) => sum + of(line), 0)

/** Reproducible numbers of every size and sign. */
const numbers = (seed: number) => {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

describe("a ledger as it is shown", () => {
  test("adds up to its last line to the last digit, whatever the numbers, and each line within itself", () => {
    for (let seed = 1; seed <= 300; seed++) {
      const next = numbers(seed)
      const size = 10 ** (next() * 6 - 2)
      const some = (): Sides => [next() ** 3 * size, next() ** 3 * size]
      const groups = Object.fromEntries(
        Array.from({ length: 1 + Math.floor(next() * 15) }, (_, n) => [`g${n}`, some()])
      )
      const isCpu = seed % 2 === 0
      const answer = answerOf(groups, {
        other: some(),
        ...(isCpu ? { unaccounted: some() } : {}),
        unit: isCpu ? "percent" : "mb"
      })
      const divisor = isCpu && seed % 4 === 0 ? 8 : 1
      const lines = linesOf(answer, isCpu ? CPU : MEMORY, divisor)
      const shown = parts(lines)
      const { total } = lines
      for (const of of ["before", "after", "change"] as const) expect(sumOf(shown, (line) => line[of])).toBe(total[of])
      for (const line of [...shown, total]) {
        expect(line.after - line.before).toBe(line.change)
        const one = lines.scale.one * divisor
        expect(Math.abs(line.before - line.exact.before / one)).toBeLessThan(1)
        expect(Math.abs(line.change - line.exact.change / one)).toBeLessThan(1)
        expect(Math.abs(line.after - line.exact.after / one)).toBeLessThan(2)
      }
      if (total.share !== null) expect(sumOf(shown, ({ share }) => share ?? 0)).toBe(100)
    }
  })

  test("rounds what has no fraction to itself, and leaves a change of nothing a change of nothing", () => {
    expect(apportioned([1, 2, 3], 6)).toEqual([1, 2, 3])
    expect(apportioned([0, 0.4, 0, 0.4, 0, 0.4], 1)).toEqual([0, 1, 0, 0, 0, 0])
    expect(apportioned([-0.6, 1.6], 1)).toEqual([-1, 2])
  })

  test("puts what went the way of the whole first, and the rest under what went against it", () => {
    const up = linesOf(answerOf({ node: [10, 200], nginx: [50, 20], sshd: [1, 9] }), CPU, 1)
    expect(up.verdict).toBe("rose")
    expect(up.along.map(({ group }) => group.name)).toEqual(["node", "sshd"])
    expect(up.against.map(({ group }) => group.name)).toEqual(["nginx"])
    const down = linesOf(answerOf({ node: [200, 10], nginx: [20, 50] }), CPU, 1)
    expect(down.verdict).toBe("fell")
    expect(down.along.map(({ group }) => group.name)).toEqual(["node"])
  })

  test("says below 5 % of a core that nothing worth telling changed, of a machine of any size", () => {
    expect(linesOf(answerOf({ node: [10, 14.9] }), CPU, 1).verdict).toBe("quiet")
    expect(linesOf(answerOf({ node: [10, 14.9] }), CPU, 8).verdict).toBe("quiet")
    expect(linesOf(answerOf({ node: [10, 15.1] }), CPU, 8).verdict).toBe("rose")
    expect(linesOf(answerOf({ node: [10, 10] }), CPU, 1).verdict).toBe("quiet")
  })

  test("of memory less than a hundredth is nothing worth telling", () => {
    expect(linesOf(answerOf({ java: [8_000, 8_079] }, { unit: "mb" }), MEMORY, 1).verdict).toBe("quiet")
    expect(linesOf(answerOf({ java: [8_000, 8_090] }, { unit: "mb" }), MEMORY, 1).verdict).toBe("rose")
    expect(linesOf(answerOf({ java: [0, 0] }, { unit: "mb" }), MEMORY, 1).verdict).toBe("quiet")
  })

  test("tells of two that changed places although the whole did not change", () => {
    const { against, along, total, verdict } = linesOf(answerOf({ blue: [200, 0], green: [0, 200.4] }), CPU, 1)
    expect(verdict).toBe("level")
    expect(along.map(({ group }) => group.name)).toEqual(["green"])
    expect(against.map(({ group }) => group.name)).toEqual(["blue"])
    expect(total.share).toBeNull()
  })

  test("puts what would be shown as no change among the others, and counts it there", () => {
    const { along, other } = linesOf(answerOf({ node: [0, 200], idle: [3, 3.2] }, { other: [5, 5] }), CPU, 1)
    expect(along.map(({ group }) => group.name)).toEqual(["node"])
    expect(other).toMatchObject({ groups: 4, before: 8, change: 0 })
  })

  test("shows nothing below 0 as unaccounted", () => {
    const { unaccounted } = linesOf(answerOf({ node: [10, 50] }, { unaccounted: [-1.4, 12] }), CPU, 1)
    expect(unaccounted).toMatchObject({ before: 0, change: 13 })
  })

  test("has one unit and one last digit for all its numbers, with their signs", () => {
    const plain = (text: string) => text.replaceAll("\u202f", " ")
    const cpu = linesOf(answerOf({ node: [148, 362] }), CPU, 1)
    expect([cpu.scale.value(148), cpu.scale.change(214), cpu.scale.change(-3), cpu.scale.size(1)].map(plain)).toEqual([
      "148 %",
      "+214",
      "\u22123",
      "1 point"
    ])
    const memory = linesOf(answerOf({ java: [3_000, 4_300], cron: [10, 5] }, { unit: "mb" }), MEMORY, 1)
    expect(plain(memory.scale.value(memory.total.after))).toBe("4.2 GiB")
    expect(plain(memory.scale.change(memory.total.change))).toBe("+1.3 GiB")
    const large = linesOf(answerOf({ x: [1_234, 45_678] }), CPU, 1)
    expect(plain(large.scale.value(large.total.after))).toBe("45 678 %")
  })
})

describe("the windows that are compared", () => {
  const range = { key: "1h", hours: 1, at: undefined, fixed: undefined, brush: undefined, moment: undefined }
  const HOUR = 3_600_000
  const to = Date.parse("2025-10-30T12:00:00Z")

  test("are as long as each other, wherever the one before ends", () => {
    const spans = (against: "previous" | "same" | "day" | "week" | number) =>
      spansOf({ ...range, compared: { against, server: undefined } }, to)!
    for (const [against, end] of [
      ["previous", to - HOUR],
      ["same", to],
      ["day", to - 24 * HOUR],
      ["week", to - 168 * HOUR],
      [to - 5 * HOUR, to - 5 * HOUR]
    ] as const) {
      expect(spans(against)).toEqual({ before: { from: end - HOUR, to: end }, after: { from: to - HOUR, to } })
    }
    expect(spansOf({ ...range, compared: undefined }, to)).toBeUndefined()
  })

  test("are both in what the charts ask, and of another server only this one's", () => {
    const compared = { against: "previous", server: undefined } as const
    expect(windowQuery({ ...range, compared })).toEqual({ hours: 2, at: undefined })
    expect(windowQuery({ ...range, compared: { against: "day", server: undefined } })).toEqual({
      hours: 25,
      at: undefined
    })
    expect(windowQuery({ ...range, compared: { against: "same", server: "b" } })).toEqual({ hours: 1, at: undefined })
    const fixed = { from: to - HOUR, to }
    expect(windowQuery({ ...range, fixed, compared })).toEqual({ hours: 2, at: new Date(to).toISOString() })
    const brush = { from: to - HOUR / 4, to }
    expect(windowQuery({ ...range, fixed, brush, compared }).hours).toBe(1)
  })
})
