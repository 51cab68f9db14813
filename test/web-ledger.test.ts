/** What changed, marks and notes, in a real Chromium: the questions that people come with, by the clicks that they take. */
import { describe, expect, layer } from "@effect/vitest"
import { Effect } from "effect"
import type { Page } from "playwright-core"
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
  once,
  push,
  refreshBytes,
  refreshUntil,
  unique,
  world
} from "./WebWorld.ts"

const now = Math.floor(Date.now() / INTERVAL) * INTERVAL
const SCRAPES = 160
const DEPLOY = 80
const at = (n: number) => now - (SCRAPES - n) * INTERVAL
const iso = (time: number) => new Date(time).toISOString()
const HOSTILE = `<img src=x onerror="window.hacked=1">`

/** Forty minutes; halfway `node` got hungrier, `worker` went, another one came, and `crash` began anew. */
const deployed = Array.from({ length: SCRAPES + 1 }, (_, n) => {
  const since = Math.max(0, n - DEPLOY)
  return {
    [HOST]: [{ ...hostRow(at(n), n), cpu_user_seconds: 500 + n * 12 + since * 9 }],
    [GROUPS]: [
      groupRow(at(n), "node", 100 + n * 3 + since * 6, 200 + since),
      groupRow(at(n), "nginx", 50 + n, 120),
      groupRow(at(n), "crash", n < DEPLOY + 20 ? 10 + n : n - DEPLOY - 20, 60),
      groupRow(at(n), "worker", 10 + Math.min(n, DEPLOY) * 1.5, 80, n <= DEPLOY ? 1 : 0),
      ...(since > 0 ? [groupRow(at(n), HOSTILE, 5 + since * 3, 40)] : [])
    ]
  }
})
/** A server that tells nothing of its host, and does the same all the time. */
const calm = Array.from({ length: SCRAPES + 1 }, (_, n) => ({
  [GROUPS]: [groupRow(at(n), "nginx", 50 + n, 120), groupRow(at(n), "cron", 5 + n * 0.01, 9)]
}))

const joined = (payloads: ReadonlyArray<Readonly<Record<string, ReadonlyArray<unknown>>>>) => {
  const all: Record<string, Array<unknown>> = {}
  for (const payload of payloads)
    for (const [name, rows] of Object.entries(payload)) all[name] = [...(all[name] ?? []), ...rows]
  return all
}

const seed = once(
  Effect.gen(function* () {
    const { register, request } = yield* TestServer.TestServer
    for (const [name, payloads] of [
      ["deploy-1", deployed],
      ["calm-1", calm]
    ] as const) {
      const { token } = yield* register(name)
      for (let n = 0; n < payloads.length; n += 40) yield* push(token, joined(payloads.slice(n, n + 40)))
    }
    const noted = yield* request("POST", "/api/notes", {
      body: { text: "deploy 1.4", server_id: "deploy-1", at: iso(at(DEPLOY)) }
    })
    expect(noted.status).toBe(201)
  })
)

const marked = (from: number, to: number) => `brush=${encodeURIComponent(`${iso(at(from))}~${iso(at(to))}`)}`
const said = (page: Page) => page.locator(".ledger-said")
const saying = (page: Page, words: RegExp) => page.locator(".ledger-said", { hasText: words }).waitFor()
const row = (page: Page, name: string) => page.locator(".ledger tbody tr").filter({ hasText: name })
const amount = (text: string) => Number(text.replaceAll("\u2212", "-").replace(/[^\d.-]/g, ""))
const noteTick = (page: Page) => page.locator(".stack .tick.note").first()
/** The changes as they are shown, without their last line, are together what that says. */
const addUp = (page: Page) =>
  expect
    .poll(async () => {
      const shown = (await page.locator(".ledger tr:not(.ledger-part) td.change").allTextContents()).map(amount)
      return shown.slice(0, -1).reduce((sum, value) => sum + value, 0) - shown.at(-1)!
    })
    .toBeCloseTo(0, 6)

describe.skipIf(executablePath === undefined)("what changed, on the page", () => {
  layer(world, { timeout: 120_000, excludeTestServices: true })("in a browser", (it) => {
    it.effect("tells in two clicks whether a deploy made node hungrier, and who came, went and restarted", () =>
      Effect.gen(function* () {
        yield* seed
        yield* inBrowser("/servers/deploy-1", async (page) => {
          const note = noteTick(page)
          await refreshUntil(page, note)
          await refreshUntil(page, page.locator(".ranked tbody tr").filter({ hasText: "node" }))
          await note.click()
          await page.getByRole("button", { name: "Before and after" }).click()
          await page.waitForURL("**against=previous**")
          await saying(page, /^CPU rose by \d+ points/)
          await expect.poll(() => row(page, "node").locator("td.change").textContent()).toBe("+40")
          await row(page, "worker").getByText("gone", { exact: true }).waitFor()
          await row(page, "<img").getByText("new", { exact: true }).waitFor()
          await row(page, "crash").getByText("restarted", { exact: true }).waitFor()
          await page.getByText("And against it").waitFor()
          await addUp(page)
          await expect.poll(() => page.locator(".ledger tfoot .total").textContent()).toMatch(/The host.*100/)
          expect(await page.evaluate("window.hacked")).toBeUndefined()
          expect(await findings(page)).toEqual([])
        })
      })
    )

    it.effect("shows in one click what a process that is gone did before, and goes back step by step", () =>
      inBrowser(`/servers/deploy-1?against=previous&${marked(DEPLOY, SCRAPES)}`, async (page) => {
        await row(page, "worker").getByRole("button").click()
        await page.getByRole("complementary", { name: /worker/ }).waitFor()
        await page.getByText(/last seen/).waitFor()
        await page.keyboard.press("Escape")
        await page.waitForURL((url) => !url.search.includes("open"))
        await page.keyboard.press("Escape")
        await page.waitForURL((url) => !url.search.includes("against") && url.search.includes("brush"))
        await page.locator(".ranked tbody tr").first().waitFor()
        await page.keyboard.press("d")
        await said(page).waitFor()
        await page.keyboard.press("m")
        await saying(page, /^Memory (rose|fell) by/)
        await addUp(page)
        await page.getByLabel("against").selectOption("moment")
        await page.waitForURL(/against=20/)
        await page.getByRole("textbox", { name: "up to" }).waitFor()
      })
    )

    it.effect("says before any number that a part was not seen, and where nothing was", () =>
      inBrowser(`/servers/calm-1?against=previous&${marked(40, SCRAPES)}`, async (page) => {
        await page.getByText("Only a part was seen").waitFor()
        await said(page).waitFor()
        const order = await page.evaluate(
          `[".ledger-spans", ".ledger-head .banner", ".ledger-said"].map((one) => document.querySelector(one).getBoundingClientRect().top)`
        )
        expect((order as Array<number>).toSorted((a, b) => a - b)).toEqual(order)
        await page.getByText("The host's own CPU is not known in both times").waitFor()
        await page.goto(`${page.url().split("?")[0]}?against=day&${marked(40, SCRAPES)}`)
        await page.getByText("Nothing was seen before: there is nothing to compare").waitFor()
        expect(await page.locator(".ledger").count()).toBe(0)
      })
    )

    it.effect("says that nothing worth telling changed, and shows the small differences on demand", () =>
      inBrowser(`/servers/calm-1?against=previous&${marked(120, SCRAPES)}`, async (page) => {
        await saying(page, /^Nothing worth telling changed: CPU/)
        expect(await page.locator(".ledger").count()).toBe(0)
        await page.getByRole("button", { name: "Show the small differences" }).click()
        await page.getByRole("rowheader", { name: /All groups/ }).waitFor()
      })
    )

    it.effect("compares with another server at the same time", () =>
      inBrowser(`/servers/deploy-1?against=same&with=calm-1&${marked(DEPLOY, SCRAPES)}`, async (page) => {
        await saying(page, /^CPU is \d+ points higher than on calm-1/)
        await page.getByRole("button", { name: "this server" }).click()
        await page.waitForURL((url) => !url.search.includes("with="))
      })
    )

    it.effect("takes a note that is under the axis at once, and takes it back", () =>
      inBrowser("/servers/calm-1", async (page) => {
        await refreshUntil(page, page.locator(".stack .u-over"))
        // Without the next refresh.
        await page.getByRole("button", { name: "Pause the refresh" }).click()
        await page.getByRole("button", { name: "Note", exact: true }).click()
        const moved = unique("moved")
        await page.getByRole("textbox", { name: "Note" }).fill(`<b>${moved}</b> to NVMe`)
        await page.keyboard.press("Enter")
        const tick = page.getByRole("list", { name: "What happened" }).getByRole("button", { name: moved })
        await tick.first().waitFor()
        expect(await findings(page)).toEqual([])
        await page.getByRole("button", { name: "Undo" }).click()
        await page.getByText("Taken back").waitFor()
        await expect.poll(() => tick.count()).toBe(0)
      })
    )

    it.effect("has no Note for who only reads, and tells the marks all the same", () =>
      Effect.gen(function* () {
        const { request } = yield* TestServer.TestServer
        const { body } = yield* request("POST", "/api/tokens", { body: { kind: "read", note: "reader" } })
        yield* inBrowser(
          "/servers/deploy-1",
          async (page) => {
            await page.getByLabel("token").fill(body.token)
            await page.keyboard.press("Enter")
            await noteTick(page).waitFor()
            await page.getByRole("button", { name: "What changed" }).waitFor()
            expect(await page.getByRole("button", { name: "Note", exact: true }).count()).toBe(0)
            await noteTick(page).press("Enter")
            await page.getByRole("button", { name: "Before and after" }).waitFor()
            expect(await page.getByRole("button", { name: "Remove" }).count()).toBe(0)
            await page.keyboard.press("Escape")
            await expect.poll(() => page.getByRole("button", { name: "Before and after" }).count()).toBe(0)
          },
          { signedOut: true, expected: /Failed to load resource/ }
        )
      })
    )

    it.effect("lets an operator remove their own notes, and not those of somebody else", () =>
      Effect.gen(function* () {
        const { request } = yield* TestServer.TestServer
        const { body } = yield* request("POST", "/api/tokens", { body: { kind: "operator", note: "on call" } })
        yield* inBrowser(
          "/servers/deploy-1",
          async (page) => {
            await page.getByLabel("token").fill(body.token)
            await page.keyboard.press("Enter")
            await noteTick(page).click()
            await page.getByRole("button", { name: "Before and after" }).waitFor()
            expect(await page.getByRole("button", { name: "Remove" }).count()).toBe(0)
            await page.keyboard.press("Escape")
            await page.getByRole("button", { name: "Note", exact: true }).click()
            await page.getByRole("textbox", { name: "Note" }).fill("restarted it")
            await page.keyboard.press("Enter")
            await page.getByRole("button", { name: "Undo" }).click()
            await page.getByText("Taken back").waitFor()
          },
          { signedOut: true, expected: /Failed to load resource/ }
        )
      })
    )

    it.effect("goes through its lines by arrows, with the focus, and opens one with Enter", () =>
      inBrowser(`/servers/deploy-1?against=previous&${marked(DEPLOY, SCRAPES)}`, async (page) => {
        await row(page, "node").waitFor()
        const names = await page.locator(".ledger tbody .row-button").allTextContents()
        for (const [key, n] of [
          ["ArrowDown", 0],
          ["ArrowDown", 1],
          ["ArrowUp", 0]
        ] as const) {
          await page.keyboard.press(key)
          await expect.poll(() => page.evaluate("document.activeElement.textContent")).toBe(names[n])
        }
        await page.keyboard.press("Enter")
        await page.waitForURL(/open=/)
      })
    )

    it.effect("shows all of what a mark tells, also at the edge of the page", () =>
      inBrowser("/servers/deploy-1", async (page) => {
        await noteTick(page).waitFor()
        const ticks = page.locator(".tick.note")
        for (let n = 0; n < (await ticks.count()); n++) {
          const cutOff = async () => {
            await ticks.nth(n).hover()
            const box = await page.locator(".mark-card").boundingBox({ timeout: 5_000 })
            const width = Number(await page.evaluate("document.documentElement.clientWidth"))
            return box!.x < 0 || box!.x + box!.width > width ? box : undefined
          }
          await expect.poll(cutOff).toBeUndefined()
        }
      })
    )

    for (const width of [360, 1_440, 2_560]) {
      it.effect(`fits into ${width} pixels, ${width === 360 ? "light" : "dark"}, and stays small`, () =>
        inBrowser(
          `/servers/deploy-1?against=previous&${marked(DEPLOY, SCRAPES)}`,
          async (page) => {
            await said(page).waitFor()
            await noteTick(page).waitFor()
            const over = "document.scrollingElement.scrollWidth - window.innerWidth"
            await expect.poll(() => page.evaluate(over)).toBeLessThanOrEqual(0)
            expect(await findings(page)).toEqual([])
            expect(await refreshBytes(page)).toBeLessThan(10_000)
          },
          { width, dark: width !== 360 }
        )
      )
    }
  })
})
