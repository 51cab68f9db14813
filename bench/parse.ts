/**
 * How fast an exposition is read: our parser, with and without `families`, against the parsers on npm, on one real
 * scrape of process_exporter (75 groups). All in one run and by turns, as a machine's speed drifts; medians of rounds.
 */
import { readFileSync } from "node:fs"
import { createRequire } from "node:module"
import { Result } from "effect"
import { type ExpositionOptions, parseExposition } from "../src/plugins/Exposition.ts"

const ROUNDS = 15
/** Before them, for the compiler. */
const WARM_UP_ROUNDS = 3
const TURN_SECONDS = 0.06

/** What the plugin for process_exporter looks at. */
const FAMILIES = [
  "namedprocess_namegroup_cpu_seconds_total",
  "namedprocess_namegroup_memory_bytes",
  "namedprocess_namegroup_num_procs",
  "process_start_time_seconds"
]

interface Contender {
  readonly name: string
  readonly npm: boolean
  /** Reads the scrape, and returns how many samples (npm: groups of samples) it found. */
  readonly parse: () => number | Promise<number>
  readonly speeds: Array<number>
}

/** Prints a table of MB/s. */
const run = async (): Promise<void> => {
  const bytes = readFileSync(new URL("data/process-exporter.prom", import.meta.url))
  const contenders = contendersFor(bytes)
  for (let round = 0; round < WARM_UP_ROUNDS + ROUNDS; round++) {
    for (const { parse, speeds } of contenders) {
      const speed = await turn(parse, bytes.length)
      if (round >= WARM_UP_ROUNDS) speeds.push(speed)
    }
  }
  const best = Math.max(...contenders.filter(({ npm }) => npm).map(({ speeds }) => median(speeds)))
  const lines = [`${bytes.length} bytes, medians of ${ROUNDS} rounds`, row("parser", "found", "MB/s", "× best of npm")]
  for (const { name, parse, speeds } of contenders) {
    const speed = median(speeds)
    lines.push(row(name, String(await parse()), speed.toFixed(0), (speed / best).toFixed(1)))
  }
  process.stdout.write(`${lines.join("\n")}\n`)
}

const contendersFor = (bytes: Buffer): ReadonlyArray<Contender> => {
  const text = bytes.toString()
  const own = (body: string | Uint8Array, options?: ExpositionOptions) => () =>
    Result.getOrThrow(parseExposition(body, options)).samples.length
  const require = createRequire(import.meta.url)
  const prometheusText = require("parse-prometheus-text-format") as (text: string) => ReadonlyArray<unknown>
  const exposition = require("exposition") as { parse: (text: string) => ReadonlyArray<unknown> }
  const prom2javascript = require("prom2javascript") as {
    getMetricsFromIterator: (lines: Iterator<string>) => Promise<Record<string, unknown>>
  }
  return [
    { name: "nodepulse, all samples, from bytes", npm: false, parse: own(bytes), speeds: [] },
    { name: "nodepulse, all samples, from a string", npm: false, parse: own(text), speeds: [] },
    {
      name: "nodepulse, wanted families, from bytes",
      npm: false,
      parse: own(bytes, { families: FAMILIES }),
      speeds: []
    },
    {
      name: "nodepulse, wanted families, from a string",
      npm: false,
      parse: own(text, { families: FAMILIES }),
      speeds: []
    },
    { name: "parse-prometheus-text-format", npm: true, parse: () => prometheusText(text).length, speeds: [] },
    { name: "exposition", npm: true, parse: () => exposition.parse(text).length, speeds: [] },
    {
      name: "prom2javascript",
      npm: true,
      parse: async () => {
        const lines = text.split("\n").values()
        return Object.keys(await prom2javascript.getMetricsFromIterator(lines)).length
      },
      speeds: []
    }
  ]
}

/** Lets a parser read for a while. Returns its speed in MB per second of CPU: others may want the machine too. */
const turn = async (parse: Contender["parse"], size: number): Promise<number> => {
  const start = process.cpuUsage()
  let count = 0
  let seconds = 0
  while (seconds < TURN_SECONDS) {
    const found = parse()
    if (typeof found !== "number") await found
    count++
    const { user, system } = process.cpuUsage(start)
    seconds = (user + system) / 1e6
  }
  return (count * size) / 1e6 / seconds
}

const median = (values: ReadonlyArray<number>): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN

const row = (name: string, ...cells: ReadonlyArray<string>): string =>
  name.padEnd(44) + cells.map((cell) => cell.padStart(14)).join("")

await run()
