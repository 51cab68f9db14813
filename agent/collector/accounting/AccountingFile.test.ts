import { appendFileSync, mkdirSync, mkdtempSync, renameSync, rmSync, truncateSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, assert, describe, it } from "@effect/vitest"
import { AccountingFile, BYTES_MAX } from "./AccountingFile.ts"
import { compressed, RECORD_BYTES, readRecord } from "./AccountingRecord.ts"

/** As the kernel of a Debian machine wrote them: a run of `cat`, and one of `bash` of 2.34 s. */
const REAL = {
  cat: "AAMAAAAAAAAAAAAAAAAAADMgAAArIAAATEwNawAAAAAAAAAAbAvsBAAAfwAAAAAAY2F0AAAAAAAAAAAAAAAAAA==",
  bash: "AAMAAAAAAAAAAAAAAAAAADQgAAArIAAATEwNawAAYkMAAAAACBGgBwAAxQAAAAAAYmFzaAAAAAAAAAAAAAAAAA=="
}
const CAT = {
  command: "cat",
  pid: 8243,
  parent: 8235,
  forkedOnly: false,
  startedAt: 1796033612,
  elapsedSeconds: 0.0,
  cpuSeconds: 0.0
}
const BASH = {
  command: "bash",
  pid: 8244,
  parent: 8235,
  forkedOnly: false,
  startedAt: 1796033612,
  elapsedSeconds: 2.26,
  cpuSeconds: 0.0
}

const folder = mkdtempSync(join(tmpdir(), "nodepulse-accounting-"))
afterAll(() => rmSync(folder, { recursive: true }))

const record = (pid: number, { version = 3, command = "ls" } = {}): Buffer => {
  const bytes = Buffer.alloc(RECORD_BYTES)
  bytes[1] = version
  bytes.writeUInt32LE(pid, 16)
  bytes.writeUInt32LE(1, 20)
  bytes.write(command, 48, 15, "latin1")
  return bytes
}

let files = 0
const followed = (...before: ReadonlyArray<Buffer>) => {
  const path = join(folder, `pacct-${++files}`)
  writeFileSync(path, Buffer.concat(before))
  const file = new AccountingFile(path)
  assert.deepStrictEqual(file.read(), { records: [], skipped: 0, problem: undefined })
  const write = (...records: ReadonlyArray<Buffer>) => appendFileSync(path, Buffer.concat(records))
  const pids = () => file.read().records.map(({ pid }) => pid)
  return { path, file, write, pids }
}

describe("a record", () => {
  it("is read as the kernel wrote it", () => {
    assert.deepStrictEqual(readRecord(Buffer.from(REAL.cat, "base64"), 0), CAT)
    assert.deepStrictEqual(readRecord(Buffer.from(REAL.bash, "base64"), 0), BASH)
  })

  it("has times of 13 bits and a power of 8", () => {
    for (const [value, ticks] of [
      [0, 0],
      [8_191, 8_191],
      [0x2000 | 1_024, 8_192],
      [0x6000 | 8_191, 8_191 * 512],
      [0xffff, 8_191 * 8 ** 7]
    ] as const) {
      assert.strictEqual(compressed(value), ticks)
    }
  })

  it("of another version or byte order is refused by name", () => {
    const reason = (version: number) => {
      const read = readRecord(record(5, { version }), 0)
      return "reason" in read ? read.reason : "read"
    }
    assert.include(reason(2), "version 2")
    assert.include(reason(0), "CONFIG_BSD_PROCESS_ACCT_V3")
    assert.include(reason(0x83), "byte order")
    assert.include(reason(9), "version 9")
    assert.strictEqual(reason(3), "read")
  })

  it("has a name of 15 bytes, whatever they are", () => {
    const odd = record(5, { command: "a) b\n\xff" })
    assert.deepInclude(readRecord(odd, 0), { command: "a) b\n\ufffd" })
    assert.deepInclude(readRecord(record(5, { command: "123456789012345678" }), 0), { command: "123456789012345" })
  })
})

describe("the file", () => {
  it("is followed from its end", () => {
    const { pids, write } = followed(record(1), record(2))
    assert.deepStrictEqual(pids(), [])
    write(record(3), record(4))
    assert.deepStrictEqual(pids(), [3, 4])
    assert.deepStrictEqual(pids(), [])
  })

  it("that is replaced is read to its end, also what the kernel still writes to it", () => {
    const { path, pids, write } = followed(record(1))
    write(record(2))
    renameSync(path, `${path}.0`)
    writeFileSync(path, "")
    assert.deepStrictEqual(pids(), [2])
    appendFileSync(`${path}.0`, record(3))
    assert.deepStrictEqual(pids(), [3])
    appendFileSync(`${path}.0`, record(4))
    write(record(5))
    assert.deepStrictEqual(pids(), [4, 5])
    appendFileSync(`${path}.0`, record(6))
    write(record(7))
    assert.deepStrictEqual(pids(), [7])
  })

  it("that is away for a while is read from its beginning when it is back", () => {
    const { file, path, pids, write } = followed()
    write(record(1))
    renameSync(path, `${path}.0`)
    const away = file.read()
    assert.include(away.problem, "is not there")
    assert.deepStrictEqual(
      away.records.map(({ pid }) => pid),
      [1]
    )
    writeFileSync(path, record(2))
    assert.deepStrictEqual(pids(), [2])
  })

  it("that is cut is read from its beginning, though it is longer again", () => {
    const { path, pids, write } = followed(record(1), record(2))
    truncateSync(path)
    write(record(3))
    assert.deepStrictEqual(pids(), [3])
    truncateSync(path)
    write(record(4), record(5), record(6))
    assert.deepStrictEqual(pids(), [4, 5, 6])
  })

  it("is read without a record that is not whole yet", () => {
    const { pids, write } = followed(record(1))
    write(record(2), record(3).subarray(0, 40))
    assert.deepStrictEqual(pids(), [2])
    write(record(3).subarray(40))
    assert.deepStrictEqual(pids(), [3])
  })

  it("is read on behind half a record", () => {
    const { file, write } = followed(record(1))
    write(record(2), record(3).subarray(0, 21), record(4), record(5))
    const { problem, records, skipped } = file.read()
    assert.deepStrictEqual(
      records.map(({ pid }) => pid),
      [2, 4, 5]
    )
    assert.deepStrictEqual([skipped, problem], [1, undefined])
  })

  it("that grows faster than is read loses the oldest, counted", () => {
    const { file, write } = followed()
    const many = Array.from({ length: BYTES_MAX / RECORD_BYTES + 100 }, (_, n) => record(n + 1))
    write(...many)
    const { records, skipped } = file.read()
    assert.deepStrictEqual([skipped, records.length, records[0]!.pid], [100, many.length - 100, 101])
    assert.lengthOf(file.read().records, 0)
  })

  it("of another kernel or program is refused, and read where it becomes one of ours", () => {
    const { file, pids, write } = followed()
    write(record(1, { version: 2 }), record(2, { version: 2 }), record(3, { version: 2 }))
    assert.include(file.read().problem, "version 2")
    write(record(4))
    assert.deepStrictEqual(pids(), [4])
  })

  it("is said to be missing, unreadable or no file", () => {
    assert.include(new AccountingFile(join(folder, "none")).read().problem, "apt install acct")
    mkdirSync(join(folder, "sub"))
    assert.include(new AccountingFile(join(folder, "sub")).read().problem, "no regular file")
    assert.include(new AccountingFile("/dev/zero").read().problem, "no regular file")
  })
})
