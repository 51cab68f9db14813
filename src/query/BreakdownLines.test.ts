import { describe, expect, it } from "@effect/vitest"
import { Schema } from "effect"
import type { BreakdownAnswer, LineKind } from "./Breakdown.ts"
import type { BreakdownParts } from "./BreakdownErrors.ts"
import { breakdownOf } from "./BreakdownLines.ts"
import type { Sums, Usage } from "./BreakdownSums.ts"

const window = { from: 0, to: 900_000_000 }
const COVERED = 900
const STEP = 15

const sums = (usages: Readonly<Record<number, number | Partial<Usage>>>, change: Partial<Sums> = {}): Sums => ({
  scrapes: COVERED / STEP,
  covered: COVERED,
  shared: COVERED,
  groups: new Map(
    Object.entries(usages).map(([id, usage]): [number, Usage] => [
      Number(id),
      {
        seconds: 0,
        runs: 0,
        processes: 1,
        clamped: 0,
        unknown: 0,
        ...(typeof usage === "number" ? { seconds: usage } : usage)
      }
    ])
  ),
  ...change
})

/** Ids from 100 on are units, 199 the kernel's, 0 no unit; commands are from 200 on. */
const nameOf = (id: number) => (id === 0 ? "" : id === 199 ? "(kernel)" : `n${id}`)
const names = new Map(Array.from({ length: 300 }, (_, id) => [id, nameOf(id)]))

const broken = (parts: Partial<BreakdownParts>): BreakdownAnswer =>
  breakdownOf(
    {
      window,
      limit: 5,
      groups: sums({}),
      common: { busy: 0, seconds: COVERED, unknown: 0 },
      cores: 4,
      host: { counters: 2, interval: STEP, seen: undefined },
      units: undefined,
      shortLived: undefined,
      resources: { groups: "tasks", units: "cells", shortLived: "ended" },
      ...parts
    },
    { groups: names, others: names }
  )

const units = (of: Sums, members: Sums, byUnit = true) => ({ sums: of, members, byUnit, kernel: "(kernel)" })
const total = ({ lines }: BreakdownAnswer, ...kinds: ReadonlyArray<LineKind>) =>
  lines.reduce((sum, { cpuSeconds, kind }) => (kinds.length === 0 || kinds.includes(kind) ? sum + cpuSeconds : sum), 0)
const line = ({ lines }: BreakdownAnswer, kind: LineKind, name: string | null = null) =>
  lines.find((line) => line.kind === kind && line.name === name)!

/** Whole ones: of others a generator makes mostly such as are too small to matter. */
const Seconds = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 5_000 }))
const Some = Schema.Array(Seconds).check(Schema.isMaxLength(12))
const from = (first: number, values: ReadonlyArray<number>) =>
  Object.fromEntries(values.map((value, n) => [first + n, value]))

describe("the lines of a breakdown", () => {
  it.prop(
    "add up to the host's busy CPU, whatever the sums are, and no line nor error is no number",
    { busy: Seconds, groups: Some, inUnits: Some, members: Some, kernel: Seconds, unplaced: Seconds, exited: Some },
    ({ busy, exited, groups, inUnits, kernel, members, unplaced }) => {
      for (const byUnit of [true, false]) {
        for (const shortLived of [undefined, sums(from(200, exited))]) {
          const answer = broken({
            groups: sums(from(1, groups)),
            common: { busy, seconds: 800, unknown: 1 },
            units: units(
              sums({ ...from(100, inUnits), 199: { seconds: kernel, clamped: 1 } }),
              sums({ ...from(100, members), 0: unplaced, 199: 1 }),
              byUnit
            ),
            shortLived
          })
          expect(total(answer)).toBeCloseTo(busy, 6)
          for (const { cpuSeconds, errorSeconds, errors } of answer.lines) {
            expect(Number.isFinite(cpuSeconds)).toBe(true)
            for (const error of [errorSeconds, ...Object.values(errors)]) expect(error).toBeGreaterThanOrEqual(0)
          }
        }
      }
    }
  )

  it.prop(
    "take short-lived processes off the remainder, so that nothing is counted twice",
    { inUnits: Some, members: Some, exited: Some },
    ({ exited, inUnits, members }) => {
      const parts = { units: units(sums(from(100, inUnits)), sums(from(100, members))) }
      const without = total(broken(parts), "remainder")
      const answer = broken({ ...parts, shortLived: sums(from(200, exited)) })
      expect(total(answer, "remainder", "short_lived")).toBeCloseTo(without, 6)
      const short = exited.reduce((sum, seconds) => sum + seconds, 0)
      expect(total(answer, "short_lived")).toBeCloseTo(short, 6)
      // What is more than there was to explain is said.
      if (short > without + 1e-6) expect(answer.belowZero).toContain("remainder")
    }
  )

  it.prop("list the same groups first, however many are listed", { groups: Some }, ({ groups }) => {
    const named = (limit: number) =>
      broken({ groups: sums(from(1, groups)), limit }).lines.filter(({ kind }) => kind === "named")
    for (let limit = 1; limit < 6; limit++) expect(named(limit + 1).slice(0, limit)).toEqual(named(limit))
  })

  it("are groups, other and unknown where nothing tells of units, and the answer says what is missing", () => {
    const answer = broken({
      groups: sums({ 1: 30, 2: 20 }),
      limit: 1,
      common: { busy: 60, seconds: COVERED, unknown: 0 }
    })
    expect(answer.lines.map(({ cpuSeconds, kind, name }) => [kind, name, cpuSeconds])).toEqual([
      ["named", "n1", 30],
      ["other", null, 20],
      ["unknown", null, 10]
    ])
    expect(answer.partial).toEqual(["units"])
  })

  it("are all but unknown where the host was not seen, without shares", () => {
    const answer = broken({ groups: sums({ 1: 30 }), common: { busy: 0, seconds: 0, unknown: 0 } })
    expect(answer.host).toBeNull()
    expect(answer.partial).toEqual(["host", "units"])
    expect(answer.lines.map(({ kind, share }) => [kind, share])).toEqual([
      ["named", null],
      ["other", null]
    ])
  })

  it("name the three units with most left over, and put the others together", () => {
    const answer = broken({
      units: units(sums({ 101: 50, 102: 40, 103: 30, 104: 20, 105: 5, 199: 9 }), sums({ 101: 5, 105: 6, 199: 2, 0: 1 }))
    })
    const shown = answer.lines.filter(({ kind }) => kind === "remainder" || kind === "kernel")
    expect(shown.map(({ cpuSeconds, groups, name }) => [name, groups, cpuSeconds])).toEqual([
      ["n101", 1, 45],
      ["n102", 1, 40],
      ["n103", 1, 30],
      [null, 2, 20 + 5 - 6 - 1],
      ["(kernel)", 1, 7]
    ])
  })

  it("do not tell units apart where more than a tenth of the groups' CPU has none", () => {
    const of = sums({ 101: 50, 199: 9 })
    expect(broken({ units: units(of, sums({ 101: 9, 0: 1 })) }).partial).toEqual([])
    const answer = broken({ units: units(of, sums({ 101: 9, 0: 1.01 })) })
    expect(answer.partial).toEqual(["members"])
    expect(answer.lines.filter(({ kind }) => kind === "kernel")).toEqual([])
    expect(line(answer, "remainder").cpuSeconds).toBeCloseTo(59 - 10.01, 9)
  })

  it("say that units are missing where they were seen for less than 95 % of the groups' time, edges aside", () => {
    const seen = { from: 0, to: COVERED * 1_000_000 }
    const shared = (seconds: number) =>
      broken({ units: units(sums({ 101: 10 }, { shared: seconds, seen }), sums({ 101: 9 }, { seen })) }).partial
    expect(shared(855)).toEqual([])
    expect(shared(854)).toEqual(["units"])
  })

  it("do not call units missing for a scrape at the window's end that only the groups had in time", () => {
    const short = 26
    const scraped = (seconds: number, shared: number) => ({
      scrapes: seconds / 2,
      covered: seconds,
      shared,
      seen: { from: 0, to: seconds * 1_000_000 }
    })
    const answer = (seconds: number) =>
      broken({
        window: { from: 0, to: short * 1_000_000 },
        groups: sums({ 1: 5 }, scraped(short, short)),
        common: { busy: 20, seconds: short, unknown: 0 },
        units: units(sums({ 101: 10 }, scraped(seconds, seconds)), sums({ 101: 9 }, scraped(short, seconds)))
      })
    // One scrape is an error of the lines; of more, the answer says that they are missing.
    expect(answer(short - 2).partial).toEqual([])
    expect(line(answer(short - 2), "remainder", "n101").errors.edges).toBeGreaterThan(0)
    expect(answer(short - 4).partial).toEqual(["units"])
  })
})

/** Numbers in [0, 1) from a few whole ones, so that a property can have as many as it likes. */
const spread = (seeds: ReadonlyArray<number>) => {
  let n = 0
  return () => {
    const seed = (seeds[n % seeds.length] ?? 7) + 1 + Math.floor(n / Math.max(1, seeds.length)) * 31
    n++
    return ((seed * 7_919) % 1_009) / 1_009
  }
}

describe("the error of a line", () => {
  it.prop(
    "holds the truth where load is even: exporters look at other moments, clocks tick, processes are gone unseen",
    {
      seeds: Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1_000 }))).check(
        Schema.isMinLength(3)
      )
    },
    ({ seeds }) => {
      const next = spread(seeds)
      const groups = Array.from({ length: 6 }, (_, n) => ({
        id: n + 1,
        unit: 100 + (n % 3),
        rates: Array.from({ length: 1 + Math.floor(next() * 5) }, () => next() * 0.05),
        begin: next() * 1_000
      }))
      const hidden = [0, 1, 2].map(() => next() * 0.3)
      const kernel = next() * 0.1
      const rateOf = (some: typeof groups) => some.flatMap(({ rates }) => rates).reduce((sum, rate) => sum + rate, 0)
      const [phase, phaseOfHost] = [next() * 14, next() * 14]
      // Each exporter sees 900 s, but not the same ones; the truth is of those that the groups' exporter saw.
      const ticked = (rate: number, begin: number) => {
        const half = (t: number) => Math.floor((rate * t * 100) / 2) / 100
        return 2 * (half(begin + COVERED) - half(begin))
      }
      const used = (some: typeof groups) =>
        some.reduce((sum, { begin, rates }) => sum + rates.reduce((sum, rate) => sum + ticked(rate, begin), 0), 0)
      const usage = (some: typeof groups) => ({
        seconds: used(some),
        processes: some.reduce((sum, { rates }) => sum + rates.length, 0)
      })
      const of = (unit: number) => groups.filter((group) => group.unit === unit)
      const unitRate = (n: number) => rateOf(of(100 + n)) + hidden[n]!
      const busyRate = unitRate(0) + unitRate(1) + unitRate(2) + kernel
      const jump = (rate: number, by: number) => rate * (COVERED + by * (next() - 0.5))
      const answer = broken({
        limit: 3,
        groups: sums(Object.fromEntries(groups.map((group) => [group.id, usage([group])]))),
        common: { busy: jump(busyRate, phaseOfHost), seconds: COVERED, unknown: 0 },
        units: units(
          sums({
            ...Object.fromEntries([0, 1, 2].map((n) => [100 + n, jump(unitRate(n), phase)])),
            199: jump(kernel, phase)
          }),
          sums(Object.fromEntries([0, 1, 2].map((n) => [100 + n, usage(of(100 + n))])))
        )
      })
      const off = (kind: LineKind, name: string | null, truth: number) => {
        const found = line(answer, kind, name)
        expect([kind, name, Math.abs(found.cpuSeconds - truth) <= found.errorSeconds + 1e-9]).toEqual([
          kind,
          name,
          true
        ])
      }
      for (const { name } of answer.lines.filter(({ kind }) => kind === "named")) {
        off("named", name, COVERED * rateOf(groups.filter(({ id }) => nameOf(id) === name)))
      }
      for (const { name } of answer.lines.filter(({ kind, name }) => kind === "remainder" && name !== null)) {
        off("remainder", name, COVERED * hidden[Number(name!.slice(1)) - 100]!)
      }
      off("kernel", "(kernel)", COVERED * kernel)
      off("unknown", null, 0)
    }
  )

  it.prop(
    "holds the truth in whichever units short-lived processes ran",
    { left: Schema.Array(Seconds).check(Schema.isMinLength(2), Schema.isMaxLength(3)), shares: Some },
    ({ left, shares }) => {
      const exited = left.map((seconds, n) => (seconds * (shares[n] ?? 0)) / 5_000)
      const answer = broken({
        units: units(sums(from(100, left)), sums({})),
        shortLived: sums({ 200: exited.reduce((sum, seconds) => sum + seconds, 0) })
      })
      for (const { cpuSeconds, errors, kind, name } of answer.lines) {
        if (kind !== "remainder" || name === null) continue
        const n = Number(name.slice(1)) - 100
        expect(Math.abs(cpuSeconds - (left[n]! - exited[n]!))).toBeLessThanOrEqual(errors.attribution + 1e-6)
      }
    }
  )

  it("is two ticks a process and run, and the rest of comp_t", () => {
    const answer = broken({
      groups: sums({ 1: { seconds: 5, processes: 7 } }),
      shortLived: sums({ 200: { seconds: 1_024, runs: 1_312 } })
    })
    expect(line(answer, "named", "n1").errors.ticks).toBeCloseTo(0.14, 9)
    expect(line(answer, "short_lived").errors.ticks).toBeCloseTo(1_312 * 0.02 + 1, 9)
    expect(line(answer, "short_lived").runs).toBe(1_312)
  })

  it("is of processes that were there, or must have been", () => {
    const answer = broken({ limit: 1, groups: sums({ 1: { seconds: 3, processes: 0 }, 2: { processes: 0 } }) })
    expect(line(answer, "named", "n1").errors.ticks).toBeCloseTo(0.02, 9)
    expect(line(answer, "other").errors.ticks).toBe(0)
  })

  it("is a step of what the machine can do for each increase that was cut, and of the line's rate where nobody knows", () => {
    const answer = broken({ groups: sums({ 1: { seconds: 90, clamped: 2, unknown: 3 } }) })
    expect(line(answer, "named", "n1").errors).toMatchObject({ clamped: 2 * 4 * 1.05 * STEP, unknown: 3 * STEP * 0.1 })
  })

  it("is as long as only one of two exporters saw, and a step at each edge", () => {
    const answer = broken({ groups: sums({ 1: 90 }), common: { busy: 120, seconds: 600, unknown: 2 } })
    const { edges, unknown } = line(answer, "unknown").errors
    expect(edges).toBeCloseTo(0.2 * (2 * STEP + 300), 9)
    expect(unknown).toBeCloseTo(2 * STEP * 0.2, 9)
  })

  it("is no more than the time at the edges that only one of two exporters saw, where that is known", () => {
    const of = (from: number, to: number) => ({ from: from * 1_000_000, to: to * 1_000_000 })
    const answer = broken({
      groups: sums({ 1: 90 }, { seen: of(0, 900) }),
      common: { busy: 180, seconds: COVERED, unknown: 0 },
      host: { counters: 2, interval: STEP, seen: of(2, 901) },
      units: units(sums({ 101: 90 }, { seen: of(-100, 895) }), sums({ 101: 45 }, { seen: of(0, 900) }))
    })
    expect(line(answer, "remainder", "n101").errors.edges).toBeCloseTo(0.1 * (STEP + 5), 9)
    expect(line(answer, "unknown").errors.edges).toBeCloseTo(0.2 * (2 + 1) + 0.1 * (STEP + 5), 9)
  })
})
