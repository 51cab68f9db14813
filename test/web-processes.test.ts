/** The place "Processes" in a real Chromium: what runs on all servers together, one process on each, and what is gone. */
import { describe, expect, layer } from "@effect/vitest"
import { Effect } from "effect"
import type { Page } from "playwright-core"
import * as TestServer from "./TestServer.ts"
import { executablePath, findings, GROUPS, groupRow, HOST, hostRow, inBrowser, once, push, world } from "./WebWorld.ts"

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const SERVERS = ["web-1", "web-2", "web-3"]
const HOSTILE = ["..", "a/b?c#d", "=", "n\u043ede", "<img src=x onerror=alert(1)>"]

/** Growth over a day takes six means of an hour: so many minutes are, at whatever minute of the hour the test runs. */
const MINUTES = 360

/** Six hours of three servers: leaker grows on the second, and many small ones run on the third. */
const rowsOf = (server: number, now: number) =>
  Array.from({ length: MINUTES }, (_, n) => {
    const at = now - (MINUTES - 1 - n) * MINUTE
    return {
      host: hostRow(at, n),
      groups: [
        groupRow(at, "postgres", 100 + n * 30 * (server + 1), 900, 8),
        groupRow(at, "leaker", 10 + n, server === 1 ? 200 + n * 2 : 200),
        ...(server === 0 ? HOSTILE.map((name, k) => groupRow(at, name, 5 + n * 0.01 * (k + 1), 10)) : []),
        // Some minutes ago: the window ends at the last full five.
        ...(server === 2 && (n === MINUTES - 20 || n === MINUTES - 19)
          ? Array.from({ length: 120 }, (_, k) => groupRow(at, `worker-${String(k).padStart(3, "0")}`, n * 0.001, 5))
          : [])
      ]
    }
  })

const seed = once(
  Effect.gen(function* () {
    const { register } = yield* TestServer.TestServer
    const now = Math.floor(Date.now() / MINUTE) * MINUTE
    for (const [n, server] of SERVERS.entries()) {
      const { token } = yield* register(server)
      const rows = rowsOf(n, now)
      for (let from = 0; from < rows.length; from += 100) {
        const some = rows.slice(from, from + 100)
        yield* push(token, { [HOST]: some.map(({ host }) => host), [GROUPS]: some.flatMap(({ groups }) => groups) })
      }
      if (n > 0) continue
      const before = [now - 40 * HOUR, now - 40 * HOUR + MINUTE]
      yield* push(token, { [GROUPS]: before.map((at, k) => groupRow(at, "yesterday", 5 + k, 30)) })
    }
  })
)

const names = async (page: Page) => (await page.locator("tbody th .name bdi").allTextContents()).slice(0, 3)
const noScrollSideways = (page: Page) =>
  page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")

describe.skipIf(executablePath === undefined)("the processes of the fleet", () => {
  layer(world, { timeout: 180_000, excludeTestServices: true })("in a browser", (it) => {
    it.effect("are ranked over a day by what they used, and by how fast they grow", () =>
      Effect.gen(function* () {
        const { request } = yield* TestServer.TestServer
        yield* seed
        // What is asked while rows are still on their way is kept for a moment.
        const stored = Effect.map(request("GET", "/api/processes/groups?hours=24"), ({ body }) => body.matching === 127)
        yield* Effect.repeat(Effect.delay(stored, "1 second"), { until: (is) => is })
        yield* inBrowser(
          "/",
          async (page) => {
            await page.getByRole("navigation", { name: "Main" }).getByRole("link", { name: "Processes" }).click()
            await page.getByRole("heading", { name: "Processes", level: 1 }).waitFor()
            await expect.poll(() => names(page)).toEqual(["postgres", "leaker", "<img src=x onerror=alert(1)>"])
            const row = (name: string) => page.getByRole("row").filter({ hasText: name })
            // 360 core-seconds on each of three servers; 120 MiB an hour on one of them.
            await expect.poll(() => row("leaker").textContent()).toMatch(/120\sMiB\/h/)
            await expect.poll(() => row("postgres").textContent()).toContain("web-3")
            await page.getByRole("button", { name: "Growth" }).click()
            await expect.poll(async () => (await names(page))[0]).toBe("leaker")
            await page.waitForURL("**metric=memory&by=growth**")
            await page.getByRole("button", { name: "GiB-hours" }).click()
            await expect.poll(async () => (await names(page))[0]).toBe("postgres")
            await page.waitForURL((url) => url.search.includes("metric=memory") && !url.search.includes("growth"))
            expect(await findings(page)).toEqual([])
          },
          { width: 1440 }
        )
      })
    )

    it.effect("open on every server that ran one, by keyboard, with growth, and from there on the server's page", () =>
      inBrowser(
        "/processes?metric=memory&by=growth",
        async (page) => {
          await expect.poll(async () => (await names(page))[0]).toBe("leaker")
          await page.keyboard.press("ArrowDown")
          await expect.poll(() => page.evaluate("document.activeElement.textContent")).toContain("leaker")
          await page.keyboard.press("Enter")
          await page.getByRole("heading", { name: "leaker" }).waitFor()
          await expect.poll(() => names(page)).toEqual(["web-2", "web-1", "web-3"])
          const grows = page.getByRole("row").filter({ hasText: "web-2" })
          await expect.poll(() => grows.textContent()).toMatch(/120\sMiB\/h/)
          // 5 GiB are available.
          await expect.poll(() => grows.textContent()).toMatch(/1\sd 1[89]\sh/)
          expect(await findings(page)).toEqual([])
          await grows.getByRole("link").click()
          await page.getByRole("heading", { name: "web-2" }).waitFor()
          expect(page.url()).toContain("open=leaker")
          expect(page.url()).toContain("range=24h")
          await page.getByRole("dialog").or(page.locator(".group-panel, .panel")).first().waitFor()
          await page.goBack()
          await page.getByRole("heading", { name: "leaker" }).waitFor()
        },
        { width: 1440 }
      )
    )

    it.effect("lead to the server that stands out and back, over the same time", () =>
      inBrowser("/processes/processes/leaker", async (page) => {
        await page.getByRole("link", { name: "Which server stands out" }).click()
        await page.getByRole("heading", { name: "leaker over all servers" }).waitFor()
        expect(page.url()).toContain("range=24h")
        await page.getByRole("link", { name: "Totals and growth" }).click()
        await page.getByRole("row").filter({ hasText: "web-2" }).waitFor()
        expect(page.url()).toMatch(/\/processes\/processes\/leaker\?range=24h/)
      })
    )

    it.effect("that are gone are found by their name, and shown then", () =>
      inBrowser("/processes", async (page) => {
        await page.locator("tbody th .name").first().waitFor()
        await page.keyboard.press("/")
        await page.keyboard.type("YESTER")
        await page.waitForURL("**q=YESTER**")
        await page.getByText("last seen").waitFor()
        await expect
          .poll(() => page.locator(".gone-names").textContent())
          .toMatch(/yesterday.*last seen 1\sd 1[56]\sh ago/)
        expect(await findings(page)).toEqual([])
        await page.getByRole("button", { name: "show then" }).click()
        await page.getByRole("row").filter({ hasText: "yesterday" }).waitFor()
        expect(page.url()).toContain("window=")
        expect(page.url()).toContain("q=YESTER")
        await page.getByRole("link", { name: "yesterday" }).click()
        await page.getByRole("row").filter({ hasText: "web-1" }).waitFor()
      })
    )

    it.effect("with names that are none of an address, or look like another, open all the same", () =>
      Effect.forEach(
        HOSTILE,
        (name) =>
          inBrowser(`/processes?q=${encodeURIComponent(name)}`, async (page) => {
            const link = page.locator("tbody th a").first()
            await link.waitFor()
            await expect.poll(() => page.locator("tbody th a").count()).toBeGreaterThan(0)
            await page
              .locator(`tbody th .name[title^=${JSON.stringify(name.slice(0, 1))}]`)
              .first()
              .click()
            await page.getByRole("row").filter({ hasText: "web-1" }).waitFor()
            await page.reload()
            await page.getByRole("row").filter({ hasText: "web-1" }).waitFor()
          }),
        { discard: true }
      )
    )

    it.effect("are put together by the rule set that is chosen, also on every server and in the links from there", () =>
      Effect.gen(function* () {
        const { request } = yield* TestServer.TestServer
        const rules = [{ match: "^worker-\\d+$", name: "workers" }]
        yield* request("POST", "/api/groupings", { body: { name: "workers", base_version: 0, rules } })
        yield* inBrowser(
          "/processes?q=worker",
          async (page) => {
            await page.getByText("worker-000").waitFor()
            await page.getByRole("button", { name: "Group names…" }).click()
            await page.getByRole("button", { name: "workers", exact: true }).click()
            await page.getByText("Names are grouped by workers, version 1.").waitFor()
            await expect.poll(() => names(page)).toEqual(["workers"])
            expect(await findings(page)).toEqual([])
            await page.locator("tbody th a").click()
            await page.getByRole("heading", { name: "workers" }).waitFor()
            await page.getByText("Names are grouped by workers, version 1.").waitFor()
            await expect.poll(() => names(page)).toEqual(["web-3"])
            await page.getByRole("row").filter({ hasText: "web-3" }).getByRole("link").click()
            await page.getByRole("heading", { name: "web-3" }).waitFor()
            expect(page.url()).toContain("grouping=workers")
          },
          { width: 1440 }
        )
      })
    )

    it.effect("are all there on a phone, none cut, and only what is seen is in the page", () =>
      inBrowser(
        "/processes",
        async (page) => {
          await page.locator("tbody th .name").first().waitFor()
          await expect.poll(() => noScrollSideways(page)).toBe(true)
          expect(await findings(page)).toEqual([])
          await expect.poll(() => page.locator("tbody tr[data-index]").count()).toBeLessThan(80)
          await expect
            .poll(async () => {
              await page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
              return page.getByText("worker-119").isVisible()
            })
            .toBe(true)
          await expect.poll(() => page.locator("tbody tr[data-index]").count()).toBeLessThan(80)
          await page.goto(`${page.url().replace(/\/processes.*/, "")}/processes/processes/leaker?by=growth`)
          await page.getByRole("row").filter({ hasText: "web-2" }).waitFor()
          await expect.poll(() => noScrollSideways(page)).toBe(true)
          expect(await findings(page)).toEqual([])
        },
        { width: 360, dark: true }
      )
    )
  })
})
