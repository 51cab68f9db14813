import { describe, expect, test } from "vitest"
import config from "../../plugins.config.ts"
import { Aggregate } from "./Aggregate.ts"
import { answerShape, topMeasures } from "./AnswerFields.ts"
import { type ChangesAnswer, changesOf, ledgerOf } from "./Changes.ts"

const exporter = config.exporters.find(({ top }) => top?.presence !== undefined)!
const measures = topMeasures(exporter, "cpu")
const shape = answerShape(exporter, measures, "cpu")
const NAMES = new Map([
  [1, "b"],
  [2, "a"],
  [3, "c"]
])

/** A window of 100 s in which each group used so many core-seconds, had so many processes and restarted so often. */
interface Window {
  readonly used: Readonly<Record<number, number>>
  readonly procs?: Readonly<Record<number, number>>
  readonly resets?: Readonly<Record<number, number>>
  readonly host?: number
  readonly covered?: number
}

const side = ({ covered = 100, host, procs = {}, resets = {}, used }: Window) => {
  const sums = new Aggregate(measures.counters.length, measures.gauges.length)
  const groups = Object.keys(used).map(Number)
  const none = () => groups.map(() => 0)
  sums.merge({
    scrapes: 10,
    covered,
    lastAt: 100,
    common: { busy: host ?? 0, seconds: host === undefined ? 0 : 100, unknown: 0 },
    groups,
    rows: groups.map(() => 10),
    groupsLastAt: undefined,
    counters: measures.counters.map(() => ({
      increase: groups.map((group) => used[group]!),
      peak: none(),
      now: none(),
      resets: groups.map((group) => resets[group] ?? 0),
      clamped: undefined,
      unknown: undefined
    })),
    gauges: measures.gauges.map(() => {
      const counts = groups.map((group) => procs[group] ?? 1)
      return { sum: counts.map((count) => count * 10), max: counts, last: counts, count: undefined }
    })
  })
  return { serverId: "s", window: { from: 0, to: 100_000_000 }, sums }
}

const compare = (before: Window, after: Window, limit = 10): ChangesAnswer =>
  changesOf(ledgerOf(shape, "cpu", side(before), side(after), limit), NAMES, [])

describe("the ledger of what changed", () => {
  test("is ordered by the size of the change, up or down, and ties by name", () => {
    const { groups } = compare({ used: { 1: 10, 2: 10, 3: 50 } }, { used: { 1: 30, 2: 30, 3: 10 } })
    expect(groups.map(({ change, name }) => [name, change])).toEqual([
      ["c", -40],
      ["a", 20],
      ["b", 20]
    ])
    const one = compare({ used: { 1: 10, 2: 10, 3: 50 } }, { used: { 1: 30, 2: 30, 3: 10 } }, 2)
    expect(one.groups).toEqual(groups.slice(0, 2))
    expect(one.other).toMatchObject({ groups: 1, change: 20 })
  })

  test("shares out a change of 1 % of a core, and nothing smaller", () => {
    expect(compare({ used: { 1: 10 } }, { used: { 1: 11 } }).groups[0]!.share).toBe(1)
    expect(compare({ used: { 1: 10 } }, { used: { 1: 10.99 } }).groups[0]!.share).toBeNull()
  })

  test("tells who appeared, went and restarted: being listed without processes is not running", () => {
    const { groups } = compare(
      { used: { 1: 5, 2: 0 }, procs: { 1: 4, 2: 0 } },
      { used: { 1: 0, 2: 9, 3: 1 }, procs: { 1: 0, 2: 2 }, resets: { 3: 1 } }
    )
    const told = Object.fromEntries(groups.map(({ name, ...group }) => [name, group]))
    expect(told.b).toMatchObject({ appeared: false, gone: true, restarted: false, countBefore: 4, countAfter: 0 })
    expect(told.a).toMatchObject({ appeared: true, gone: false, restarted: false, countBefore: 0, countAfter: 2 })
    expect(told.c).toMatchObject({ appeared: true, gone: false, restarted: true, countBefore: 0, countAfter: 1 })
  })

  test("ends in the host's change where both windows know it, and in that of the groups else", () => {
    const both = compare({ used: { 1: 10 }, host: 20 }, { used: { 1: 30 }, host: 50 })
    expect(both.total).toEqual({ of: "host", before: 20, after: 50, change: 30, share: 1 })
    expect(both.unaccounted).toMatchObject({ before: 10, after: 20, change: 10, share: 1 / 3 })
    const one = compare({ used: { 1: 10 } }, { used: { 1: 30 }, host: 50 })
    expect(one).toMatchObject({ total: { of: "groups", change: 20 }, unaccounted: null })
  })

  test("is partial where less than four fifths of a window were seen", () => {
    expect(compare({ used: { 1: 1 }, covered: 80 }, { used: { 1: 1 } }).partial).toBe(false)
    expect(compare({ used: { 1: 1 }, covered: 79.9 }, { used: { 1: 1 } }).partial).toBe(true)
    expect(compare({ used: { 1: 1 } }, { used: {}, covered: 0 }).partial).toBe(true)
  })
})
