/**
 * What people found on the page, its whole kind each, in a real Chromium: searches, names, focus, times that are over, ways out.
 */
import { describe, expect, layer } from "@effect/vitest"
import { Effect } from "effect"
import type { Page } from "playwright-core"
import * as TestServer from "./TestServer.ts"
import { LOOK_ALIKES } from "./WebViews.ts"
import {
  brush,
  executablePath,
  findings,
  GROUPS,
  goesOn,
  groupRow,
  HOST,
  hostRow,
  hour,
  INTERVAL,
  inBrowser,
  NOISE,
  once,
  push,
  refreshUntil,
  untilTaken,
  visit,
  world
} from "./WebWorld.ts"

const now = Math.floor(Date.now() / INTERVAL) * INTERVAL

const seed = once(
  Effect.gen(function* () {
    const { register } = yield* TestServer.TestServer
    const one = yield* register("one-1")
    for (const payload of hour(now)) yield* push(one.token, payload)
    const odd = yield* register("odd-1")
    yield* push(odd.token, {
      [GROUPS]: [2, 1, 0].flatMap((age) =>
        [...LOOK_ALIKES, "postgres"].map((name, n) => groupRow(now - age * INTERVAL, name, 20 - age + n, 30))
      )
    })
    const two = yield* register("two-1")
    yield* push(two.token, {
      [HOST]: [hostRow(now - INTERVAL, 1), hostRow(now, 2)],
      [GROUPS]: [INTERVAL, 0].flatMap((age) => [
        groupRow(now - age, "java", 50 - age / 1_000, 400),
        groupRow(now - age, "sshd", 5 - age / 100_000, 9)
      ])
    })
    yield* register("never-1")
  })
)

const rows = (page: Page) => page.locator(".ranked tbody .row-button")

describe.skipIf(executablePath === undefined)("what was found on the page", () => {
  layer(world, { timeout: 120_000, excludeTestServices: true })("in a browser", (it) => {
    it.effect("says once what several parts suffer from, however often they are drawn again", () =>
      inBrowser(
        "/healthz",
        async (page) => {
          // Whether there is such a server is known last: until then each part says what it suffers from.
          let answered = () => {}
          const held = new Promise<void>((resolve) => {
            answered = resolve
          })
          await page.route(/\/api\/servers\/nobody$/, (route) => held.then(() => route.continue()))
          await page.goto(`${new URL(page.url()).origin}/servers/nobody`)
          const told = page.getByRole("alert").filter({ hasText: "nobody" })
          // Nothing of it is shown before that.
          await page.getByText(": the same.").first().waitFor({ state: "attached" })
          // A page that draws itself without end says so within a second.
          await page.waitForTimeout(1_500)
          answered()
          await told.waitFor()
          await page.getByText(": the same.").first().waitFor({ state: "detached" })
          await expect.poll(() => told.count()).toBe(1)
        },
        { expected: NOISE }
      )
    )

    it.effect("finds a server by a process that runs on it and is not the busiest, and says which", () =>
      Effect.gen(function* () {
        yield* seed
        yield* inBrowser("/", async (page) => {
          await refreshUntil(page, page.getByRole("row").filter({ hasText: "java" }))
          await page.keyboard.press("/")
          await page.keyboard.type("ssh")
          const found = page.locator(".fleet tbody tr")
          await expect.poll(() => found.count()).toBe(1)
          await expect.poll(() => found.textContent()).toContain("two-1")
          await found.getByRole("link", { name: /sshd/ }).click()
          await page.getByRole("complementary", { name: /sshd/ }).waitFor()
          await page.goto(`${new URL(page.url()).origin}/?q=nobody-runs-this`)
          await page.getByText("No server matches, by its name or by what runs on it now.").waitFor()
          expect(await findings(page)).toEqual([])
        })
      })
    )

    it.effect("says of a used sign-in link what it is and what helps, to a person as a page", () =>
      Effect.gen(function* () {
        const { request, url } = yield* TestServer.TestServer
        const link = yield* request("POST", "/api/session/links")
        yield* inBrowser(
          "/",
          async (page) => {
            await page.goto(`${url}${link.body.path}`)
            await page.getByRole("navigation", { name: "Main" }).waitFor()
            await page.getByRole("button", { name: "Sign out" }).click()
            await page.getByText("sign-in link").first().waitFor()
            await page.goto(`${url}${link.body.path}`)
            await page.getByText("This sign-in link was already used, or has expired.").waitFor()
            expect(await findings(page)).toEqual([])
          },
          { signedOut: true, expected: NOISE }
        )
      })
    )

    it.effect("marks letters that pretend to be others, and says of honest ones nothing", () =>
      inBrowser("/servers/odd-1", async (page) => {
        const row = (name: string) => page.locator(".ranked tbody tr").filter({ hasText: name })
        for (const name of LOOK_ALIKES.slice(0, 3)) await row(name).getByText("look-alike letters").waitFor()
        await expect.poll(() => row(LOOK_ALIKES[0]!).locator(".name-odd").allTextContents()).toEqual(["\u043e"])
        await expect
          .poll(() => row(LOOK_ALIKES[0]!).locator(".name").getAttribute("title"))
          .toContain("\u043e is U+043E")
        expect(await row(LOOK_ALIKES[3]!).locator(".name-warning").count()).toBe(0)
        expect(await row("postgres").locator(".name-warning").count()).toBe(0)
      })
    )

    it.effect("opens by keyboard with the focus and a name to read out, and gives the focus back", () =>
      inBrowser("/servers/one-1", async (page) => {
        await rows(page).first().waitFor()
        const focused = () =>
          page.evaluate("[document.activeElement.tagName, document.activeElement.textContent].join(' ')")
        await page.keyboard.press("ArrowDown")
        await expect.poll(focused).toBe("BUTTON postgres")
        await page.keyboard.press("ArrowDown")
        await expect.poll(focused).toBe("BUTTON nginx")
        await page.keyboard.press("Enter")
        await page.getByRole("complementary", { name: /nginx/ }).waitFor()
        await expect.poll(focused).toBe("H2 nginx")
        await page.keyboard.press("Escape")
        await expect.poll(focused).toBe("BUTTON nginx")
      })
    )

    it.effect("gives a name one colour, in the chart, in the table and on every view", () =>
      inBrowser("/servers/one-1", async (page) => {
        const colour = async (name: string) =>
          page
            .locator(".ranked tbody tr")
            .filter({ has: page.getByRole("button", { name, exact: true }) })
            .locator(".swatch rect")
            .getAttribute("fill")
        await rows(page).first().waitFor()
        await page.locator(".stack canvas").waitFor()
        const before = [await colour("postgres"), await colour("nginx")]
        expect(new Set(before).size).toBe(2)
        await page.keyboard.press("m")
        await page.waitForURL("**metric=memory**")
        await page.locator(".ranked th[aria-sort]").filter({ hasText: "peak" }).waitFor()
        await expect.poll(async () => [await colour("postgres"), await colour("nginx")]).toEqual(before)
        await page.reload()
        await page.locator(".stack canvas").waitFor()
        await expect.poll(async () => [await colour("postgres"), await colour("nginx")]).toEqual(before)
      })
    )

    it.effect(
      "stands with chart and whole table above the fold of 1440 by 900, and does not jump while it loads",
      () =>
        Effect.gen(function* () {
          const { register } = yield* TestServer.TestServer
          const { token } = yield* register("fold-1")
          const now = Math.floor(Date.now() / INTERVAL) * INTERVAL
          for (const payload of hour(now)) yield* push(token, payload)
          yield* goesOn(token, now)
          yield* inBrowser(
            "/healthz",
            async (page) => {
              await page.addInitScript(
                "window.shifted = 0; new PerformanceObserver((list) => { for (const one of list.getEntries()) if (!one.hadRecentInput) window.shifted += one.value }).observe({ type: 'layout-shift', buffered: true })"
              )
              const { origin } = new URL(page.url())
              for (const path of [
                "/servers/fold-1",
                "/servers/fold-1?open=nginx",
                "/servers/never-1",
                "/",
                "/pipeline"
              ]) {
                await page.goto(`${origin}${path}`)
                await page.waitForLoadState("networkidle")
                expect(Number(await page.evaluate("window.shifted")), `layout shift of ${path}`).toBeLessThanOrEqual(
                  0.05
                )
              }
              await page.goto(`${origin}/servers/fold-1`)
              await rows(page).first().waitFor()
              const misplaced = async () => {
                const chart = (await page.locator(".stack .u-over").boundingBox())!
                const table = (await page.locator("table.ranked").boundingBox())!
                return [
                  ...(chart.x + chart.width < table.x ? [] : ["the chart is not beside the table"]),
                  ...(chart.y + chart.height < 900 ? [] : ["the chart goes below the fold"]),
                  ...(table.y + table.height <= 900 ? [] : ["the table goes below the fold"])
                ]
              }
              await expect.poll(misplaced).toEqual([])
            },
            { width: 1440 }
          )
        }).pipe(Effect.scoped),
      // Six loads of the page, each until nothing more is asked: a bound for a machine that does much else.
      600_000
    )

    it.effect("zooms into what is marked, down to scrapes, and goes back with one key", () =>
      inBrowser("/servers/one-1", async (page) => {
        await rows(page).first().waitFor()
        const minutes = () => {
          const [from, to] = (new URL(page.url()).searchParams.get("window") ?? "").split("~")
          return (Date.parse(to ?? "") - Date.parse(from ?? "")) / 60_000
        }
        await brush(page, 0.7, 0.9)
        await page.getByRole("button", { name: "Zoom", exact: true }).click()
        await page.waitForURL((url) => url.search.includes("window=") && !url.search.includes("brush"))
        expect(minutes()).toBeGreaterThan(9)
        expect(minutes()).toBeLessThan(15)
        const first = page.url()
        await brush(page, 0.4, 0.6)
        await page.keyboard.press("z")
        await page.waitForURL((url) => !url.search.includes("brush"))
        expect(minutes()).toBeLessThan(4)
        await page.keyboard.press("Backspace")
        await page.waitForURL((url) => url.href.includes("brush") || url.href === first)
        await page.keyboard.press("0")
        await page.waitForURL((url) => !url.search.includes("window"))
      })
    )

    it.effect("shows the scrape of a moment that is clicked, steps from scrape to scrape, and comes back to now", () =>
      inBrowser("/servers/one-1", async (page) => {
        await rows(page).first().waitFor()
        const isMoment = () => page.url().includes("moment=")
        await untilTaken(async () => {
          // Some minutes after the hole: the scrape before it is one interval earlier.
          const box = (await page.locator(".stack .u-over").boundingBox())!
          await page.mouse.click(box.x + box.width * 0.55, box.y + 90)
        }, isMoment)
        await page.getByText(/You are looking at \d\d:\d\d:\d\d/).waitFor()
        await page.getByText(/Scrape of \d\d:\d\d:\d\d/).waitFor()
        await expect.poll(() => page.locator(".table-head").textContent()).toMatch(/ 1 scrape$/)
        await page.getByRole("columnheader", { name: "CPU then" }).waitFor()
        const moment = () => Date.parse(new URL(page.url()).searchParams.get("moment") ?? "")
        const before = moment()
        await page.mouse.move(5, 5)
        await page.keyboard.press("ArrowLeft")
        await expect.poll(() => before - moment()).toBe(INTERVAL)
        await page.keyboard.press("ArrowRight")
        await expect.poll(moment).toBe(before)
        expect(await findings(page)).toEqual([])
        await page.keyboard.press("0")
        await page.waitForURL((url) => !url.search.includes("moment"))
        await page.getByRole("columnheader", { name: "CPU now" }).waitFor()
        const strip = page.locator(".strip .u-over").first()
        await untilTaken(() => strip.click({ position: { x: 40, y: 40 } }), isMoment)
      })
    )

    it.effect("gives away what it shows: a link that stays, Markdown, CSV, a picture", () =>
      Effect.gen(function* () {
        const { page } = yield* visit("/servers/one-1")
        yield* Effect.promise(async () => {
          await page.context().grantPermissions(["clipboard-read", "clipboard-write"])
          await rows(page).first().waitFor()
          await page.locator(".stack canvas").waitFor()
          const choose = async (name: string) => {
            await page.getByRole("button", { name: "Share" }).click()
            await page.getByRole("button", { name }).click()
          }
          const copied = () => page.evaluate("navigator.clipboard.readText()") as Promise<string>
          await choose("Copy a link to these times")
          await page.getByText("Link copied").first().waitFor()
          expect(await copied()).toMatch(/\/servers\/one-1\?.*window=/)
          await choose("Copy the table as Markdown")
          await page.getByText("Table copied").first().waitFor()
          const table = await copied()
          expect(table).toMatch(/^\*\*one-1 · \d\d:\d\d – \d\d:\d\d · coverage \d+ %\*\* · </)
          expect(table).toContain("| postgres | 80\u202f% | 80\u202f% |")
          expect(table).toContain("\\<img src=x")
          expect(table).toMatch(/\| \*Total\* \|/)
          const saved = async (name: string) => {
            const [download] = await Promise.all([page.waitForEvent("download"), choose(name)])
            const chunks: Array<Buffer> = []
            for await (const chunk of await download.createReadStream()) chunks.push(chunk as Buffer)
            return { name: download.suggestedFilename(), body: Buffer.concat(chunks) }
          }
          const csv = await saved("Save the table as CSV")
          expect(csv.name).toBe("one-1-cpu.csv")
          expect(csv.body.toString()).toMatch(/^Process name,cpu_percent,avg_cpu_percent,/)
          const picture = await saved("Save the chart as a picture")
          expect(picture.name).toBe("one-1-cpu.png")
          expect(picture.body.subarray(1, 4).toString()).toBe("PNG")
          expect(picture.body.length).toBeGreaterThan(5_000)
        })
      }).pipe(Effect.scoped)
    )

    it.effect("does not call a server live while NodePulse is away, and tells of it once", () =>
      inBrowser(
        "/servers/one-1",
        async (page) => {
          await page.locator(".badge").waitFor()
          await page.route("**/api/**", (route) => route.abort())
          await page.getByRole("button", { name: "Pause the refresh" }).click()
          await page.getByRole("button", { name: "Refresh is paused: go on" }).click()
          await page.getByText(/^was (live|stale|silent)/).waitFor()
          await expect.poll(() => page.locator(".badge:not(.unsure)").count()).toBe(0)
          await expect.poll(() => page.getByText(/^Shown as of/).count()).toBe(1)
          await page.reload().catch(() => undefined)
        },
        { expected: NOISE }
      )
    )

    it.effect("says nothing in numbers about a server that was never seen", () =>
      inBrowser("/servers/never-1", async (page) => {
        await page.getByText("This server has never reported.").waitFor()
        await page.getByText("No data in this time range.").first().waitFor()
        await page.locator(".strip .panel").first().getByText("not reported").waitFor()
        await expect
          .poll(async () => [...new Set(await page.locator(".strip .panel-now").allTextContents())])
          .toEqual(["–"])
        const text = (await page.locator("main").textContent()) ?? ""
        expect(text.replaceAll(/coverage\s?0\s%/gi, "")).not.toMatch(/\b0\s?%|\b[01]\s?B\b/)
        expect(await findings(page)).toEqual([])
      })
    )
  })
})
