import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { brotliCompressSync } from "node:zlib"
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { startServer } from "./TestServer.ts"

/** A folder with a page as a build would leave it, beside a secret. */
const page = Effect.acquireRelease(
  Effect.sync(() => {
    const root = mkdtempSync(join(tmpdir(), "nodepulse-page-"))
    const folder = join(root, "dist")
    mkdirSync(join(folder, "assets"), { recursive: true })
    writeFileSync(join(root, "secret.txt"), "secret")
    writeFileSync(join(folder, "index.html"), "<!doctype html><title>the page</title>")
    writeFileSync(join(folder, "favicon.svg"), "<svg/>")
    const script = "console".repeat(100)
    writeFileSync(join(folder, "assets", "app-1a2b3c.js"), script)
    writeFileSync(join(folder, "assets", "app-1a2b3c.js.br"), brotliCompressSync(script))
    return { root, folder }
  }),
  ({ root }) => Effect.sync(() => rmSync(root, { recursive: true }))
)

describe("the page that was built", () => {
  it.live("is served at its own addresses, with a policy that lets it load itself only", () =>
    Effect.gen(function* () {
      const { ask } = yield* startServer({ page: (yield* page).folder })
      for (const path of ["/", "/index.html", "/servers/alpha", "/servers/alpha?hours=6"]) {
        const answer = yield* ask(path)
        expect([path, answer.status, answer.text]).toEqual([path, 200, expect.stringContaining("the page")])
        expect(answer.headers["content-security-policy"]).toContain("script-src 'self'")
        expect(answer.headers["cache-control"]).toBe("no-cache")
      }
      expect((yield* ask("/api/unknown")).status).toBe(404)
      expect((yield* ask("/missing.js")).status).toBe(404)
      expect((yield* ask("/servers/alpha", { method: "POST" })).status).toBe(404)
    })
  )

  it.live("hashed files are kept for a year, packed where that was built, and not sent twice", () =>
    Effect.gen(function* () {
      const { ask } = yield* startServer({ page: (yield* page).folder })
      const plain = yield* ask("/assets/app-1a2b3c.js")
      expect(plain.headers).toMatchObject({
        "content-type": "text/javascript; charset=utf-8",
        "cache-control": "public, max-age=31536000, immutable",
        vary: "accept-encoding"
      })
      const packed = yield* ask("/assets/app-1a2b3c.js", { headers: { "accept-encoding": "gzip, br" } })
      expect(packed.headers["content-encoding"]).toBe("br")
      expect(Number(packed.headers["content-length"])).toBeLessThan(plain.text.length)
      const again = yield* ask("/", { headers: { "if-none-match": String((yield* ask("/")).headers.etag) } })
      expect([again.status, again.text]).toEqual([304, ""])
    })
  )

  it.live("no path leads out of its folder", () =>
    Effect.gen(function* () {
      const { ask } = yield* startServer({ page: (yield* page).folder })
      for (const path of [
        "/../secret.txt",
        "/assets/../../secret.txt",
        "/%2e%2e/secret.txt",
        "/..%2fsecret.txt",
        "/assets/..%5c..%5csecret.txt",
        "//secret.txt",
        "/./../secret.txt",
        "/index.html/../../secret.txt",
        "/secret.txt%00.html"
      ]) {
        const answer = yield* ask(path)
        expect([path, answer.status]).toEqual([path, 404])
        expect(answer.text).not.toBe("secret")
        expect(answer.headers["content-type"]).toBe("application/problem+json")
      }
    })
  )
})

describe("where nothing was built", () => {
  it.live("one page says so, and what there is instead", () =>
    Effect.gen(function* () {
      const { ask } = yield* startServer()
      const answer = yield* ask("/")
      expect(answer.status).toBe(200)
      expect(answer.text).toContain("its page was not built")
      expect(answer.text).toContain("/api/docs")
      expect((yield* ask("/servers/alpha")).status).toBe(404)
    })
  )
})
