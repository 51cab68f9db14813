import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, assert, describe, it } from "@effect/vitest"
import { checkAccounting } from "./DoctorAccounting.ts"

const folder = mkdtempSync(join(tmpdir(), "nodepulse-doctor-accounting-"))
afterAll(() => rmSync(folder, { recursive: true }))

const record = (version: number): Buffer => {
  const bytes = Buffer.alloc(64)
  bytes[1] = version
  bytes.writeUInt32LE(9, 16)
  return bytes
}

describe("doctor says of the accounting file", () => {
  const path = join(folder, "pacct")

  it("that it grows where a process that ends is in it", () => {
    writeFileSync(path, record(3))
    const finding = checkAccounting(path, () => appendFileSync(path, record(3)))
    assert.deepInclude(finding, { state: "ok" })
  })

  it("that accounting is off where it is not, and how it is switched on", () => {
    writeFileSync(path, record(3))
    const finding = checkAccounting(path, () => {})
    assert.include(JSON.stringify(finding), "accounting is off")
    assert.include(JSON.stringify(finding), `accton ${path}`)
  })

  it("what else is wrong with it", () => {
    assert.include(JSON.stringify(checkAccounting(join(folder, "none"))), "apt install acct")
    const old = checkAccounting(path, () => appendFileSync(path, Buffer.concat([record(2), record(2), record(2)])))
    assert.include(JSON.stringify(old), "version 2")
  })
})
