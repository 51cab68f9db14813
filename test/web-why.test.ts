/** Where the CPU went, what waits, and what units consist of, in a real Chromium: from rows to what somebody reads and clicks. */
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
  unique,
  world
} from "./WebWorld.ts"

const UNITS = "cgroups"
const SHORT_LIVED = "process_accounting"
const now = Math.floor(Date.now() / INTERVAL) * INTERVAL
const SCRAPES = 80
const iso = (n: number) => new Date(now - (SCRAPES - n) * INTERVAL).toISOString()
const HOSTILE = `<img src=x onerror="window.hacked=1">.service`

/** Counters that grow by so many seconds of CPU in an interval. */
const unitRow = (at: number, unit: string, cpu: number, more: object = {}) => ({
  timestamp: new Date(at).toISOString(),
  counters_since: new Date(now - 3_600_000).toISOString(),
  unit,
  slice: "system.slice",
  cpu_seconds_total: cpu,
  memory_bytes: 2 ** 28,
  num_procs: 3,
  ...more
})
const process = (at: number, name: string, unit: string, cpu: number, more: object = {}) => ({
  ...groupRow(at, name, cpu, 100),
  counters_since: new Date(now - 3_600_000).toISOString(),
  unit,
  ...more
})

/**
 * 20 minutes of four cores. The unit of deploys uses 3 s in an interval, of which its own processes are 1 s: the rest were commands
 * that ended. The unit of the web has a quota, which holds it back.
 */
const bad = Array.from({ length: SCRAPES + 1 }, (_, n): Record<string, ReadonlyArray<Record<string, unknown>>> => {
  const at = now - (SCRAPES - n) * INTERVAL
  return {
    [HOST]: [{ ...hostRow(at, n), cpu_user_seconds: 500 + n * 11, cpu_system_seconds: 100 + n }],
    [GROUPS]: [
      process(at, "bash deploy.sh", "deploy.service", n, { read_bytes_total: n * 15 * 2 ** 20 }),
      process(at, "web", "web.service", n * 6),
      process(at, "logger", "web.service", n * 0.5),
      process(at, "logger", HOSTILE, n * 0.25),
      process(at, "nodepulse-agent", "nodepulse-agent.service", n * 0.1)
    ],
    [UNITS]: [
      unitRow(at, "deploy.service", n * 3),
      unitRow(at, "web.service", n * 6.5, {
        cpu_limit_cores: 0.5,
        cpu_periods_total: n * 150,
        cpu_throttled_periods_total: n * 60,
        throttled_seconds_total: n * 5
      }),
      unitRow(at, HOSTILE, n * 0.25),
      unitRow(at, "nodepulse-agent.service", n * 0.1),
      unitRow(at, "(kernel)", n * 0.15)
    ],
    [SHORT_LIVED]: [
      {
        timestamp: new Date(at).toISOString(),
        counters_since: new Date(now - 3_600_000).toISOString(),
        command: "ls",
        parent: "bash deploy.sh",
        runs_total: n * 16,
        cpu_seconds_total: n * 1.9
      }
    ]
  }
})
const plain = bad.map((payload) => ({
  [HOST]: payload[HOST],
  [GROUPS]: payload[GROUPS]!.filter((row) => row.unit !== HOSTILE).map(({ unit: _, ...row }) => row)
}))

const seed = once(
  Effect.gen(function* () {
    const { register } = yield* TestServer.TestServer
    for (const [name, payloads] of [
      ["bad-1", bad],
      ["plain-1", plain]
    ] as const) {
      const { token } = yield* register(name)
      for (const payload of payloads) yield* push(token, payload)
    }
  })
)

const line = (page: Page, name: string | RegExp) => page.locator(".why-lines tbody tr").filter({ hasText: name })
const amount = (text: string) => Number(text.replaceAll("\u2212", "-").replace(/[^\d.-]/g, ""))
const average = async (page: Page, name: string | RegExp) =>
  amount(await line(page, name).locator("td").first().innerText())

describe.skipIf(executablePath === undefined)("what hurts", () => {
  layer(world, { excludeTestServices: true })((it) => {
    const on = (path: string, run: (page: Page) => Promise<unknown>, options = {}) =>
      Effect.andThen(seed, inBrowser(path, run, options))

    it.effect("says where the CPU went, down to the host's own figure", () =>
      on("/servers/bad-1?range=6h", async (page) => {
        await line(page, "deploy.service").waitFor()
        expect(await average(page, /^web/)).toBeCloseTo(40, 0)
        expect(await average(page, "Short-lived")).toBeCloseTo(12.7, 0)
        expect(await average(page, "Kernel")).toBeCloseTo(1, 0)
        const lines = await page.locator(".why-lines tbody tr td:first-of-type").allInnerTexts()
        const sum = lines.reduce((total, text) => total + amount(text), 0)
        expect(sum).toBeGreaterThan(77)
        expect(sum).toBeLessThan(83)
        await page.getByText(/80\s%\s*busy on average, of 400\s%/).waitFor()
        await page.getByText(/1\s280 × ls, 13\s%, from bash deploy\.sh/).waitFor()
      })
    )

    it.effect(
      "leads from a line to its unit in the same time, without what filters and orders the table that is left",
      () =>
        on(`/servers/bad-1?window=${encodeURIComponent(`${iso(4)}~${iso(SCRAPES)}`)}&q=web&sort=name`, async (page) => {
          const href = await line(page, "deploy.service").getByRole("link").getAttribute("href")
          const { pathname, searchParams } = new URL(href ?? "", page.url())
          expect(pathname).toBe("/servers/bad-1/units")
          expect(Object.fromEntries(searchParams)).toEqual({
            window: `${iso(4)}~${iso(SCRAPES)}`,
            open: "deploy.service"
          })
        })
    )

    it.effect("says who is held back by its own quota, and which setting changes it", () =>
      on(`/servers/bad-1?window=${encodeURIComponent(`${iso(4)}~${iso(SCRAPES)}`)}`, async (page) => {
        const card = page.getByRole("region", { name: "What waits" })
        const verdict = card.getByRole("listitem").filter({ hasText: "web.service" })
        await verdict.getByText(/40\s%/).waitFor()
        await verdict.getByText(/systemctl set-property web\.service CPUQuota=/).waitFor()
        await verdict.getByRole("link", { name: "web.service" }).click()
        await page.waitForURL(/\/units\?.*open=web\.service/)
        expect(new URL(page.url()).searchParams.get("window")).toBe(`${iso(4)}~${iso(SCRAPES)}`)
      })
    )

    it.effect("leads from a unit to its processes, with what is left over, and from a process to its unit", () =>
      on("/servers/bad-1?range=6h", async (page) => {
        await page.locator(".ranked tbody .row-button", { hasText: "bash deploy.sh" }).click()
        const panel = page.getByRole("complementary")
        await panel.locator(".group-in a", { hasText: "deploy.service" }).click()
        await page.waitForURL(/\/servers\/bad-1\/units\?.*open=deploy\.service/)
        const members = page.getByRole("complementary").locator(".members")
        await members.getByRole("rowheader", { name: "bash deploy.sh" }).waitFor()
        const left = members.locator("tr", { hasText: "Left over" }).locator("td").first()
        expect(amount(await left.innerText())).toBeCloseTo(13, 0)
        await members.getByRole("link", { name: "bash deploy.sh" }).click()
        await page.waitForURL(/\/servers\/bad-1\?.*open=bash/)
      })
    )

    it.effect("marks what is part of the monitoring, and says in how many units a group is", () =>
      on(
        "/servers/bad-1?range=6h",
        async (page) => {
          const row = (name: string) => page.locator(".ranked tbody tr").filter({ hasText: name })
          await row("nodepulse-agent").getByText("part of the monitoring").waitFor({ state: "attached" })
          await row("logger").locator(".row-unit", { hasText: "2 units" }).waitFor()
          expect(await row("web").getByText("part of the monitoring").count()).toBe(0)
          expect(await page.evaluate("window.hacked")).toBeUndefined()
        },
        { width: 1_900 }
      )
    )

    it.effect("ranks by what is read, written, swapped and waited for where somebody asks", () =>
      on("/servers/bad-1?range=6h", async (page) => {
        await page.getByLabel("Rank by more").selectOption("read")
        await page.waitForURL(/metric=read/)
        const first = page.locator(".ranked tbody tr").first()
        await first.filter({ hasText: "bash deploy.sh" }).waitFor()
        await first
          .getByText(/1\.0\sMiB\/s/)
          .first()
          .waitFor()
      })
    )

    it.effect("says what is missing where nothing tells of units", () =>
      on("/servers/plain-1?range=6h", async (page) => {
        await page.getByText("No units are known here").waitFor()
        expect(await line(page, "Kernel").count()).toBe(0)
      })
    )

    for (const dark of [false, true]) {
      it.effect(`is readable for everybody, ${dark ? "dark" : "light"}`, () =>
        on(
          `/servers/bad-1/units?range=6h&open=${encodeURIComponent("web.service")}&${unique("n")}`,
          async (page) => {
            await page.locator(".members tbody tr").first().waitFor()
            expect(await findings(page)).toEqual([])
          },
          { dark }
        )
      )
    }
  })
})
