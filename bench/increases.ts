/**
 * What the rule for increases costs: 240 scrapes of 150 groups (an hour at 15 s), measured for the top list's columns.
 * Prints CPU nanoseconds a row, the median of 15 rounds, beside a plain loop of subtractions over the same columns.
 */
import { processExporter } from "../src/plugins/process-exporter/ProcessExporter.ts"
import { topMeasures } from "../src/query/AnswerFields.ts"
import { makeCores } from "../src/query/HostSteps.ts"
import { makeMeasurer } from "../src/query/Increases.ts"
import type { Scrape } from "../src/sinks/storage/Scrape.ts"

const SCRAPES = 240
const GROUPS = 150
const SECOND = 1_000_000

const scrapes = Array.from({ length: SCRAPES }, (_, n): Scrape => {
  const column = (value: (group: number) => number) => Float64Array.from({ length: GROUPS }, (_, group) => value(group))
  return {
    at: n * 15 * SECOND,
    since: 0,
    sinceOf: undefined,
    labels: [Int32Array.from({ length: GROUPS }, (_, group) => group + 1)],
    values: [column((group) => group + (n * group) / 100), column(() => 3), column((group) => group * 2 ** 20 + n)]
  }
})

const ROUNDS = 15
const REPEATS = 5

/** CPU nanoseconds of this process a row; the first rounds, in which it is compiled, do not count. */
const median = (run: () => unknown): number => {
  const rounds = Array.from({ length: 2 * ROUNDS }, () => {
    const before = process.cpuUsage()
    for (let n = 0; n < REPEATS; n++) run()
    const { system, user } = process.cpuUsage(before)
    return ((user + system) * 1e3) / REPEATS
  }).slice(ROUNDS)
  return rounds.sort((a, b) => a - b)[ROUNDS >> 1]! / (SCRAPES * GROUPS)
}

const run = async (): Promise<void> => {
  const exporter = processExporter()
  const measurer = makeMeasurer(exporter, topMeasures(exporter, exporter.top!.default))
  const cores = makeCores([{ at: 0, cores: 4 }])
  const rule = median(() =>
    measurer.measure(scrapes, { after: -1, upto: SCRAPES * 15 * SECOND, cores, isFirst: undefined })
  )
  const plain = median(() => {
    let sum = 0
    for (let n = 1; n < SCRAPES; n++) {
      const [now] = scrapes[n]!.values
      const [before] = scrapes[n - 1]!.values
      for (let group = 0; group < GROUPS; group++) sum += Math.max(0, now![group]! - before![group]!)
    }
    return sum
  })
  process.stdout.write(`rule for increases ${rule.toFixed(0)} ns a row, bare subtraction ${plain.toFixed(1)} ns\n`)
}

await run()
