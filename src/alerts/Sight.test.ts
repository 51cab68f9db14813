/** What a sight keeps is enough for the rules that it is for: it says what all scrapes say, and takes little. */
import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import { seededRandom } from "../../test/Seeded.ts"
import { processExporter } from "../plugins/process-exporter/ProcessExporter.ts"
import { allMeasures, type Measured } from "../query/Increases.ts"
import { metricsOf } from "./Rule.ts"
import { readRules } from "./RuleFile.ts"
import { type GroupValues, Sight } from "./Sight.ts"
import { needsOf } from "./SightNeeds.ts"

const SECOND = 1_000_000
const GROUPS = 40
const exporter = processExporter()
const measures = allMeasures(exporter)
const metrics = metricsOf(exporter)
const rules = Result.getOrThrow(
  readRules(
    `rules:
  - {name: cpu, resource: processes, metric: cpu, above: 50, over: 1m}
  - {name: more cpu, resource: processes, metric: cpu, above: 80, over: 2m}
  - {name: memory, resource: processes, metric: memory, above: 60, over: 5m}
  - {name: crashes, resource: processes, restarts_above: 1, over: 10m}
  - {name: gone, resource: processes, group: g1, absent: true, over: 1m}`,
    [exporter]
  )
)
/** Two ids of each name. */
const nameOf = (group: number) => (group % 7 === 0 ? undefined : `g${group % 20}`)

const makeScrapes = (count: number): ReadonlyArray<Measured> => {
  const next = seededRandom(9)
  let at = 0
  let groups = Int32Array.from({ length: GROUPS }, (_, n) => n)
  return Array.from({ length: count }, () => {
    const before = at
    at += (next() < 0.05 ? 60 : 15) * SECOND
    if (next() < 0.2) groups = groups.filter(() => next() < 0.95)
    if (groups.length < GROUPS / 2) groups = Int32Array.from({ length: GROUPS }, (_, n) => n)
    const numbers = () => Float64Array.from(groups, () => (next() < 0.1 ? Number.NaN : Math.floor(1_000 * next())))
    return {
      at,
      coveredFrom: next() < 0.02 ? Number.NaN : before,
      groups,
      increases: measures.counters.map(numbers),
      rates: [],
      resets: measures.counters.map(() =>
        next() < 0.3 ? Uint16Array.from(groups, () => Math.floor(3 * next())) : undefined
      ),
      clamped: [],
      unknown: [],
      gauges: measures.gauges.map(numbers),
      start: Number.NaN,
      usable: 0
    }
  })
}

const countersOf = (scrape: Measured) => scrape.increases[measures.counters.indexOf("cpu_seconds_total")]!
const memoryOf = (scrape: Measured) => scrape.gauges[measures.gauges.indexOf("memory_bytes")]!
const restartsOf = ({ groups, resets }: Measured) =>
  Float64Array.from(groups, (_, row) => Math.max(0, ...resets.map((counts) => counts?.[row] ?? 0)))

/** Sums over all scrapes of a window, in order of time. */
const summed = (scrapes: ReadonlyArray<Measured>, columnOf: (scrape: Measured) => Float64Array) => {
  const sums = new Map<string, number>()
  for (const scrape of scrapes) {
    for (const [row, group] of scrape.groups.entries()) {
      const name = nameOf(group)
      if (name === undefined) continue
      const value = columnOf(scrape)[row]!
      sums.set(name, (sums.get(name) ?? 0) + (Number.isNaN(value) ? 0 : value))
    }
  }
  return [...sums]
}

const said = ({ find, names, values }: GroupValues) => {
  for (const [n, name] of names.entries()) assert.strictEqual(find(name), values[n])
  assert.isUndefined(find("nobody"))
  return names.map((name, n) => [name, values[n]!] as const)
}

const keeping = () => new Sight(measures, exporter.top?.presence, needsOf(rules, metrics, exporter.top?.presence))

describe("a sight", () => {
  it("says what all scrapes say, in whatever window its rules ask for", () => {
    const scrapes = makeScrapes(200)
    const sight = keeping()
    let asked = 0
    for (const [n, scrape] of scrapes.entries()) {
      sight.add(scrape)
      sight.forget(scrape.at - 900 * SECOND)
      for (const { condition, over } of rules) {
        const window = sight.window(scrape.at + 5 * SECOND, over * 1_000)
        if (window === undefined) continue
        asked++
        const inside = scrapes.slice(0, n + 1).filter(({ at }) => at > scrape.at - over * 1_000 + SECOND)
        if (condition.kind === "restarts") {
          assert.deepStrictEqual(said(sight.restarts(window, nameOf)), summed(inside, restartsOf))
        } else if (condition.kind === "absent") {
          const procs = scrape.gauges[measures.gauges.indexOf("num_procs")]!
          const runs = scrape.groups.some((group, row) => nameOf(group) !== undefined && procs[row] !== 0)
          assert.strictEqual(sight.isPresent(window, nameOf), runs)
        } else if (condition.kind === "value") {
          const metric = metrics.get(condition.metric)!
          const isRate = metric.by === "rate"
          const divisor = isRate ? window.covered : inside.length
          const sums = summed(inside, isRate ? countersOf : memoryOf)
          const expected = sums.map(([name, sum]) => [name, (sum / divisor) * metric.scale] as const)
          assert.deepStrictEqual(said(sight.values(metric, window, nameOf)), expected)
        }
      }
    }
    assert.isAbove(asked, 300)
  })

  it("holds each column only as long as rules look back", () => {
    const sight = keeping()
    for (const scrape of makeScrapes(200)) {
      sight.add(scrape)
      sight.forget(scrape.at - 900 * SECOND)
    }
    // Two minutes of CPU, five of memory, one number of processes; all of the quarter of an hour would be 7 200 numbers, 57 600 bytes.
    assert.isBelow(sight.bytes, 30_000)
  })
})
