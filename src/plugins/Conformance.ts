/**
 * What every exporter must keep, as one suite that its test calls in one line:
 *
 * ```ts
 * conformance(redisExporter, { fixtures: new URL("./fixtures/", import.meta.url) })
 * ```
 *
 * Goldens: each folder `fixtures/<case>` holds `input.prom`, a scrape byte for byte as served, and `expected.json`, what
 * is to come of it: `{ "rows": […as on the wire, without times], "skipped": [{ "reason" }], "counters_since": … }` or
 * `{ "error": "the reason of the ParseError" }`. Folders are found by listing; adding a case is adding a folder.
 *
 * Beside them: the declaration is valid, `parse` is pure and total on hostile variations of every fixture, and what it
 * returns survives wire and stream unchanged. Variations are drawn from a seed that a failure prints; set
 * NODEPULSE_TEST_SEED to repeat it. It needs vitest, and is imported by tests only.
 */
import { readdirSync, readFileSync } from "node:fs"
import { Duration, Result, Schema } from "effect"
import { describe, expect, test } from "vitest"
import { seededRandom } from "../../test/Seeded.ts"
import type { Columns, Row } from "./Column.ts"
import type { Exporter, ExporterFactory, ParsedScrape } from "./Exporter.ts"
import { parseExposition, type Sample } from "./Exposition.ts"
import { golden } from "./Golden.ts"
import { makeRegistry } from "./Registry.ts"
import { makeSnapshotCodec } from "./SnapshotCodec.ts"
import { fits } from "./Storable.ts"
import { makeWire, makeWires } from "./Wire.ts"

export interface ConformanceOptions {
  /** The folder of the cases. */
  readonly fixtures: URL
  /** How many hostile variations of each fixture are tried. Defaults to 100. */
  readonly variations?: number
}

/** Registers the suite of an exporter. Call it at the top level of a test file. */
export const conformance = (factory: ExporterFactory, options: ConformanceOptions): void => {
  const exporter = factory()
  const cases = readdirSync(options.fixtures, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => readCase(exporter, options.fixtures, entry.name))
  const seed = Number(process.env.NODEPULSE_TEST_SEED ?? Math.trunc(Math.random() * 2 ** 32))

  describe(`${exporter.name}: the declaration`, () => {
    test("keeps the rules of the registry", () => {
      expect(Result.getFailure(makeRegistry({ exporters: [exporter] }))).toMatchObject({ _tag: "None" })
    })

    test("gives up on a scrape before the next one is due", () => {
      expect(Duration.toMillis(exporter.scrape.timeout)).toBeLessThan(Duration.toMillis(exporter.scrape.interval))
    })

    test("explains each column in a sentence", () => {
      for (const [name, { doc }] of Object.entries(exporter.table.columns)) {
        expect(doc, `the doc of ${name}`).toMatch(/^\S.*\.$/s)
      }
    })

    test("is a value: a second call gives the same, and options change only what they name", () => {
      const { parse: _, ...again } = factory()
      const { parse: __, ...first } = exporter
      expect(again).toEqual(first)
      const tuned = factory({ endpoint: "http://127.0.0.1:1/metrics", retention: "400 days" })
      expect(tuned.scrape.endpoint).toBe("http://127.0.0.1:1/metrics")
      expect(tuned.table.columns).toBe(exporter.table.columns)
      expect(factory().scrape.endpoint).toBe(first.scrape.endpoint)
    })

    test("has at least one fixture that gives rows", () => {
      expect(cases.some(({ parsed }) => Result.isSuccess(parsed) && parsed.success.rows.length > 0)).toBe(true)
    })
  })

  describe(`${exporter.name}: goldens`, () => {
    for (const { expected, name, parsed } of cases) {
      test(name, () => {
        expect(golden(exporter, parsed)).toEqual({ skipped: [], counters_since: null, ...expected })
      })
    }
  })

  describe(`${exporter.name}: parse`, () => {
    test("is pure: frozen samples, parsed twice with another scrape between, give the same", () => {
      for (const { name, samples } of cases) {
        const frozen = deepFreeze(structuredClone(samples))
        const first = exporter.parse(frozen, SCRAPED_AT)
        for (const other of cases) exporter.parse(other.samples, SCRAPED_AT)
        expect(outcome(exporter.parse(frozen, SCRAPED_AT)), name).toEqual(outcome(first))
      }
    })

    test("looks at no sample outside the families that it declares", () => {
      const families = exporter.scrape.families
      if (families === undefined) return
      for (const { body, name, parsed } of cases) {
        const narrow = Result.getOrThrow(parseExposition(body, { families })).samples
        expect(outcome(exporter.parse(narrow, SCRAPED_AT)), name).toEqual(outcome(parsed))
      }
    })

    test("is total: no samples, and samples of another exporter, are an outcome and not an exception", () => {
      for (const samples of [[], [{ name: "up", labels: {}, value: 1 }]] satisfies Array<Array<Sample>>) {
        expect(problem(exporter, samples)).toBe("")
      }
    })

    test("is total: whatever values, labels and order the samples have, each row fits the declared columns", () => {
      const random = seededRandom(seed)
      for (const { name, samples } of cases) {
        for (let round = 0; round < (options.variations ?? 100); round++) {
          expect(problem(exporter, vary(samples, random)), `${name}, seed ${seed}, variation ${round}`).toBe("")
        }
      }
    })
  })

  describe(`${exporter.name}: on its way`, () => {
    test("each row is sent, accepted, put into the stream and read again unchanged", () => {
      const wire = makeWire(exporter)
      const codec = makeSnapshotCodec(makeWires([exporter]))
      const context = { serverId: "server", nowMicros: SCRAPED_AT.getTime() * 1_000 }
      for (const { name, parsed } of cases) {
        if (Result.isFailure(parsed)) continue
        const { countersSince, rows } = parsed.success
        for (const row of rows) {
          const sent: unknown = JSON.parse(JSON.stringify(wire.encodeRow(row, SCRAPED_AT, countersSince)))
          expect(Object.keys(wire.encodeFields(row)), name).toEqual(wire.fields)
          expect(Schema.is(wire.schema)(sent), name).toBe(true)
          const accepted = Result.getOrThrow(wire.decode(sent, context))
          expect(accepted.timestamp, name).toBe(context.nowMicros)
          expect(accepted.values, name).toEqual(Object.keys(exporter.table.columns).map((column) => row[column]))
          const entry = { serverId: "server", exporterName: exporter.name, snapshot: codec.encode(accepted) }
          expect(Result.getOrThrow(codec.decode(entry)), name).toEqual(accepted)
        }
      }
    })

    test("no two rows of a scrape have the same labels: the table would keep only one of them", () => {
      const labels = Object.entries(exporter.table.columns).filter(([, column]) => column.kind === "label")
      for (const { name, parsed } of cases) {
        if (Result.isFailure(parsed)) continue
        const keys = parsed.success.rows.map((row) => JSON.stringify(labels.map(([column]) => row[column])))
        expect(new Set(keys).size, name).toBe(keys.length)
      }
    })
  })
}

/** A fixed clock, later than any fixture: `parse` must not read another. */
const SCRAPED_AT = new Date("2100-01-01T00:00:00.000Z")

type Parsed = ReturnType<Exporter["parse"]>

interface Case {
  readonly name: string
  readonly body: Uint8Array
  readonly samples: ReadonlyArray<Sample>
  readonly parsed: Parsed
  readonly expected: Readonly<Record<string, unknown>>
}

const readCase = (exporter: Exporter, fixtures: URL, name: string): Case => {
  const folder = new URL(`${encodeURIComponent(name)}/`, fixtures)
  const body = readFileSync(new URL("input.prom", folder))
  const expected = JSON.parse(readFileSync(new URL("expected.json", folder), "utf8")) as Case["expected"]
  const samples = Result.getOrThrow(parseExposition(body)).samples
  return { name, body, samples, parsed: exporter.parse(samples, SCRAPED_AT), expected }
}

const outcome = (parsed: Parsed): unknown =>
  Result.isSuccess(parsed) ? parsed.success : { error: parsed.failure.reason }

/** What is wrong with what `parse` makes of the samples; empty where nothing is. */
const problem = (exporter: Exporter, samples: ReadonlyArray<Sample>): string => {
  let parsed: Parsed
  try {
    parsed = exporter.parse(deepFreeze(samples), SCRAPED_AT)
  } catch (error) {
    return `parse threw ${String(error)}`
  }
  if (Result.isFailure(parsed)) {
    const { exporter: name, reason } = parsed.failure
    return name === exporter.name && reason !== "" ? "" : `a ParseError must name "${exporter.name}" and give a reason`
  }
  return misfits(exporter.table.columns, parsed.success)
}

const misfits = (columns: Columns, { countersSince, rows, skipped }: ParsedScrape<Row<Columns>>): string => {
  if (countersSince !== null && !Number.isFinite(countersSince)) return `counters since ${countersSince}`
  if (skipped.some(({ reason }) => reason === "" || reason.length > 2_000)) return "a reason is empty or endless"
  const names = Object.keys(columns).sort().join(" ")
  for (const row of rows) {
    const keys = Object.keys(row).sort().join(" ")
    if (keys !== names) return `a row has the columns ${keys} and not ${names}`
    for (const [name, column] of Object.entries(columns)) {
      if (!fits(column)(row[name])) return `${name} cannot hold ${String(row[name])}`
    }
  }
  return ""
}

const HOSTILE_VALUES = [Number.NaN, Infinity, -Infinity, -1, -0, 0.5, 1e308, 2 ** 31, 2 ** 53, 5e-324]
const HOSTILE_LABELS = [
  "",
  "\0",
  "\ud800",
  "__proto__",
  "constructor",
  "\u2028",
  "é".repeat(20_000),
  "💩",
  "a\r\nb",
  '"}'
]

/** A copy of the samples, shuffled, with some left out, repeated, and given other values and labels. */
const vary = (samples: ReadonlyArray<Sample>, random: () => number): ReadonlyArray<Sample> => {
  const pick = <A>(from: ReadonlyArray<A>): A => from[Math.trunc(random() * from.length)]!
  // Few changes find what a single odd sample does, many what an exporter gone mad does.
  const share = pick([0.001, 0.02, 0.5, 1])
  const hit = () => random() < share
  const varied = samples.flatMap((sample): Array<Sample> => {
    if (!hit()) return [sample]
    const labels: Record<string, string> = Object.create(null)
    for (const [name, value] of Object.entries(sample.labels)) {
      if (random() < 0.9) labels[name] = hit() && random() < 0.5 ? pick(HOSTILE_LABELS) : value
    }
    if (random() < 0.1) Object.defineProperty(labels, "__proto__", { value: "x", enumerable: true })
    const changed = { ...sample, labels, value: random() < 0.7 ? pick(HOSTILE_VALUES) : sample.value }
    return random() < 0.1 ? [] : random() < 0.2 ? [sample, changed] : [changed]
  })
  for (let last = varied.length - 1; last > 0; last--) {
    const other = Math.trunc(random() * (last + 1))
    const swapped = varied[last]!
    varied[last] = varied[other]!
    varied[other] = swapped
  }
  return varied
}

const deepFreeze = <A>(value: A): A => {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value)
    for (const inner of Object.values(value)) deepFreeze(inner)
  }
  return value
}
