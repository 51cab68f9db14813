import * as fs from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import { ConfigProvider, Duration, Effect, Layer, Option, Redacted } from "effect"
import { forgetSecret, keptSecret, randomSecret, Settings } from "./Settings.ts"

const folder = Effect.acquireRelease(
  Effect.promise(() => fs.mkdtemp(join(tmpdir(), "nodepulse-settings-"))),
  (made) => Effect.promise(() => fs.rm(made, { recursive: true, force: true }))
)

describe("a secret in the data folder", () => {
  it.effect("is made once, also by processes that start together, and only its owner can read it", () =>
    Effect.gen(function* () {
      const dataDir = join(yield* folder, "data")
      const kept = keptSecret(dataDir, "admin-token", randomSecret)
      for (let round = 0; round < 50; round++) {
        yield* forgetSecret(dataDir, "admin-token")
        const together = yield* Effect.all(
          Array.from({ length: 5 }, () => kept),
          { concurrency: "unbounded" }
        )
        expect(new Set(together.map(Redacted.value)).size).toBe(1)
      }
      expect(yield* Effect.promise(() => fs.readdir(dataDir))).toEqual(["admin-token"])
      const secrets = [yield* kept]
      expect(Redacted.value(secrets[0]!)).toMatch(/^[A-Za-z0-9_-]{43}$/)
      const { mode } = yield* Effect.promise(() => fs.stat(join(dataDir, "admin-token")))
      expect(mode & 0o777).toBe(0o600)
      expect(Redacted.value(yield* kept)).toBe(Redacted.value(secrets[0]!))
      yield* forgetSecret(dataDir, "admin-token")
      expect(Redacted.value(yield* kept)).not.toBe(Redacted.value(secrets[0]!))
    })
  )

  it.effect("that is empty is an error that says what to do", () =>
    Effect.gen(function* () {
      const dataDir = yield* folder
      yield* Effect.promise(() => fs.writeFile(join(dataDir, "admin-token"), "\n", { mode: 0o600 }))
      const error = yield* Effect.flip(keptSecret(dataDir, "admin-token", randomSecret))
      expect(error.message).toMatch(/admin-token: it is empty: delete it/)
    })
  )
})

describe("the environment", () => {
  const read = (env: Record<string, string>) =>
    Settings.pipe(
      Effect.provide(Settings.layer.pipe(Layer.provide(ConfigProvider.layer(ConfigProvider.fromEnv({ env })))))
    )

  it.effect("has a default for everything, and an empty variable counts as none", () =>
    Effect.gen(function* () {
      const settings = yield* read({ DATABASE_URL: "", VALKEY_URL: " " })
      expect(settings).toMatchObject({ host: "127.0.0.1", port: 8080 })
      expect(settings.dataDir).toMatch(/^\/.*\.nodepulse$/)
      expect([settings.databaseUrl, settings.valkeyUrl, settings.adminToken]).toEqual([
        Option.none(),
        Option.none(),
        Option.none()
      ])
    })
  )

  it.effect("streams are 1 to 256", () =>
    Effect.gen(function* () {
      expect((yield* read({})).stream?.streams).toBe(1)
      expect((yield* read({ NODEPULSE_STREAMS: "256" })).stream?.streams).toBe(256)
      for (const wrong of ["0", "257", "1.5", "many", "-1"]) {
        expect((yield* Effect.exit(read({ NODEPULSE_STREAMS: wrong })))._tag, wrong).toBe("Failure")
      }
    })
  )

  it.effect("an entry of the stream holds a snapshot or a scrape, and nothing else is taken for either", () =>
    Effect.gen(function* () {
      expect((yield* read({})).stream?.entry).toBe("snapshot")
      expect((yield* read({ NODEPULSE_STREAM_ENTRY: "scrape" })).stream?.entry).toBe("scrape")
      const error = yield* Effect.flip(read({ NODEPULSE_STREAM_ENTRY: "row" }))
      expect(error.message).toContain("NODEPULSE_STREAM_ENTRY")
      expect(error.message).toContain('"scrape"')
    })
  )

  it.effect("a base path is taken with and without the slash at its end; one that cannot work is refused by name", () =>
    Effect.gen(function* () {
      for (const [text, path] of [
        ["", ""],
        ["/", ""],
        ["/pulse", "/pulse"],
        ["/pulse/", "/pulse"],
        ["/a/b.c/", "/a/b.c"]
      ] as const) {
        expect((yield* read({ NODEPULSE_BASE_PATH: text })).basePath).toBe(path)
      }
      for (const text of ["pulse", "/api", "/a//b", "https://example.org/pulse"]) {
        const error = yield* Effect.flip(read({ NODEPULSE_BASE_PATH: text }))
        expect(String(error)).toContain("NODEPULSE_BASE_PATH")
        expect(String(error)).toContain("a path such as /pulse")
      }
    })
  )

  it.effect("days are packed after the time that is set, of an hour at least", () =>
    Effect.gen(function* () {
      expect((yield* read({})).packAfter).toBeUndefined()
      expect((yield* read({ NODEPULSE_PACK_AFTER: "3 days" })).packAfter).toEqual(Duration.days(3))
      for (const after of ["59 minutes", "soon", "25"]) {
        expect(String(yield* Effect.flip(read({ NODEPULSE_PACK_AFTER: after })))).toContain("NODEPULSE_PACK_AFTER")
      }
    })
  )

  it.effect("a port that is none is refused by name", () =>
    Effect.gen(function* () {
      for (const port of ["http", "-1", "65536", "80.5"]) {
        const error = yield* Effect.flip(read({ NODEPULSE_PORT: port }))
        expect(String(error)).toContain("NODEPULSE_PORT")
      }
    })
  )
})
