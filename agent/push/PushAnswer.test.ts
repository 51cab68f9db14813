/** What an answer says of many rows: the server's own, made by the payload's decoder, and what nobody should send. */
import { gunzipSync } from "node:zlib"
import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import config from "../../plugins.config.ts"
import { decodePayload, REJECTIONS_MAX, rejectedFields } from "../../src/plugins/Payload.ts"
import { makeWires } from "../../src/plugins/Wire.ts"
import { packRows } from "../spool/PackedRows.ts"
import type { SpoolRecord } from "../spool/Spool.ts"
import { kindsOf, readAnswer } from "./PushAnswer.ts"
import { bodyOf } from "./PushBatch.ts"

const NOW = Date.parse("2025-10-30T12:00:00Z")
const DAY = 86_400_000

const record = (id: number, exporter: string, at: number, rows: number, more: object = {}): SpoolRecord => ({
  id,
  exporter,
  scrapedAt: at,
  rows: packRows(
    Array.from({ length: rows }, (_, index) =>
      JSON.stringify({
        timestamp: new Date(at).toISOString(),
        name: `group ${index}`,
        num_procs: 1,
        cpu_seconds_total: 1,
        memory_bytes: 1,
        ...more
      })
    )
  )
})

const answered = (records: ReadonlyArray<SpoolRecord>) => {
  const body: unknown = JSON.parse(gunzipSync(bodyOf(records)).toString())
  const decoded = decodePayload(makeWires(config.exporters), body, { serverId: "web-1", nowMicros: NOW * 1_000 })
  const payload = Result.getOrThrow(decoded)
  const answer = { accepted: payload.acceptedCount, ...rejectedFields(payload) }
  return { payload, read: Result.getOrThrow(readAnswer(Buffer.from(JSON.stringify(answer)), records)) }
}

describe("an answer about more rows than are told one by one", () => {
  it("leaves each record what it is: kept, corrected, refused or taken", () => {
    const records = [
      record(1, "gone_exporter", NOW, REJECTIONS_MAX + 100),
      record(2, "process_exporter", NOW - 400 * DAY, 300),
      record(3, "process_exporter", NOW, 300),
      record(4, "process_exporter", NOW + DAY, 300),
      record(5, "process_exporter", NOW, 300, { num_procs: -1 }),
      record(6, "gone_exporter", NOW, 200)
    ]
    const { payload, read } = answered(records)
    assert.isAbove(payload.ranges.length, 0)
    assert.deepStrictEqual(
      { ...read, rejected: read.rejected.map(({ record, rows }) => [record, rows]), timeReason: "" },
      {
        accepted: 300,
        unknown: new Map([["gone_exporter", [1, 6]]]),
        ahead: [4],
        tooOld: [2],
        timeReason: "",
        rejected: [
          [2, 300],
          [5, 300]
        ],
        further: 0
      }
    )
    assert.deepStrictEqual(
      kindsOf(read.rejected).map(({ rows }) => rows),
      [300, 300]
    )
  })

  it("counts what is told as a count only", () => {
    const records = Array.from({ length: 2_000 }, (_, id) =>
      record(id, "process_exporter", NOW, 1, id % 2 === 0 ? { num_procs: -1 } : {})
    )
    const { payload, read } = answered(records)
    assert.strictEqual(read.further, payload.further.get("invalid"))
    assert.strictEqual(read.further + read.rejected.reduce((sum, { rows }) => sum + rows, 0), 1_000)
  })

  it("is believed no more than what was sent, whatever it says", () => {
    const records = [record(1, "process_exporter", NOW, 3), record(2, "process_exporter", NOW, 3)]
    const range = { exporter: "process_exporter", reason: "no", code: "invalid" }
    const say = (more: object) =>
      Result.getOrThrow(readAnswer(Buffer.from(JSON.stringify({ accepted: 0, rejected: [], ...more })), records))
    const all = say({ rejected_ranges: Array.from({ length: 6 }, () => ({ ...range, index: 0, rows: 1e300 })) })
    assert.isAtMost(
      all.rejected.reduce((sum, { rows }) => sum + rows, 0),
      6
    )
    assert.strictEqual(say({ rejected_further: { invalid: 1e300, x: -5, y: "7" } }).further, 6)
    for (const [index, rows] of [
      [-1, 3],
      [0.5, 3],
      [7, 3],
      [0, -3],
      [0, 0]
    ]) {
      assert.deepStrictEqual(say({ rejected_ranges: [{ ...range, index, rows }] }).rejected, [])
    }
  })

  it("is refused as a whole, by the count that cannot be true", () => {
    const records = [record(1, "process_exporter", NOW, 3)]
    for (const [answer, reason] of [
      ['{"accepted":1e999,"rejected":[]}', /^accepted is Infinity, but 3 rows were sent$/],
      ['{"accepted":-1e9,"rejected":[]}', /^accepted is -1000000000, but 3 rows were sent$/],
      ['{"accepted":4,"rejected":[]}', /^accepted is 4, /],
      ['{"accepted":"3","rejected":[]}', /^accepted is 3, /],
      [`{"accepted":0,"rejected":[${Array(4).fill("{}").join()}]}`, /^rejected has 4 entries, but 3 rows were sent$/],
      ['{"rejected":[]}', /^it is not what a NodePulse server answers$/],
      ["[]", /^it is not what/],
      ["null", /^it is not what/],
      ["nonsense", /^it is not JSON$/]
    ] as const) {
      const read = readAnswer(Buffer.from(answer), records)
      assert.match(Result.isFailure(read) ? read.failure : "taken", reason)
    }
  })
})
