import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { exhaustsIn, type Growth, growthOf, type Levels } from "./Growth.ts"

const MIB = 1024 * 1024
const MINUTE = 60_000_000
const HOUR = 60 * MINUTE
/** On no round moment. */
const EPOCH = Date.UTC(2025, 9, 29, 23, 58, 7) * 1_000

interface Point {
  readonly at: number
  /** MiB. */
  readonly level: number
  readonly count?: number
}

const levels = (points: ReadonlyArray<Point>): Levels => ({
  at: points.map(({ at }) => EPOCH + at),
  level: points.map(({ level }) => level * MIB),
  count: points.map(({ count }) => count ?? 1)
})

/** A point every five minutes, or another interval, for so many hours. */
const every = (hours: number, level: (hour: number) => number, interval = 5 * MINUTE): ReadonlyArray<Point> =>
  Array.from({ length: Math.round((hours * HOUR) / interval) + 1 }, (_, n) => ({
    at: n * interval,
    level: level((n * interval) / HOUR)
  }))

/** Between -1 and 1, the same for the same hour. */
const noise = (hour: number): number => {
  const sine = Math.sin(hour * 12_345.678) * 43_758.5453
  return 2 * (sine - Math.floor(sine)) - 1
}

const grows = (points: ReadonlyArray<Point>): Growth => {
  const growth = growthOf(levels(points))
  assert.isNotNull(growth)
  return growth!
}
const stays = (points: ReadonlyArray<Point>) => assert.isNull(growthOf(levels(points)))

const isAbout = (actual: number, expected: number, by: number) =>
  assert.isAtMost(Math.abs(actual - expected), by, `${actual} is not about ${expected}`)

describe("growth", () => {
  it("is the slope of a line, from where the line began", () => {
    const growth = grows(every(24, (hour) => 100 + 10 * hour))
    isAbout(growth.perHour / MIB, 10, 1e-6)
    assert.strictEqual(growth.began, EPOCH)
  })

  it("is found in noise, within a tenth", () => {
    const growth = grows(every(24, (hour) => 500 + 5 * hour + 15 * noise(hour)))
    isAbout(growth.perHour / MIB, 5, 0.5)
  })

  it("takes no notice of single peaks", () => {
    const growth = grows(every(24, (hour) => 100 + 10 * hour + (Math.round(hour * 12) % 25 === 3 ? 900 : 0)))
    isAbout(growth.perHour / MIB, 10, 0.5)
  })

  it("begins where a flat level bends upwards, within twenty minutes", () => {
    const growth = grows(every(24, (hour) => 200 + 20 * Math.max(0, hour - 15) + noise(hour)))
    isAbout((growth.began - EPOCH) / HOUR, 15, 1 / 3)
    isAbout(growth.perHour / MIB, 20, 1)
  })

  it("is not noise, flat or wide", () => {
    for (const width of [0, 1, 50, 400]) stays(every(24, (hour) => 500 + width * noise(hour)))
  })

  it("is not a step, wherever it is, with noise or without", () => {
    for (const at of [1, 4, 12, 18, 23]) {
      for (const width of [0, 3]) stays(every(24, (hour) => (hour < at ? 100 : 600) + width * noise(hour)))
    }
  })

  it("is not a sawtooth, however long its teeth", () => {
    for (const period of [0.5, 2, 5, 8, 12, 23]) {
      for (const phase of [0, 0.3, 0.7]) stays(every(72, (hour) => 100 + 40 * ((hour + phase * period) % period)))
    }
  })

  it("is not a level that falls, or comes back to where it was", () => {
    stays(every(24, (hour) => 900 - 20 * hour))
    stays(every(24, (hour) => 300 + 20 * Math.abs(hour - 12)))
  })

  const atLeast = (hours: number, rise: number, start: number) => every(hours, (hour) => start + (rise * hour) / hours)
  it("rises by more than 16 MiB", () => {
    stays(atLeast(6, 15.9, 100))
    grows(atLeast(6, 16.1, 100))
  })
  it("rises by more than a twentieth of where it began", () => {
    stays(atLeast(6, 49, 1_000))
    grows(atLeast(6, 51, 1_000))
  })
  it("lasts three hours", () => {
    stays(atLeast(2 + 11 / 12, 500, 100))
    grows(atLeast(3, 500, 100))
  })
  it("has more than four of five pairs that rise", () => {
    // Of 40 means the first so many stand last: each falls below all others.
    const moved = (late: number) => {
      const rising = every(39 / 12, (hour) => 100 + 20 * hour).map(({ level }) => level)
      return [...rising.slice(late), ...rising.slice(0, late)].map((level, n) => ({ at: n * 5 * MINUTE, level }))
    }
    grows(moved(4))
    stays(moved(5))
  })

  it("begins anew where the count changes, and where it says that something changed", () => {
    const changed = (count: (hour: number) => number) =>
      every(24, (hour) => 100 + 10 * hour).map((point) => ({ ...point, count: count(point.at / HOUR) }))
    assert.strictEqual(grows(changed((hour) => (hour < 12 ? 3 : 4))).began, EPOCH + 12 * HOUR)
    assert.strictEqual(grows(changed((hour) => (hour === 12 ? Number.NaN : 4))).began, EPOCH + 12 * HOUR + 5 * MINUTE)
    stays(changed((hour) => (hour < 21.5 ? 3 : 4)))
    stays(changed((hour) => Math.round(hour * 2) % 3))
    stays(changed((hour) => (hour === 24 ? Number.NaN : 4)))
  })

  it("goes on over a gap, and over points that do not know the level", () => {
    const line = every(24, (hour) => 100 + 10 * hour)
    const gap = line.filter(({ at }) => at < 4 * HOUR || at > 17 * HOUR)
    const unknown = line.map((point, n) => (n % 3 === 1 ? { ...point, level: Number.NaN } : point))
    for (const points of [gap, unknown]) {
      isAbout(grows(points).perHour / MIB, 10, 1e-6)
      assert.strictEqual(grows(points).began, EPOCH)
    }
  })

  it("needs six means", () => {
    stays(every(4, (hour) => 100 + 100 * hour, HOUR))
    grows(every(5, (hour) => 100 + 100 * hour, HOUR))
    assert.isNull(growthOf({ at: [], level: [], count: [] }))
  })

  it("is the same from scrapes every 15 seconds and from means over five minutes", () => {
    const level = (hour: number) => 300 + 8 * hour
    const scrapes = grows(every(12, level, MINUTE / 4))
    isAbout(scrapes.perHour / MIB, 8, 1e-6)
    assert.strictEqual(scrapes.began, EPOCH)
  })

  it("is thinned where there are many points, and still the line", () => {
    isAbout(grows(every(24 * 30, (hour) => 300 + hour)).perHour / MIB, 1, 1e-6)
  })

  const Point = Schema.Struct({
    step: Schema.Literals([0, 1, 2, 3, 5, 8, 13, 21, 34, 36, 40, 55, 70]),
    level: Schema.Literals([0, 100, 101, 180, 260, 400, 900]),
    count: Schema.Literals([1, 1, 1, 1, 1, 2])
  })
  it.prop(
    "is indifferent to order and repetition, and is never a number that is none",
    [Schema.Array(Point)],
    ([drawn]) => {
      const points = drawn.map(({ count, level, step }, n) => ({
        at: (step + 71 * (n % 5)) * 5 * MINUTE,
        level,
        count
      }))
      const growth = growthOf(levels(points))
      assert.deepStrictEqual(growthOf(levels([...points].reverse())), growth)
      assert.deepStrictEqual(growthOf(levels([...points, ...points.filter((_, n) => n % 2 === 0)])), growth)
      if (growth === null) return
      assert.isTrue(Number.isFinite(growth.perHour) && growth.perHour > 0)
      assert.include(
        points.map(({ at }) => EPOCH + at),
        growth.began
      )
    }
  )

  it.prop(
    "scales with the level and moves with the time",
    [Schema.Literals([1, 2, 5]), Schema.Literals([0, 1, 40])],
    ([scale, days]) => {
      const points = every(10, (hour) => 400 + 30 * hour + 10 * noise(hour))
      const plain = grows(points)
      const moved = grows(points.map(({ at, level }) => ({ at: at + days * 24 * HOUR, level: scale * level })))
      isAbout(moved.perHour / plain.perHour, scale, 1e-6)
      assert.strictEqual(moved.began - plain.began, days * 24 * HOUR)
    }
  )

  it("tells when what is available is used up", () => {
    const growth = { began: 0, perHour: 10 * MIB }
    assert.strictEqual(exhaustsIn(growth, 240 * MIB), 24 * 3_600)
    assert.strictEqual(exhaustsIn(growth, -1), 0)
    assert.isNull(exhaustsIn(growth, null))
    assert.isNull(exhaustsIn(null, 240 * MIB))
  })
})
