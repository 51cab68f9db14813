/**
 * What holds on every view of the page (`WebViews.ts`), in a real Chromium: on screens of all sizes, in both themes, zoomed to 200 %, by
 * keyboard alone, to a screen reader, and whatever names servers and processes have.
 */
import { describe, expect, layer } from "@effect/vitest"
import { Effect } from "effect"
import type { Page } from "playwright-core"
import * as TestServer from "./TestServer.ts"
import { seedViews, VIEWS } from "./WebViews.ts"
import { executablePath, findings, inBrowser, NOISE, refreshUntil, visit, world } from "./WebWorld.ts"

/** Width and height in pixels of the page, and how many of the screen there are in one. */
const SCREENS = [
  { of: "a phone", width: 360, height: 780, ratio: 3 },
  { of: "a tablet", width: 768, height: 1024, ratio: 2 },
  { of: "a laptop at 200 %", width: 720, height: 450, ratio: 2 },
  { of: "a laptop", width: 1280, height: 720, ratio: 1 },
  { of: "a desk", width: 1440, height: 900, ratio: 2 },
  { of: "a wide screen", width: 2560, height: 1440, ratio: 1 }
] as const

/** What is wider than the window, or is cut off at its side; boxes that scroll by themselves may hold more. */
const tooWide = `(() => {
  const over = document.scrollingElement.scrollWidth - innerWidth
  if (over <= 0) return []
  const wide = [...document.querySelectorAll("body *")].filter((one) =>
    one.getBoundingClientRect().right > innerWidth + 1 && !one.closest(".scroller, .u-wrap"))
  return [over + " pixels too wide", ...wide.slice(0, 3).map((one) => one.outerHTML.slice(0, 120))]
})()`

/** What changes the direction of text, or is not seen at all, in text and in what is read out. */
const illegible = `(() => {
  const bad = /[\\u0080-\\u009f\\u202a-\\u202e\\u2066-\\u2069\\u3164]|[\\u{e0000}-\\u{e007f}]/u
  const texts = [document.title, document.body.innerText, ...[...document.querySelectorAll("[aria-label], [title]")]
    .flatMap((one) => [one.getAttribute("aria-label") ?? "", one.getAttribute("title") ?? ""])]
  return [...texts.filter((text) => bad.test(text)).map((text) => text.slice(0, 200)), ...(window.hacked === undefined ? [] : ["hacked"])]
})()`

/** A bound, not an expectation: every view on every screen, on a machine that does much else. */
const ALL_VIEWS_MILLIS = 900_000

const ask = async (page: Page, question: string) => (await page.evaluate(question)) as ReadonlyArray<string>

/** Once more after the page has drawn itself for a new size. */
const drawn = (page: Page) =>
  page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done())))")

describe.skipIf(executablePath === undefined)("every view", () => {
  layer(world, { timeout: 120_000, excludeTestServices: true })("in a browser", (it) => {
    for (const dark of [false, true]) {
      it.effect(
        `fits its screens, has no finding of axe and no name that is not what it seems, ${dark ? "dark" : "light"}`,
        () =>
          Effect.gen(function* () {
            if (!dark) yield* seedViews
            const { url } = yield* TestServer.TestServer
            for (const signedOut of [false, true]) {
              const { page } = yield* visit("/", { dark, signedOut, expected: NOISE })
              yield* Effect.promise(async () => {
                const session = await page.context().newCDPSession(page)
                const look = ({ height, ratio, width }: { width: number; height: number; ratio: number }) =>
                  session.send("Emulation.setDeviceMetricsOverride", {
                    width,
                    height,
                    deviceScaleFactor: ratio,
                    mobile: false
                  })
                if (!signedOut) await refreshUntil(page, page.locator(".fleet tbody a").filter({ hasText: "postgres" }))
                for (const { name, path, ready, ...view } of VIEWS) {
                  if ((view.signedOut ?? false) !== signedOut) continue
                  await look(SCREENS[3])
                  await page.goto(`${url}${path}`)
                  await ready(page)
                  expect(await findings(page), name).toEqual([])
                  expect(await ask(page, illegible), name).toEqual([])
                  for (const screen of view.everyScreen === true ? SCREENS : [SCREENS[0], SCREENS.at(-1)!]) {
                    await look(screen)
                    await drawn(page)
                    await expect.poll(() => ask(page, tooWide), { message: `${name} on ${screen.of}` }).toEqual([])
                    if (screen.width === 360) expect(await findings(page), `${name} on ${screen.of}`).toEqual([])
                  }
                  await page.evaluate("document.documentElement.style.zoom = '2'")
                  await drawn(page)
                  expect(await findings(page), `${name}, zoomed`).toEqual([])
                }
              })
            }
          }).pipe(Effect.scoped),
        ALL_VIEWS_MILLIS
      )
    }

    it.effect(
      "can be walked through with Tab alone: each stop has a name, is seen, and shows where one is",
      () =>
        inBrowser(
          "/healthz",
          async (page) => {
            const { origin } = new URL(page.url())
            for (const { name, path, ready, signedOut } of VIEWS) {
              if (signedOut === true) continue
              await page.goto(`${origin}${path}`)
              await ready(page)
              expect(await walked(page), name).toEqual([])
            }
          },
          { width: 1440, expected: NOISE }
        ),
      ALL_VIEWS_MILLIS
    )

    it.effect("tells a screen reader what happens: what is ranked, found, copied, open, wrong and right again", () =>
      inBrowser(
        "/",
        async (page) => {
          const { origin } = new URL(page.url())
          const read = () => page.locator("body").ariaSnapshot()
          await page.locator(".fleet tbody a").first().waitFor()
          await page.keyboard.press("/")
          await page.keyboard.type("never")
          await expect.poll(read).toContain("status: 1 of 4 servers match")
          await page.goto(`${origin}/servers/one-1`)
          await page.locator(".ranked tbody .row-button").first().waitFor()
          await page.keyboard.press("m")
          await expect.poll(read).toContain("status: Ranked by Memory")
          await page.keyboard.press("ArrowDown")
          await page.keyboard.press("Enter")
          await expect.poll(read).toMatch(/complementary "postgres: history"/)
          await expect.poll(read).toMatch(/button "postgres" \[(?:active\] \[)?expanded\]/)
          await page.keyboard.press("Escape")
          await page.route("**/api/**", (route) => route.abort())
          await page.getByRole("button", { name: "Pause the refresh" }).click()
          await page.getByRole("button", { name: "Refresh is paused: go on" }).click()
          await expect.poll(read).toMatch(/status: .*NodePulse does not answer/)
          await page.unroute("**/api/**")
          await page.getByRole("button", { name: "Pause the refresh" }).click()
          await page.getByRole("button", { name: "Refresh is paused: go on" }).click()
          await expect.poll(read).not.toContain("does not answer")
        },
        { expected: NOISE }
      )
    )
  })
})

const STOPS_MAX = 60

/** Goes from stop to stop, as many as `STOPS_MAX`, and says what is wrong with them. */
const walked = async (page: Page): Promise<ReadonlyArray<string>> => {
  const wrong: Array<string> = []
  for (let stop = 0; stop < STOPS_MAX; stop++) {
    await page.keyboard.press("Tab")
    const found = (await page.evaluate(`(() => {
      const one = document.activeElement
      if (one === null || one === document.body) return null
      const html = one.outerHTML.slice(0, 120)
      const style = getComputedStyle(one)
      const box = one.getBoundingClientRect()
      const name = one.getAttribute("aria-label") ?? one.labels?.[0]?.textContent ?? one.textContent
      const seen = style.outlineStyle !== "none" || style.boxShadow !== "none"
        || (one.parentElement !== null && getComputedStyle(one.parentElement).outlineStyle !== "none")
      return [
        ...((name ?? "").trim() === "" && one.getAttribute("title") === null ? ["no name: " + html] : []),
        ...(seen ? [] : ["nothing shows the focus: " + html]),
        ...(box.width > 0 && box.bottom > 0 && box.top < innerHeight ? [] : ["not in the window: " + html])
      ]
    })()`)) as ReadonlyArray<string> | null
    if (found === null) break
    wrong.push(...found)
  }
  return [...new Set(wrong)]
}
