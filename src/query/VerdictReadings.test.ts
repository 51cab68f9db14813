/** What verdicts are made of, over scrapes of the real units. */
import { describe, expect, it } from "@effect/vitest"
import { cgroups } from "../plugins/cgroups/Cgroups.ts"
import { Aggregate } from "./Aggregate.ts"
import { unitMeasures, unitReadings } from "./VerdictReadings.ts"

const exporter = cgroups()
const measures = unitMeasures(exporter)

/** One unit, over scrapes that tell these columns. */
const readingOf = (...scrapes: ReadonlyArray<Readonly<Record<string, number>>>) => {
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
  return [reading?.memoryLimit, reading?.quota, reading?.kills]
}

describe("the limits of a unit", () => {
  const limited = { num_procs: 3, memory_limit_bytes: 512, cpu_limit_cores: 0.5, oom_kills_total: 1 }

  it("that is gone are those that it had", () => {
    expect(readingOf(limited, { num_procs: 0, memory_bytes: 0 })).toEqual([512, 0.5, 1])
  })

  it("that runs are those that it has: of one that was lifted nothing is told", () => {
    expect(readingOf(limited, { num_procs: 3 })).toEqual([null, null, 1])
    expect(readingOf(limited, { ...limited, memory_limit_bytes: 256, cpu_limit_cores: 2 })).toEqual([256, 2, 2])
  })
})
