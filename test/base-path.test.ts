/**
 * NodePulse behind a real nginx and a real Caddy, below a path, as docs/deployment.md says: the page in a real Chromium. Needs
 * Debian's `nginx-light`, `caddy` and `chromium`; says in one line what was left out where one is missing.
 */
import { describe, expect, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { chromium } from "playwright-core"
import { findChromium, launchOptions } from "../scripts/Browser.ts"
import { ensurePage } from "../scripts/build-web.ts"
import { freePort } from "./Ports.ts"
import { exampleOf, isThere, type ProxyKind, start } from "./Proxies.ts"
import * as TestServer from "./TestServer.ts"

const executablePath = findChromium()
if (executablePath === undefined) {
  process.stdout.write(
    "left out: the page below a path of a reverse proxy, for want of chromium (apt-get install chromium)\n"
  )
}

/** A host that serves something else, and NodePulse below /pulse. */
const proxy = (kind: ProxyKind, upstream: string) =>
  Effect.gen(function* () {
    const port = yield* freePort
    const example = yield* exampleOf(kind === "nginx" ? "nginx-below-a-path.conf" : "Caddyfile-below-a-path", upstream)
    const site =
      kind === "nginx"
        ? `server { listen 127.0.0.1:${port}; location = / { return 200 "something else"; } ${example} }`
        : `http://127.0.0.1:${port} {\n respond / "something else"\n ${example} }`
    yield* start(kind, site, port)
    return `http://127.0.0.1:${port}`
  })

/** The server reads the page's files when it starts. */
const world = Layer.unwrap(
  Effect.sync(() => {
    ensurePage()
    return TestServer.layerWith({ basePath: "/pulse" })
  })
)

describe.skipIf(executablePath === undefined)("NodePulse below a path of a reverse proxy", () => {
  layer(world, { timeout: 120_000, excludeTestServices: true })("is whole", (it) => {
    for (const [what, kind, ending] of [
      ["as documented for nginx", "nginx", ""],
      ["as documented for Caddy", "caddy", ""],
      ["also where the proxy takes the path off", "nginx", "/"]
    ] as const) {
      ;(isThere(kind) ? it.effect : it.effect.skip)(
        `${what}: sign-in, servers with dots in their names, reload, assets, API and documentation`,
        () =>
          Effect.gen(function* () {
            const { register, request, url } = yield* TestServer.TestServer
            const { server_id: id } = yield* register("db1.example.com")
            const outside = yield* proxy(kind, `${url}${ending}`)
            const browser = yield* Effect.acquireRelease(
              Effect.promise(() => chromium.launch(launchOptions(executablePath!))),
              (browser) => Effect.promise(() => browser.close())
            )
            const link = yield* request("POST", "/pulse/api/session/links")
            expect(link.body.path).toMatch(/^\/pulse\/signin/)
            yield* Effect.promise(async () => {
              const page = await browser.newPage()
              page.setDefaultTimeout(60_000)
              const wrong: Array<string> = []
              page.on("response", (response) => {
                const { pathname, protocol } = new URL(response.url())
                if (!protocol.startsWith("http")) return
                if (response.status() >= 400 || !pathname.startsWith("/pulse")) wrong.push(response.url())
              })
              await page.goto(`${outside}${link.body.path}`)
              expect(page.url()).toBe(`${outside}/pulse/`)
              const [cookie] = await page.context().cookies()
              expect(cookie?.path).toBe("/pulse")
              await page.locator(`a[href="/pulse/servers/${id}"]`).click()
              await page.getByText("This server has never reported.").waitFor()
              expect(page.url()).toBe(`${outside}/pulse/servers/${id}`)
              await page.reload()
              await page.getByText("This server has never reported.").waitFor()
              await page.getByRole("link", { name: "Pipeline" }).first().click()
              await page.getByRole("heading", { name: "Supervision tree" }).waitFor()
              await page.goBack()
              await page.goBack()
              await page.getByRole("button", { name: "Add a server" }).click()
              await page.getByLabel("What is it called?").fill("web")
              await page.keyboard.press("Enter")
              await page.getByText(`url: "${outside}/pulse"`).waitFor()
              await expect.poll(() => page.evaluate("document.images[0].naturalWidth")).toBeGreaterThan(0)
              await page.goto(`${outside}/pulse/api/docs`)
              await page.getByRole("heading", { name: /NodePulse/ }).waitFor()
              await page.getByRole("combobox").filter({ hasText: "/pulse" }).waitFor()
              expect(wrong).toEqual([])
            })
          }).pipe(Effect.scoped)
      )
    }

    it.effect("says what to set where the page's script cannot be found", () =>
      Effect.gen(function* () {
        const { url } = yield* TestServer.TestServer
        const html = yield* Effect.promise(async () => (await fetch(`${url}/pulse/`)).text())
        expect(html).toContain("NODEPULSE_BASE_PATH")
        expect(html).not.toMatch(/(href|src)="\/(?!pulse\/)/)
      })
    )
  })
})
