/**
 * The page in a real Chromium, against a real server with real rows that came through the ingest.
 *
 * Tests share one server and build on each other's rows: the first one finds it empty, the last ones make it crowded.
 */
import { PgClient } from "@effect/sql-pg"
import { describe, expect, layer } from "@effect/vitest"
import { Effect } from "effect"
import { ROUTES } from "../web/src/ask/Api.ts"
import * as TestServer from "./TestServer.ts"
import {
  brush,
  drawnAbove,
  executablePath,
  GROUPS,
  goesOn,
  groupRow,
  HOST,
  hostRow,
  hour,
  INTERVAL,
  inBrowser,
  labelHeight,
  NOISE,
  once,
  push,
  refreshBytes,
  refreshUntil,
  seriousFindings,
  unique,
  untilTaken,
  visit,
  visitAt,
  world
} from "./WebWorld.ts"

/** The agent's token of the server with an hour of rows. */
let tokenOfBusy = ""
/** The time of its newest row when it was seeded. */
let busyUntil = 0
const seed = once(
  Effect.gen(function* () {
    const { register } = yield* TestServer.TestServer
    const now = Math.floor(Date.now() / INTERVAL) * INTERVAL
    const busy = yield* register("busy-1")
    tokenOfBusy = busy.token
    busyUntil = now
    for (const payload of hour(now)) yield* push(busy.token, payload)
    for (const [name, age] of [
      ["late-1", 90_000],
      ["mute-1", 1_800_000]
    ] as const) {
      const { token } = yield* register(name)
      const at = now - age
      yield* push(token, {
        [HOST]: [hostRow(at - INTERVAL, 1), hostRow(at, 2)],
        [GROUPS]: [groupRow(at - INTERVAL, "nginx", 5, 40), groupRow(at, "nginx", 6, 40)]
      })
    }
  })
)

/** The id of a server of its own, on which convert stopped 20 minutes before now, whenever that is. */
const stoppedAwhileAgo = Effect.gen(function* () {
  const { register } = yield* TestServer.TestServer
  const now = Math.floor(Date.now() / INTERVAL) * INTERVAL
  const { server_id, token } = yield* register(unique("stopped"))
  for (const payload of hour(now)) {
    const groups = (payload[GROUPS] as ReadonlyArray<ReturnType<typeof groupRow>>) ?? []
    yield* push(token, { ...payload, [GROUPS]: groups.filter(({ name }) => name === "postgres" || name === "convert") })
  }
  return server_id
})

describe.skipIf(executablePath === undefined)("the page", () => {
  // Named, so that it is a suite of its own: without a name the layer counts tests, a repeated one twice, and ends too early.
  layer(world, { timeout: 120_000, excludeTestServices: true })("in a browser", (it) => {
    it.effect("asks only what the API's definition has", () =>
      Effect.gen(function* () {
        const { request } = yield* TestServer.TestServer
        const { body } = yield* request("GET", "/api/openapi.json")
        for (const [method, path] of Object.values(ROUTES)) {
          const known = body.paths[path.replace(/:([a-z]+)/g, "{$1}")]?.[method.toLowerCase()]
          expect(known, `${method} ${path}`).toBeDefined()
        }
      })
    )

    it.effect("is let in by the one-time link, by a token, and by nothing else", () =>
      Effect.gen(function* () {
        const { request, url } = yield* TestServer.TestServer
        const link = yield* request("POST", "/api/session/links")
        yield* inBrowser(
          "/",
          async (page) => {
            await page.getByText("sign-in link").waitFor()
            await page.getByLabel("token").fill("wrong")
            await page.getByRole("button", { name: "Sign in" }).click()
            await page.getByText("This token is not known").waitFor()
            expect(await seriousFindings(page)).toEqual([])
            await page.getByLabel("token").fill("an-admin-token-for-tests")
            await page.keyboard.press("Enter")
            await page.getByRole("navigation", { name: "Main" }).waitFor()
            await page.getByRole("button", { name: "Sign out" }).click()
            await page.getByText("sign-in link").waitFor()
            await page.goto(`${url}${link.body.path}`)
            await page.getByRole("navigation", { name: "Main" }).waitFor()
            const again = await page.request.get(`${url}${link.body.path}`, { maxRedirects: 0 })
            expect(again.status()).toBe(401)
          },
          { signedOut: true, expected: NOISE }
        )
      })
    )

    it.effect("says what to do next where there is no server yet, with the command to copy", () =>
      inBrowser("/", async (page) => {
        await page.getByRole("heading", { name: "No server reports yet" }).waitFor()
        await page.getByRole("button", { name: "Add a server" }).click()
        await page.getByLabel("What is it called?").fill("never-1")
        await page.keyboard.press("Enter")
        await page.getByRole("heading", { name: "Connect never-1" }).waitFor()
        // The server is in the list now, and the token is shown this once: the list's refresh must not take it away.
        await page.locator("table.fleet").waitFor({ state: "attached" })
        await expect
          .poll(() => page.locator("dialog pre").allTextContents())
          .toEqual([
            expect.stringContaining("/etc/nodepulse/token"),
            expect.stringContaining("url:"),
            expect.stringContaining("nodepulse agent")
          ])
        expect(await seriousFindings(page)).toEqual([])
        await page.keyboard.press("Escape")
        await refreshUntil(page, page.getByRole("link", { name: /never-1/ }))
      })
    )

    it.effect("shows every server with its state by word, colour and shape, its use and its busiest process", () =>
      Effect.gen(function* () {
        yield* seed
        yield* goesOn(tokenOfBusy, busyUntil)
        yield* inBrowser("/", async (page) => {
          const row = (name: string) => page.getByRole("row").filter({ hasText: name })
          await refreshUntil(page, row("busy-1").filter({ hasText: "postgres" }))
          for (const name of ["late-1", "mute-1"]) await refreshUntil(page, row(name).filter({ hasText: "nginx" }))
          await expect.poll(() => row("busy-1").getByRole("img", { name: "live" }).locator("circle").count()).toBe(1)
          await expect.poll(() => row("late-1").getByRole("img", { name: "stale" }).locator("path").count()).toBe(1)
          await expect.poll(() => row("mute-1").getByRole("img", { name: "silent" }).locator("rect").count()).toBe(1)
          await expect.poll(() => row("mute-1").textContent()).toMatch(/last seen (29|3\d)\smin ago/)
          await expect.poll(() => row("never-1").textContent()).toContain("never reported")
          // 21.8 of 60 core-seconds a scrape.
          await expect.poll(() => row("busy-1").textContent()).toContain("36 %")
          await expect.poll(() => row("busy-1").textContent()).toContain("80 % of a core")
          const names = async () =>
            (await page.locator("tbody .name").allTextContents()).filter((name) => name.endsWith("-1"))
          await page.getByRole("button", { name: "Server", exact: true }).click()
          await page.waitForURL("**sort=name**")
          await expect.poll(names).toEqual(["busy-1", "late-1", "mute-1", "never-1"])
          await page.getByRole("button", { name: /1 live/ }).click()
          await expect.poll(names).toEqual(["busy-1"])
          await page.getByRole("button", { name: /1 live/ }).click()
          await page.keyboard.press("/")
          await page.keyboard.type("mute")
          await expect.poll(names).toEqual(["mute-1"])
          await page.waitForURL("**q=mute**")
          await page.keyboard.press("Escape")
          await expect.poll(names).toHaveLength(4)
          await page.keyboard.press("ArrowDown")
          await expect.poll(() => page.evaluate("document.activeElement.textContent")).toContain("busy-1")
          await page.keyboard.press("Enter")
          await page.waitForURL("**/servers/busy-1**")
        })
      }).pipe(Effect.scoped)
    )

    it.effect("ranks the processes of a server, with the numbers of the API", () =>
      Effect.gen(function* () {
        const { request } = yield* TestServer.TestServer
        yield* inBrowser("/servers/busy-1", async (page) => {
          await page.locator(".ranked tbody tr").first().waitFor()
          const api = await Effect.runPromise(request("GET", "/api/servers/busy-1/processes/top?limit=30"))
          await expect
            .poll(async () => (await page.locator(".ranked tbody .row-button").allTextContents()).slice(0, 5))
            .toEqual(api.body.processes.slice(0, 5).map(({ name }: { readonly name: string }) => name))
          const first = page.locator(".ranked tbody tr").first()
          await expect
            .poll(() => first.locator("td").allTextContents())
            .toEqual(["80\u202f%", "80\u202f%", "80\u202f%", "900\u202fMiB", "900\u202fMiB", "8", ""])
          const facts = () => page.locator(".server-head .facts").textContent()
          await expect.poll(facts).toMatch(/Cores4.*8\.0\sGiB.*Up3\sd.*Coverage8\d %/)
          // Ties are ordered by name, the same on every refresh.
          const names = await page.locator(".ranked tbody .row-button").allTextContents()
          expect(names.indexOf("alpha")).toBe(names.indexOf("zeta") - 1)
          // All others, what nobody accounts for and the rows are together what the host was busy with: 36.3 % of 4 cores.
          await expect.poll(() => page.locator(".ranked tfoot .total .ranks.average").textContent()).toBe("145\u202f%")
        })
      })
    )

    it.effect("keeps its whole state in the address, and takes it from there", () =>
      inBrowser("/servers/busy-1", async (page) => {
        await page.locator(".ranked tbody tr").first().waitFor()
        await page.keyboard.press("m")
        await page.waitForURL("**metric=memory**")
        await page.getByRole("columnheader", { name: /Memory now/ }).waitFor()
        await page.keyboard.press("c")
        await page.waitForURL((url) => !url.search.includes("metric"))
        await page.keyboard.press("2")
        await page.waitForURL("**range=6h**")
        await page.getByRole("button", { name: "% of the machine" }).click()
        await page.waitForURL("**unit=machine**")
        await page.locator(".ranked tbody tr").first().filter({ hasText: "20\u202f%" }).waitFor()
        await page.getByRole("button", { name: "Custom" }).click()
        await page.getByRole("button", { name: "Show" }).click()
        await page.waitForURL("**window=**")
        await page.getByRole("searchbox").fill("nginx")
        await page.waitForURL("**q=nginx**")
        await page.locator(".ranked tbody .row-button").filter({ hasText: "nginx" }).first().click()
        await page.waitForURL("**open=nginx**")
        const address = page.url()
        await page.goto("about:blank")
        await page.goto(address)
        await page.getByRole("complementary", { name: /nginx/ }).waitFor()
        await expect.poll(() => page.getByRole("searchbox").inputValue()).toBe("nginx")
        await expect
          .poll(() => page.getByRole("button", { name: "% of the machine" }).getAttribute("aria-pressed"))
          .toBe("true")
        await page.goBack()
      })
    )

    it.effect("lets a brush on the chart set the window of the table, by mouse and by keyboard", () =>
      inBrowser("/servers/busy-1", async (page) => {
        await page.locator(".ranked tbody tr").first().waitFor()
        const before = await page.locator(".table-head b").textContent()
        await brush(page, 0.8, 0.95)
        await expect.poll(() => page.locator(".table-head b").textContent()).not.toBe(before)
        const asked = new URL(page.url()).searchParams
          .get("brush")!
          .split("~")
          .map((text) => Date.parse(text))
        const minutes = (asked[1]! - asked[0]!) / 60_000
        expect(minutes).toBeGreaterThan(6)
        expect(minutes).toBeLessThan(12)
        await page.keyboard.press("Escape")
        await page.waitForURL((url) => !url.search.includes("brush"))
        await untilTaken(
          async () => {
            await page.locator(".stack .chart").focus()
            await page.keyboard.press("ArrowLeft")
            await page.keyboard.press("Shift+ArrowLeft")
          },
          () => page.url().includes("brush=")
        )
      })
    )

    it.effect("greys and dates what is gone, and does not let rows jump under the pointer", () =>
      inBrowser(
        "/servers/busy-1",
        async (page) => {
          const names = () => page.locator(".ranked tbody .row-button").allTextContents()
          const gone = page.locator(".ranked tbody tr.gone").filter({ hasText: "convert" })
          await gone.getByText(/gone since \d\d:\d\d/).waitFor()
          const before = await names()
          await page.locator(".ranked tbody tr").nth(2).hover()
          await page.route("**/processes/top**", async (route) => {
            const response = await route.fetch()
            const body = (await response.json()) as { processes: Array<unknown> }
            await route.fulfill({ response, json: { ...body, processes: body.processes.toReversed() } })
          })
          const answered = page.waitForResponse("**/processes/top**")
          await page.clock.runFor(16_000)
          await answered
          expect(await names()).toEqual(before)
          await page.mouse.move(5, 5)
          await expect.poll(async () => (await names())[0]).not.toBe(before[0])
          await expect.poll(names).toEqual(before.toReversed())
        },
        { clock: true }
      )
    )

    it.effect("opens a process: its history, its restarts, the same one on other servers; Esc closes it", () =>
      inBrowser("/servers/busy-1", async (page) => {
        await page.getByRole("button", { name: "nginx" }).last().click()
        const panel = page.getByRole("complementary", { name: /nginx/ })
        await panel.getByText("no restart in this range").waitFor()
        await expect
          .poll(() => panel.getByRole("heading", { level: 3 }).allTextContents())
          .toEqual(["CPU", "Memory", "Count", "On other servers"])
        await panel.getByRole("link", { name: "late-1" }).waitFor()
        await expect.poll(() => panel.getByRole("img").count()).toBe(3)
        expect(await seriousFindings(page)).toEqual([])
        await page.keyboard.press("Escape")
        await panel.waitFor({ state: "detached" })
      })
    )

    it.effect("shows an exporter that it has never heard of, from the catalog alone", () =>
      Effect.gen(function* () {
        const now = Math.floor(Date.now() / INTERVAL) * INTERVAL
        yield* push(tokenOfBusy, {
          oven_exporter: [3, 2, 1, 0].flatMap((n) => [
            {
              timestamp: new Date(now - n * INTERVAL).toISOString(),
              oven: "left",
              breads_total: 100 - n * 30,
              warmth: 230
            },
            { timestamp: new Date(now - n * INTERVAL).toISOString(), oven: "freezer", breads_total: 5, warmth: -18.5 }
          ])
        })
        yield* inBrowser("/servers/busy-1", async (page) => {
          await refreshUntil(page, page.getByRole("link", { name: /Ovens/ }))
          await page.getByRole("link", { name: /Ovens/ }).click()
          await page.getByRole("heading", { name: "Ovens", level: 1 }).waitFor()
          const row = page.locator(".ranked tbody tr").filter({ hasText: "left" })
          await row.filter({ hasText: "2/s" }).waitFor()
          await page.keyboard.press("h")
          await page.waitForURL("**metric=heat**")
          await page.locator(".ranked tbody tr").filter({ hasText: "230\u202f°C" }).waitFor()
          await page.getByText("What each column means").click()
          await page.getByText("Breads baked.").waitFor()
          await page.goto(`${new URL(page.url()).origin}/servers/busy-1/node`)
          await page.getByRole("heading", { name: "Network throughput" }).waitFor()
          await expect.poll(() => page.locator(".panel").count()).toBeGreaterThan(10)
          expect(await seriousFindings(page)).toEqual([])
        })
      })
    )

    it.effect("shows hostile names as what they are: inert, and legible", () =>
      inBrowser("/servers/busy-1?q=", async (page) => {
        await page.locator(".ranked tbody tr").first().waitFor()
        const text = (await page.locator(".ranked tbody .row-button").allTextContents()).join("\n")
        expect(text).toContain(`<img src=x onerror="window.hacked=1">`)
        expect(text).toContain("safe‹202e›gnp.exe")
        expect(text).toContain("left‹2067›right‹2069›")
        expect(text).toContain("clear‹009b›2J‹0085›end")
        expect(text).toContain("ng‹e006e›inx‹3164›")
        expect(text).toContain("␣two ␣spaces‹00a0›")
        expect(text).toContain("‹0301›‹0301›algo")
        expect(text).toContain("two↵lines⇥and a tab")
        expect(text).toContain("10000 characters")
        expect(text).toContain("(no name)")
        expect(await page.evaluate("window.hacked")).toBeUndefined()
        expect(await page.locator(".ranked img, .ranked script").count()).toBe(0)
        const over = "document.scrollingElement.scrollWidth - window.innerWidth"
        await expect.poll(() => page.evaluate(over)).toBeLessThanOrEqual(0)
        await page
          .getByRole("button", { name: /10000 characters/ })
          .last()
          .click()
        await page.getByRole("complementary").getByText("no restart in this range").waitFor()
        expect(page.url().length).toBeLessThan(300)
        await page.getByRole("button", { name: "Close" }).click()
        await page
          .getByRole("button", { name: /two↵lines/ })
          .last()
          .click()
        await page.waitForURL("**open=two%0Alines**")
      })
    )

    it.effect("shows NodePulse's own inside: stages, bounds, tree, dead letters", () =>
      inBrowser("/pipeline", async (page) => {
        await page.getByRole("heading", { name: "Supervision tree" }).waitFor()
        for (const stage of ["producer", "processor", "rejecter"]) {
          await page.getByRole("rowheader", { name: stage, exact: true }).waitFor()
        }
        await expect.poll(() => page.getByRole("img", { name: /Depth \d+ of 10.000/ }).count()).toBeGreaterThan(1)
        await expect
          .poll(() => page.locator(".branch-name").allTextContents())
          .toEqual(expect.arrayContaining(["digest", "retention"]))
        const alerts = page.getByRole("region", { name: "Alerts" })
        await expect
          .poll(() => alerts.locator("dt").allTextContents())
          .toEqual(expect.arrayContaining(["Rules asked", "Fire", "Messages waiting", "Given up"]))
        await page.getByText("none: everything that was received could be stored").waitFor()
        expect(await seriousFindings(page)).toEqual([])
      })
    )

    it.effect(
      "refreshes every 15 s with a beat that is seen, rests in a hidden tab, and is at work at once when it is back",
      () =>
        inBrowser(
          "/",
          async (page) => {
            let asked = 0
            page.on("request", (request) => {
              if (request.url().includes("/api/fleet")) asked++
            })
            await page.locator("tbody tr").first().waitFor()
            const tick = () => page.locator(".pulse").getAttribute("data-tick")
            await expect.poll(tick).toBe("0")
            await expect.poll(() => asked).toBe(1)
            asked = 0
            await page.clock.runFor(15_500)
            await expect.poll(tick).toBe("1")
            await expect.poll(() => asked).toBe(1)
            const see = (state: string) =>
              page.evaluate(
                `Object.defineProperty(document, "visibilityState", { configurable: true, get: () => "${state}" }); document.dispatchEvent(new Event("visibilitychange"))`
              )
            await see("hidden")
            await page.clock.runFor(120_000)
            expect(asked).toBe(1)
            await see("visible")
            await expect
              .poll(async () => {
                await page.clock.runFor(20)
                return asked
              })
              .toBe(2)
            await page.getByRole("button", { name: "Pause the refresh" }).click()
            await page.clock.runFor(60_000)
            expect(asked).toBe(2)
          },
          { clock: true }
        )
    )

    it.effect("keeps what it knew when the server does not answer, dates it, and asks less and less often", () =>
      inBrowser(
        "/",
        async (page) => {
          await page.locator("tbody tr").first().waitFor()
          let asked = 0
          let failed = 0
          page.on("requestfailed", () => failed++)
          await page.route("**/api/fleet?*", (route) => {
            asked++
            return route.abort()
          })
          await page.clock.runFor(16_000)
          await page.getByText(/NodePulse does not answer; next try in/).waitFor()
          await page.getByText(/Shown as of \d\d:\d\d:\d\d/).waitFor()
          await expect.poll(() => page.locator("tbody tr").count()).toBeGreaterThan(2)
          // How long it waits is counted from the failure, which comes in the time of this machine: one after the other.
          for (let seconds = 0; seconds < 240; seconds += 5) {
            await page.clock.runFor(5_000)
            await expect.poll(() => failed).toBe(asked)
            await page.clock.runFor(1)
          }
          // After 15, 30, 60 and 120 s instead of every 15 s.
          expect(asked).toBeGreaterThanOrEqual(4)
          expect(asked).toBeLessThanOrEqual(5)
          await page.unroute("**/api/fleet?*")
          await page.getByRole("button", { name: "Pause the refresh" }).click()
          await page.getByRole("button", { name: "Refresh is paused: go on" }).click()
          await page
            .getByText(/does not answer/)
            .first()
            .waitFor({ state: "detached" })
        },
        { clock: true, expected: NOISE }
      )
    )

    it.effect("names cause and cure: no such server, a server that fell silent, an exporter that does not answer", () =>
      Effect.gen(function* () {
        const { register } = yield* TestServer.TestServer
        const now = Math.floor(Date.now() / INTERVAL) * INTERVAL
        const half = yield* register("half-1")
        const hosts = Array.from({ length: 41 }, (_, n) => hostRow(now - (40 - n) * INTERVAL, n))
        const groups = Array.from({ length: 20 }, (_, n) => groupRow(now - (40 - n) * INTERVAL, "nginx", n, 10))
        yield* push(half.token, { [HOST]: hosts, [GROUPS]: groups })
        yield* inBrowser(
          "/servers/nobody",
          async (page) => {
            await page.getByRole("alert").getByText("nobody").first().waitFor()
            await page.getByRole("link", { name: "All servers", exact: true }).click()
            await page.getByRole("link", { name: /mute-1/ }).click()
            await page.getByText(/No data since \d\d:\d\d:\d\d/).waitFor()
            await page.getByText("systemctl status nodepulse-agent").waitFor()
            await page.goto(`${new URL(page.url()).origin}/servers/half-1`)
            await page.getByText(/has not answered on 127\.0\.0\.1:9256 since \d\d:\d\d/).waitFor()
          },
          { expected: NOISE }
        )
      })
    )

    it.effect("says quietly what nobody knows, and shows nothing below 0 as unaccounted nor as reported", () =>
      inBrowser("/healthz", async (page) => {
        await page.route("**/processes/top**", async (route) => {
          const response = await route.fetch()
          const body = (await response.json()) as Record<string, unknown>
          const unaccounted = { cpu_seconds: -3.6, avg_cpu_percent: -0.4 }
          await route.fulfill({ response, json: { ...body, unknown: 3, resets: 1, clamped: 0, unaccounted } })
        })
        await page.route("**/node/series**", async (route) => {
          const response = await route.fetch()
          const body = (await response.json()) as { readonly series: ReadonlyArray<object> }
          const series = body.series.map((one) => ({ ...one, values: [] }))
          await route.fulfill({ response, json: { ...body, series } })
        })
        await page.goto(`${new URL(page.url()).origin}/servers/busy-1`)
        await page.locator(".ranked tbody tr").first().waitFor()
        await expect
          .poll(() => page.locator(".table-head").textContent())
          .toContain("scrapes · 1 restart · 3 steps unknown: CPUs, disks or interfaces changed")
        const unaccounted = page.locator(".ranked tfoot tr").filter({ hasText: "Unaccounted" })
        await expect.poll(() => unaccounted.locator(".average").first().textContent()).toBe("0\u202f%")
        await page.locator(".strip .panel").first().getByText("not reported").waitFor()
        await expect
          .poll(async () => [...new Set(await page.locator(".strip .panel-now").allTextContents())])
          .toEqual(["–"])
      })
    )

    it.effect("says of an answer that took too long what makes it shorter, and who sets the limit", () =>
      inBrowser(
        "/healthz",
        async (page) => {
          await page.route("**/processes/top**", (route) =>
            route.fulfill({
              status: 504,
              contentType: "application/problem+json",
              body: JSON.stringify({
                type: "urn:nodepulse:problem:answer-too-slow",
                title: "The answer took too long.",
                status: 504,
                detail: "the database took too long; ask for a shorter window, or for fewer servers",
                limit_seconds: 30
              })
            })
          )
          await page.goto(`${new URL(page.url()).origin}/servers/busy-1`)
          const told = page.getByRole("alert")
          await told.getByRole("heading", { name: "The answer took too long." }).waitFor()
          await expect.poll(() => told.textContent()).toContain("A shorter time range is answered sooner.")
          await expect.poll(() => told.textContent()).toContain("NODEPULSE_ANSWER_SECONDS_MAX")
        },
        { expected: NOISE }
      )
    )

    it.effect("follows a server that reports every two minutes, and draws the first minutes of a new one", () =>
      Effect.gen(function* () {
        const { register } = yield* TestServer.TestServer
        const now = Math.floor(Date.now() / INTERVAL) * INTERVAL
        const slow = yield* register("slow-1")
        const young = yield* register("young-1")
        const scrapes = (count: number, every: number) => {
          const at = Array.from({ length: count }, (_, n) => now - 20_000 - (count - 1 - n) * every)
          return {
            [HOST]: at.map((time, n) => hostRow(time, (n * every) / INTERVAL)),
            [GROUPS]: at.map((time, n) => groupRow(time, "nginx", (n * every) / 1_000, 10))
          }
        }
        yield* push(slow.token, scrapes(32, 120_000))
        yield* push(young.token, scrapes(2, INTERVAL))
        yield* inBrowser("/", async (page) => {
          const { origin } = new URL(page.url())
          const row = page.getByRole("row").filter({ hasText: "slow-1" })
          await refreshUntil(page, row.filter({ hasText: "nginx" }))
          await page.goto(`${origin}/servers/slow-1`)
          await page.locator(".badge.live").waitFor()
          await page.locator(".stack .u-over").waitFor()
          expect(await page.locator(".server-head .banner").count()).toBe(0)
          await expect.poll(async () => (await drawnAbove(page, ".stack")).share).toBeGreaterThan(0.85)
          await page.goto(`${origin}/servers/slow-1/node`)
          await page.getByText("node_exporter, every 2\u202fmin").waitFor()
          await page.goto(`${origin}/servers/young-1`)
          await page.locator(".ranked tbody tr").first().waitFor()
          await page.locator(".stack .u-over").waitFor()
          await expect.poll(() => page.getByText("No data in this time range.").count()).toBe(0)
          // Hatching is thinner.
          await expect.poll(async () => (await drawnAbove(page, ".stack")).longest).toBeGreaterThan(3)
          await page.locator(".ranked tbody .spark").waitFor()
        })
      })
    )

    for (const ratio of [1, 1.5, 2, 3]) {
      it.effect(
        `draws the labels of charts as high on a screen of ${ratio} pixels to one of the page as on any other`,
        () =>
          inBrowser(
            "/servers/busy-1",
            async (page) => {
              await page.locator(".stack .u-over").waitFor()
              await page.locator(".strip .u-over").first().waitFor()
              await expect.poll(() => page.evaluate("devicePixelRatio")).toBe(ratio)
              // Digits are some three quarters of a font's size: of 12 pixels, and of 11.
              const large = () => labelHeight(page, ".stack", 26)
              await expect.poll(large).toBeGreaterThan(7.5)
              await expect.poll(large).toBeLessThan(12)
              const small = () => labelHeight(page, ".strip", 20)
              await expect.poll(small).toBeGreaterThan(6.8)
              await expect.poll(small).toBeLessThan(11)
            },
            { ratio }
          )
      )
    }

    it.effect("asks each question once, when it opens and with each refresh", () =>
      inBrowser(
        "/healthz",
        async (page) => {
          const asked: Array<string> = []
          page.on("request", (request) => request.url().includes("/api/") && asked.push(request.url()))
          await page.goto(`${new URL(page.url()).origin}/servers/busy-1`)
          await page.locator(".ranked tbody tr").first().waitFor()
          await page.waitForLoadState("networkidle")
          expect(asked.length).toBeGreaterThan(5)
          expect(asked.toSorted()).toEqual([...new Set(asked)].toSorted())
          asked.length = 0
          await page.clock.runFor(15_500)
          let before = 0
          const rested = () => {
            const same = asked.length === before
            before = asked.length
            return same && before > 2
          }
          await expect.poll(rested, { interval: 500 }).toBe(true)
          expect(asked.toSorted()).toEqual([...new Set(asked)].toSorted())
        },
        { clock: true }
      )
    )

    it.effect("says on every view that rows cannot be stored, and why, as readiness does", () =>
      inBrowser("/pipeline", async (page) => {
        const { origin } = new URL(page.url())
        const checks = page.getByRole("region", { name: "Readiness" })
        // A check that takes more than 2 s says so, as it should, and the next beat says what is true then.
        await checks.getByRole("heading", { name: "Ready", exact: true }).waitFor()
        await checks.getByText("database").waitFor()
        await page.route("**/api/readiness", (route) =>
          route.fulfill({
            json: {
              ready: false,
              checks: [
                { name: "database", ready: false, reason: "the last insert failed: the database is read-only" },
                { name: "stream", ready: true, reason: null }
              ]
            }
          })
        )
        await page.reload()
        await checks.getByRole("heading", { name: "Not ready" }).waitFor()
        await checks.getByText("the last insert failed: the database is read-only").waitFor()
        for (const path of ["/", "/servers/busy-1"]) {
          await page.goto(`${origin}${path}`)
          await page.getByText(/not ready.*database: the last insert failed/i).waitFor()
        }
        expect(await seriousFindings(page)).toEqual([])
        await page.unroute("**/api/readiness")
        await page.reload()
        await page.locator(".ranked tbody tr").first().waitFor()
        await expect.poll(() => page.getByText(/not ready/i).count()).toBe(0)
      })
    )

    const WHEN: ReadonlyArray<readonly [zone: string, local: string, at: string, range: string, gone: RegExp]> = [
      ["UTC", "23:58", "2026-11-28T23:58:10Z", "22:58 – 23:58", /^gone since 23:[23]\d$/],
      ["UTC", "00:03", "2026-11-29T00:03:10Z", "28 Nov 23:03 – 29 Nov 00:03", /^gone since 28 Nov 23:[34]\d$/],
      ["Asia/Kathmandu", "23:58", "2026-11-28T18:13:10Z", "22:58 – 23:58", /^gone since 23:[23]\d$/],
      [
        "Asia/Kathmandu",
        "00:03",
        "2026-11-28T18:18:10Z",
        "28 Nov 23:03 – 29 Nov 00:03",
        /^gone since 28 Nov 23:[34]\d$/
      ],
      ["America/St_Johns", "23:58", "2026-11-29T03:28:10Z", "22:58 – 23:58", /^gone since 23:[23]\d$/],
      [
        "America/St_Johns",
        "00:03",
        "2026-11-29T03:33:10Z",
        "28 Nov 23:03 – 29 Nov 00:03",
        /^gone since 28 Nov 23:[34]\d$/
      ],
      [
        "UTC",
        "00:03 of a new year",
        "2027-01-01T00:03:10Z",
        "31 Dec 2026 23:03 – 1 Jan 00:03",
        /^gone since 31 Dec 2026 23:[34]\d$/
      ],
      [
        "America/St_Johns",
        "03:30 when an hour is left out",
        "2026-03-08T06:00:10Z",
        "01:30 (UTC-3:30) – 03:30 (UTC-2:30)",
        /^gone since 03:0\d$/
      ],
      [
        "America/St_Johns",
        "01:30 when an hour comes twice",
        "2026-11-01T05:00:10Z",
        "01:30 (UTC-2:30) – 01:30 (UTC-3:30)",
        /^gone since 01:0\d$/
      ]
    ]
    for (const [zone, local, at, range, gone] of WHEN) {
      it.effect(`says which day it means: ${zone}, ${local}`, () =>
        Effect.gen(function* () {
          const id = yield* stoppedAwhileAgo
          yield* visitAt(zone, at, `/servers/${id}`, async (page) => {
            const row = page.locator(".ranked tbody tr.gone").filter({ hasText: "convert" })
            await row.waitFor()
            await expect.poll(() => row.locator(".gone-since").textContent()).toMatch(gone)
            await expect.poll(() => page.locator(".table-head b").textContent()).toBe(range)
            await page.getByRole("button", { name: "Custom" }).click()
            await page.getByRole("button", { name: "Show" }).click()
            await page.waitForURL("**window=**")
            const [from, to] = (new URL(page.url()).searchParams.get("window") ?? "").split("~")
            const minutes = (Date.parse(to ?? "") - Date.parse(from ?? "")) / 60_000
            expect(Math.round(minutes)).toBe(60)
          })
        })
      )
    }

    for (const dark of [false, true]) {
      it.effect(`has no serious finding of axe, ${dark ? "dark" : "light"}, and no inline script or style`, () =>
        inBrowser(
          "/",
          async (page) => {
            await page.locator("tbody tr").first().waitFor()
            expect(await seriousFindings(page)).toEqual([])
            const { origin } = new URL(page.url())
            const response = await page.goto(`${origin}/servers/busy-1`)
            const policy = response?.headers()["content-security-policy"] ?? ""
            expect(policy).toContain("default-src 'none'")
            expect(policy).not.toContain("unsafe")
            await page.locator(".ranked tbody tr").first().waitFor()
            await page.locator(".stack canvas").waitFor()
            expect(await seriousFindings(page)).toEqual([])
            await page.keyboard.press("?")
            await page.getByRole("heading", { name: "Keyboard and numbers" }).waitFor()
            expect(await seriousFindings(page)).toEqual([])
          },
          { dark }
        )
      )
    }

    it.effect("fits into 360 pixels", () =>
      inBrowser(
        "/",
        async (page) => {
          const { origin } = new URL(page.url())
          for (const path of [
            "/",
            "/servers/busy-1",
            "/servers/busy-1?open=nginx",
            "/servers/busy-1/node",
            "/pipeline"
          ]) {
            await page.goto(`${origin}${path}`)
            await page.waitForLoadState("networkidle")
            const over = async () =>
              (await page.evaluate(
                `[document.scrollingElement.scrollWidth - window.innerWidth, [...document.querySelectorAll("main *")].filter((e) => e.getBoundingClientRect().right > window.innerWidth + 1 && !e.closest(".scroller, .u-wrap, .group")).slice(0, 3).map((e) => e.outerHTML.slice(0, 90))]`
              )) as readonly [number, ReadonlyArray<string>]
            await expect
              .poll(
                async () => {
                  const [pixels, what] = await over()
                  return pixels > 0 ? [`${pixels} pixels too wide`, ...what] : []
                },
                { message: path }
              )
              .toEqual([])
          }
          expect(await seriousFindings(page)).toEqual([])
        },
        { width: 360 }
      )
    )

    it.effect("stays within its budget", () =>
      Effect.gen(function* () {
        const { url } = yield* TestServer.TestServer
        const { page } = yield* visit("/")
        const sizes = yield* Effect.promise(async () => {
          await page.locator("tbody tr").first().waitFor()
          const session = await page.context().newCDPSession(page)
          await session.send("Network.enable")
          await session.send("Network.setCacheDisabled", { cacheDisabled: true })
          const kinds = new Map<string, string>()
          const bytes = { script: 0, api: 0 }
          session.on("Network.responseReceived", ({ requestId, response }) => void kinds.set(requestId, response.url))
          session.on("Network.loadingFinished", ({ encodedDataLength, requestId }) => {
            const address = kinds.get(requestId) ?? ""
            if (address.endsWith(".js")) bytes.script += encodedDataLength
            else if (address.includes("/api/")) bytes.api += encodedDataLength
          })
          await page.goto(`${url}/servers/busy-1`)
          await page.locator(".ranked tbody tr").first().waitFor()
          const firstTable = await page.evaluate("performance.now()")
          await page.waitForLoadState("networkidle")
          return { ...bytes, firstTable: Math.round(Number(firstTable)), refresh: await refreshBytes(page) }
        })
        process.stdout.write(
          `the page: script ${sizes.script} B as sent, first table after ${sizes.firstTable} ms, first answers ${sizes.api} B, a refresh ${sizes.refresh} B\n`
        )
        expect(sizes.script).toBeGreaterThan(10_000)
        expect(sizes.script).toBeLessThan(150_000)
        expect(sizes.refresh).toBeGreaterThan(500)
        expect(sizes.refresh).toBeLessThan(10_000)
      }).pipe(Effect.scoped)
    )

    it.effect("draws a thousand servers and a thousand groups by the rows that are seen", () =>
      Effect.gen(function* () {
        const sql = yield* PgClient.PgClient
        const now = Math.floor(Date.now() / INTERVAL) * INTERVAL
        yield* sql`insert into admiral.servers (server_id, name) select 'crowd-' || n, 'crowd-' || lpad(n::text, 4, '0') from generate_series(1, 1000) n
          on conflict do nothing`
        const names = Array.from({ length: 1_000 }, (_, n) => `group-${String(n).padStart(4, "0")}`)
        for (const step of [2, 1, 0]) {
          yield* push(tokenOfBusy, {
            [GROUPS]: names.map((name, n) =>
              groupRow(now - step * INTERVAL + 1_000, name, 10 + (2 - step) * (n % 7) * 0.01, 5)
            )
          })
        }
        yield* inBrowser("/?sort=name&dir=up", async (page) => {
          await refreshUntil(page, page.getByText(/\d{4} silent/))
          const smooth = async (selector: string, last: RegExp) => {
            await expect.poll(() => page.locator(selector).count()).toBeLessThan(90)
            const frames = (await page.evaluate(`new Promise((done, failed) => {
              const times = []; let before = performance.now(); let n = 0
              // A browser on a busy machine may draw nothing any more: better said than waited for.
              setTimeout(() => failed(new Error("60 frames took more than a minute")), 60_000)
              const step = () => {
                const now = performance.now(); times.push(now - before); before = now
                window.scrollBy(0, 900)
                if (++n < 60) requestAnimationFrame(step)
                else { window.scrollTo(0, document.scrollingElement.scrollHeight); setTimeout(() => done(times), 200) }
              }
              requestAnimationFrame(step)
            })`)) as ReadonlyArray<number>
            await expect
              .poll(
                async () => {
                  await page.evaluate("window.scrollTo(0, document.scrollingElement.scrollHeight)")
                  return page.locator(selector).filter({ hasText: last }).count()
                },
                { interval: 200 }
              )
              .toBe(1)
            await expect.poll(() => page.locator(selector).count()).toBeLessThan(90)
            const sorted = frames.toSorted((a, b) => a - b)
            return `median frame ${sorted[30]!.toFixed(0)} ms, 95th percentile ${sorted[57]!.toFixed(0)} ms`
          }
          const fleet = await smooth(".fleet tbody tr", /never-1/)
          const sizes = [await refreshBytes(page)]
          await page.evaluate(
            "window.longest = 0; new PerformanceObserver((list) => { for (const one of list.getEntries()) window.longest = Math.max(window.longest, one.duration) }).observe({ type: 'longtask' })"
          )
          await page.keyboard.press("/")
          await page.keyboard.type("crowd-0999", { delay: 60 })
          await expect.poll(() => page.locator(".fleet tbody tr").count()).toBe(1)
          const longest = Math.round(Number(await page.evaluate("window.longest")))
          await page.goto(`${new URL(page.url()).origin}/servers/busy-1?all=&sort=name&dir=up`)
          await page.locator(".ranked tbody tr").first().waitFor()
          const groups = await smooth(".ranked tbody tr", /zeta/)
          await page.getByText("The first 100 rows are refreshed").waitFor()
          sizes.push(await refreshBytes(page))
          await page.goto(`${new URL(page.url()).origin}/servers/busy-1?open=postgres`)
          await page.getByRole("complementary", { name: /postgres/ }).waitFor()
          sizes.push(await refreshBytes(page))
          process.stdout.write(
            `the page with a crowd: 1 000 servers ${fleet}, longest task while searching ${longest} ms; 1 000 groups ${groups}; refreshes of servers, groups, a process ${sizes.join(", ")} B\n`
          )
          for (const size of sizes) expect(size).toBeLessThan(10_000)
        })
      })
    )
  })
})
