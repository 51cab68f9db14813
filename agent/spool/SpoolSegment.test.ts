import { deflateRawSync } from "node:zlib"
import { assert, describe, it } from "@effect/vitest"
import { seededRandom } from "../../test/Seeded.ts"
import { packRows, unpackRows } from "./PackedRows.ts"
import {
  decodeAcks,
  decodeBody,
  decodeRecord,
  encodeAcks,
  encodeBody,
  encodeHeader,
  fileName,
  HEADER_BYTES,
  parseFileName,
  ROWS_BYTES_MAX,
  type Scan,
  scanSegment
} from "./SpoolSegment.ts"

/** As many as `NODEPULSE_FUZZ` says; few by default. */
const fuzzRuns = Number(process.env.NODEPULSE_FUZZ ?? 2000)
const seed = Number(process.env.NODEPULSE_SEED ?? Math.floor(Math.random() * 2 ** 31))

const rowsOf = (n: number) => `{"timestamp":"2025-10-30T12:00:00Z","name":"group-${n}","num_procs":${n}}`

/** A segment of `count` records with ids from 1001, in places from 0. */
const segmentOf = (count: number): { readonly bytes: Buffer; readonly ends: ReadonlyArray<number> } => {
  const chunks: Array<Buffer> = []
  const ends: Array<number> = []
  let length = 0
  for (let n = 0; n < count; n++) {
    const body = encodeBody("process_exporter", packRows([rowsOf(n)]))!
    chunks.push(encodeHeader({ id: 1001 + n, scrapedAt: n * 15_000, body }, n), body.bytes)
    length += HEADER_BYTES + body.bytes.length
    ends.push(length)
  }
  return { bytes: Buffer.concat(chunks), ends }
}

/** The places of the records of a scan, each of them checked to the last byte. */
const placesOf = (bytes: Buffer, scan: Scan): ReadonlyArray<number> =>
  scan.records.map(({ id, scrapedAt, sequence, offset, length, ...rest }) => {
    const read = decodeRecord(bytes.subarray(offset, offset + length), { id, sequence })
    if (
      read === undefined ||
      unpackRows(read.rows) !== `[${rowsOf(sequence)}]` ||
      read.exporter !== "process_exporter"
    ) {
      assert.fail(`the record in place ${sequence} is not what was written`)
    }
    if (id !== 1001 + sequence || scrapedAt !== sequence * 15_000 || rest.rowsBytes !== read.rows.bytes) {
      assert.fail(`the header in place ${sequence} is not what was written`)
    }
    return sequence
  })

const range = (from: number, to: number) => Array.from({ length: to - from }, (_, n) => from + n)
describe("a segment", () => {
  const { bytes, ends } = segmentOf(100)
  /** The record that byte `at` belongs to. */
  const recordAt = (at: number) => ends.findIndex((end) => at < end)
  const all = scanSegment(bytes).records
  /** That a scan found the records before `from` and those from `to` on, and nothing else, and counts those between. */
  const keeps = (scan: Scan, from: number, to: number): boolean =>
    scan.records.length === all.length - (to - from) &&
    scan.records.every((record, at) => {
      const expected = all[at < from ? at : at + to - from]!
      return record.id === expected.id && record.offset === expected.offset && record.length === expected.length
    })
  const counts = (scan: Scan, places: ReadonlyArray<number>): boolean =>
    scan.lost.length === places.length &&
    scan.lost.every(({ from, to }, at) => from === places[at] && to === places[at])

  it("gives back every record as it was written", () => {
    const scan = scanSegment(bytes)
    assert.deepStrictEqual(placesOf(bytes, scan), range(0, 100))
    assert.deepStrictEqual([scan.lost, scan.nextSequence], [[], 100])
    assert.deepStrictEqual(scanSegment(Buffer.alloc(0)), { records: [], lost: [], nextSequence: 0 })
  })

  it("cut off at any byte, loses at most the record that is torn, and counts it", () => {
    for (let length = 0; length < bytes.length; length++) {
      const torn = recordAt(length)
      const boundary = length === (ends[torn - 1] ?? 0)
      const scan = scanSegment(bytes.subarray(0, length))
      if (!keeps(scan, torn, 100)) assert.fail(`cut at ${length}: other records than the first ${torn}`)
      if (!counts(scan, boundary ? [] : [torn])) assert.fail(`cut at ${length}: counts ${JSON.stringify(scan.lost)}`)
    }
  })

  it("with any byte flipped in any way, loses at most that record, and counts it", () => {
    const damaged = Buffer.from(bytes)
    const random = seededRandom(seed)
    for (let at = 0; at < bytes.length; at++) {
      const hit = recordAt(at)
      for (const flip of [0xff, 1 << Math.floor(random() * 8), 1 + Math.floor(random() * 255)]) {
        damaged[at] = bytes[at]! ^ flip
        const scan = scanSegment(damaged)
        const where = `byte ${at} ^ ${flip} (seed ${seed})`
        if (!keeps(scan, hit, hit + 1)) assert.fail(`${where}: ${scan.records.length} records are left`)
        if (!counts(scan, [hit])) assert.fail(`${where}: counts ${JSON.stringify(scan.lost)}`)
      }
      damaged[at] = bytes[at]!
    }
    assert.deepStrictEqual(placesOf(damaged, scanSegment(damaged)), range(0, 100))
  })

  it("counts every record of a stretch that is overwritten or missing", () => {
    const overwritten = Buffer.from(bytes)
    overwritten.fill(0, ends[9]! + 5, ends[19]! + 5)
    const first = scanSegment(overwritten)
    assert.deepStrictEqual(first.lost, [{ from: 10, to: 20 }])
    assert.strictEqual(first.records.length, 89)
    const missing = Buffer.concat([bytes.subarray(0, ends[9]), bytes.subarray(ends[19]!)])
    const second = scanSegment(missing)
    assert.deepStrictEqual(second.lost, [{ from: 10, to: 19 }])
    assert.strictEqual(second.records.length, 90)
    const zeros = scanSegment(Buffer.concat([bytes, Buffer.alloc(4096)]))
    assert.deepStrictEqual([zeros.records.length, zeros.lost], [100, [{ from: 100, to: 100 }]])
  })

  it("never gives a record twice, nor an older one after a newer one", () => {
    const twice = scanSegment(Buffer.concat([bytes, bytes]))
    assert.deepStrictEqual(placesOf(bytes, twice), range(0, 100))
    const swapped = scanSegment(Buffer.concat([bytes.subarray(ends[0]!, ends[1]), bytes.subarray(0, ends[0])]))
    assert.deepStrictEqual(
      swapped.records.map(({ sequence }) => sequence),
      [1]
    )
  })

  it("is read in time linear in its length, whatever is in it", () => {
    // The worst there is: true headers of false bodies, headers that promise more than there is, nothing but magics.
    const tiny = { bytes: Buffer.alloc(1), rowsBytes: 1 }
    const headers = range(0, 50_000).map((n) => encodeHeader({ id: n + 1, scrapedAt: 0, body: tiny }, n))
    const tinyBodies = scanSegment(Buffer.concat(headers.flatMap((header) => [header, Buffer.from([9])])))
    assert.strictEqual(tinyBodies.records.length, 0)
    assert.strictEqual(
      tinyBodies.lost.reduce((sum, { from, to }) => sum + to - from + 1, 0),
      50_000
    )
    const long = encodeHeader({ id: 1, scrapedAt: 0, body: { bytes: Buffer.alloc(10_000_000), rowsBytes: 1 } }, 0)
    const promises = scanSegment(Buffer.concat(range(0, 100_000).map(() => long)))
    assert.deepStrictEqual(promises.records, [])
    const magics = scanSegment(Buffer.alloc(4_000_000, long.subarray(0, 4)))
    assert.deepStrictEqual([magics.records, magics.lost], [[], [{ from: 0, to: 0 }]])
  })

  it(`survives ${fuzzRuns} random files, mutated segments and ack files (seed ${seed})`, () => {
    const random = seededRandom(seed)
    const int = (below: number) => Math.floor(random() * below)
    const small = segmentOf(12)
    for (let run = 0; run < fuzzRuns; run++) {
      const noise = Buffer.from(range(0, int(300)).map(() => int(256)))
      let file = noise
      if (run % 2 === 1) {
        // Overwrite, cut out and insert noise at random places of a real segment.
        const from = int(small.bytes.length)
        const to = Math.min(small.bytes.length, from + int(200))
        file = Buffer.concat([small.bytes.subarray(0, from), noise, small.bytes.subarray(random() < 0.5 ? from : to)])
      }
      const scan = scanSegment(file)
      const places = placesOf(file, scan)
      const untouched = run % 2 === 1 ? small.ends.length - 1 : 0
      assert.isAtMost(places.length, small.ends.length, `seed ${seed}, run ${run}`)
      if (untouched > 0) assert.isAtLeast(places.length, small.ends.length - 6, `seed ${seed}, run ${run}`)
      for (const place of decodeAcks(noise)) assert.fail(`seed ${seed}, run ${run}: noise acknowledges ${place}`)
      decodeBody(noise, int(1000))
    }
  })
})

describe("a body", () => {
  it("is refused where it is larger than a record can be, or not what it claims", () => {
    assert.isUndefined(encodeBody("e", packRows([" ".repeat(ROWS_BYTES_MAX + 1)])))
    assert.isUndefined(encodeBody("e".repeat(0x8000), packRows([])))
    const { bytes, rowsBytes } = encodeBody("e", packRows(["1", "2", "3"]))!
    assert.deepStrictEqual(decodeBody(bytes, rowsBytes), { exporter: "e", rows: packRows(["1", "2", "3"]) })
    assert.isUndefined(decodeBody(bytes, rowsBytes - 1))
    assert.isUndefined(decodeBody(bytes, rowsBytes + 1))
    assert.isUndefined(decodeBody(bytes.subarray(0, 2), rowsBytes))
  })

  it("of an older agent is read, packed as it goes out; a bomb stops at the length that the header promised", () => {
    const older = (rows: string) => Buffer.concat([Buffer.from([1, 0]), Buffer.from("e"), deflateRawSync(rows)])
    assert.deepStrictEqual(decodeBody(older("[1,2,3]"), 7), { exporter: "e", rows: packRows(["1", "2", "3"]) })
    assert.deepStrictEqual(decodeBody(older("[]"), 2), { exporter: "e", rows: packRows([]) })
    assert.isUndefined(decodeBody(older("[1,2,3]"), 6))
    assert.isUndefined(decodeBody(older("1,2,3]"), 6))
    assert.isUndefined(decodeBody(older(`[${" ".repeat(ROWS_BYTES_MAX)}]`), 10))
  })
})

describe("an ack file", () => {
  it("with any byte flipped or cut off at any byte, forgets at most one entry and invents none", () => {
    const sequences = range(0, 50).map((n) => n * 3)
    const bytes = encodeAcks(sequences)
    assert.deepStrictEqual([...decodeAcks(bytes)], sequences)
    for (let at = 0; at < bytes.length; at++) {
      const damaged = Buffer.from(bytes)
      damaged[at] = damaged[at]! ^ 0x5a
      assert.deepStrictEqual([...decodeAcks(damaged)], sequences.toSpliced(Math.floor(at / 8), 1))
      assert.deepStrictEqual([...decodeAcks(bytes.subarray(0, at))], sequences.slice(0, Math.floor(at / 8)))
    }
    assert.deepStrictEqual([...decodeAcks(Buffer.alloc(64))], [])
  })
})

describe("a file's name", () => {
  it("is the first id, and nothing else is taken for one", () => {
    assert.strictEqual(parseFileName(fileName(1_761_825_600_000_000, "segment"), "segment"), 1_761_825_600_000_000)
    assert.strictEqual(parseFileName(fileName(1, "acks"), "acks"), 1)
    for (const name of [
      "lock",
      "",
      "1.segment",
      "0000000000000001.acks",
      "0000000000000001.segment~",
      "9999999999999999.segment",
      "-000000000000001.segment",
      "0x00000000000001.segment"
    ]) {
      assert.isUndefined(parseFileName(name, "segment"), name)
    }
  })
})
