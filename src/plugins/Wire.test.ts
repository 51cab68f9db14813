import { describe, expect, it } from "@effect/vitest"
import { Arbitrary, Duration, Result, Schema } from "effect"
import { counter, gauge, label } from "./Column.ts"
import { defineExporter } from "./Exporter.ts"
import { makeWire, SKEW_MICROS_MAX } from "./Wire.ts"

const exporter = defineExporter({
  name: "test_exporter",
  title: "Test",
  scrape: { endpoint: "http://127.0.0.1:1/metrics", interval: "15 seconds", timeout: "5 seconds" },
  table: {
    name: "test_snapshots",
    retention: "7 days",
    columns: {
      device_name: label({ from: "device", doc: "Name." }),
      busy_total: counter({ unit: "seconds", doc: "Counter." }),
      reads_total: counter({ type: "bigint", nullable: true, doc: "Whole counter." }),
      threads: gauge({ type: "integer", doc: "Whole gauge." }),
      temperature: gauge({ signed: true, unit: "celsius", nullable: true, doc: "Signed gauge." })
    }
  },
  parse: () => Result.succeed({ rows: [], skipped: [], countersSince: null })
})()
const wire = makeWire(exporter)

const NOW = Date.parse("2025-10-30T12:00:00.000Z") * 1_000
const context = { serverId: "web-1", nowMicros: NOW }
const row = {
  timestamp: "2025-10-30T11:59:45Z",
  device: "sda",
  busy_total: 1.5,
  reads_total: 7,
  threads: 3,
  temperature: -4.5
}
const decode = (change: object) => wire.decode({ ...row, ...change }, context)
const reason = (change: object) => Result.getOrThrow(Result.flip(decode(change))).reason
const values = (change: object) => Result.getOrThrow(decode(change)).values

describe("rows one after the other", () => {
  it("leave nothing to the next: neither what one had and it lacks, nor what was refused", () => {
    const reader = wire.reader(context)
    const { device, reads_total, temperature, ...least } = row
    const add = (change: object) => reader.add({ ...least, ...change })?.reason
    expect(add({ device: "sda", reads_total, temperature })).toBeUndefined()
    expect(add({ device: "sdb", threads: -1 })).toMatch(/^threads is -1/)
    expect(add({ reads_total: 8 })).toBe("device is missing")
    expect(add({ device: "sdc", extra: 1 })).toBeUndefined()
    expect(add({ device: "sdd", reads_total: 9, temperature: "hot" })).toMatch(/^temperature is "hot"/)
    expect(reader.snapshots()).toMatchObject({
      length: 2,
      columns: [
        ["sda", "sdc"],
        [1.5, 1.5],
        [7, null],
        [3, 3],
        [-4.5, null]
      ]
    })
    expect(reader.ignoredFields()).toBe(1)
  })
})

describe("a row that is accepted", () => {
  it("is bound to its server, with its values in the order of the columns", () => {
    expect(Result.getOrThrow(decode({ counters_since: "2025-10-30T01:00:00+01:00" }))).toEqual({
      exporter: "test_exporter",
      serverId: "web-1",
      timestamp: NOW - 15_000_000,
      countersSince: Date.parse("2025-10-30T00:00:00Z") * 1_000,
      values: ["sda", 1.5, 7, 3, -4.5]
    })
  })

  it("may lack what is nullable, or have null for it", () => {
    expect(values({ reads_total: undefined, temperature: null, counters_since: null })).toEqual([
      "sda",
      1.5,
      null,
      3,
      null
    ])
  })

  it("may have an empty label, and any well-formed text in it", () => {
    for (const device of ["", "a\tb\r\n\u2028", "💩", "x".repeat(16_384), "__proto__"]) {
      expect(values({ device })[0]).toBe(device)
    }
  })

  it("has 0 where -0 was sent", () => {
    expect(values({ busy_total: -0, temperature: -0 }).map((value) => Object.is(value, -0))).not.toContain(true)
  })

  it("may carry fields that mean nothing here: they are counted", () => {
    const extended = { ...row, counters_since: null, extra: 1, nested: {} }
    const reader = wire.reader(context)
    for (const input of [extended, row, { ...row, third: 1 }, { ...extended, busy_total: -1 }]) reader.add(input)
    expect(reader.count()).toBe(3)
    expect(reader.ignoredFields()).toBe(3)
  })
})

describe("a row that is refused", () => {
  it.each<[object, string]>([
    [{ busy_total: -1 }, "busy_total is -1, but must be a finite number, 0 or more"],
    [{ busy_total: Number.NaN }, "busy_total is NaN"],
    [{ busy_total: Infinity }, "busy_total is Infinity"],
    [{ busy_total: -Infinity }, "busy_total is -Infinity"],
    [{ busy_total: "1.5" }, 'busy_total is "1.5"'],
    [{ busy_total: null }, "busy_total is null"],
    [{ busy_total: undefined }, "busy_total is missing"],
    [{ busy_total: true }, "busy_total is true"],
    [{ busy_total: [1] }, "busy_total is an array"],
    [{ threads: 1.5 }, "threads is 1.5, but must be a whole number from 0 to 2147483647"],
    [{ threads: 2 ** 31 }, "threads is 2147483648"],
    [
      { reads_total: 2 ** 53 },
      "reads_total is 9007199254740992, but must be a whole number from 0 to 9007199254740991, or null"
    ],
    [{ temperature: {} }, "temperature is an object, but must be a finite number, or null"],
    [{ device: 7 }, "device is 7, but must be a text"],
    [{ device: null }, "device is null"],
    [{ device: "a\0b" }, 'device is "a\\u0000b"'],
    [{ device: "\ud800" }, 'device is "\\ud800"'],
    [{ device: "x".repeat(16_385) }, "at most 16384 characters"],
    [{ timestamp: undefined }, "timestamp is missing"],
    [{ timestamp: 1761825600 }, "timestamp is 1761825600, but must be an RFC 3339"],
    [{ timestamp: "2025-02-30T00:00:00Z" }, 'timestamp is "2025-02-30T00:00:00Z"'],
    [{ counters_since: "yesterday" }, 'counters_since is "yesterday"'],
    [{ counters_since: 5 }, "counters_since is 5"],
    [{ counters_since: "2025-10-30T13:00:00Z" }, "counters_since"]
  ])("%o names the field, its value and the rule", (change, part) => {
    expect(reason(change)).toContain(part)
  })

  it.each([null, undefined, 1, "row", [], [row], true])("%o is no row", (input) => {
    expect(Result.isFailure(wire.decode(input, context))).toBe(true)
  })

  it("has a short reason, whatever was sent", () => {
    expect(reason({ busy_total: "é\0".repeat(100_000) }).length).toBeLessThan(600)
    expect(reason({ timestamp: "9".repeat(100_000) }).length).toBeLessThan(600)
  })

  it("does not take a value from the prototype of objects", () => {
    expect(Result.isSuccess(wire.decode(JSON.parse('{"__proto__":{"device":"sda"}}'), context))).toBe(false)
    const reader = wire.reader(context)
    expect(reader.add({ ...row, ...JSON.parse('{"constructor":1}') })).toBeUndefined()
    expect(reader.add(JSON.parse(JSON.stringify(row).replace("{", '{"__proto__":{},')))).toBeUndefined()
    expect(reader.ignoredFields()).toBe(2)
  })
})

describe("time", () => {
  const at = (micros: number) => ({ timestamp: new Date(micros / 1_000).toISOString() })

  it("up to 10 minutes ahead of the server's clock is accepted, more is refused with the skew (vector 15)", () => {
    expect(Result.isSuccess(decode(at(NOW + SKEW_MICROS_MAX)))).toBe(true)
    expect(reason(at(NOW + SKEW_MICROS_MAX + 61_000_000))).toContain("is 11m 1s ahead of the server's clock")
  })

  it("as old as the retention is accepted, older is refused with a reason (vector 16)", () => {
    const retention = Duration.toMillis(exporter.table.retention) * 1_000
    expect(Result.isSuccess(decode(at(NOW - retention)))).toBe(true)
    expect(reason(at(NOW - retention - 1_000))).toContain("is older than test_exporter is kept (7d)")
  })
})

describe("what is sent", () => {
  it("is a JSON object with the time first, then the fields in the order of the columns, without those that it lacks", () => {
    const columns = { device_name: "sda", busy_total: 1, reads_total: null, threads: 2, temperature: null }
    const sent = wire.encodeRow(columns, new Date("2025-10-30T12:00:00.250Z"), Date.parse("2025-10-30T10:00:00Z"))
    expect(Object.entries(sent)).toEqual([
      ["timestamp", "2025-10-30T12:00:00.250Z"],
      ["counters_since", "2025-10-30T10:00:00.000000Z"],
      ["device", "sda"],
      ["busy_total", 1],
      ["threads", 2]
    ])
    expect(Object.keys(wire.encodeRow(columns, 0, null))).not.toContain("counters_since")
    expect(Object.keys(wire.encodeFields(columns))).toEqual(wire.fields)
  })
})

describe("an optional label", () => {
  const columns = { ...exporter.table.columns, unit: label({ optional: true, doc: "Unit." }) }
  const optional = makeWire({ ...exporter, table: { ...exporter.table, columns } })
  const unitOf = (change: object) => Result.map(optional.decode({ ...row, ...change }, context), (one) => one.values[5])

  it("is empty where a row lacks it, which is the same as an empty one, and is then not sent", () => {
    expect(unitOf({})).toEqual(Result.succeed(""))
    expect(unitOf({ unit: undefined })).toEqual(Result.succeed(""))
    expect(unitOf({ unit: "" })).toEqual(Result.succeed(""))
    expect(unitOf({ unit: "web.service" })).toEqual(Result.succeed("web.service"))
    const columns = { device_name: "sda", busy_total: 1, reads_total: 7, threads: 2, temperature: -1 }
    expect(optional.encodeRow({ ...columns, unit: "" }, 0, null)).not.toHaveProperty("unit")
    expect(optional.encodeRow({ ...columns, unit: "web" }, 0, null)).toHaveProperty("unit", "web")
    expect(optional.encodeFields({ ...columns, unit: "" })).toHaveProperty("unit", "")
  })

  it("is a text like any other where it is there, and never null", () => {
    for (const unit of [null, 7, "a\0", "\ud800", ["web"]]) {
      expect(Result.isFailure(unitOf({ unit })), String(unit)).toBe(true)
      expect(Schema.is(optional.schema)({ ...row, unit }), String(unit)).toBe(false)
    }
    for (const change of [{}, { unit: "" }, { unit: "web" }]) {
      expect(Schema.is(optional.schema)({ ...row, ...change })).toBe(true)
    }
  })

  it("makes another group of a row only where it is not empty", () => {
    const groups: Array<string> = []
    const refuse = (_: string, group: string) => {
      groups.push(group)
      return undefined
    }
    const reader = optional.reader({ ...context, refuse })
    for (const unit of ["", "web", undefined]) reader.add({ ...row, unit })
    expect(groups[0]).toBe(groups[2])
    expect(new Set(groups).size).toBe(2)
  })
})

describe("the schema", () => {
  // The rules that need a clock are switched off: the schema has none.
  const timeless = makeWire({ ...exporter, table: { ...exporter.table, retention: Duration.infinity } })
  const late = { serverId: "web-1", nowMicros: 8_993_721_600_000_000 }
  const oneOf = <A>(...pool: ReadonlyArray<A>) =>
    Arbitrary.map(Arbitrary.schema(Schema.Literals(pool.map((_, index) => index))), (index) => pool[index]!)
  const times = [
    "2025-10-30T12:00:00Z",
    "2025-02-30T12:00:00Z",
    "2025-10-30T12:00:00.123456789+02:00",
    "now",
    "",
    5,
    null
  ]
  const numbers = [0, -0, 1, -1, 1.5, 2 ** 31 - 1, 2 ** 31, 2 ** 53 - 1, 2 ** 53, 1e308, 5e-324, Number.NaN, Infinity]
  const others = [-Infinity, "1", null, true, {}, []]
  const texts = ["", "a", "\0", "\ud800", "a\udc00b", "💩", "x".repeat(16_384), "x".repeat(16_385), 7, null]
  const absent = Symbol("absent")
  // Mostly good values, so that most rows are decided by one bad field or by none.
  const field = (good: unknown, ...odd: ReadonlyArray<unknown>) =>
    oneOf<unknown>(...Array.from({ length: 3 * odd.length }, () => good), ...odd, absent)

  const rows = Arbitrary.map(
    Arbitrary.all({
      timestamp: field("2025-10-30T12:00:00Z", ...times),
      counters_since: field(null, ...times),
      device: field("sda", ...texts),
      busy_total: field(1, ...numbers, ...others),
      reads_total: field(1, ...numbers, ...others),
      threads: field(1, ...numbers, ...others),
      temperature: field(1, ...numbers, ...others)
    }),
    (fields) => Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== absent))
  )
  const isRow = Schema.is(timeless.schema)

  it.prop(
    "agrees with the decoder on every row",
    { input: rows },
    ({ input }) => {
      expect(Result.isSuccess(timeless.decode(input, late))).toBe(isRow(input))
    },
    { arbitrary: { runs: 2_000 } }
  )

  it("becomes a JSON Schema with each field's meaning", () => {
    const document = Schema.toJsonSchemaDocument(wire.schema)
    expect(JSON.stringify(document)).toContain("Counter. In seconds.")
    expect(document.schema).toMatchObject({
      type: "object",
      required: ["timestamp", "device", "busy_total", "threads"]
    })
  })
})

describe("the code of a refusal", () => {
  const code = (change: object) => Result.getOrThrow(Result.flip(decode(change))).code
  const at = (micros: number) => new Date(micros / 1_000).toISOString()

  it("tells what may be sent again with its times corrected from what is never taken", () => {
    expect(code({ timestamp: at(NOW + 2 * SKEW_MICROS_MAX) })).toBe("clock_ahead")
    expect(code({ counters_since: at(NOW + 2 * SKEW_MICROS_MAX) })).toBe("clock_ahead")
    expect(code({ timestamp: "2020-01-01T00:00:00Z" })).toBe("too_old")
    expect(code({ timestamp: "yesterday" })).toBe("invalid")
    expect(code({ threads: -1 })).toBe("invalid")
  })
})
