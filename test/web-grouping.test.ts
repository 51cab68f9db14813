/**
 * The job "group python workers by script name", done on the page in a real Chromium: from the ranking to the rules and back, by
 * mouse and by keyboard, with what a reader sees of it, and what two editors do to each other.
 */
import { mkdirSync } from "node:fs"
import { describe, expect, layer } from "@effect/vitest"
import { Effect } from "effect"
import type { Page } from "playwright-core"
import * as TestServer from "./TestServer.ts"
import {
  executablePath,
  findings,
  GROUPS,
  groupRow,
  INTERVAL,
  inBrowser,
  NOISE,
  once,
  push,
  unique,
  world
} from "./WebWorld.ts"

const now = Math.floor(Date.now() / INTERVAL) * INTERVAL
const WORKERS = Array.from({ length: 12 }, (_, n) => `python3 worker_${n + 1}.py`)

const RULE = { match: "^python3 (\\w+?)_?\\d*\\.py$", name: "python $1" }

/** Half an hour of a machine whose workers are many, and one name that nobody should be able to hurt a page with. */
const seed = once(
  Effect.gen(function* () {
    const { register } = yield* TestServer.TestServer
    const { token } = yield* register("apps-1")
    const rows = Array.from({ length: 121 }, (_, n) => n).flatMap((n) => {
      const at = now - (120 - n) * INTERVAL
      return [
        ...WORKERS.map((name, worker) => groupRow(at, name, 10 + n * (0.3 + worker / 100), 60)),
        groupRow(at, "postgres", 100 + n * 2, 900, 8),
        groupRow(at, "python3 report.py", 5 + n * 0.2, 80),
        groupRow(at, `<b onclick="x">\u202eevil</b>`, 1 + n * 0.1, 5)
      ]
    })
    yield* push(token, { [GROUPS]: rows })
    yield* ruleSet("scripts")
  })
)

/** A set of rules in its first version. */
const ruleSet = Effect.fnUntraced(function* (name: string) {
  const { request } = yield* TestServer.TestServer
  const body = { name, base_version: 0, rules: [RULE], comment: "by script" }
  expect((yield* request("POST", "/api/groupings", { body })).status).toBe(201)
})

const on: typeof inBrowser = (...visit) => Effect.andThen(seed, inBrowser(...visit))

const names = (page: Page) => page.locator(".ranked tbody .row-button .name").allTextContents()
const pattern = (page: Page, n: number) => page.getByRole("textbox", { name: `Pattern of rule ${n}` })
const shownAs = (page: Page, n: number) => page.getByRole("textbox", { name: `Name of rule ${n}` })
const preview = (page: Page) => page.getByRole("region", { name: "Preview" })
const shots = process.env.NODEPULSE_SHOTS
const shoot = async (page: Page, name: string) => {
  if (shots === undefined) return
  mkdirSync(shots, { recursive: true })
  await page.screenshot({ path: `${shots}/${name}.png`, fullPage: true })
}

describe.skipIf(executablePath === undefined)("group names on the page", () => {
  layer(world, { timeout: 120_000, excludeTestServices: true })("in a browser", (it) => {
    it.effect("groups python workers by script name: from the ranking to the rules, and back to one row", () =>
      Effect.gen(function* () {
        const set = unique("by-script")
        yield* on("/servers/apps-1", async (page) => {
          await expect.poll(() => names(page)).toContain(WORKERS[0])
          await page.getByRole("button", { name: "Group names…" }).click()
          await page.getByRole("link", { name: "Edit rules…" }).click()
          await page.getByRole("heading", { name: "Group names" }).waitFor()
          // What looks alike is told with a rule for it, before anything was written.
          await page.getByRole("button", { name: "Add a rule for python3 worker_*.py" }).waitFor()
          await expect.poll(() => preview(page).textContent()).toContain("15 names → 15")
          await pattern(page, 1).fill("^python3 (\\w+?)_?\\d*\\.py$")
          await shownAs(page, 1).fill("python $1")
          await page.getByText("takes 13 names").waitFor()
          await expect.poll(() => preview(page).textContent()).toMatch(/15 names → 4.*: equal/s)
          await page.getByRole("textbox", { name: "Name of the set" }).fill(set)
          await page.getByRole("textbox", { name: "Comment" }).fill("by script")
          await shoot(page, "editor-light-1280")
          await page.getByRole("button", { name: "Save as version 1" }).click()
          await page.getByText("Version 1", { exact: true }).waitFor()
          expect(await findings(page)).toEqual([])
          await page.getByRole("link", { name: "apps-1" }).click()
          await page.getByText(`Names are grouped by ${set}, version 1.`).waitFor()
          await expect.poll(() => names(page)).toContain("python worker")
          await expect.poll(() => names(page)).toContain("python report")
          await expect.poll(() => names(page)).not.toContain(WORKERS[0])
          expect(await findings(page)).toEqual([])
          await shoot(page, "server-grouped")
          await page.getByRole("button", { name: "python worker" }).first().click()
          await page.getByRole("complementary", { name: /python worker/ }).waitFor()
          await page.keyboard.press("Escape")
          await page.getByRole("button", { name: "Show names as they are" }).click()
          await expect.poll(() => names(page)).toContain(WORKERS[0])
          await expect.poll(() => new URL(page.url()).searchParams.get("grouping")).toBeNull()
        })
      })
    )

    it.effect("remembers the choice in this browser, and stands in the address for others", () =>
      on("/servers/apps-1", async (page) => {
        await page.getByRole("button", { name: "Group names…" }).click()
        await page.getByRole("button", { name: "scripts" }).click()
        await expect.poll(() => names(page)).toContain("python worker")
        await expect.poll(() => new URL(page.url()).searchParams.get("grouping")).toBe("scripts")
        await page.goto(new URL("/servers/apps-1", page.url()).href)
        await page.getByText("Names are grouped by scripts").waitFor()
        await expect.poll(() => new URL(page.url()).searchParams.get("grouping")).toBe("scripts")
      })
    )

    it.effect("moves, adds and removes rules by keyboard, and says what moved", () =>
      on("/groupings?server=apps-1", async (page) => {
        await pattern(page, 1).fill("^first")
        await shownAs(page, 1).fill("one")
        await page.getByRole("button", { name: "Add a rule", exact: true }).press("Enter")
        await expect.poll(() => page.evaluate("document.activeElement.ariaLabel")).toBe("Pattern of rule 2")
        await page.keyboard.type("^second")
        await page.keyboard.press("Tab")
        await page.keyboard.type("two")
        await page.keyboard.press("Alt+ArrowUp")
        await expect.poll(() => pattern(page, 1).inputValue()).toBe("^second")
        // The rule that was moved keeps the focus.
        await expect.poll(() => page.evaluate("document.activeElement.ariaLabel")).toBe("Name of rule 1")
        await page.getByText("Rule 2 is rule 1 now").waitFor({ state: "attached" })
        await page.getByRole("button", { name: "Remove rule 1" }).press("Enter")
        await expect.poll(() => pattern(page, 1).inputValue()).toBe("^first")
      })
    )

    it.effect("says at the rule what is wrong with it, and saves nothing until it is mended", () =>
      on(
        "/groupings?set=scripts&server=apps-1",
        async (page) => {
          await pattern(page, 1).fill("^python3 (\\w+")
          await page.getByText("missing closing )").waitFor()
          await expect.poll(() => pattern(page, 1).getAttribute("aria-invalid")).toBe("true")
          const save = page.getByRole("button", { name: "Save as version 2" })
          await expect.poll(() => save.isDisabled()).toBe(true)
          expect(await findings(page)).toEqual([])
          await pattern(page, 1).fill("^python3 (\\w+)")
          await expect.poll(() => save.isEnabled()).toBe(true)
        },
        { expected: NOISE }
      )
    )

    it.effect("tells who saved meanwhile, and goes back to an older version", () =>
      Effect.gen(function* () {
        const { request } = yield* TestServer.TestServer
        const set = unique("two-editors")
        yield* ruleSet(set)
        yield* on(
          `/groupings?set=${set}&server=apps-1`,
          async (page) => {
            await shownAs(page, 1).fill("py $1")
            const body = { name: set, base_version: 1, rules: [], comment: "none" }
            await Effect.runPromise(request("POST", "/api/groupings", { body }))
            await page.getByRole("button", { name: "Save as version 2" }).click()
            await page.getByText(`admin saved version 2 of ${set} meanwhile`).waitFor()
            await page.reload()
            await page.getByText("No rules: every name keeps its own.").waitFor()
            await page.getByRole("button", { name: "Go back to this" }).click()
            await page.getByText(`of ${set}, version 3`).waitFor()
            await expect.poll(() => shownAs(page, 1).inputValue()).toBe("python $1")
            await page.getByText("back to version 1").waitFor()
          },
          { expected: NOISE }
        )
      })
    )

    it.effect("shows readers the rules, and nothing that they may not do", () =>
      Effect.gen(function* () {
        const { request } = yield* TestServer.TestServer
        const { body } = yield* request("POST", "/api/tokens", { body: { kind: "read" } })
        yield* on(
          "/groupings?set=scripts",
          async (page) => {
            await page.getByLabel(/token/i).first().fill(body.token)
            await page.getByRole("button", { name: /sign in/i }).click()
            await page.getByText("An operator or an administrator can change them").waitFor()
            await expect.poll(() => pattern(page, 1).getAttribute("readonly")).not.toBeNull()
            for (const name of [/^Save/, /^Add/, /^Remove/, /^Go back/]) {
              expect(await page.getByRole("button", { name }).count(), String(name)).toBe(0)
            }
            expect(await findings(page)).toEqual([])
          },
          { signedOut: true, expected: NOISE }
        )
      })
    )

    for (const [width, dark] of [
      [360, false],
      [1440, true],
      [2560, false]
    ] as const) {
      it.effect(`fits ${width} px ${dark ? "in the dark" : "in the light"}, without any finding of axe`, () =>
        on(
          "/groupings?set=scripts&server=apps-1",
          async (page) => {
            await expect.poll(() => preview(page).textContent()).toContain("15 names → 4")
            await expect
              .poll(() => page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))
              .toBe(true)
            expect(await findings(page)).toEqual([])
            await shoot(page, `editor-${width}-${dark ? "dark" : "light"}`)
            await page.goto(new URL("/servers/apps-1?grouping=scripts", page.url()).href)
            await page.getByText("Names are grouped by scripts").waitFor()
            await page.getByRole("button", { name: "Names: scripts" }).click()
            await page.getByRole("link", { name: "Edit rules…" }).waitFor()
            await expect
              .poll(() => page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))
              .toBe(true)
            expect(await findings(page)).toEqual([])
            await shoot(page, `chooser-${width}-${dark ? "dark" : "light"}`)
          },
          { width, dark }
        )
      )
    }
  })
})
