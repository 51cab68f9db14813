import { describe, expect, it } from "@effect/vitest"
import { versionFinding } from "./Examination.ts"

// What needs servers of its own is in `test/postgres-servers.test.ts`.
describe("the version of PostgreSQL", () => {
  it("15 and later will do, and an older one is refused with its name", () => {
    for (const version of [150_000, 150_018, 180_004]) {
      expect(versionFinding({ version, shown: "x" })).toMatchObject({ state: "fine" })
    }
    for (const version of [140_020, 130_000, 90_624]) {
      expect(versionFinding({ version, shown: "14.20" })).toMatchObject({
        state: "mend",
        saw: "PostgreSQL 14.20 is too old",
        remedy: expect.stringContaining("15 or later")
      })
    }
  })
})
