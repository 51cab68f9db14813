/** Watch in a real Chromium: what fires, its page, the rules beside their past, silences; by mouse, by keyboard, and for who only reads. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { describe, expect, it, layer } from "@effect/vitest"
import { Effect, Layer, Result } from "effect"
import type { Page } from "playwright-core"
import { afterAll } from "vitest"
import config from "../plugins.config.ts"
import { DEFAULT_RULES } from "../src/alerts/DefaultRules.ts"
import { matches } from "../src/alerts/Rule.ts"
import { documentsIn, type RuleDocument, readDocument } from "../src/alerts/RuleDocument.ts"
import { readRules } from "../src/alerts/RuleFile.ts"
import { isWebAddress } from "../web/src/watch/AlertWords.ts"
import { documentOf, draftOf, fitsForm, problemsByField } from "../web/src/watch/RuleDraft.ts"
import { wouldSilence } from "../web/src/watch/Silencing.ts"
import * as TestServer from "./TestServer.ts"
import {
  executablePath,
  findings,
  goesOn,
  hour,
  INTERVAL,
  inBrowser,
  NOISE,
  push,
  refreshBytes,
  refreshUntil,
  worldWith
} from "./WebWorld.ts"

const RULE = "PostgreSQL is busy"
const HOSTILE = `<img src=x onerror="window.hacked=1">`

/** What will be so before long, however slow the machine is. */
const soon = <T>(read: () => T | Promise<T>) => expect.poll(read, { timeout: 30_000 })

/** Two rules that hold of the server: of one group, and of all of them, whatever their names are. */
const folder = mkdtempSync(join(tmpdir(), "nodepulse-watch-"))
const file = {
  rules: [
    {
      ...{ name: RULE, group: "postgres*", above: 20, severity: "critical", for: "15s" },
      ...{ runbook: "https://wiki.example/postgres", owners: ["dba", "on-call"] }
    },
    { name: HOSTILE, above: 0.001, severity: "info" }
  ].map((rule) => ({ ...rule, resource: "processes", metric: "cpu", over: "1m", server: "watch-*" }))
}
writeFileSync(join(folder, "watch.yml"), JSON.stringify(file))

/** An hour of a server that goes on, for as long as the tests do. */
const seeded = Layer.effectDiscard(
  Effect.gen(function* () {
    const { register } = yield* TestServer.TestServer
    const now = Math.floor(Date.now() / INTERVAL) * INTERVAL
    const { token } = yield* register("watch-1")
    for (const payload of hour(now)) yield* push(token, payload)
    yield* goesOn(token, now)
  })
).pipe(Layer.provideMerge(worldWith({}, { rulesDir: folder })))

afterAll(() => rmSync(folder, { recursive: true, force: true }))

const firing = (page: Page) => page.getByRole("region", { name: "Fires now" })
const alertRow = (page: Page) => firing(page).getByRole("listitem").filter({ hasText: RULE })
const sentence = (page: Page) => page.locator(".rule-sentence")

describe.skipIf(executablePath === undefined)("watch", () => {
  layer(seeded, { timeout: 170_000, excludeTestServices: true })("in a browser", (it) => {
    it.effect("shows what fires with its value, and in the navigation that something does", () =>
      inBrowser("/watch", async (page) => {
        await refreshUntil(page, alertRow(page))
        await alertRow(page)
          .getByText(/% of a core/)
          .first()
          .waitFor()
        await refreshUntil(page, page.getByRole("navigation", { name: "Main" }).getByText(/firing/))
        await soon(() => findings(page)).toEqual([])
        expect(await page.evaluate("window.hacked")).toBeUndefined()
        expect(await refreshBytes(page)).toBeLessThan(10_000)
      })
    )

    it.effect("tells of an alert on a page of its own, and lets an operator say that they know of it", () =>
      inBrowser(
        "/watch",
        async (page) => {
          await refreshUntil(page, alertRow(page))
          await alertRow(page).getByRole("link", { name: RULE }).click()
          await page.getByRole("heading", { name: RULE, level: 1 }).waitFor()
          await sentence(page)
            .filter({ hasText: /postgres\* on watch-\*: cpu above 20/ })
            .waitFor()
          await page.getByRole("heading", { name: "Course" }).waitFor()
          const steps = page.locator(".course li")
          await steps
            .first()
            .filter({ hasText: /^Pending .* it began to hold, and did so for 15/ })
            .waitFor()
          await steps
            .nth(1)
            .filter({ hasText: /^Fired/ })
            .waitFor()
          await page.getByText("dba, on-call").waitFor()
          const runbook = page.getByRole("link", { name: "Runbook" })
          await soon(() => runbook.getAttribute("href")).toBe("https://wiki.example/postgres")
          await soon(() => runbook.getAttribute("rel")).toBe("noreferrer")
          await page.getByRole("heading", { name: "CPU before and when it fired" }).waitFor()
          await soon(() => findings(page)).toEqual([])
          const note = page.getByRole("textbox", { name: "Note of the acknowledgement" })
          // A test that is tried again finds it acknowledged.
          if (await note.isVisible()) {
            await note.fill("looking at it")
            await page.getByRole("button", { name: "Acknowledge" }).click()
          }
          await page.getByText("looking at it").first().waitFor()
          await page.getByText("acknowledged", { exact: true }).waitFor()
          await page.getByRole("link", { name: "The server at that time" }).click()
          await page.waitForURL(/\/servers\/watch-1\?.*window=/)
        },
        { role: "operator" }
      )
    )

    it.effect("opens the editor prefilled from a process, and the number follows the line that the arrows move", () =>
      inBrowser(
        "/servers/watch-1?open=postgres",
        async (page) => {
          const panel = page.getByRole("complementary", { name: /postgres/ })
          await panel.getByRole("link", { name: "Watch this…" }).waitFor()
          await soon(() => panel.getByRole("link", { name: "Watch this…" }).getAttribute("href")).toMatch(/above=\d/)
          await panel.getByRole("link", { name: "Watch this…" }).click()
          await page.getByRole("heading", { name: "A new rule" }).waitFor()
          const threshold = page.getByRole("textbox", { name: /^Threshold/ })
          await sentence(page)
            .filter({ hasText: /^postgres on watch-1: cpu above/ })
            .waitFor()
          const line = page.getByRole("slider", { name: "Threshold" })
          await line.waitFor()
          await page.getByText(/It would not have fired|in the last 7 days, /).waitFor()
          const before = Number(await threshold.inputValue())
          await line.focus()
          await page.keyboard.press("PageDown")
          await soon(async () => Number(await threshold.inputValue())).toBeLessThan(before)
          await soon(async () =>
            (await sentence(page).textContent())?.includes(`above ${await threshold.inputValue()} %`)
          ).toBe(true)
          await soon(() => findings(page)).toEqual([])
          await threshold.fill("eighty")
          await soon(() => threshold.getAttribute("aria-invalid")).toBe("true")
          await threshold.fill("10")
          await page.getByText(/(Once|\d+ times) in the last 7 days/).waitFor()
          // A test that is tried again makes another one.
          const name = `postgres works ${Date.now() % 100_000}`
          await page.getByRole("textbox", { name: "Name" }).fill(name)
          await soon(() => page.getByRole("button", { name: "Save", exact: true }).isEnabled()).toBe(true)
          await page.getByRole("button", { name: "Save", exact: true }).click()
          await page.waitForURL(/name=postgres/)
          await page.getByRole("link", { name: "Rules", exact: true }).click()
          await page.getByRole("link", { name }).waitFor()
          await soon(() => findings(page)).toEqual([])
        },
        { expected: NOISE }
      )
    )

    it.effect("offers what rules may ask beyond a value: growth, the host's pressure, and what else has to hold", () =>
      inBrowser(
        "/watch/rule?resource=processes&group=postgres&server=watch-1&above=10",
        async (page) => {
          const choose = (label: string, option: string) =>
            page.getByRole("combobox", { name: label, exact: true }).selectOption({ label: option })
          const says = (text: RegExp) => sentence(page).filter({ hasText: text }).waitFor()
          await says(/cpu above 10/)
          await choose("The host's", "Pressure: CPU")
          await page.getByRole("textbox", { name: "Limit, %" }).fill("5")
          await says(/only while host pressure cpu is above 5 %/)
          await soon(() => findings(page)).toEqual([])
          await choose("Fires where it", "grows faster than")
          await soon(() => page.getByRole("combobox", { name: "The host's" }).count()).toBe(0)
          await page.getByRole("textbox", { name: "Threshold, MiB an hour" }).fill("50")
          await says(/^postgres on watch-1: memory grows by more than 50 MiB an hour, seen over 6 h, for 6 h$/)
          await choose("Fires where it", "uses up the memory within")
          await says(/^postgres on watch-1: memory runs out within 2 h, as it has grown over 4 h, for 15 min$/)
          await choose("Of", "Host")
          await choose("Fires where it", "is above")
          await choose("Measured by", "Pressure: memory")
          await page.getByRole("textbox", { name: "Threshold, %" }).fill("20")
          await says(/^on watch-1: pressure memory above 20 %/)
          const name = `memory is short ${Date.now() % 100_000}`
          await page.getByRole("textbox", { name: "Name" }).fill(name)
          await soon(() => page.getByRole("button", { name: "Save", exact: true }).isEnabled()).toBe(true)
          await page.getByRole("button", { name: "Save", exact: true }).click()
          await page.waitForURL(/name=memory/)
          await soon(() => page.getByRole("combobox", { name: "Measured by" }).inputValue()).toBe("pressure_memory")
        },
        { expected: NOISE }
      )
    )

    it.effect("silences what the preview says, shows that it does, and tells again once it is ended", () =>
      inBrowser("/watch/silences", async (page) => {
        await page.getByRole("button", { name: "Silence…" }).click()
        const dialog = page.getByRole("dialog")
        await dialog.getByRole("textbox", { name: "Rule" }).fill(RULE)
        await dialog.getByText(/^1 of the \d+ alerts that fire now:$/).waitFor()
        await dialog.getByRole("textbox", { name: "Rule" }).fill("nothing*")
        await dialog.getByText(/^None of the \d+ alerts/).waitFor()
        await dialog.getByRole("textbox", { name: "Rule" }).fill("PostgreSQL*")
        await dialog.getByRole("textbox", { name: "Why" }).fill("moving to NVMe")
        await soon(() => findings(page)).toEqual([])
        await dialog.getByRole("button", { name: "Silence", exact: true }).click()
        await dialog.waitFor({ state: "detached" })
        const listed = page.getByRole("region", { name: "In force or announced" }).getByRole("listitem")
        await listed.filter({ hasText: "moving to NVMe" }).first().waitFor()
        await page.getByRole("link", { name: "Alerts", exact: true }).click()
        await refreshUntil(page, alertRow(page).getByText("silenced"))
        await page.getByRole("link", { name: "Silences", exact: true }).click()
        await listed.filter({ hasText: "moving to NVMe" }).first().getByRole("button", { name: "End now" }).click()
        await dialog.getByRole("button", { name: "End now" }).click()
        await dialog.waitFor({ state: "detached" })
        await page.getByRole("region", { name: "Over" }).getByText("moving to NVMe").first().waitFor()
      })
    )

    it.effect("shows who only reads what fires and what is asked, and nothing that they may not do", () =>
      inBrowser(
        "/watch",
        async (page) => {
          await refreshUntil(page, alertRow(page))
          await soon(() => page.getByRole("link", { name: "New rule" }).count()).toBe(0)
          await page.getByRole("link", { name: "Rules", exact: true }).click()
          await page.getByRole("link", { name: RULE }).click()
          await sentence(page)
            .filter({ hasText: /cpu above 20/ })
            .waitFor()
          await soon(() => page.getByRole("textbox", { name: /^Threshold/ }).isEditable()).toBe(false)
          await soon(() => page.getByRole("button", { name: /Save|Switch off|Delete/ }).count()).toBe(0)
          await soon(() => page.getByRole("slider").count()).toBe(0)
          await soon(() => findings(page)).toEqual([])
        },
        { role: "read" }
      )
    )

    it.effect("marks alerts in the charts of their server, with the way to them", () =>
      inBrowser("/servers/watch-1", async (page) => {
        const tick = page.locator(".stack .tick.alert")
        await refreshUntil(page, tick)
        await tick.last().click()
        await page.getByRole("link", { name: "The alert" }).first().click()
        await page.waitForURL(/\/watch\/alerts\/\d+/)
        await page.getByRole("heading", { name: "Course" }).waitFor()
      })
    )

    for (const [path, ready] of [
      ["/watch", "Fires now"],
      ["/watch/rules", "From files"],
      ["/watch/silences", "In force or announced"],
      ["/watch/messages", "Receivers"],
      ["/watch/rule?resource=processes&group=postgres&server=watch-1&above=20", "The last 7 days"]
    ] as const) {
      it.effect(`fits a phone and a wide screen at ${path}, dark, and has no finding of axe there`, () =>
        inBrowser(
          path,
          async (page) => {
            for (const width of [360, 2_560]) {
              await page.setViewportSize({ width, height: 900 })
              await page.getByRole("heading", { name: ready }).waitFor()
              await soon(() => page.evaluate("document.scrollingElement.scrollWidth - innerWidth")).toBeLessThanOrEqual(
                0
              )
              await soon(() => findings(page)).toEqual([])
            }
          },
          { dark: true }
        )
      )
    }
  })
})

describe("the form of a rule", () => {
  const { exporters } = config
  const read = (document: RuleDocument) => Result.getOrThrow(readDocument(document, exporters)).rule
  const busy = { name: "busy", resource: "processes", metric: "cpu" }
  const beside = { metric: "pressure_memory", below: 5 }

  for (const document of [
    ...documentsIn(DEFAULT_RULES),
    {
      ...busy,
      above: 80,
      of: "machine",
      resolve: 60,
      group: "a*",
      server: "b",
      for: "5m",
      runbook: "https://a.example/"
    },
    { ...busy, below: 1, only_while: beside, owners: ["dba", "on-call"], severity: "info", keep_firing_for: "1m" },
    { ...busy, metric: undefined, restarts_above: 0, for: "1m", only_while: { metric: "busy", above: 0 } },
    { ...busy, metric: undefined, silent: true, over: "2m", for: "1m" },
    { ...busy, metric: undefined, absent: true, group: "cron", only_while: beside },
    { ...busy, metric: "unaccounted", above: 50, enabled: false }
  ]) {
    it(`gives back what it shows of ${JSON.stringify(document)}`, () => {
      const fields = Object.fromEntries(Object.entries(document).filter(([, value]) => value !== undefined))
      expect(fitsForm(fields)).toBe(true)
      const given = documentOf(draftOf(fields))
      expect(read(given)).toEqual(read(fields))
      expect(given.enabled).toEqual(fields.enabled)
    })
  }

  it("is not used for what it cannot show, which is edited as text and kept as it is", () => {
    for (const beyond of [
      { owners: ["a, b"] },
      { below: 1 },
      { only_while: { metric: "busy", above: 1, below: 2 } },
      { only_while: "busy" },
      { later: 1 }
    ]) {
      expect([beyond, fitsForm({ ...busy, above: 80, ...beyond })]).toEqual([beyond, false])
    }
  })

  it("says what is wrong at its field", () => {
    const wrong = {
      ...busy,
      above: "eighty",
      only_while: { metric: "busy", above: "ninety" },
      runbook: "ftp://a.example"
    }
    const problems = Result.match(readRules(JSON.stringify({ rules: [wrong] }), exporters), {
      onFailure: (found) => found,
      onSuccess: () => []
    })
    expect([...problemsByField(problems).keys()].sort()).toEqual(["only_while", "runbook", "threshold"])
  })
})

describe("a runbook", () => {
  it("is a link only where a browser would open a page, and run nothing", () => {
    for (const address of ["https://wiki.example/a", "http://10.0.0.1/"]) expect(isWebAddress(address)).toBe(true)
    for (const address of [
      "javascript:alert(1)",
      "JavaScript:alert(1)",
      "data:text/html,a",
      "//wiki.example",
      "wiki",
      ""
    ])
      expect([address, isWebAddress(address)]).toEqual([address, false])
  })
})

describe("the preview of a silence", () => {
  const texts = ["", "a", "ab", "aab", "db-1", "db-", "-1", "db-1-1", "abab", "b*", "*"]
  const patterns = ["*", "a*", "*b", "a*b", "*a*", "db-*", "db-*-1", "**", "a*a*b", "ab", "*1*1"]
  for (const rule of patterns) {
    it(`takes the names that the server takes for ${rule}`, () => {
      for (const text of texts) {
        const alert = { rule: text, server_id: "s", server_name: "s", group: "", severity: "info" }
        const taken = wouldSilence({ rule, server: "", group: "", severity: "" }, alert)
        expect(taken, text).toBe(matches(rule, text))
      }
    })
  }
})
