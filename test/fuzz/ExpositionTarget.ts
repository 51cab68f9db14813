/** Bodies of exporters: the parser, and all that the agent makes of them. */
import { isUtf8 } from "node:buffer"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { Result } from "effect"
import { readScrape } from "../../agent/scrape/Scraper.ts"
import { unpackRows } from "../../agent/spool/PackedRows.ts"
import config from "../../plugins.config.ts"
import { type ExpositionFormat, parseExposition, type Sample } from "../../src/plugins/Exposition.ts"
import { readSample } from "../../src/plugins/ExpositionLine.ts"
import type { Chance } from "../conservation/Chance.ts"
import { damaged, repeated } from "./Mutation.ts"
import { must, NOW, shaped, type Target, wires } from "./Target.ts"

const fixtures = join(import.meta.dirname, "..", "..", "src", "plugins", "fixtures", "exposition")
const scrapes = ["node.prom", "process.prom", "process-odd-names.prom", "openmetrics.txt"].map((name) =>
  readFileSync(join(fixtures, name))
)

/** What one row needs, so that something comes of most scrapes. */
const WHOLE_GROUP = Buffer.from(
  [
    'namedprocess_namegroup_num_procs{groupname="g"} 2',
    'namedprocess_namegroup_cpu_seconds_total{groupname="g",mode="user"} 1.5',
    'namedprocess_namegroup_memory_bytes{groupname="g",memtype="resident"} 4096',
    'node_cpu_seconds_total{cpu="0",mode="idle"} 12.25\n'
  ].join("\n")
)

export const expositionTarget: Target = {
  name: "exposition",
  input: (chance) =>
    shaped(
      chance,
      () => {
        const scrape = chance.oneOf(scrapes)
        const start = scrape.indexOf("\n", chance.between(0, scrape.length - 1)) + 1
        const end = scrape.indexOf("\n", start + chance.between(0, 1_500))
        const lines = scrape.subarray(start, end < 0 ? scrape.length : end + 1)
        return chance.next() < 0.5 ? lines : Buffer.concat([WHOLE_GROUP, lines])
      },
      // A whole scrape, mostly good.
      (chance) => (chance.next() < 0.5 ? repeated(chance, 128 * 1024) : damaged(chance.oneOf(scrapes), chance))
    ),
  check: (input, chance) => {
    const format = chance.oneOf(["text", "text", "openmetrics"] as const)
    const result = parseExposition(input, { format })
    if (Result.isFailure(result)) {
      must(result.failure.message.length < 500, "a refusal is short")
    } else {
      const { samples, skipped, skippedCount } = result.success
      must(skippedCount >= skipped.length, "what was skipped is counted")
      let lines = 1
      for (const byte of input) if (byte === 10) lines++
      must(samples.length + skippedCount <= lines, "a line is one sample, or one bad line")
      for (const { line, reason } of skipped) {
        must(line >= 1 && line <= lines && reason !== "" && reason.length < 500, "a bad line is named, in short")
      }
      for (const { labels, name, timestamp, value } of samples) {
        must(name !== "" && name.isWellFormed() && typeof value === "number", "a sample is whole")
        must(timestamp === undefined || Number.isSafeInteger(timestamp), "a timestamp is a whole number")
        for (const [label, text] of Object.entries(labels)) {
          must(label !== "" && label.isWellFormed() && text.isWellFormed(), "labels are text")
        }
      }
      if (chance.next() < 0.25) readsTheSame(input, format, samples, chance)
    }
    // And on: what the agent makes of it is what ingest takes.
    let taken = false
    for (const exporter of config.exporters) {
      const wire = wires.get(exporter.name)!
      const read = readScrape({ exporter, endpoint: "http://127.0.0.1:1" }, wire, input, format, NOW)
      if (Result.isFailure(read)) {
        must(read.failure.message.length < 1_000, "a refusal is short")
        continue
      }
      taken = true
      let count = 0
      for (const record of read.success.records) {
        const rows = JSON.parse(unpackRows(record.rows)) as ReadonlyArray<unknown>
        must(rows.length === record.rows.count, "a record knows how many rows it has")
        count += rows.length
        for (const row of rows) {
          const decoded = wire.decode(row, { serverId: "fuzz", nowMicros: NOW * 1_000 })
          must(Result.isSuccess(decoded), `a row that the agent sends is taken: ${JSON.stringify(row)}`)
        }
      }
      must(count === read.success.rows, "the rows that are counted are the rows that are sent")
    }
    return taken ? "taken" : "refused"
  }
}

/** Whichever way the same body is read: as a string, for one family only, or each line by itself with care. */
const readsTheSame = (
  input: Buffer,
  format: ExpositionFormat,
  samples: ReadonlyArray<Sample>,
  chance: Chance
): void => {
  const all = samples.map(written)
  if (isUtf8(input)) {
    const again = parseExposition(input.toString(), { format })
    must(
      Result.isSuccess(again) && isEqual(again.success.samples.map(written), all),
      "a string is read as its bytes are"
    )
  }
  const family = samples.length > 0 ? chance.oneOf(samples).name : "none"
  const some = parseExposition(input, { format, families: [family] })
  const expected = samples.filter(({ name }) => name === family).map(written)
  must(Result.isSuccess(some) && isEqual(some.success.samples.map(written), expected), "a family is read as among all")
  if (format !== "text" || !isUtf8(input)) return
  for (let tries = 0; tries < 4; tries++) {
    const start = input.lastIndexOf(10, chance.between(0, input.length)) + 1
    const end = input.indexOf(10, start)
    if (end < 0) return
    const line = input.toString("utf8", start, end)
    // No sample: a comment, or nothing.
    if (line.length > 4_000 || /^[ \t]*(#|$)/.test(line) || line.startsWith("\uFEFF")) continue
    const alone = parseExposition(`${line}\n`)
    const careful = readSample(line, "text")
    const quick = Result.isSuccess(alone) ? alone.success.samples.map(written) : []
    must(isEqual(quick, typeof careful === "string" ? [] : [written(careful)]), `one line has one meaning: ${line}`)
  }
}

/** All of a sample, to the last bit of its value. */
const written = ({ labels, name, timestamp, value }: Sample): string =>
  JSON.stringify([name, Object.entries(labels), Object.is(value, -0) ? "-0" : String(value), timestamp])

const isEqual = (a: ReadonlyArray<string>, b: ReadonlyArray<string>): boolean =>
  a.length === b.length && a.every((one, index) => one === b[index])
