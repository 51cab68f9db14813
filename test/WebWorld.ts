/**
 * A server, a browser and an hour of rows, for tests of the page. Needs Debian's `chromium` (or NODEPULSE_CHROMIUM); says in
 * one line that tests were left out where there is none.
 */
import { readFileSync } from "node:fs"
import { createRequire } from "node:module"
import { expect } from "@effect/vitest"
import { ConfigProvider, Context, Effect, Layer, Result, Schedule } from "effect"
import { type Browser, chromium, type Locator, type Page } from "playwright-core"
import plugins from "../plugins.config.ts"
import { findChromium, launchOptions } from "../scripts/Browser.ts"
import { ensurePage } from "../scripts/build-web.ts"
import { counter, gauge, label } from "../src/plugins/Column.ts"
import { defineExporter } from "../src/plugins/Exporter.ts"
import { peak, rate } from "../src/plugins/TopQuery.ts"
import * as TestServer from "./TestServer.ts"

export { refreshBytes } from "../scripts/BrowserBytes.ts"

export const executablePath = findChromium()
if (executablePath === undefined) {
  process.stdout.write("left out: the page in a browser, for want of one (apt-get install chromium)\n")
}

/** An exporter that the page has never heard of. */
const ovens = defineExporter({
  name: "oven_exporter",
  title: "Ovens",
  scrape: { endpoint: "http://127.0.0.1:9999/metrics", interval: "15 seconds", timeout: "5 seconds" },
  table: {
    name: "oven_snapshots",
    retention: "3 days",
    columns: {
      oven: label({ doc: "Which oven." }),
      breads_total: counter({ doc: "Breads baked." }),
      warmth: gauge({ unit: "celsius", signed: true, doc: "How warm it is." })
    }
  },
  parse: () => Result.succeed({ rows: [], skipped: [], countersSince: null }),
  top: {
    resource: "ovens",
    per: "oven",
    rankings: { breads: rate("breads_total"), heat: peak("warmth") },
    default: "breads"
  }
})
const exporters = [...plugins.exporters, ovens()]
export const HOST = exporters.find((exporter) => exporter.host !== undefined)!.name
export const GROUPS = exporters.find((exporter) => exporter.top !== undefined)!.name

class Chromium extends Context.Service<Chromium, { readonly browser: Browser }>()("nodepulse/test/Chromium") {
  static readonly layer = Layer.effect(
    Chromium,
    Effect.acquireRelease(
      Effect.promise(async () => {
        ensurePage()
        return { browser: await chromium.launch(launchOptions(executablePath!)) }
      }),
      ({ browser }) => Effect.promise(() => browser.close())
    )
  )
}

/** With these variables of the environment. */
export const worldWith = (env: Readonly<Record<string, string>>, options: TestServer.Options = {}) =>
  Layer.unwrap(
    Effect.map(TestServer.writeMigrations(exporters), (migrationsFolder) =>
      TestServer.layerWith({ exporters, migrationsFolder, ...options })
    )
  ).pipe(Layer.provide(ConfigProvider.layer(ConfigProvider.fromEnv({ env }))), Layer.provideMerge(Chromium.layer))

export const world = worldWith({})

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8")
export const NOISE = /Failed to load resource|net::ERR/

/** A bound, not an expectation: a machine with other work can stand still for seconds. */
const WITHIN_MILLIS = 60_000

/**
 * To find tests that depend on speed: with NODEPULSE_TEST_SLOW=1000 every answer is up to a second late, so that they come in any
 * order, and the browser is slower by as many times.
 */
const SLOW_MILLIS = Number(process.env.NODEPULSE_TEST_SLOW ?? 0)

const slowDown = async (page: Page) => {
  const session = await page.context().newCDPSession(page)
  await session.send("Emulation.setCPUThrottlingRate", { rate: 1 + SLOW_MILLIS / 200 })
  await page.route("**/api/**", async (route) => {
    await new Promise((done) => setTimeout(done, Math.random() * SLOW_MILLIS))
    await route.continue().catch(() => undefined)
  })
}

interface Visit {
  readonly page: Page
  /** What the page complained about: console errors, uncaught errors, breaches of its policy. */
  readonly complaints: Array<string>
}

/** A time zone in which it is between 11:00 and 13:00 now. Zones of this kind have their sign the other way round. */
const zoneOfNoon = (now: number): string => {
  const ahead = 12 - new Date(now).getUTCHours()
  return ahead === 0 ? "Etc/GMT" : `Etc/GMT${ahead > 0 ? "-" : "+"}${Math.abs(ahead)}`
}

/** A page of its own, signed in unless said otherwise. */
export const visit = Effect.fnUntraced(function* (
  path: string,
  options: {
    readonly signedOut?: boolean
    /** As somebody who was made a link, in this role; as the administrator unless given. */
    readonly role?: "read" | "operator" | "admin"
    /** Of every request, as a proxy would add them. */
    readonly headers?: Readonly<Record<string, string>>
    readonly width?: number
    readonly dark?: boolean
    /** Time stands still until the test lets it go on, with `page.clock.runFor`. */
    readonly clock?: boolean
    /** Of whoever was made a link in this role; "read of tests" for one who reads unless given. */
    readonly name?: string
    /** Pixels of the screen in one of the page. */
    readonly ratio?: number
    /** Of the browser; where it is about noon unless given, so that an hour ago is today. */
    readonly zone?: string
    /** Complaints that this test asks for. */
    readonly expected?: RegExp
  } = {}
) {
  const { browser } = yield* Chromium
  const { request, url } = yield* TestServer.TestServer
  const context = yield* Effect.acquireRelease(
    Effect.promise(() =>
      browser.newContext({
        viewport: { width: options.width ?? 1280, height: 900 },
        deviceScaleFactor: options.ratio ?? 1,
        timezoneId: options.zone ?? zoneOfNoon(Date.now()),
        colorScheme: options.dark === true ? "dark" : "light",
        extraHTTPHeaders: { ...options.headers },
        reducedMotion: "reduce"
      })
    ),
    (context) => Effect.promise(() => context.close())
  )
  // A page that a test is done with may still be asking: what answers in the server's place ends before it is closed.
  const page = yield* Effect.acquireRelease(
    Effect.promise(() => context.newPage()),
    (page) => Effect.promise(() => page.unrouteAll({ behavior: "ignoreErrors" }))
  )
  page.setDefaultTimeout(WITHIN_MILLIS)
  if (SLOW_MILLIS > 0) yield* Effect.promise(() => slowDown(page))
  const complaints: Array<string> = []
  page.on("console", (message) => message.type() === "error" && complaints.push(message.text()))
  page.on("pageerror", (error) => complaints.push(String(error)))
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      const left = complaints.filter((text) => options.expected?.test(text) !== true)
      expect(left, `the page complained at ${path}`).toEqual([])
    })
  )
  if (options.clock === true) {
    yield* Effect.promise(async () => {
      const time = Date.now()
      await page.clock.install({ time })
      await page.clock.pauseAt(time + 1_000)
    })
  }
  if (options.signedOut !== true) {
    const { name = `${options.role} of tests` } = options
    const whose = options.role === undefined ? "" : `?role=${options.role}&for=${encodeURIComponent(name)}`
    const link = yield* request("POST", `/api/session/links${whose}`)
    // Without drawing the page that the link leads to: most tests look at another one.
    const answer = yield* Effect.promise(() => context.request.get(`${url}${link.body.path}`, { maxRedirects: 0 }))
    expect(answer.status()).toBe(303)
  }
  yield* Effect.promise(() => page.goto(`${url}${path}`))
  return { page, complaints } satisfies Visit
})

let made = 0
/** A name that no test has had before: also not the same test, the first time that it was tried. */
export const unique = (name: string) => `${name}-${++made}`

/** What several tests, and a second try of one, stand on is made once. */
export const once = <E, R>(make: Effect.Effect<unknown, E, R>): Effect.Effect<void, E, R> => {
  let isMade = false
  return Effect.gen(function* () {
    if (isMade) return
    yield* make
    isMade = true
  })
}

/** Does something until the page has taken it: what the mouse does to a chart that is just drawn anew is lost. */
export const untilTaken = (act: () => Promise<unknown>, taken: () => boolean) =>
  expect
    .poll(
      async () => {
        if (!taken()) await act()
        return taken()
      },
      { interval: 1_000 }
    )
    .toBe(true)

/** Marks a part of the chart of a server's page, by the mouse: from and to are shares of its width. */
export const brush = (page: Page, from: number, to: number) =>
  untilTaken(
    async () => {
      await page.locator(".stack:not(.previous) .u-over").waitFor()
      const box = (await page.locator(".stack .u-over").boundingBox())!
      await page.mouse.move(box.x + box.width * from, box.y + 60)
      await page.mouse.down()
      await page.mouse.move(box.x + box.width * to, box.y + 70, { steps: 4 })
      await page.mouse.up()
    },
    () => page.url().includes("brush=")
  )

/** A test over pages: what it does in the browser is plain promises. */
export const inBrowser = (
  path: string,
  run: (page: Page, complaints: Array<string>) => Promise<unknown>,
  options: Parameters<typeof visit>[1] = {}
) =>
  Effect.gen(function* () {
    const { complaints, page } = yield* visit(path, options)
    yield* Effect.promise(() => run(page, complaints).catch((error) => shownBy(page, complaints, error)))
  }).pipe(Effect.scoped)

/** Says what the page showed when a test of it failed, and fails with the same error. */
const shownBy = async (page: Page, complaints: ReadonlyArray<string>, error: unknown): Promise<never> => {
  const text = await page
    .locator("body")
    .innerText({ timeout: 2_000 })
    .catch(() => "")
  process.stdout.write(
    `the page when the test failed: ${page.url()}\n${text.replaceAll(/\s+/g, " ").slice(0, 2_000)}\n${complaints.join("\n")}\n`
  )
  throw error
}

/** Everything that axe finds, however minor. */
export const findings = async (page: Page): Promise<ReadonlyArray<string>> => {
  await page.evaluate(AXE)
  return (await page.evaluate(
    `axe.run(document, { resultTypes: ["violations"] }).then(({ violations }) => violations
      .flatMap(({ id, nodes }) => nodes.map(({ html, failureSummary }) => id + ": " + html.slice(0, 160) + " " + (failureSummary ?? "").slice(0, 200))))`
  )) as ReadonlyArray<string>
}

export const seriousFindings = async (page: Page): Promise<ReadonlyArray<string>> => {
  await page.evaluate(AXE)
  const found = (await page.evaluate(
    `axe.run(document, { resultTypes: ["violations"] }).then(({ violations }) => violations
      .filter(({ impact }) => impact === "serious" || impact === "critical")
      .flatMap(({ id, nodes }) => nodes.map(({ html, failureSummary }) => id + ": " + html.slice(0, 160) + " " + (failureSummary ?? "").slice(0, 200))))`
  )) as ReadonlyArray<string>
  return found
}

/** Refreshes, as going on from a pause does, until something is there. */
export const refreshUntil = (page: Page, wanted: Locator) =>
  expect
    .poll(
      async () => {
        if (await wanted.first().isVisible()) return true
        await page.getByRole("button", { name: "Pause the refresh" }).click()
        await page.getByRole("button", { name: "Refresh is paused: go on" }).click()
        return false
      },
      { interval: 500 }
    )
    .toBe(true)

/**
 * The same server at another time and place: the browser's clock stands at it, and every moment in an answer is moved by as much. It
 * stands, since a slow machine would come into the next minute, or over midnight.
 */
export const visitAt = (zone: string, at: string, path: string, run: (page: Page) => Promise<unknown>) =>
  Effect.gen(function* () {
    const { url } = yield* TestServer.TestServer
    const { page } = yield* visit("/healthz", { zone })
    const ahead = () => Date.parse(at) - Date.now()
    yield* Effect.promise(async () => {
      await page.route("**/api/**", async (route) => {
        const asked = new URL(route.request().url())
        const delta = ahead()
        const until = asked.searchParams.get("at")
        if (until !== null) asked.searchParams.set("at", new Date(Date.parse(until) - delta - 1_000).toISOString())
        const response = await route.fetch({ url: asked.href })
        const body = (await response.text())
          .replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, (text) => new Date(Date.parse(text) + delta).toISOString())
          .replace(/"first":(\d+)/, (_, first: string) => `"first":${Number(first) + delta / 1000}`)
        await route.fulfill({ response, body })
      })
      await page.clock.setFixedTime(at)
      await page.goto(`${url}${path}`)
      await run(page)
    })
  }).pipe(Effect.scoped)

/** Of a row of pixels just above the bottom of the plot: how much of it is drawn, and its longest stretch. */
export const drawnAbove = async (page: Page, selector: string) =>
  (await page.evaluate(`(() => {
    const canvas = document.querySelector("${selector} canvas")
    const over = document.querySelector("${selector} .u-over").getBoundingClientRect()
    const box = canvas.getBoundingClientRect()
    const ratio = canvas.width / box.width
    const { data, width } = canvas.getContext("2d").getImageData(
      (over.left - box.left) * ratio, (over.bottom - box.top - 3) * ratio, over.width * ratio, 1)
    let drawn = 0, run = 0, longest = 0
    for (let x = 0; x < width; x++) {
      run = data[4 * x + 3] > 100 ? run + 1 : 0
      if (run > 0) drawn++
      longest = Math.max(longest, run)
    }
    return { share: drawn / width, longest: longest / ratio }
  })()`)) as { readonly share: number; readonly longest: number }

/** How high the labels of the time axis are drawn, in pixels of the page. */
export const labelHeight = async (page: Page, selector: string, axis: number) =>
  (await page.evaluate(`(() => {
    const canvas = document.querySelector("${selector} canvas")
    const box = canvas.getBoundingClientRect()
    const ratio = canvas.width / box.width
    const height = Math.round(${axis} * ratio)
    // Beside the labels of the other axis, the lowest of which hangs below the plot.
    const left = Math.round((document.querySelector("${selector} .u-over").getBoundingClientRect().left - box.left) * ratio)
    const { data, width } = canvas.getContext("2d").getImageData(left, canvas.height - height, canvas.width - left, height)
    const inked = (y) => { for (let x = 0; x < width; x++) if (data[4 * (y * width + x) + 3] > 60) return true; return false }
    let rows = 0
    for (let y = 0; y < height; y++) if (inked(y)) rows++
    return rows / ratio
  })()`)) as number

export const INTERVAL = 15_000
export const hostRow = (at: number, n: number) => ({
  timestamp: new Date(at).toISOString(),
  cpu_idle_seconds: 1_000 + n * 38,
  cpu_iowait_seconds: 10 + n * 0.2,
  cpu_system_seconds: 100 + n * 1.5,
  cpu_user_seconds: 500 + n * 20.3,
  cpu_steal_seconds: 0,
  cpu_cores: 4,
  memory_total_bytes: 8 * 2 ** 30,
  memory_available_bytes: 5 * 2 ** 30,
  memory_free_bytes: 2 ** 30,
  disk_read_bytes_total: n * 1e6,
  disk_written_bytes_total: n * 2e6,
  network_receive_bytes_total: n * 3e6,
  network_transmit_bytes_total: n * 4e6,
  load_1min: 1.5,
  load_5min: 1.25,
  load_15min: 1,
  uptime_seconds: 86_400 * 3 + n * 15
})
export const groupRow = (at: number, name: string, cpu: number, mebibytes: number, procs = 1) => ({
  timestamp: new Date(at).toISOString(),
  name,
  num_procs: procs,
  cpu_seconds_total: cpu,
  memory_bytes: mebibytes * 2 ** 20
})

const LONG = "x".repeat(10_000)
const HOSTILE = {
  markup: `<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>`,
  rightToLeft: "safe\u202egnp.exe",
  isolates: "left\u2067right\u2069",
  c1: "clear\u009b2J\u0085end",
  tags: "ng\u{e006e}inx\u3164",
  spaces: " two  spaces\u00a0",
  marks: `z${"\u0301".repeat(60)}algo`,
  newlines: "two\nlines\tand a tab",
  long: LONG,
  empty: ""
}

const groupsAt = (at: number, n: number, now: number) => [
  groupRow(at, "postgres", 100 + n * 12, 900, 8),
  groupRow(at, "nginx", 50 + n * 3, 120, 5),
  groupRow(at, "convert", 10 + Math.min(n, 160) * 2, 300, now - at > 1_200_000 ? 1 : 0),
  groupRow(at, "zeta", 7 + n * 0.6, 50),
  groupRow(at, "alpha", 7 + n * 0.6, 50),
  ...Object.values(HOSTILE).map((name, index) => groupRow(at, name, 1 + n * 0.01 * (index + 1), 10 + index))
]

/** An hour of a server: postgres leads, convert stopped 20 minutes ago, and a hole of ten minutes 40 minutes ago. */
export const hour = (now: number) => {
  const payloads: Array<Record<string, ReadonlyArray<unknown>>> = []
  let hosts: Array<unknown> = []
  let groups: Array<unknown> = []
  for (let n = 0; n <= 240; n++) {
    const at = now - (240 - n) * INTERVAL
    const age = (now - at) / 60_000
    if (age > 30 && age < 40) continue
    hosts.push(hostRow(at, n))
    groups.push(...groupsAt(at, n, now))
    if (n % 40 === 0 || n === 240) {
      payloads.push({ [HOST]: hosts, [GROUPS]: groups })
      hosts = []
      groups = []
    }
  }
  return payloads
}

/**
 * Goes on with `hour` as time does, until the scope ends: a server does not fall silent because a machine is slow. What was
 * pushed before ends at `now`.
 */
export const goesOn = (token: string, now: number) => {
  let n = 240
  const next = Effect.gen(function* () {
    while (now + (n - 239) * INTERVAL <= Date.now()) {
      n++
      const at = now + (n - 240) * INTERVAL
      yield* push(token, { [HOST]: [hostRow(at, n)], [GROUPS]: groupsAt(at, n, now) })
    }
  })
  return Effect.forkScoped(Effect.repeat(next, Schedule.spaced("1 second")))
}

export const push = Effect.fnUntraced(function* (token: string, payload: unknown) {
  const { request } = yield* TestServer.TestServer
  const answer = yield* request("POST", "/metrics/prometheus", { token, body: payload })
  expect(answer.status, JSON.stringify(answer.body).slice(0, 300)).toBe(202)
})
