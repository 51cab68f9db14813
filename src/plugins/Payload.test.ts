import { describe, expect, it } from "@effect/vitest"
import { Result } from "effect"
import config from "../../plugins.config.ts"
import { decodePayload, RANGES_MAX, REASON_LENGTH_MAX, REJECTIONS_MAX } from "./Payload.ts"
import { type Snapshots, snapshotAt } from "./Snapshots.ts"
import { makeWires } from "./Wire.ts"

const wires = makeWires(config.exporters)
const context = { serverId: "web-1", nowMicros: Date.parse("2025-10-30T12:00:00Z") * 1_000 }
const decode = (body: unknown) => Result.getOrThrow(decodePayload(wires, body, context))
/** One by one. */
const each = (accepted: ReadonlyArray<Snapshots>) =>
  accepted.flatMap((some) => Array.from({ length: some.length }, (_, row) => snapshotAt(some, row)))
const row = (name: string, change: object = {}) => ({
  timestamp: "2025-10-30T12:00:00Z",
  name,
  num_procs: 4,
  cpu_seconds_total: 1234.56,
  memory_bytes: 102400000,
  ...change
})

describe("a payload", () => {
  it("as MISSION shows it becomes one snapshot a row, in order", () => {
    const { accepted, rejected } = decode({
      node_exporter: [{ timestamp: "2025-10-30T12:00:00Z", cpu_idle_seconds: 7184190.53 }],
      process_exporter: [row("nginx"), row("postgres", { num_procs: 8 })]
    })
    expect(rejected).toEqual([])
    expect(each(accepted).map(({ exporter, values }) => [exporter, values[0]])).toEqual([
      ["node_exporter", 7184190.53],
      ["process_exporter", "nginx"],
      ["process_exporter", "postgres"]
    ])
  })

  it("loses no row to a bad neighbour: the bad one is named by exporter, index and reason (vector 12)", () => {
    const bad = [Number.NaN, Infinity, -Infinity, -1]
    const { accepted, rejected, rejectedCount } = decode({
      process_exporter: [
        row("first"),
        ...bad.flatMap((value) => [
          row("cpu", { cpu_seconds_total: value }),
          row("memory", { memory_bytes: value }),
          row("count", { num_procs: value })
        ]),
        row("last")
      ]
    })
    expect(each(accepted).map(({ values }) => values[0])).toEqual(["first", "last"])
    expect(rejected.map(({ index }) => index)).toEqual(Array.from({ length: 12 }, (_, at) => at + 1))
    expect(rejected[0]).toEqual({
      exporter: "process_exporter",
      index: 1,
      reason: "cpu_seconds_total is NaN, but must be a finite number, 0 or more",
      code: "invalid"
    })
    expect(rejectedCount).toBe(12)
  })

  it("of an unknown exporter is rejected row by row, with the names that are known", () => {
    const body: unknown = JSON.parse('{"__proto__":[{}],"constructor":[{}],"no exporter":[{},1],"process_exporter":[]}')
    const { rejected } = decode(body)
    expect(rejected.map(({ exporter, index }) => [exporter, index])).toEqual([
      ["__proto__", 0],
      ["constructor", 0],
      ["no exporter", 0],
      ["no exporter", 1]
    ])
    expect(rejected[2]?.reason).toBe(
      `unknown exporter "no exporter"; known here: ${config.exporters.map(({ name }) => name).join(", ")}`
    )
  })

  it("with something else than an array under a name is one rejection, index -1", () => {
    const { accepted, rejected } = decode({ node_exporter: { rows: [] }, process_exporter: [row("nginx")], x: null })
    expect(each(accepted)).toHaveLength(1)
    expect(rejected).toEqual([
      {
        exporter: "node_exporter",
        index: -1,
        reason: '"node_exporter" must be an array of rows, not an object',
        code: "invalid"
      },
      { exporter: "x", index: -1, reason: '"x" must be an array of rows, not null', code: "invalid" }
    ])
  })

  it("repeats itself without harm, and says how many fields meant nothing", () => {
    const { accepted, ignoredFields } = decode({ process_exporter: [row("a", { x: 1 }), row("a", { x: 1, y: 2 })] })
    expect(each(accepted)).toHaveLength(2)
    expect(ignoredFields).toBe(3)
  })

  it("without rows is a payload with nothing in it", () => {
    expect(decode({})).toEqual({
      accepted: [],
      acceptedCount: 0,
      rejected: [],
      ranges: [],
      further: new Map(),
      rejectedCount: 0,
      ignoredFields: 0
    })
  })

  it.each([null, undefined, 1, "text", [], [{}], true])("is refused as a whole where it is %o", (body) => {
    const refused = Result.getOrThrow(Result.flip(decodePayload(wires, body, context)))
    expect(refused._tag).toBe("PayloadRefused")
    expect(refused.message).toContain("the body must be an object from exporter name to an array of rows")
  })

  it("answers with a bounded list of bounded reasons, however many rows are bad", () => {
    const { ranges, rejected, rejectedCount } = decode({
      ["\ud83d".repeat(100_000)]: Array.from({ length: REJECTIONS_MAX }, () => 0),
      process_exporter: Array.from({ length: 5 }, () => row("\0".repeat(100_000)))
    })
    expect(rejectedCount).toBe(REJECTIONS_MAX + 5)
    expect(rejected).toHaveLength(REJECTIONS_MAX)
    expect(ranges).toMatchObject([{ exporter: "process_exporter", index: 0, rows: 5, code: "invalid" }])
    expect(
      Math.max(...[...rejected, ...ranges].map(({ exporter, reason }) => exporter.length + reason.length))
    ).toBeLessThan(REASON_LENGTH_MAX + 100)
    expect(rejected.every(({ exporter, reason }) => exporter.isWellFormed() && reason.isWellFormed())).toBe(true)
  })

  it("tells further rejections as ranges of one code, then as counts: an answer stays small", () => {
    const odd = [...Array.from({ length: 1_000 }, (_, index) => (index % 2 === 0 ? 0 : row("a"))), 0, 0, 0]
    const { further, ranges, rejected, rejectedCount } = decode({
      gone_exporter: Array.from({ length: REJECTIONS_MAX + 1_000 }, () => ({})),
      process_exporter: odd
    })
    expect(rejected).toHaveLength(REJECTIONS_MAX)
    expect(ranges).toHaveLength(RANGES_MAX)
    expect(ranges[0]).toMatchObject({
      exporter: "gone_exporter",
      index: REJECTIONS_MAX,
      rows: 1_000,
      code: "exporter_unknown"
    })
    expect(ranges[1]).toMatchObject({ exporter: "process_exporter", index: 0, rows: 1, code: "invalid" })
    expect(further).toEqual(new Map([["invalid", 503 - (RANGES_MAX - 1)]]))
    expect(rejectedCount).toBe(REJECTIONS_MAX + 1_000 + 503)
  })
})
