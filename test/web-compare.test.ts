/** Comparing servers in a real Chromium: the jobs people come with, their clicks counted, by mouse and by keyboard. */
import { describe, expect, layer } from "@effect/vitest"
import { Effect } from "effect"
import type { Locator, Page } from "playwright-core"
import * as TestServer from "./TestServer.ts"
import {
  executablePath,
  findings,
  GROUPS,
  groupRow,
  HOST,
  hostRow,
  INTERVAL,
  inBrowser,
  NOISE,
  once,
  push,
  refreshBytes,
  refreshUntil,
  world
} from "./WebWorld.ts"

const now = Math.floor(Date.now() / INTERVAL) * INTERVAL
const SCRAPES = 160
/** Breaks lines, runs from right to left, and is markup. */
const HOSTILE = `<img src=x onerror="window.hacked=1">\u202egnp\nexe`

/** Forty minutes of a server: what each group uses a scrape, in core-seconds. */
const pushServer = Effect.fnUntraced(function* (name: string, used: Readonly<Record<string, number>>, withHost = true) {
  const { register } = yield* TestServer.TestServer
  const { token } = yield* register(name)
  const moments = Array.from({ length: SCRAPES + 1 }, (_, n) => [n, now - (SCRAPES - n) * INTERVAL] as const)
  for (let from = 0; from < moments.length; from += 80) {
    const some = moments.slice(from, from + 80)
    yield* push(token, {
      ...(withHost ? { [HOST]: some.map(([n, at]) => hostRow(at, n)) } : {}),
      [GROUPS]: some.flatMap(([n, at]) =>
        Object.entries(used).map(([group, seconds], place) => groupRow(at, group, 10 + n * seconds, 100 + place))
      )
    })
  }
})

const seed = once(
  Effect.gen(function* () {
    // A scrape is 15 s: 6 core-seconds are 40 % of a core.
    for (const name of ["db-1", "db-2", "db-3"]) yield* pushServer(name, { postgres: 6, cron: 0.3, [HOSTILE]: 0.6 })
    yield* pushServer("db-4", { postgres: 18.6, cron: 0.3 })
    yield* pushServer("bare-1", { postgres: 6 }, false)
    const { register } = yield* TestServer.TestServer
    yield* register("never-1")
    for (let n = 0; n < 6; n++) yield* register(`spare-${n}`)
  })
)

/** Clicks, and how many there were. */
const clicking = () => {
  let count = 0
  return {
    click: async (target: Locator) => {
      count++
      await target.click()
    },
    count: () => count
  }
}

const tick = (page: Page, name: string) => page.getByRole("checkbox", { name: `Compare ${name}`, exact: true })
const sentences = (page: Page) => page.getByRole("status", { name: "What stands out" })
const all = "/compare?s=db-1,db-2,db-3,db-4"

describe.skipIf(executablePath === undefined)("comparing servers", () => {
  layer(world, { timeout: 120_000, excludeTestServices: true })("in a browser", (it) => {
    it.effect("compares three servers in four clicks: three ticks, and the bar that only then appears", () =>
      Effect.gen(function* () {
        yield* seed
        yield* inBrowser("/?sort=name&dir=up", async (page) => {
          const { click, count } = clicking()
          await refreshUntil(page, page.getByRole("row").filter({ hasText: "db-4" }).filter({ hasText: "postgres" }))
          const bar = page.getByRole("region", { name: "Ticked servers" })
          expect(await bar.count()).toBe(0)
          await click(tick(page, "db-1"))
          await bar.getByText("tick another one").waitFor()
          expect(await bar.getByRole("link").count()).toBe(0)
          await click(tick(page, "db-2"))
          await click(tick(page, "db-3"))
          expect(await findings(page)).toEqual([])
          await click(page.getByRole("link", { name: "Compare 3 servers" }))
          await page.getByRole("heading", { name: "3 servers side by side" }).waitFor()
          await page.getByRole("table").getByRole("rowheader", { name: "postgres" }).waitFor()
          expect(count()).toBe(4)
          expect(page.url()).toMatch(/\/compare\?s=db-1,db-2,db-3$/)
          await page.goBack()
          await expect.poll(() => tick(page, "db-2").isChecked()).toBe(true)
        })
      })
    )

    it.effect("says which server is odd in a sentence, marks it, and leads to it in one click", () =>
      inBrowser(all, async (page) => {
        const { click, count } = clicking()
        await sentences(page).getByText("postgres").waitFor()
        await expect
          .poll(() => sentences(page).innerText())
          .toMatch(/postgres on db-4 is 3\.1\s×\s*the median of 4\s*\(124\s% against 40\s%\)/)
        const row = page.getByRole("row").filter({ has: page.getByRole("rowheader", { name: "postgres" }) })
        const cell = row.getByRole("cell").nth(3)
        await expect.poll(() => cell.getByRole("img", { name: "Stands out above" }).count()).toBe(1)
        await expect.poll(() => cell.innerText()).toMatch(/3\.1\s×\s*124\s%/)
        await expect.poll(() => row.getByRole("img").count()).toBe(1)
        await click(cell.getByRole("link"))
        await page.waitForURL(/\/servers\/db-4\?open=postgres/)
        await page.getByRole("complementary", { name: /postgres/ }).waitFor()
        expect(count()).toBe(1)
      })
    )

    it.effect("shows 0 where a group does not run, and says what was not seen and what has no host", () =>
      inBrowser("/compare?s=db-1,db-4,bare-1,never-1&unit=machine", async (page) => {
        await page.getByRole("rowheader", { name: "postgres" }).waitFor()
        const cells = (name: string) =>
          page
            .getByRole("row")
            .filter({ has: page.getByRole("rowheader", { name }) })
            .getByRole("cell")
            .allInnerTexts()
        // 40 % of one of four cores; without a host nobody knows of how many.
        await expect
          .poll(async () => (await cells("postgres")).map((text) => text.replaceAll(/\s/g, "")))
          .toEqual(["10%", "31%", "–notknown", "–notknown", "21%"])
        await page.getByRole("region", { name: "never-1" }).getByText("not seen").waitFor()
        await expect.poll(() => sentences(page).innerText()).toContain("three servers or more")
        await page.getByRole("button", { name: "% of a core" }).click()
        await expect.poll(async () => (await cells("cron")).at(1)).toMatch(/2\.0\s%/)
        await expect.poll(async () => (await cells("cron")).at(2)).toBe("0")
        expect(await findings(page)).toEqual([])
      })
    )

    it.effect("keeps what is compared, by what and when in the address, with every change", () =>
      inBrowser(all, async (page) => {
        await page.getByRole("rowheader", { name: "postgres" }).waitFor()
        await page.keyboard.press("m")
        await page.getByRole("button", { name: "% of the machine" }).click()
        await page.keyboard.press("2")
        await page.getByRole("button", { name: "Leave out db-2" }).click()
        await page.getByRole("heading", { name: "3 servers side by side" }).waitFor()
        await expect
          .poll(() => Object.fromEntries(new URL(page.url()).searchParams))
          .toEqual({ s: "db-1,db-3,db-4", metric: "memory", unit: "machine", range: "6h" })
        await page.reload()
        await page.getByRole("heading", { name: "3 servers side by side" }).waitFor()
        await expect.poll(() => page.getByRole("button", { name: "Memory" }).getAttribute("aria-pressed")).toBe("true")
        await page.getByRole("rowheader", { name: "postgres" }).waitFor()
      })
    )

    it.effect(
      "is done with the keyboard alone: x ticks the row of the arrows, and another server is found by name",
      () =>
        inBrowser("/?sort=name&dir=up", async (page) => {
          await tick(page, "db-1").waitFor()
          const focused = () => page.evaluate("document.activeElement.textContent")
          for (const name of ["bare-1", "db-1", "db-2"]) {
            await page.keyboard.press("ArrowDown")
            await expect.poll(focused).toContain(name)
            if (name !== "bare-1") await page.keyboard.press("x")
          }
          await expect.poll(() => new URL(page.url()).searchParams.get("s")).toBe("db-1,db-2")
          await page.getByRole("link", { name: "Compare 2 servers" }).press("Enter")
          await page.getByRole("heading", { name: "2 servers side by side" }).waitFor()
          await page.getByRole("button", { name: "Add a server" }).press("Enter")
          await page.keyboard.type("db-4")
          await page.getByRole("button", { name: /db-4/ }).waitFor()
          await page.getByRole("listitem").filter({ hasText: "db-3" }).waitFor({ state: "detached" })
          await page.keyboard.press("Enter")
          await page.getByRole("heading", { name: "3 servers side by side" }).waitFor()
          expect(new URL(page.url()).searchParams.get("s")).toBe("db-1,db-2,db-4")
        })
    )

    it.effect("begins at a server's page too, and takes no more than eight", () =>
      inBrowser("/servers/db-1?range=6h", async (page) => {
        await page.getByRole("link", { name: "Compare with…" }).click()
        await page.getByRole("searchbox", { name: "Find a server to compare" }).waitFor()
        expect(page.url()).toMatch(/\/compare\?s=db-1&range=6h$/)
        await page.getByRole("button", { name: /db-2/ }).click()
        await page.getByRole("heading", { name: "2 servers side by side" }).waitFor()
        await page.goto(`${new URL(page.url()).origin}/?s=db-1,db-2,db-3,db-4,bare-1,never-1,spare-0,spare-1&sort=name`)
        await page.getByText("the most that fit side by side").waitFor()
        await expect.poll(() => tick(page, "spare-2").isDisabled()).toBe(true)
        await page.goto(`${page.url().replace("/?", "/compare?").replace("&sort=name", ",spare-2")}`)
        await page.getByText("The address names 9 servers; shown are the first 8.").waitFor()
        await page.getByRole("heading", { name: "8 servers side by side" }).waitFor()
        await page.getByRole("rowheader", { name: "postgres" }).waitFor()
        expect(await findings(page)).toEqual([])
      })
    )

    it.effect("says of an address with a server that is not there which one it is, and lets it be left out", () =>
      inBrowser(
        "/compare?s=db-1,db-2,gone-1",
        async (page) => {
          await page.getByText('there is no server "gone-1"').waitFor()
          await page.getByRole("button", { name: "Leave out gone-1" }).click()
          await page.getByRole("rowheader", { name: "postgres" }).waitFor()
        },
        { expected: NOISE }
      )
    )

    it.effect(
      "shows one process over all servers from its panel, with the odd one, and compares that with usual ones",
      () =>
        inBrowser("/servers/db-1?open=postgres", async (page) => {
          const { click, count } = clicking()
          await click(page.getByRole("link", { name: "Over all servers" }))
          await page.getByRole("heading", { name: "postgres over all servers" }).waitFor()
          expect(page.url()).toMatch(/\/compare\/process\?resource=processes&group=postgres&metric=cpu$/)
          await sentences(page).getByText("It ran on 5 servers").waitFor()
          await expect.poll(() => sentences(page).innerText()).toMatch(/7 not seen · median 40\s%/)
          await expect.poll(() => sentences(page).innerText()).toMatch(/postgres on db-4 is 3\.1\s× the median of 5/)
          await page
            .getByRole("img", { name: /^CPU of postgres on 5 servers, from 0 to 124\s%, median 40\s%/ })
            .waitFor()
          await expect.poll(() => page.locator(".strip-dot").count()).toBe(4)
          await expect.poll(() => page.locator(".strip-odd").count()).toBe(1)
          await expect.poll(() => page.getByRole("row").nth(1).innerText()).toContain("db-4")
          expect(await findings(page)).toEqual([])
          await click(page.getByRole("link", { name: "Compare it with usual ones" }))
          await page.getByRole("heading", { name: "4 servers side by side" }).waitFor()
          expect(count()).toBe(2)
          await page.goto(`${new URL(page.url()).origin}/compare/process?resource=processes&group=nobody`)
          await page.getByText("It ran on no server").waitFor()
        })
    )

    it.effect("draws all charts on one scale, and one crosshair tells the same moment of each", () =>
      inBrowser(all, async (page) => {
        const panel = (name: string) => page.getByRole("region", { name, exact: true })
        const time = async (name: string) =>
          /^\d\d:\d\d/.exec(await panel(name).locator(".panel-size").innerText())?.[0]
        let moves = 0
        const told = async () => {
          const position = { x: 120 + 10 * (moves++ % 2), y: 40 }
          await panel("db-1").locator(".u-over").hover({ position })
          const [one, other] = [await time("db-1"), await time("db-4")]
          return one === undefined ? "nothing yet" : one === other ? "the same" : `${one} and ${other}`
        }
        await expect.poll(told, { interval: 500 }).toBe("the same")
      })
    )

    it.effect("leaves names of others harmless and legible", () =>
      inBrowser(all, async (page) => {
        await page.getByRole("rowheader").filter({ hasText: "‹202e›" }).getByRole("link").click()
        await page.getByRole("heading", { name: /‹202e›gnp/ }).waitFor()
        await sentences(page).getByText("It ran on 3 servers").waitFor()
        expect(await page.evaluate("window.hacked")).toBeUndefined()
        expect(await findings(page)).toEqual([])
      })
    )

    for (const width of [360, 1440, 2560]) {
      for (const dark of [false, true]) {
        it.effect(
          `fits ${width} px in ${dark ? "dark" : "light"}, without any finding of axe, and a refresh is small`,
          () =>
            inBrowser(
              all,
              async (page) => {
                const fits = async () =>
                  await expect
                    .poll(() => page.evaluate("document.documentElement.scrollWidth"))
                    .toBeLessThanOrEqual(width)
                await page.getByRole("rowheader", { name: "postgres" }).waitFor()
                await fits()
                expect(await findings(page)).toEqual([])
                if (width === 1440) expect(await refreshBytes(page)).toBeLessThan(10_000)
                await page.getByRole("link", { name: "postgres", exact: true }).click()
                await page.locator(".strip-odd").waitFor()
                await fits()
                expect(await findings(page)).toEqual([])
              },
              { width, dark }
            )
        )
      }
    }
  })
})
