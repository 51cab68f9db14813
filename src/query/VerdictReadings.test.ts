/** What verdicts are made of, over scrapes of the real units. */
import { describe, expect, it } from "@effect/vitest"
import { cgroups } from "../plugins/cgroups/Cgroups.ts"
import { Aggregate } from "./Aggregate.ts"
import { unitMeasures, unitReadings } from "./VerdictReadings.ts"

const exporter = cgroups()
const measures = unitMeasures(exporter)

type Told = Readonly<Record<string, number>>

/** One unit, over scrapes that tell these columns. */
const readingOf = (...scrapes: ReadonlyArray<Told>) => {
  const sums = new Aggregate(measures.counters.length, measures.gauges.length)
  for (const [n, told] of scrapes.entries()) {
    const columns = (names: ReadonlyArray<string>) => names.map((name) => Float64Array.of(told[name] ?? Number.NaN))
    const none = measures.counters.map(() => undefined)
    sums.add({
      at: (n + 1) * 15_000_000,
      coveredFrom: n * 15_000_000,
      groups: Int32Array.of(1),
      increases: columns(measures.counters),
      rates: columns(measures.counters),
      resets: none,
      clamped: none,
      unknown: none,
      gauges: columns(measures.gauges),
      start: Number.NaN,
      usable: 0
    })
  }
  const [reading] = unitReadings(exporter, sums, new Map([[1, "web.service"]]), 1).units
  return reading!
}

const limitsOf = (...scrapes: ReadonlyArray<Told>) => {
  const { kills, memoryLimit, quota } = readingOf(...scrapes)
  return [memoryLimit, quota, kills]
}

describe("the memory of a unit", () => {
  it("is that of its scrapes, and its peak what the kernel kept between them", () => {
    const { memory, memoryPeak } = readingOf({ memory_bytes: 40, memory_peak_bytes: 512 }, { memory_bytes: 30 })
    expect([memory, memoryPeak]).toEqual([40, 512])
    expect(readingOf({ memory_bytes: 40 }).memoryPeak).toBeNull()
  })
})

describe("the limits of a unit", () => {
  const limited = { num_procs: 3, memory_limit_bytes: 512, cpu_limit_cores: 0.5, oom_kills_total: 1 }

  it("that is gone are those that it had", () => {
    expect(limitsOf(limited, { num_procs: 0, memory_bytes: 0 })).toEqual([512, 0.5, 1])
  })

  it("that runs are those that it has: of one that was lifted nothing is told", () => {
    expect(limitsOf(limited, { num_procs: 3 })).toEqual([null, null, 1])
    expect(limitsOf(limited, { ...limited, memory_limit_bytes: 256, cpu_limit_cores: 2 })).toEqual([256, 2, 2])
  })
})
