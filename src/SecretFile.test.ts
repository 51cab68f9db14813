import * as fs from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import { readSecretFile, type SecretFileRules } from "./SecretFile.ts"

const NOBODY = 65_534

/** What is said of a file that `plant` has put there; the content where it is taken. */
const said = (plant: (path: string) => Promise<unknown>, rules: SecretFileRules = {}) =>
  Effect.gen(function* () {
    const folder = yield* Effect.acquireRelease(
      Effect.promise(() => fs.mkdtemp(join(tmpdir(), "nodepulse-secret-"))),
      (made) => Effect.promise(() => fs.rm(made, { recursive: true, force: true }))
    )
    const path = join(folder, "secret")
    yield* Effect.promise(() => plant(path))
    const read = readSecretFile(path, rules)
    return Result.isSuccess(read) ? read.success : read.failure.message.replace(path, "secret")
  }).pipe(Effect.scoped)

const written = (mode: number) => async (path: string) => {
  await fs.writeFile(path, "s3cret")
  await fs.chmod(path, mode)
}
const linked = async (path: string) => {
  await written(0o600)(`${path}.target`)
  await fs.symlink(`${path}.target`, path)
}

describe("a file with a secret", () => {
  it.effect("is taken where only its owner may write it, whoever reads it", () =>
    Effect.gen(function* () {
      expect(yield* said(written(0o600))).toBe("s3cret")
      expect(yield* said(written(0o444))).toBe("s3cret")
      expect(yield* said(linked)).toBe("s3cret")
      expect(yield* said(written(0o600), { own: true })).toBe("s3cret")
    })
  )

  it.effect("that others can write is refused", () =>
    Effect.gen(function* () {
      expect(yield* said(written(0o620))).toMatch(/^secret: others can write it \(mode 620\)/)
      expect(yield* said(written(0o606))).toMatch(/others can write it \(mode 606\)/)
    })
  )

  it.effect("of NodePulse's own that is a link, or that others can read, is refused", () =>
    Effect.gen(function* () {
      expect(yield* said(linked, { own: true })).toMatch(/^secret: it is a link/)
      expect(yield* said(written(0o640), { own: true })).toMatch(/others can read it \(mode 640\)/)
    })
  )

  it.effect("that is a folder, or too large, is refused", () =>
    Effect.gen(function* () {
      expect(yield* said((path) => fs.mkdir(path))).toMatch(/it is no regular file/)
      expect(yield* said((path) => fs.writeFile(path, "x".repeat(300_000)))).toMatch(/it has 300000 bytes/)
      expect(yield* said(async () => {})).toBe("secret: it cannot be read (ENOENT)")
    })
  )

  it.effect.runIf(process.getuid?.() === 0)("that belongs to another user is refused, and says whose it is", () =>
    Effect.gen(function* () {
      const planted = async (path: string) => {
        await written(0o600)(path)
        await fs.chown(path, NOBODY, NOBODY)
      }
      expect(yield* said(planted)).toMatch(/it belongs to user 65534, who is neither root nor the user that reads it/)
      expect(yield* said(planted, { own: true })).toMatch(/it belongs to user 65534/)
      expect(yield* said(planted, { owner: NOBODY })).toBe("s3cret")
    })
  )
})
