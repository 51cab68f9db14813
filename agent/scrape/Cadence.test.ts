import { assert, describe, it } from "@effect/vitest"
import { Duration } from "effect"
import { processExporter } from "../../src/plugins/process-exporter/ProcessExporter.ts"
import { UNRESTRAINED } from "../budget/Budget.ts"
import { jitterOf, nextTick, restrainedMillis, Timestamps } from "./Cadence.ts"

const INTERVAL = 15_000

describe("jitterOf", () => {
  it("is the same for a host whenever it is asked, and within the interval", () => {
    for (const host of ["web-1", "", "datenbank-ü", "x".repeat(255)]) {
      assert.strictEqual(jitterOf(host), jitterOf(host))
      assert.isTrue(jitterOf(host) >= 0 && jitterOf(host) < 1)
    }
  })

  it("spreads a fleet whose names differ in a digit evenly over the interval", () => {
    const slots = new Array<number>(15).fill(0)
    for (let host = 1; host <= 3_000; host++) slots[Math.floor(jitterOf(`web-${host}`) * 15)]!++
    // 200 are expected in each of 15 slots; five standard deviations are 68.
    for (const hosts of slots) assert.isTrue(hosts > 132 && hosts < 268, `${slots}`)
  })
})

describe("nextTick", () => {
  it("is the next multiple of the interval, shifted by the host's offset", () => {
    assert.strictEqual(nextTick(60_000, null, INTERVAL, 0), 75_000)
    assert.strictEqual(nextTick(60_001, null, INTERVAL, 0), 75_000)
    assert.strictEqual(nextTick(60_000, null, INTERVAL, 0.5), 67_500)
    assert.strictEqual(nextTick(67_500, null, INTERVAL, 0.5), 82_500)
  })

  it("skips the ticks that a slow scrape missed", () => {
    assert.strictEqual(nextTick(60_000 + 40_000, 60_000, INTERVAL, 0), 105_000)
  })

  it("does not take the same tick twice where the timer fired a millisecond early", () => {
    assert.strictEqual(nextTick(74_999, 74_999, INTERVAL, 0), 90_000)
  })

  it("does not wait for the future where the clock was set back", () => {
    assert.strictEqual(nextTick(10_000, 3_600_000, INTERVAL, 0), 15_000)
  })

  it("always lies ahead, at most one and a half intervals, whatever the times are", () => {
    let seed = 42
    const random = () => {
      seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648
      return seed / 2_147_483_648
    }
    for (let run = 0; run < 2_000; run++) {
      const interval = 1_000 + Math.floor(random() * 3_599_000)
      const now = Math.floor(random() * 2e12)
      const last = random() < 0.2 ? null : now - Math.floor((random() - 0.3) * 3 * interval)
      const tick = nextTick(now, last, interval, random())
      assert.isTrue(tick > now && tick - now <= 1.5 * interval, `seed 42, run ${run}`)
      if (last !== null && last <= now) assert.isTrue(tick - last >= interval / 2, `seed 42, run ${run}`)
    }
  })
})

describe("the time between two scrapes under a restraint", () => {
  const of = (interval: Duration.Input, factor: 1 | 2 | 4) =>
    restrainedMillis(
      { exporter: processExporter(), interval: Duration.fromInputUnsafe(interval) },
      {
        ...UNRESTRAINED,
        interval: factor
      }
    )

  it("is longer by the factor", () => {
    assert.deepStrictEqual([of("15 seconds", 1), of("15 seconds", 2), of("15 seconds", 4)], [15_000, 30_000, 60_000])
  })

  it("is never so long that the server sees a gap, but where it is configured so", () => {
    assert.strictEqual(of("1 minute", 4), 100_000)
    assert.strictEqual(of("4 minutes", 4), 240_000)
  })
})

describe("Timestamps", () => {
  const taken = (times: ReadonlyArray<number>) => {
    const timestamps = new Timestamps(INTERVAL / 2)
    return times.map((time) => timestamps.next(time))
  }

  it("are the clock's", () => {
    assert.deepStrictEqual(taken([1_000, 16_000]), [1_000, 16_000])
  })

  it("grow where the clock stands still or is corrected by a little", () => {
    assert.deepStrictEqual(taken([10_000, 10_000, 9_000, 25_000]), [10_000, 10_001, 10_002, 25_000])
  })

  it("go on with a clock that was set back, and never repeat", () => {
    const result = taken([3_600_000, 3_615_000, 3_600_000, 3_615_000])
    assert.deepStrictEqual(result, [3_600_000, 3_615_000, 3_600_001, 3_615_001])
  })
})
