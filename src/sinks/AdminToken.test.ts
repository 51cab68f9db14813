import * as fs from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { loadAdminToken } from "./AdminToken.ts"

const folder = Effect.acquireRelease(
  Effect.promise(() => fs.mkdtemp(join(tmpdir(), "nodepulse-admin-"))),
  (made) => Effect.promise(() => fs.rm(made, { recursive: true, force: true }))
)

describe("the administrator's token", () => {
  it.effect("is made once, also by servers that start together, and only its owner can read it", () =>
    Effect.gen(function* () {
      const dataDir = join(yield* folder, "data")
      const tokens = yield* Effect.all(
        [1, 2, 3].map(() => loadAdminToken({ dataDir })),
        { concurrency: "unbounded" }
      )
      const texts = tokens.map(Redacted.value)
      expect(texts[0]).toMatch(/^np_admin_[A-Za-z0-9_-]{43}$/)
      expect(new Set(texts).size).toBe(1)
      const { mode } = yield* Effect.promise(() => fs.stat(join(dataDir, "admin-token")))
      expect(mode & 0o777).toBe(0o600)
      expect(Redacted.value(yield* loadAdminToken({ dataDir }))).toBe(texts[0])
    })
  )

  it.effect("is the configured one where there is one, and then nothing is written", () =>
    Effect.gen(function* () {
      const dataDir = yield* folder
      const token = yield* loadAdminToken({ dataDir, configured: Redacted.make("configured") })
      expect(Redacted.value(token)).toBe("configured")
      expect(yield* Effect.promise(() => fs.readdir(dataDir))).toEqual([])
    })
  )

  it.effect("a file that is empty is an error that says what to do", () =>
    Effect.gen(function* () {
      const dataDir = yield* folder
      yield* Effect.promise(() => fs.writeFile(join(dataDir, "admin-token"), "\n"))
      const error = yield* Effect.flip(loadAdminToken({ dataDir }))
      expect(error.message).toMatch(/admin-token cannot be read or written.*NODEPULSE_ADMIN_TOKEN/)
    })
  )
})
