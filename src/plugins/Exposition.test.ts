import { readFileSync } from "node:fs"
import { gzipSync } from "node:zlib"
import { assert, describe, expect, it } from "@effect/vitest"
import { Result } from "effect"
import {
  type Exposition,
  type ExpositionOptions,
  formatOf,
  formatOfBody,
  limits,
  parseExposition,
  type Sample
} from "./Exposition.ts"
import { expositionToJson } from "./ExpositionJson.ts"

const fixture = (name: string): Buffer => readFileSync(new URL(`fixtures/exposition/${name}`, import.meta.url))

const parsed = (body: string | Uint8Array, options?: ExpositionOptions): Exposition => {
  const result = parseExposition(body, options)
  if (Result.isFailure(result)) assert.fail(`refused: ${result.failure.message}`)
  return result.success
}

const refusal = (body: string | Uint8Array, options?: ExpositionOptions): string => {
  const result = parseExposition(body, options)
  if (Result.isSuccess(result)) assert.fail(`not refused, ${result.success.samples.length} samples`)
  return result.failure.message
}

// A good neighbour, so that the body of one bad line is not refused as a whole.
const GOOD = "good 1\n"

const text = (line: string): Sample => {
  const { samples, skipped } = parsed(`${GOOD}${line}\n`)
  if (samples[1] === undefined) assert.fail(`skipped: ${skipped[0]?.reason}`)
  return samples[1]
}

const badText = (line: string): string => {
  const { samples, skipped, skippedCount } = parsed(`${GOOD}${line}\n${GOOD}`)
  expect(samples.map((sample) => sample.name)).toEqual(["good", "good"])
  expect(skippedCount).toBe(1)
  expect(skipped[0]?.line).toBe(2)
  return skipped[0]?.reason ?? ""
}

const open = (line: string): Sample => {
  const { samples, skipped } = parsed(`${GOOD}${line}\n# EOF\n`, { format: "openmetrics" })
  if (samples[1] === undefined) assert.fail(`skipped: ${skipped[0]?.reason}`)
  return samples[1]
}

const badOpen = (line: string): string => {
  const { samples, skipped, skippedCount } = parsed(`${GOOD}${line}\n${GOOD}# EOF\n`, { format: "openmetrics" })
  expect(samples.map((sample) => sample.name)).toEqual(["good", "good"])
  expect(skippedCount).toBe(1)
  expect(skipped[0]?.line).toBe(2)
  return skipped[0]?.reason ?? ""
}

describe("a sample of the text format", () => {
  it.each<[line: string, expected: Sample]>([
    ["a 1", { name: "a", labels: {}, value: 1 }],
    ["_a:b_9 1", { name: "_a:b_9", labels: {}, value: 1 }],
    [":a 1", { name: ":a", labels: {}, value: 1 }],
    ["a{} 1", { name: "a", labels: {}, value: 1 }],
    ["a{ } 1", { name: "a", labels: {}, value: 1 }],
    ['a{b="c"} 1', { name: "a", labels: { b: "c" }, value: 1 }],
    ['a{b="c",} 1', { name: "a", labels: { b: "c" }, value: 1 }],
    ['a{b="c" , } 1', { name: "a", labels: { b: "c" }, value: 1 }],
    ['a{b="c",d="e"} 1', { name: "a", labels: { b: "c", d: "e" }, value: 1 }],
    ['a{b=""} 1', { name: "a", labels: { b: "" }, value: 1 }],
    ['a{b="c"}1', { name: "a", labels: { b: "c" }, value: 1 }],
    [' \ta\t{ b\t= "c" ,\td  =\t"e"\t}\t 1 \t', { name: "a", labels: { b: "c", d: "e" }, value: 1 }],
    ["a\t1", { name: "a", labels: {}, value: 1 }],
    ["a 1 ", { name: "a", labels: {}, value: 1 }],
    ["a 1 1700000000123", { name: "a", labels: {}, value: 1, timestamp: 1700000000123 }],
    ["a 1\t \t-5\t", { name: "a", labels: {}, value: 1, timestamp: -5 }],
    ["a 1 +5", { name: "a", labels: {}, value: 1, timestamp: 5 }],
    ["a 1 -0", { name: "a", labels: {}, value: 1, timestamp: 0 }],
    ['a{b="c"} NaN 7', { name: "a", labels: { b: "c" }, value: NaN, timestamp: 7 }]
  ])("is read: %j", (line, expected) => {
    expect(text(line)).toEqual(expected)
  })

  it.each<[body: string, value: string]>([
    ["\\\\", "\\"],
    ['\\"', '"'],
    ["\\n", "\n"],
    ["\\\\n", "\\n"],
    ['a=1,b=\\"2\\"} 3', 'a=1,b="2"} 3'],
    ["}", "}"],
    ["# HELP", "# HELP"],
    ["a\rb", "a\rb"],
    ["a\u2028b\u2029c\u0085d", "a\u2028b\u2029c\u0085d"],
    ["\t\u001b[31m\u007f", "\t\u001b[31m\u007f"],
    ["é\u0301🚀", "é\u0301🚀"],
    ["\uFEFF", "\uFEFF"],
    ["a\u0000b", "a\u0000b"],
    ["\uFFFD", "\uFFFD"]
  ])("has the label value %j as it was before it was escaped", (escaped, value) => {
    expect(text(`a{b="${escaped}",c="d"} 1`).labels).toEqual({ b: value, c: "d" })
  })

  it.each<[text: string, value: number]>([
    ["0", 0],
    ["-0", -0],
    ["+1", 1],
    ["007", 7],
    ["1.", 1],
    [".5", 0.5],
    ["-.5e1", -5],
    ["1e3", 1000],
    ["1E+3", 1000],
    ["1e-3", 0.001],
    ["1.320768e+06", 1320768],
    ["7.424100000000001e-05", 7.424100000000001e-5],
    ["1.8446744073709552e+19", 1.8446744073709552e19],
    ["9007199254740993", 9007199254740992],
    ["0.1000000000000000055511151231257827", 0.1],
    ["123456789012345678901234567890", 1.2345678901234568e29],
    ["1e23", 1e23],
    ["1.7976931348623157e308", Number.MAX_VALUE],
    ["5e-324", 5e-324],
    ["1e-400", 0],
    ["0e99999999", 0],
    ["NaN", NaN],
    ["nan", NaN],
    ["Inf", Infinity],
    ["+Inf", Infinity],
    ["-Inf", -Infinity],
    ["inf", Infinity],
    ["-INFINITY", -Infinity]
  ])("has the value %s to the last bit", (written, value) => {
    expect(text(`a ${written}`).value).toBe(value)
    expect(text(`a{b="c"}\t${written}`).value).toBe(value)
  })

  it.each<[line: string, expected: Omit<Sample, "value">]>([
    ['{"http.requests"} 1', { name: "http.requests", labels: {} }],
    ['{"http.requests", "label.name"="x"} 1', { name: "http.requests", labels: { "label.name": "x" } }],
    ['{a="b", "http.requests" , c="d",} 1', { name: "http.requests", labels: { a: "b", c: "d" } }],
    ['a{"label.name"="x"} 1', { name: "a", labels: { "label.name": "x" } }],
    ['{"my \\"metric\\"\\n\\\\"} 1', { name: 'my "metric"\n\\', labels: {} }],
    ['{"größe","länge 🚀"="x"} 1', { name: "größe", labels: { "länge 🚀": "x" } }],
    ['{"plain"} 1', { name: "plain", labels: {} }]
  ])("may have names in quotes, which hold any character: %s", (line, expected) => {
    expect(text(line)).toEqual({ ...expected, value: 1 })
  })

  it("has labels called __proto__ and constructor as properties of its own, and no others", () => {
    for (const line of ['a{__proto__="x",constructor="y"} 1', 'a{__proto__ = "x",constructor="y"} 1']) {
      const { labels } = text(line)
      expect(Object.entries(labels)).toEqual([
        ["__proto__", "x"],
        ["constructor", "y"]
      ])
      expect(labels.toString).toBeUndefined()
      expect(JSON.stringify(labels)).toBe('{"__proto__":"x","constructor":"y"}')
    }
    expect(text("a 1").labels.constructor).toBeUndefined()
    expect(Object.getPrototypeOf(Object.getPrototypeOf(text("a 1").labels))).toBeNull()
  })
})

describe("a bad line", () => {
  it.each<[line: string, reason: string]>([
    ["9a 1", 'expected a metric name, found "9"'],
    ["ä 1", 'expected a metric name, found "ä"'],
    ["\r", 'expected a metric name, found "\\r"'],
    ["a-b 1", 'expected a blank or { after the metric name, found "-"'],
    ["a-0 5", 'expected a blank or { after the metric name, found "-"'],
    ["a", "there is no value"],
    ["a ", "there is no value"],
    ['a{b="c"}', "there is no value"],
    ["a x", 'the value "x" is not a number'],
    ["a 1\r", 'the value "1\\r" is not a number'],
    ["a 0x10", 'the value "0x10" is not a number'],
    ["a 0x1p-3", 'the value "0x1p-3" is not a number'],
    ["a 1_000", 'the value "1_000" is not a number'],
    ["a .", 'the value "." is not a number'],
    ["a 1e", 'the value "1e" is not a number'],
    ["a 1,5", 'the value "1,5" is not a number'],
    ["a +nan", 'the value "+nan" is not a number'],
    ["a Infinit", 'the value "Infinit" is not a number'],
    ["a 1e999", 'the value "1e999" is beyond the range of a double'],
    ["a -1e309", 'the value "-1e309" is beyond the range of a double'],
    ["a{ 1", 'expected a label name, found "1"'],
    ["a{", "expected a label name, found the end of the line"],
    ["a{,} 1", 'expected a label name, found ","'],
    ['a{b="c",,} 1', 'expected a label name, found ","'],
    ['a{b:c="d"} 1', 'expected = after the label name "b", found ":"'],
    ['a{="c"} 1', 'expected a label name, found "="'],
    ["a{b} 1", 'expected = after the label name "b", found "}"'],
    ["a{b=c} 1", 'expected " before the value of the label "b", found "c"'],
    ["a{b='c'} 1", 'expected " before the value of the label "b", found "\'"'],
    ['a{b="c} 1', 'the value of the label "b" has no closing quote'],
    ['a{b="c\\', 'the value of the label "b" has no closing quote'],
    ['a{b="c\\"} 1', 'the value of the label "b" has no closing quote'],
    ['a{b="\\t"} 1', 'the value of the label "b" has the unknown escape "\\\\t"'],
    ['a{b="c" d="e"} 1', 'expected , or } after "b", found "d"'],
    ['a{b="c"', 'expected , or } after "b", found the end of the line'],
    ['a{b="c",b="c"} 1', 'the label "b" occurs twice'],
    ['a{b="c",d="e", b="c"} 1', 'the label "b" occurs twice'],
    ['a{b="c","b"="c"} 1', 'the label "b" occurs twice'],
    ['a{__name__="c"} 1', "the label name __name__ is reserved"],
    ['{b="c"} 1', "the metric has no name"],
    ["{} 1", "the metric has no name"],
    ['{""} 1', "there is an empty name"],
    ['a{""="b"} 1', "there is an empty name"],
    ['{"a","b"} 1', 'the metric has two names, "a" and "b"'],
    ['a{"b"} 1', 'expected = after the label name "b", found "}"'],
    ['{"a\\x"} 1', 'the name has the unknown escape "\\\\x"'],
    ['{"a.b".c="d"} 1', 'expected = after the label name "a.b", found "."']
  ])("is named with what is wrong with it: %j", (line, reason) => {
    expect(badText(line)).toBe(reason)
  })

  it("does not join the line after it", () => {
    const { samples, skipped } = parsed('a{b="c\nd{e="} 1\nf{g="h"} 2\n')
    expect(samples).toEqual([{ name: "f", labels: { g: "h" }, value: 2 }])
    expect(skipped.map((line) => line.line)).toEqual([1, 2])
  })

  it("may end the body anywhere in what the line before has", () => {
    const line = 'abcdef{ghijkl="m"} 1\n'
    for (let length = 1; length < line.length - 2; length++) {
      expect(parsed(`${line}${line.slice(0, length)}\n`).skippedCount).toBe(1)
    }
  })

  it("is quoted in part, whatever its length", () => {
    const reason = badText(`a ${"é".repeat(1000)}`)
    expect(reason.length).toBeLessThan(100)
    expect(reason).toContain(`"${"é".repeat(40)}"…`)
    expect(badText(`a ${"🚀".repeat(1000)}`).isWellFormed()).toBe(true)
    expect(badText(`a{${"b".repeat(9000)}="\\t"} 1`).length).toBeLessThan(200)
  })

  it("is one that is longer than the bound", () => {
    const line = (length: number): string => `a{b="${"x".repeat(length - 9)}"} 1`
    expect(text(line(limits.lineBytes)).labels.b).toHaveLength(limits.lineBytes - 9)
    expect(badText(line(limits.lineBytes + 1))).toContain("more than the 65536")
    expect(badText(`${line(limits.lineBytes + 1)} 5`)).toContain("more than the 65536")
  })

  it("is one that has more labels than the bound", () => {
    const line = (count: number, equals: string): string =>
      `a{${Array.from({ length: count }, (_, index) => `l${index}${equals}"x"`).join(",")}} 1`
    for (const equals of ["=", " = "]) {
      expect(Object.keys(text(line(limits.labels, equals)).labels)).toHaveLength(limits.labels)
      expect(badText(line(limits.labels + 1, equals))).toBe("there are more than 128 labels")
    }
  })

  it("is counted also where it is no longer named", () => {
    const { samples, skipped, skippedCount } = parsed(`${GOOD}${"bad\n".repeat(limits.reasons + 5)}`)
    expect(samples).toHaveLength(1)
    expect(skipped).toHaveLength(limits.reasons)
    expect(skipped.at(-1)?.line).toBe(limits.reasons + 1)
    expect(skippedCount).toBe(limits.reasons + 5)
  })

  it("is one that is not valid Unicode, and its neighbours are kept", () => {
    const bytes = Buffer.concat([
      Buffer.from('a{b="é"} 1\na{b="'),
      Buffer.from([0xff]),
      Buffer.from('"} 2\n# HELP a caf'),
      Buffer.from([0xe9]),
      Buffer.from('\na{b="\uFFFD"} 3\na{b="'),
      Buffer.from([0xc3]),
      Buffer.from("\na 4\n")
    ])
    const { samples, skipped } = parsed(bytes)
    expect(samples).toEqual([
      { name: "a", labels: { b: "é" }, value: 1 },
      { name: "a", labels: { b: "\uFFFD" }, value: 3 },
      { name: "a", labels: {}, value: 4 }
    ])
    expect(skipped).toEqual([
      { line: 2, reason: "the line is not valid Unicode" },
      { line: 5, reason: "the line is not valid Unicode" }
    ])
  })

  it("is one with half a surrogate pair, where the body is a string", () => {
    const { samples, skipped } = parsed('a{b="\ud83d"} 1\na{b="🚀"} 2\n')
    expect(samples).toEqual([{ name: "a", labels: { b: "🚀" }, value: 2 }])
    expect(skipped).toEqual([{ line: 1, reason: "the line is not valid Unicode" }])
  })
})

describe("what cannot be read behind the value", () => {
  const noted = (format: "text" | "openmetrics", line: string) => {
    const { notes, samples, skippedCount } = parsed(`${GOOD}${line}\n${format === "text" ? "" : "# EOF\n"}`, { format })
    expect([samples.length, skippedCount]).toEqual([2, 0])
    expect(samples[1]).toMatchObject({ name: "a", labels: {}, value: 1 })
    return { timestamp: samples[1]?.timestamp, notes }
  }

  it.each<[line: string, reason: string]>([
    ["a 1 2.5", 'the timestamp "2.5" is not a whole number of milliseconds'],
    ["a 1 x", 'the timestamp "x" is not a whole number of milliseconds'],
    ["a 1 9007199254740993", 'the timestamp "9007199254740993" is out of range'],
    ['a 1 # {b="c"} 1', 'the timestamp "#" is not a whole number of milliseconds'],
    ["a 1 2 3", 'expected the end of the line after the timestamp, found "3"'],
    ["a 1 123456789012345678901", 'the timestamp "123456789012345678901" is out of range']
  ])("is left out of the text format with a note, and the sample is kept: %j", (line, reason) => {
    expect(noted("text", line)).toEqual({
      timestamp: undefined,
      notes: [{ line: 2, reason: `${reason}; the sample is kept without its timestamp` }]
    })
  })

  it.each<[line: string, reason: string]>([
    ["a 1 2 3", 'expected an exemplar after the timestamp, found "3"'],
    ["a 1 ", 'the timestamp "" is not a number of seconds'],
    ["a 1 2 ", "expected an exemplar after the timestamp, found the end of the line"],
    ["a 1 NaN", 'the timestamp "NaN" is not a number of seconds'],
    ["a 1 +Inf", 'the timestamp "+Inf" is not a number of seconds'],
    ["a 1 1e300", 'the timestamp "1e300" is out of range'],
    ["a 1 #", "expected the labels of the exemplar, found the end of the line"],
    ['a 1 # {b="c"}', "expected the value of the exemplar, found the end of the line"],
    ['a 1 # {b="c"} x', 'the value "x" is not a number'],
    ['a 1 # {b="c"} 1 x', 'the timestamp "x" is not a number of seconds'],
    ['a 1 # {b="c"} 1 2 3', 'expected the end of the line after the exemplar, found " "'],
    ['a 1 # {b="c",b="d"} 1', 'the label "b" occurs twice'],
    ["a 1 12345678901234567890", 'the timestamp "12345678901234567890" is out of range']
  ])("is left out of OpenMetrics with a note, and the sample is kept: %j", (line, reason) => {
    const what = line.includes("#") ? "exemplar" : "timestamp"
    expect(noted("openmetrics", line)).toEqual({
      timestamp: undefined,
      notes: [{ line: 2, reason: `${reason}; the sample is kept without its ${what}` }]
    })
  })

  it("is told of the samples that are asked for, and where there is nothing to tell there are no notes", () => {
    expect(parsed("a 1 x\nb 1 x\n", { families: ["b"] }).notes?.map(({ line }) => line)).toEqual([2])
    expect("notes" in parsed("a 1 5\n")).toBe(false)
    expect(expositionToJson(parsed("a 1 x\n")).notes).toHaveLength(1)
  })

  it("leaves a timestamp alone that can be read before a bad exemplar", () => {
    expect(noted("openmetrics", "a 1 5 # x").timestamp).toBe(5_000)
  })

  it("does not hide a bad value: that line stays bad", () => {
    expect(badText("a y x")).toBe('the value "y" is not a number')
  })
})

describe("the text format", () => {
  it("takes comments, metadata and blank lines for what they are, odd ones too", () => {
    const { samples, skipped } = parsed(
      [
        "",
        " \t",
        "#",
        "# a comment",
        "#HELP a",
        "# HELP",
        "# HELP a two-line\\n doc \\x",
        "\t #\tTYPE  a   counter ",
        "# TYPE a nonsense",
        "# TYPE met-ric",
        "# TYPE a counter",
        "# UNIT a seconds",
        "# EOF",
        "a 1",
        ""
      ].join("\n")
    )
    expect(samples).toEqual([{ name: "a", labels: {}, value: 1 }])
    expect(skipped).toEqual([])
  })

  it("has no samples where the body is empty or blank", () => {
    for (const body of ["", "\n", "\n\n \t\n", "   ", new Uint8Array(0)]) {
      expect(parsed(body)).toEqual({ samples: [], skipped: [], skippedCount: 0 })
    }
  })

  it("may begin with a byte order mark", () => {
    expect(parsed("\uFEFFa 1\n").samples).toEqual([{ name: "a", labels: {}, value: 1 }])
    expect(parsed(Buffer.from("\uFEFFa 1\n")).samples).toEqual([{ name: "a", labels: {}, value: 1 }])
    expect(parsed("a 1\n\uFEFFa 2\n").skipped).toEqual([{ line: 2, reason: 'expected a metric name, found "\uFEFF"' }])
  })

  it("is refused where its last line lacks its line feed", () => {
    expect(refusal("a 1")).toBe('line 1: the body is cut off: its last line, "a 1", has no line feed')
    expect(refusal("a 1\nb 12")).toBe('line 2: the body is cut off: its last line, "b 12", has no line feed')
    expect(refusal("a 1\n# HELP b tex")).toContain("line 2")
    expect(parsed("a 1\n\t ").samples).toHaveLength(1)
  })
})

describe("what is no exposition", () => {
  it.each([
    "<!DOCTYPE html>\n<html><body>\n<h1>502 Bad Gateway</h1>\n</body></html>\n",
    "404 page not found\n",
    "Unauthorized: no token given\n",
    '{"error":"not found"}\n',
    "# a comment\nnothing else that is valid\n",
    "a 1\r\nb 2\r\n"
  ])("is refused as a whole: %j", (body) => {
    for (const families of [undefined, ["a"]]) {
      expect(refusal(body, families === undefined ? {} : { families })).toMatch(/^line \d: this is not an exposition/)
    }
  })

  it.each<[body: string | Uint8Array, what: string]>([
    ["<!doctype html><title>Sign in</title>", "a web page"],
    ["\n <html>\n</html>\n", "a web page"],
    ["<?xml version='1.0'?>\n", "a web page"],
    ['{"error":"not found"}', "JSON"],
    ["{}", "JSON"],
    ["[]\n", "JSON"],
    [gzipSync("a 1\n"), "gzip data that nothing has unpacked"]
  ])("is called by its name: %j", (body, what) => {
    expect(refusal(body)).toContain(`this is not an exposition but ${what}`)
  })

  it("is a body with line ends of CR LF: that is told, and not that the exporter is another", () => {
    const told = "its lines end in a carriage return and a line feed (CR LF)"
    for (const families of [undefined, ["a"]]) {
      const options = families === undefined ? {} : { families }
      expect(refusal('# HELP a text\r\n# TYPE a gauge\r\na 1\r\na{b="c"} 2\r\n', options)).toContain(told)
      expect(refusal("other 1\r\n\r\na 1\r\n", options)).toContain(told)
    }
    expect(refusal("a 1\r\n# EOF\r\n", { format: "openmetrics" })).toContain(told)
    expect(refusal('# TYPE a gauge\na{b="\r\nc 1\r\n')).toContain(told)
    expect(parsed('a 1\na{b="c\rd"} 2\nb 3\r\n').samples).toHaveLength(2)
  })

  it("is refused where it is UTF-16", () => {
    expect(refusal(Buffer.from("\uFEFFa 1\nb 2\n", "utf16le"))).toContain("cut off")
  })

  it("is told from an exposition by one good line", () => {
    expect(parsed("a 1\n<html>\n").skippedCount).toBe(1)
    expect(parsed("# TYPE a gauge\na x\n").skippedCount).toBe(1)
    expect(parsed("a x\n# EOF\n", { format: "openmetrics" }).skippedCount).toBe(1)
  })

  it("is refused where it is larger than the bound", () => {
    expect(refusal(new Uint8Array(limits.bodyBytes + 1))).toContain("more than the 67108864")
  })
})

describe("families", () => {
  const body = fixture("process.prom")
  const families = ["namedprocess_namegroup_num_procs", "namedprocess_namegroup_cpu_seconds_total", "go_info"]

  it("keeps the samples of these names, in order, and no others", () => {
    const all = parsed(body).samples
    const some = parsed(body, { families }).samples
    expect(some).toHaveLength(100)
    expect(some).toEqual(all.filter((sample) => families.includes(sample.name)))
    expect(parsed(body, { families: [] }).samples).toEqual([])
    expect(parsed(body, { families: ["namedprocess_namegroup_num"] }).samples).toEqual([])
  })

  it("finds a name however it is written", () => {
    const { samples } = parsed('ab 1\n\ta\t2\n{"a"} 3\na{} 4\na_b 5\nb 6 7\n', { families: ["a"] })
    expect(samples.map((sample) => sample.value)).toEqual([2, 3, 4])
  })

  it("names the faults of the lines that it reads", () => {
    const { samples, skipped } = parsed("a 1\na x\nb x\n9 x\n", { families: ["a"] })
    expect(samples).toHaveLength(1)
    expect(skipped.map((line) => line.line)).toEqual([2, 4])
  })

  it("does not decide what is an exposition", () => {
    expect(parsed("b 1\nc x\n", { families: ["a"] })).toEqual({ samples: [], skipped: [], skippedCount: 0 })
    expect(refusal("b x\nc x\n", { families: ["a"] })).toContain("not an exposition")
  })
})

describe("OpenMetrics", () => {
  const options: ExpositionOptions = { format: "openmetrics" }

  it("is read with its metadata, exemplars and creation times", () => {
    const { samples, skipped } = parsed(fixture("openmetrics.txt"), options)
    expect(skipped).toEqual([])
    expect(samples).toEqual([
      { name: "http_request_seconds_sum", labels: { path: "/api/v1", method: "GET" }, value: 9036.32 },
      { name: "http_request_seconds_count", labels: { path: "/api/v1", method: "GET" }, value: 807283 },
      { name: "http_request_seconds_created", labels: { path: "/api/v1", method: "GET" }, value: 1605281325.123 },
      { name: "go_goroutines", labels: {}, value: 69 },
      { name: "jobs_total", labels: {}, value: 17, timestamp: 1520879607789 },
      { name: "jobs_created", labels: {}, value: 1520430000.123, timestamp: 1520879607789 },
      { name: "latency_seconds_bucket", labels: { le: "0.01" }, value: 0 },
      { name: "latency_seconds_bucket", labels: { le: "0.1" }, value: 8 },
      { name: "latency_seconds_bucket", labels: { le: "1" }, value: 11 },
      { name: "latency_seconds_bucket", labels: { le: "10" }, value: 17, timestamp: 1520879608000 },
      { name: "latency_seconds_bucket", labels: { le: "+Inf" }, value: 17 },
      { name: "http.status", labels: { "label.name": 'a "b"\n\\' }, value: NaN }
    ])
  })

  it.each<[line: string, milliseconds: number]>([
    ["a 1 123", 123_000],
    ["a 1 1520879607.789", 1520879607789],
    ["a 1 1604676851.123456789", 1604676851123],
    ["a 1 -1.5", -1500],
    ["a 1 1.5e3", 1_500_000],
    ["a 1 0", 0]
  ])("has timestamps in seconds: %s", (line, milliseconds) => {
    expect(open(line).timestamp).toBe(milliseconds)
  })

  it("keeps the backslash of an escape that it does not define", () => {
    expect(open('a{b="\\a\\\\a\\n"} 1').labels.b).toBe("\\a\\a\n")
  })

  it.each<[line: string, reason: string]>([
    ["", "the line is empty"],
    [" a 1", 'expected a metric name, found " "'],
    ["a  1", "there is no value"],
    ["a\t1", 'expected one space before the value, found "\\t"'],
    ['a{b="c"}1', 'expected one space before the value, found "1"'],
    ['a {b="c"} 1', 'the value "{b=\\"c\\"}" is not a number'],
    ['a{b="c",} 1', "there is a comma after the last label"],
    ['a{ b="c"} 1', 'expected a label name, found " "'],
    ['a{b="c", d="e"} 1', 'expected a label name, found " "'],
    ['a{b ="c"} 1', 'expected = after the label name "b", found " "'],
    ["# a comment", '"# a comment" is neither # HELP, # TYPE, # UNIT nor # EOF'],
    ["#", '"#" is neither # HELP, # TYPE, # UNIT nor # EOF'],
    ["#  TYPE a counter", '"#  TYPE a counter" is neither # HELP, # TYPE, # UNIT nor # EOF'],
    ["# HELP a", '"# HELP a" is neither # HELP, # TYPE, # UNIT nor # EOF'],
    ["# TYPE a untyped", 'the type "untyped" of "a" does not exist'],
    ["# TYPE a counter ", 'the type "counter " of "a" does not exist'],
    ["# UNIT a_seconds bytes", 'the unit "bytes" is not the end of the name "a_seconds"']
  ])("has stricter lines: %j", (line, reason) => {
    expect(badOpen(line)).toBe(reason)
  })

  it("ends with # EOF and nothing after it", () => {
    expect(parsed("# EOF", options).samples).toEqual([])
    expect(parsed("# EOF\n", options).samples).toEqual([])
    expect(parsed("a 1\n# EOF", options).samples).toHaveLength(1)
    for (const body of [
      "",
      "\n",
      "a 1\n",
      "a 1",
      "a 1\n#EOF\n",
      "a 1\n# EO",
      "a 1\n# EOF\r\n",
      " # EOF\n",
      "a # EOF"
    ]) {
      expect(refusal(body, options)).toBe("the body is cut off: it does not end with # EOF")
    }
    expect(refusal("a 1\n# EOF\n\n", options)).toBe("line 3: there is something after # EOF")
    expect(refusal("# EOF\na 1\n# EOF\n", options)).toBe("line 2: there is something after # EOF")
  })

  it("must not begin with a byte order mark", () => {
    const { skipped } = parsed("\uFEFFa 1\nb 2\n# EOF\n", options)
    expect(skipped).toEqual([{ line: 1, reason: 'expected a metric name, found "\uFEFF"' }])
  })
})

describe("formatOf", () => {
  it.each<[contentType: string | undefined, format: string]>([
    [undefined, "text"],
    ["", "text"],
    ["text/plain; version=0.0.4; charset=utf-8", "text"],
    ["text/html", "text"],
    ["application/openmetrics-text; version=1.0.0; charset=utf-8", "openmetrics"],
    [" Application/OpenMetrics-Text;version=0.0.1", "openmetrics"],
    ["application/openmetrics-text", "openmetrics"],
    ["text/plain; note=application/openmetrics-text", "text"]
  ])("of %s is %s", (contentType, format) => {
    expect(formatOf(contentType)).toBe(format)
  })
})

describe("formatOfBody", () => {
  it.each<[body: string, format: string]>([
    ["a 1\n# EOF\n", "openmetrics"],
    ["a 1\n# EOF", "openmetrics"],
    ["# EOF\n", "openmetrics"],
    ["a 1\n", "text"],
    ["", "text"],
    ["# EOF\na 1\n", "text"],
    ["a 1\n# no # EOF\n", "text"]
  ])("of %j is %s", (body, format) => {
    expect(formatOfBody(Buffer.from(body))).toBe(format)
  })
})

describe("real scrapes", () => {
  it.each(["node.prom", "process.prom", "process-odd-names.prom"])("of %s are read in full", (name) => {
    const body = fixture(name)
    const { samples, skipped } = parsed(body)
    expect(skipped).toEqual([])
    expect(samples).toEqual(oracle(body.toString()))
    expect(parsed(body.toString())).toEqual(parsed(body))
  })

  it("keep process groups whose names are empty or odd", () => {
    const { samples } = parsed(fixture("process-odd-names.prom"), { families: ["namedprocess_namegroup_num_procs"] })
    const names = samples.map((sample) => sample.labels.groupname)
    expect(names.slice(0, 8)).toEqual(["", "\u0001ctl\u001b[31m", " ", '"', "#hash", 'a=1,b="2"', "a\\nb", "a\u007fb"])
    expect(names).toContain("cr\rhere")
    expect(names).toContain("ls\u2028x")
    expect(names).toContain("tab\there")
    expect(names).toContain("}")
    expect(names).toContain("é\u0301🚀")
    expect(names).toContain("\uFEFFbom")
    expect(new Set(names).size).toBe(names.length)
  })
})

describe("expositionToJson", () => {
  it("writes as text what JSON has no number for", () => {
    const json = expositionToJson(parsed('a{b="c"} NaN\na +Inf 5\na -Inf\na 1.5\nbad\n'))
    expect(JSON.parse(JSON.stringify(json))).toEqual({
      samples: [
        { name: "a", labels: { b: "c" }, value: "NaN" },
        { name: "a", labels: {}, value: "+Inf", timestamp: 5 },
        { name: "a", labels: {}, value: "-Inf" },
        { name: "a", labels: {}, value: 1.5 }
      ],
      skipped: [{ line: 5, reason: "there is no value" }]
    })
  })

  it("says how many lines were skipped where it cannot name all", () => {
    const json = expositionToJson(parsed(`${GOOD}${"bad\n".repeat(limits.reasons + 1)}`))
    expect(json.skipped_count).toBe(limits.reasons + 1)
  })
})

/** Reads a scrape known to be plain, in the simplest way. */
function oracle(body: string): ReadonlyArray<Sample> {
  const unescaped: Record<string, string> = { "\\n": "\n", '\\"': '"', "\\\\": "\\" }
  return body
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => {
      const space = line.lastIndexOf(" ")
      const brace = line.indexOf("{")
      const pairs = brace < 0 ? [] : [...line.slice(brace).matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)]
      return {
        name: line.slice(0, brace < 0 ? space : brace),
        labels: Object.fromEntries(
          pairs.map(([, name, value]) => [name, value?.replace(/\\./g, (escape) => unescaped[escape] ?? escape)])
        ),
        value: Number(line.slice(space + 1).replace("Inf", "Infinity"))
      }
    })
}
