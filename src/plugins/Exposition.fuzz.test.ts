/**
 * The exposition parser against generated and broken input. Each run draws a new seed, which is part of the tests'
 * names; NODEPULSE_SEED repeats it, and NODEPULSE_FUZZ sets how many inputs each test tries.
 */
import { randomInt } from "node:crypto"
import { readFileSync } from "node:fs"
import { assert, beforeEach, describe, expect, it } from "@effect/vitest"
import { Result } from "effect"
import { seededRandom } from "../../test/Seeded.ts"
import { type Exposition, type ExpositionFormat, limits, parseExposition, type Sample } from "./Exposition.ts"
import { readSample } from "./ExpositionLine.ts"

const INPUTS = Number(process.env.NODEPULSE_FUZZ ?? 300)
const SEED = Number(process.env.NODEPULSE_SEED ?? randomInt(2 ** 31))

const fixture = (name: string): Buffer => readFileSync(new URL(`fixtures/exposition/${name}`, import.meta.url))
const scrapes = ["node.prom", "process.prom", "process-odd-names.prom"].map(fixture)
const openMetrics = fixture("openmetrics.txt")

let next = seededRandom(SEED)
beforeEach(() => {
  next = seededRandom(SEED)
})

/** A number from 0 up to but not including `below`. */
const below = (bound: number): number => Math.floor(next() * bound)
const oneOf = <A>(choices: ReadonlyArray<A>): A => choices[below(choices.length)] as A
const times = <A>(count: number, make: () => A): ReadonlyArray<A> => Array.from({ length: count }, make)

const parsed = (body: string | Uint8Array, format: ExpositionFormat = "text"): Exposition => {
  const result = parseExposition(body, { format })
  if (Result.isFailure(result)) assert.fail(`refused: ${result.failure.message}`)
  return result.success
}

const NAME_START = "abcXYZ_"
const NAME_REST = `${NAME_START}0189`
const ODD = [
  "",
  " ",
  "\t",
  "\r",
  "\\",
  '"',
  "\n",
  "{",
  "}",
  ",",
  "=",
  "#",
  "é",
  "\u2028",
  "🚀",
  "\u0000",
  "\uFEFF",
  "x"
]

const name = (): string => oneOf([...NAME_START]) + times(below(8), () => oneOf([...NAME_REST])).join("")
const oddText = (): string => times(below(12), () => oneOf(ODD)).join("")
const labelName = (): string =>
  oneOf([name, name, name, () => oneOf(["__proto__", "constructor"]), () => `${oddText()}.`])()

const double = new DataView(new ArrayBuffer(8))
const value = (): number => {
  double.setUint32(0, below(2 ** 32))
  double.setUint32(4, below(2 ** 32))
  return oneOf([double.getFloat64(0), below(10_000), below(1e9) / 1000, -below(100), 0, NaN, Infinity, -Infinity])
}

const sample = (): Sample => {
  const labels = Object.fromEntries(times(below(4), () => [labelName(), oddText()] as const))
  const plain = { name: oneOf([name, name, name, () => `${oddText()}.`])(), labels, value: value() }
  return oneOf([plain, { ...plain, timestamp: below(2 ** 32) * 1000 - 5 }])
}

const quoted = (written: string): string =>
  `"${written.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n")}"`
const PLAIN = /^[a-zA-Z_][a-zA-Z0-9_]*$/

const number = (value: number): string => {
  if (Number.isNaN(value)) return oneOf(["NaN", "nan"])
  if (!Number.isFinite(value)) return value < 0 ? "-Inf" : oneOf(["+Inf", "Inf", "inf"])
  if (Object.is(value, -0)) return "-0"
  return oneOf([String(value), value.toExponential(), value.toPrecision(17)])
}

/** Writes a sample in one of the ways that the format allows; `gap` is what may stand between any two parts. */
const render = ({ name, labels, value, timestamp }: Sample, format: ExpositionFormat, gap: () => string): string => {
  const pairs = Object.entries(labels).map(
    ([label, text]) => `${PLAIN.test(label) ? label : quoted(label)}${gap()}=${gap()}${quoted(text)}`
  )
  const bare = PLAIN.test(name)
  const parts = bare ? pairs : pairs.toSpliced(below(pairs.length + 1), 0, quoted(name))
  const braces = parts.length > 0 ? `{${gap()}${parts.join(`${gap()},${gap()}`)}${gap()}}` : ""
  const time = timestamp === undefined ? "" : ` ${gap()}${format === "text" ? timestamp : timestamp / 1000}`
  return `${gap()}${bare ? name + (braces === "" ? "" : gap()) : ""}${braces} ${gap()}${number(value)}${time}${gap()}`
}

describe(`expositions (NODEPULSE_SEED=${SEED})`, () => {
  it("come back as the samples that they were written from", () => {
    for (let input = 0; input < INPUTS; input++) {
      const samples = times(1 + below(8), sample)
      const none = (): string => ""
      const some = (): string => oneOf(["", "", " ", "\t", " \t "])
      const written = samples.map((each) => `${render(each, "text", oneOf([none, some]))}\n`).join("")
      expect(parsed(written), written).toEqual({ samples, skipped: [], skippedCount: 0 })
      expect(parsed(Buffer.from(written)), written).toEqual({ samples, skipped: [], skippedCount: 0 })
      const strict = `${samples.map((each) => `${render(each, "openmetrics", none)}\n`).join("")}# EOF\n`
      expect(parsed(strict, "openmetrics"), strict).toEqual({ samples, skipped: [], skippedCount: 0 })
    }
  })

  it("have the same values as the language reads, to the last bit", () => {
    for (let input = 0; input < INPUTS * 10; input++) {
      const digits = (): string => times(1 + below(oneOf([3, 17, 25])), () => oneOf([..."0123456789"])).join("")
      const exponent = `${oneOf(["e", "E"])}${oneOf(["", "+", "-"])}${below(oneOf([30, 300]))}`
      const written = `${oneOf(["", "-", "+"])}${digits()}${oneOf(["", ".", `.${digits()}`])}${oneOf(["", exponent])}`
      const expected = Number(written)
      const { samples, skippedCount } = parsed(`a 1\na{b="c"} ${written}\n`)
      if (Number.isFinite(expected)) expect(samples[1]?.value, written).toBe(expected)
      else expect(skippedCount, written).toBe(1)
    }
  })

  it("are either refused or read as before, cut at any byte", () => {
    const odd = scrapes[2] as Buffer
    const start = odd.indexOf("namedprocess_namegroup_num_procs{")
    const bodies = [
      odd.subarray(start, odd.indexOf("\n", start + 1800) + 1),
      Buffer.from('a{b="é🚀",c="\\""} 12.5e3 17000\n {"d"} 1\n\n')
    ]
    for (const body of bodies) {
      const { samples } = parsed(body)
      for (let end = 0; end <= body.length; end++) {
        const result = parseExposition(body.subarray(0, end))
        const complete = end === 0 || body[end - 1] === 10 || /\n[ \t]+$/.test(body.toString("latin1", 0, end))
        expect(Result.isSuccess(result)).toBe(complete)
        if (Result.isSuccess(result))
          expect(result.success.samples).toEqual(samples.slice(0, result.success.samples.length))
      }
    }
    for (let end = 0; end < openMetrics.length; end++) {
      const result = parseExposition(openMetrics.subarray(0, end), { format: "openmetrics" })
      expect(Result.isSuccess(result)).toBe(end === openMetrics.length - 1)
    }
  })

  it("with a broken line have all other lines as they were", () => {
    const lines = scrapes.flatMap((scrape) =>
      scrape
        .toString()
        .split("\n")
        .filter((line) => /^[a-z]/.test(line))
    )
    for (let input = 0; input < INPUTS; input++) {
      const first = below(lines.length - 6)
      const before = lines.slice(first, first + 3)
      const after = lines.slice(first + 3, first + 6)
      const broken = mutated(Buffer.from(oneOf(lines)))
        .toString()
        .replaceAll("\n", "")
      const samples = parsed([...before, ...after, ""].join("\n")).samples
      const { samples: all, skipped } = parsed([...before, broken, ...after, ""].join("\n"))
      expect(all.slice(0, 3), broken).toEqual(samples.slice(0, 3))
      expect(all.slice(-3), broken).toEqual(samples.slice(-3))
      expect(
        skipped.every(({ line }) => line === 4),
        broken
      ).toBe(true)
      // The line alone is what the careful reader makes of it: the fast path takes nothing that it would not.
      const alone = readSample(broken, "text")
      if (typeof alone === "string") {
        expect(all, broken).toHaveLength(6)
        if (!/^[ \t]*(#|$)/.test(broken)) expect(skipped, broken).toEqual([{ line: 4, reason: alone }])
      } else expect(all[3], broken).toEqual(alone)
    }
  })

  it("of any bytes are refused, or read into samples that are whole", () => {
    for (let input = 0; input < INPUTS; input++) {
      const body = oneOf([randomBytes, mutatedScrape])()
      for (const format of ["text", "openmetrics"] as const) {
        for (const families of [undefined, ["namedprocess_namegroup_num_procs", "node_cpu_seconds_total"]]) {
          const result = parseExposition(body, families === undefined ? { format } : { format, families })
          if (Result.isFailure(result)) expect(result.failure.message.length).toBeLessThan(500)
          else whole(result.success, families)
        }
      }
    }
  })

  it("that are made to be slow are not", () => {
    const size = 1024 * 1024
    const parts = [
      "{",
      '"',
      "\\",
      'a{b="',
      'a{b="c",',
      "a 1",
      "\n",
      " ",
      "\t",
      "#",
      "# EOF",
      "a{",
      "1",
      "é",
      'a{b="\\\\"} 1\n',
      "# EOF \n"
    ]
    for (const part of [...parts, ...times(4, () => oneOf(parts) + oneOf(parts))]) {
      const body = `${part.repeat(size / part.length)}\n`
      for (const format of ["text", "openmetrics"] as const) {
        const result = parseExposition(body, { format })
        if (Result.isSuccess(result)) expect(result.success.skipped.length).toBeLessThanOrEqual(limits.reasons)
      }
    }
  })
})

const randomBytes = (): Buffer => {
  const alphabet = Buffer.from('ab_1 \t\n\r{}=,"\\#.eE+-NaInf')
  return Buffer.from(times(below(200), () => oneOf([() => below(256), () => oneOf([...alphabet])])()))
}

const mutatedScrape = (): Buffer => {
  const scrape = oneOf([...scrapes, openMetrics])
  const start = below(scrape.length)
  let body = scrape.subarray(start, start + below(3000))
  for (let count = below(10); count > 0; count--) body = mutated(body)
  return Buffer.concat([body, Buffer.from(oneOf(["", "\n", "# EOF\n", "\n# EOF\n"]))])
}

/** One byte changed, dropped, doubled, or replaced by something that means something. */
const mutated = (body: Buffer): Buffer => {
  const at = below(body.length + 1)
  const odd = Buffer.from(oneOf([...ODD, "1", "e5", ".", "-", "{a=", '{"a"}', "# ", "\\n", '","']))
  const [put, dropped] = oneOf([
    [Buffer.from([below(128)]), 1],
    [Buffer.alloc(0), 1 + below(5)],
    [body.subarray(at, at + below(20)), 0],
    [odd, below(2)]
  ] as const)
  return Buffer.concat([body.subarray(0, at), put, body.subarray(at + dropped)])
}

const whole = (exposition: Exposition, families: ReadonlyArray<string> | undefined): void => {
  const { samples, skipped, skippedCount } = exposition
  assert(skippedCount >= skipped.length)
  for (const { name, labels, value, timestamp } of samples) {
    assert(name !== "" && name.isWellFormed() && typeof value === "number")
    assert(timestamp === undefined || Number.isSafeInteger(timestamp))
    assert(families === undefined || families.includes(name))
    for (const [label, text] of Object.entries(labels)) {
      assert(label !== "" && label.isWellFormed() && typeof text === "string" && text.isWellFormed())
    }
  }
  for (const { line, reason } of skipped) assert(line >= 1 && reason !== "" && reason.length < 500)
}
