/** What a test's server answers about units: made of made-up sums by the code that makes it of real ones. */
import type { BreakdownAnswer } from "../query/Breakdown.ts"
import { breakdownOf } from "../query/BreakdownLines.ts"
import type { Sums, Usage } from "../query/BreakdownSums.ts"
import type { Window } from "../query/Rankings.ts"
import type { VerdictAnswer } from "../query/Verdict.ts"
import type { UnitReading } from "../query/VerdictReadings.ts"
import { verdictOf } from "../query/VerdictTable.ts"

const NAMES = ["", "postgres", "node", "cron", "web.service", "(kernel)", "ls"]

const sums = (seconds: Readonly<Record<number, number>>, runs = 0): Sums => ({
  scrapes: 240,
  covered: 3_600,
  shared: 3_600,
  groups: new Map(
    Object.entries(seconds).map(([id, seconds]): [number, Usage] => [
      Number(id),
      { seconds, runs, processes: 1, clamped: 0, unknown: 0 }
    ])
  )
})

/** An hour of four cores: two groups by name, one that is not, two units, the kernel, and a command. */
export const brokenDown = (window: Window, limit: number): BreakdownAnswer => {
  const names = new Map(NAMES.map((name, id) => [id, name]))
  const parts = {
    window,
    limit,
    groups: sums({ 1: 900, 2: 300, 3: 60 }),
    common: { busy: 1_800, seconds: 3_600, unknown: 0 },
    cores: 4,
    host: { counters: 2, interval: 15, seen: undefined },
    units: { sums: sums({ 4: 1_650, 5: 110 }), members: sums({ 4: 1_250, 5: 10 }), byUnit: true, kernel: "(kernel)" },
    shortLived: sums({ 6: 240 }, 1_312),
    resources: { groups: "processes", units: "units", shortLived: "short_lived" }
  }
  return breakdownOf(parts, { groups: names, others: names })
}

const waited = { cpu: 0, memory: 0, io: 0 }
const unit: UnitReading = {
  name: "",
  cpu: 0,
  waited,
  throttled: 0,
  periods: null,
  throttledPeriods: null,
  quota: null,
  memory: null,
  memoryPeak: null,
  memoryLimit: null,
  kills: 0,
  read: null,
  written: null
}

/** A quarter of an hour of four busy cores: one unit is throttled, and one waits for the third. */
export const judged = (window: Window): VerdictAnswer =>
  verdictOf({
    window,
    host: {
      covered: 900,
      coverage: 1,
      cores: 4,
      busy: 3_500,
      steal: 0,
      waited: { ...waited, cpu: 300 },
      memoryTotal: 2 ** 33,
      memoryAvailable: 2 ** 32
    },
    units: {
      covered: 900,
      coverage: 1,
      kernel: "(kernel)",
      units: [
        { ...unit, name: "web.service", cpu: 360, throttled: 700, periods: 9_000, throttledPeriods: 3_420, quota: 0.5 },
        { ...unit, name: "batch.service", cpu: 2_700 },
        { ...unit, name: "db", cpu: 300, waited: { ...waited, cpu: 200 } }
      ]
    },
    resource: "units"
  })
