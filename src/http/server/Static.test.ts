import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { brotliCompressSync } from "node:zlib"
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { startServer } from "../TestServer.ts"

const PAGE = `<!doctype html><html data-base=""><title>the page</title><link href="/favicon.svg"><script src="/assets/app-1a2b3c.js"></script><a href="https://example.org/">`

/** A folder with a page as a build would leave it, beside a secret. */
const page = Effect.acquireRelease(
  Effect.sync(() => {
    const root = mkdtempSync(join(tmpdir(), "nodepulse-page-"))
    const folder = join(root, "dist")
    mkdirSync(join(folder, "assets"), { recursive: true })
    writeFileSync(join(root, "secret.txt"), "secret")
    writeFileSync(join(folder, "index.html"), PAGE)
    writeFileSync(join(folder, "index.html.br"), brotliCompressSync(PAGE))
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
      for (const path of [
        "/",
        "/index.html",
        "/servers/alpha",
        "/servers/alpha/",
        "/servers/alpha?hours=6",
        "/servers/db1.example.com",
        "/servers/db1.example.com/node?range=6h",
        "/servers/app.js",
        "/servers/a.b;c=d",
        "/servers/a%2Fb",
        "/servers/%F0%9F%90%98.svg",
        "/pipeline",
        "/nothing/like.this"
      ]) {
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

  it.live("is served below a base path with its own addresses below it, plain and packed", () =>
    Effect.gen(function* () {
      const { ask } = yield* startServer({ page: (yield* page).folder, basePath: "/pulse" })
      const moved = PAGE.replace('data-base=""', 'data-base="/pulse"')
        .replaceAll('="/', '="/pulse/')
        .replace('"/pulse/pulse"', '"/pulse"')
      for (const path of ["/pulse/", "/pulse", "/pulse/servers/db1.example.com", "/servers/db1.example.com"]) {
        const answer = yield* ask(path)
        expect([path, answer.status, answer.text]).toEqual([path, 200, moved])
      }
      const packed = yield* ask("/pulse/", { headers: { "accept-encoding": "br" } })
      expect(packed.headers["content-encoding"]).toBe("br")
      expect(Number(packed.headers["content-length"])).toBeLessThan(moved.length)
      expect((yield* ask("/pulse/assets/app-1a2b3c.js")).text).toContain("console")
      expect((yield* ask("/pulse/assets/gone.js")).status).toBe(404)
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
        "/secret.txt%00.html",
        "/servers/../secret.txt",
        "/servers/%2e%2E/secret.txt",
        "/servers//alpha",
        "/assets/gone-1a2b3c.js",
        "/assets/",
        "/.env"
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
      const below = yield* startServer({ basePath: "/pulse" })
      expect((yield* below.ask("/pulse/")).text).toContain('href="/pulse/api/docs"')
    })
  )
})
