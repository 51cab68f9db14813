import { crc32 } from "node:zlib"
import { assert, describe, it } from "@effect/vitest"
import { keyOf, STREAMS_MAX, streamOf } from "./StreamNumber.ts"

describe("the stream of a server", () => {
  it("is the same for ever: CRC-32 of its id, as of any other implementation of it", () => {
    assert.strictEqual(crc32("123456789"), 0xcbf43926)
    assert.deepStrictEqual(
      ["web-1", "web-2", "db-1", "wéb-1", ""].map((server) => streamOf(server, 16)),
      ["web-1", "web-2", "db-1", "wéb-1", ""].map((server) => crc32(server) % 16)
    )
  })

  it("is one of those there are, and no stream has many more servers than another", () => {
    for (const streams of [1, 2, 4, 16, STREAMS_MAX]) {
      const counts = new Array<number>(streams).fill(0)
      for (let n = 0; n < 10_000; n++) counts[streamOf(`server-${n}.example.org`, streams)]!++
      const even = 10_000 / streams
      assert.isTrue(
        counts.every((count) => count > even / 3 && count < 2 * even),
        `${streams}: ${counts}`
      )
    }
  })

  it("has keys that a cluster keeps together", () => {
    assert.strictEqual(keyOf(0), "nodepulse:{0}:snapshots")
    assert.strictEqual(keyOf(7, "lane-1"), "lane-1:{7}:snapshots")
  })
})
