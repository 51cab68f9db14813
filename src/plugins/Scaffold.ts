/**
 * The files of a new exporter (`nodepulse plugins new <name>`): a declaration, its test and one fixture, which pass the
 * conformance suite as they are and are then changed into what the exporter is.
 *
 * Pure: it returns paths and contents, and writes nothing. Who writes them must not overwrite what is there.
 */
import { Result, Schema } from "effect"
import { IDENTIFIER_LENGTH_MAX } from "./Names.ts"

export interface ScaffoldFile {
  /** Relative to the root of the project. */
  readonly path: string
  readonly content: string
}

export interface Scaffold {
  /** Wire name: `redis_exporter`. */
  readonly exporter: string
  readonly files: ReadonlyArray<ScaffoldFile>
  /** What is left to do by hand, a line each. */
  readonly next: ReadonlyArray<string>
}

/** The name is none that an exporter can have. */
export class InvalidName extends Schema.TaggedError<InvalidName>()("InvalidName", { name: Schema.String }) {
  readonly retryable = false
  override get message(): string {
    return `"${this.name}" cannot name an exporter: use a-z, 0-9 and _ or -, beginning with a letter, with or without _exporter at its end`
  }
}

/** The files of an exporter called `redis`, `redis_exporter` or `redis-exporter`, which are the same. */
export const scaffold = (name: string): Result.Result<Scaffold, InvalidName> => {
  const bare = name.replaceAll("-", "_").replace(/_exporter$/, "")
  const exporter = `${bare}_exporter`
  // The table's name is the longest that is made of it.
  if (!/^[a-z][a-z0-9]*(_[a-z0-9]+)*$/.test(bare) || `${bare}_snapshots`.length > IDENTIFIER_LENGTH_MAX) {
    return Result.fail(new InvalidName({ name: name.slice(0, 80) }))
  }
  const words = bare.split("_")
  const title = words.map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join(" ")
  const value = `${title.replaceAll(" ", "")}Exporter`
  const constant = value.charAt(0).toLowerCase() + value.slice(1)
  const folder = `src/plugins/${exporter.replaceAll("_", "-")}`
  return Result.succeed({
    exporter,
    files: [
      { path: `${folder}/${value}.ts`, content: declaration({ bare, constant, exporter, title }) },
      { path: `${folder}/${value}.test.ts`, content: test({ constant, value }) },
      { path: `${folder}/fixtures/example/input.prom`, content: input(bare) },
      { path: `${folder}/fixtures/example/expected.json`, content: expected }
    ],
    next: [
      `declare what ${exporter} has in ${folder}/${value}.ts`,
      `put a real scrape into ${folder}/fixtures/<case>/input.prom`,
      `enable it in plugins.config.ts: import { ${constant} } from "./${folder}/${value}.ts"`,
      "generate its migration and all else that is derived: npm run generate"
    ]
  })
}

const declaration = (names: {
  readonly bare: string
  readonly constant: string
  readonly exporter: string
  readonly title: string
}) => `/**
 * ${names.exporter}: one row for each device. What it reads, what it leaves out, and which versions it knows.
 */
import { Result } from "effect"
import { counter, gauge, label } from "../Column.ts"
import { defineExporter, ParseError, type Skipped } from "../Exporter.ts"
import { peak, rate } from "../TopQuery.ts"

const REQUESTS = "${names.bare}_requests_total"
const MEMORY = "${names.bare}_memory_bytes"

export const ${names.constant} = defineExporter({
  name: "${names.exporter}",
  title: "${names.title}",
  scrape: {
    endpoint: "http://127.0.0.1:9999/metrics",
    interval: "15 seconds",
    timeout: "5 seconds",
    families: [REQUESTS, MEMORY]
  },
  table: {
    name: "${names.bare}_snapshots",
    retention: "7 days",
    columns: {
      device: label({ doc: "Name of the device." }),
      requests_total: counter({ doc: "Requests served since the start." }),
      memory_bytes: gauge({ type: "bigint", unit: "bytes", nullable: true, doc: "Memory in use." })
    }
  },
  parse: (samples) => {
    const memory = new Map<string, number>()
    for (const { labels, name, value } of samples) {
      if (name === MEMORY && labels.device !== undefined) memory.set(labels.device, value)
    }
    const rows = []
    const skipped: Array<Skipped> = []
    const seen = new Set<string>()
    for (const { labels, name, value } of samples) {
      if (name !== REQUESTS) continue
      const device = labels.device
      if (device === undefined) skipped.push({ reason: \`\${REQUESTS} without the label device\` })
      else if (seen.has(device)) skipped.push({ reason: \`\${REQUESTS} of one device more than once; the first counts\` })
      else {
        seen.add(device)
        rows.push({ device, requests_total: value, memory_bytes: memory.get(device) ?? null })
      }
    }
    if (rows.length === 0 && skipped.length === 0) {
      const reason = \`unsupported exporter: no \${REQUESTS}\`
      return Result.fail(new ParseError({ exporter: "${names.exporter}", reason }))
    }
    return Result.succeed({ rows, skipped, countersSince: null })
  },
  top: {
    resource: "${names.bare}",
    per: "device",
    rankings: { requests: rate("requests_total"), memory: peak("memory_bytes") },
    default: "requests"
  }
})
`

const test = ({ constant, value }: { readonly constant: string; readonly value: string }) =>
  `import { conformance } from "../Conformance.ts"
import { ${constant} } from "./${value}.ts"

conformance(${constant}, { fixtures: new URL("./fixtures/", import.meta.url) })
`

const input = (bare: string) => `# HELP ${bare}_requests_total Requests served.
# TYPE ${bare}_requests_total counter
${bare}_requests_total{device="a"} 100
${bare}_requests_total{device="b"} 7
# HELP ${bare}_memory_bytes Memory in use.
# TYPE ${bare}_memory_bytes gauge
${bare}_memory_bytes{device="a"} 1.048576e+06
`

const expected = `${JSON.stringify(
  {
    rows: [
      { device: "a", requests_total: 100, memory_bytes: 1_048_576 },
      { device: "b", requests_total: 7, memory_bytes: null }
    ],
    skipped: []
  },
  null,
  2
)}
`
