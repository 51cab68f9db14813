/**
 * What the page costs and how long its jobs take, in a real Chromium: `npm run bench -- page [days]`.
 *
 * On the demonstration's fleet (`scripts/demo-fleet.ts`), live, among 1 000 more servers and one with 1 000 groups. For each view:
 * bytes of a refresh, layout shift and the longest task while it loads, while its list is searched and scrolled. Then the jobs that
 * people come with, each from the list of servers: how many clicks and keys, and how many seconds until the answer is seen by
 * somebody who knows the way.
 *
 * Aims: script of the first view at most 150 kB as sent, any refresh at most 10 kB, layout shift at most 0.05, no task above 100 ms.
 * Needs Debian's `chromium`, or NODEPULSE_CHROMIUM.
 */
import { mkdtemp, rm } from "node:fs/promises"
import { loadavg, tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, References } from "effect"
import { type Browser, chromium, type Locator, type Page } from "playwright-core"
import { findChromium, launchOptions } from "../scripts/Browser.ts"
import { refreshBytes } from "../scripts/BrowserBytes.ts"
import { ensurePage } from "../scripts/build-web.ts"
import { runDemo } from "../scripts/demo.ts"

const DAYS = Number(process.argv[2] ?? 2)
const CROWD = 1_000
const INTERVAL = 15_000
const HEADERS = { authorization: "Bearer demo", "content-type": "application/json" }

const say = (text: string) => process.stdout.write(`${text}\n`)

const post = async (url: string, path: string, body?: unknown, token?: string) => {
  const response = await fetch(`${url}${path}`, {
    method: "POST",
    headers: token === undefined ? HEADERS : { ...HEADERS, authorization: `Bearer ${token}` },
    ...(body === undefined ? {} : { body: JSON.stringify(body) })
  })
  if (!response.ok) throw new Error(`POST ${path}: ${response.status} ${await response.text()}`)
  return (await response.json()) as { readonly server_id: string; readonly token: string; readonly path: string }
}

const groupRow = (at: number, name: string, cpu: number, mebibytes: number) => ({
  timestamp: new Date(at).toISOString(),
  name,
  num_procs: 1,
  cpu_seconds_total: cpu,
  memory_bytes: mebibytes * 2 ** 20
})

/** A thousand servers with two scrapes each, and one whose thousand groups were seen for ten minutes. */
const crowd = async (url: string) => {
  const now = Math.floor(Date.now() / INTERVAL) * INTERVAL
  for (let n = 0; n < CROWD; n++) {
    const { token } = await post(url, "/api/servers", { name: `crowd-${String(n).padStart(4, "0")}` })
    const rows = [1, 0].map((age) => groupRow(now - age * INTERVAL, `worker-${n % 40}`, 100 + n - age * (n % 14), 50))
    await post(url, "/metrics/prometheus", { process_exporter: rows }, token)
  }
  const { token } = await post(url, "/api/servers", { name: "many-groups" })
  for (let age = 40; age >= 0; age--) {
    const rows = Array.from({ length: CROWD }, (_, n) =>
      groupRow(
        now - age * INTERVAL,
        `group-${String(n).padStart(4, "0")}`,
        1_000 + (40 - age) * (n % 97) * 0.02,
        5 + (n % 50)
      )
    )
    await post(url, "/metrics/prometheus", { process_exporter: rows }, token)
  }
}

interface View {
  readonly name: string
  readonly path: string
  readonly ready: (page: Page) => Locator
  /** What is typed into the search, where there is a long list. */
  readonly search?: string
}

const VIEWS: ReadonlyArray<View> = [
  { name: "1 000 servers", path: "/", ready: (page) => page.locator(".fleet tbody a").first(), search: "crowd-0999" },
  { name: "a server", path: "/servers/web-1", ready: (page) => page.locator(".ranked tbody .spark").first() },
  {
    name: "an open process",
    path: "/servers/web-1?open=mailqueue-worker",
    ready: (page) => page.getByRole("complementary").getByText("in this range")
  },
  {
    name: "7 days of a server",
    path: "/servers/db-primary?range=7d",
    ready: (page) => page.locator(".ranked tbody .spark").first()
  },
  {
    name: "1 000 groups",
    path: "/servers/many-groups?all=",
    ready: (page) => page.getByText("The first 100 rows are refreshed"),
    search: "group-0999"
  },
  { name: "a resource", path: "/servers/web-1/node", ready: (page) => page.locator(".panel canvas").first() },
  { name: "the pipeline", path: "/pipeline", ready: (page) => page.getByRole("heading", { name: "Supervision tree" }) }
]

/** Before anything of the page runs: what jumped, and how long the loop was held. */
const WATCH = `
window.seen = { shift: 0, longest: 0 }
new PerformanceObserver((list) => { for (const one of list.getEntries()) if (!one.hadRecentInput) seen.shift += one.value })
  .observe({ type: "layout-shift", buffered: true })
new PerformanceObserver((list) => { for (const one of list.getEntries()) seen.longest = Math.max(seen.longest, one.duration) })
  .observe({ type: "longtask", buffered: true })`

/** The longest task since it was asked last, ms; 0 where none took 50. */
const longest = async (page: Page) =>
  Math.round(Number(await page.evaluate("(() => { const { longest } = seen; seen.longest = 0; return longest })()")))

const scrolled = `new Promise((done) => {
  let n = 0
  const step = () => { window.scrollBy(0, 900); if (++n < 60) requestAnimationFrame(step); else { window.scrollTo(0, 0); setTimeout(done, 200) } }
  requestAnimationFrame(step)
})`

const measured = async (page: Page, url: string, { name, path, ready, search }: View) => {
  await page.goto(`${url}${path}`)
  await ready(page).waitFor()
  await page.waitForLoadState("networkidle")
  const loading = await longest(page)
  const shift = Number(await page.evaluate("seen.shift")).toFixed(3)
  const bytes = await refreshBytes(page)
  const refreshing = await longest(page)
  await page.evaluate(scrolled)
  const scrolling = await longest(page)
  let searching = 0
  if (search !== undefined) {
    await page.keyboard.press("/")
    await page.keyboard.type(search, { delay: 60 })
    await page.locator("tbody tr").filter({ hasText: search }).first().waitFor()
    searching = await longest(page)
    await page.keyboard.press("Escape")
  }
  say(
    `| ${name} | ${bytes} | ${shift} | ${loading} | ${refreshing} | ${scrolling} | ${search === undefined ? "" : searching} |`
  )
}

/** A page on which what is done is counted. */
class Hands {
  readonly page: Page
  clicks = 0
  keys = 0
  constructor(page: Page) {
    this.page = page
  }
  async click(what: Locator) {
    this.clicks++
    await what.first().click()
  }
  async press(key: string) {
    this.keys++
    await this.page.keyboard.press(key)
  }
  async type(text: string) {
    this.keys += text.length
    await this.page.keyboard.type(text)
  }
}

interface Job {
  readonly name: string
  /** From the list of servers until the answer is there. */
  readonly done: (hands: Hands) => Promise<unknown>
}

const serverLink = (page: Page, name: string) => page.getByRole("link", { name: new RegExp(`^live ?${name}`) })

const JOBS: ReadonlyArray<Job> = [
  {
    name: "who is it now",
    done: async (hands) => {
      await hands.click(serverLink(hands.page, "ci-runner-1"))
      await hands.page.locator(".ranked tbody .row-button").first().waitFor()
    }
  },
  {
    name: "who was it at 03:14",
    done: async (hands) => {
      const { page } = hands
      await hands.click(serverLink(page, "ci-runner-1"))
      await hands.press("3")
      await page.waitForURL("**range=24h**")
      await page.locator(".stack:not(.previous) .u-over").waitFor()
      const box = (await page.locator(".stack .u-over").boundingBox())!
      const ago = (Date.now() - new Date().setHours(3, 14, 0, 0) + 86_400_000) % 86_400_000
      hands.clicks++
      await page.mouse.click(box.x + box.width * (1 - ago / 86_400_000), box.y + 90)
      await page.getByText(/Scrape of/).waitFor()
    }
  },
  {
    name: "which servers run the leaker",
    done: async (hands) => {
      const { page } = hands
      await hands.press("/")
      await hands.type("thumb")
      await hands.click(page.locator(".fleet tbody").getByRole("link", { name: /thumbnailer/ }))
      await page
        .getByRole("complementary")
        .getByText(/other server/)
        .first()
        .waitFor()
    }
  },
  {
    name: "send exactly what I see",
    done: async (hands) => {
      const { page } = hands
      await hands.click(serverLink(page, "ci-runner-1"))
      await hands.click(page.getByRole("button", { name: "Share" }))
      await hands.click(page.getByRole("button", { name: "Copy a link to these times" }))
      await page.getByText("Link copied").first().waitFor()
    }
  },
  {
    name: "what did the process that is gone do before",
    done: async (hands) => {
      const { page } = hands
      await hands.click(serverLink(page, "ci-runner-1"))
      await hands.press("3")
      await hands.click(page.locator(".ranked tbody tr.gone .row-button"))
      await page.getByRole("complementary").getByText("last seen").waitFor()
      await page.getByRole("complementary").locator("canvas").first().waitFor()
    }
  },
  {
    name: "since when does the leaker grow, and where",
    done: async (hands) => {
      const { page } = hands
      await hands.click(page.getByRole("navigation", { name: "Main" }).getByRole("link", { name: "Processes" }))
      await hands.click(page.getByRole("button", { name: "Growth" }))
      await hands.click(page.getByRole("link", { name: "thumbnailer" }).first())
      await page.getByRole("heading", { name: "thumbnailer" }).waitFor()
      await page.getByRole("row").filter({ hasText: "media-1" }).getByText(/MiB.h/).first().waitFor()
    }
  },
  {
    name: "who used most memory in the fleet in 7 days",
    done: async (hands) => {
      const { page } = hands
      await hands.click(page.getByRole("navigation", { name: "Main" }).getByRole("link", { name: "Processes" }))
      await hands.click(page.getByRole("button", { name: "7 d" }))
      await hands.click(page.getByRole("button", { name: "GiB-hours" }))
      await page.waitForURL("**metric=memory**")
      await page.locator("tbody th .name").first().waitFor()
    }
  },
  {
    name: "did yesterday's deploy make it hungrier",
    done: async (hands) => {
      const { page } = hands
      await hands.click(serverLink(page, "web-1"))
      await hands.press("d")
      // A list is opened and something in it chosen: two clicks.
      hands.clicks += 2
      await page.getByLabel("against").selectOption("day")
      await page
        .getByText(/rose by|fell by|about the same|Nothing worth telling/)
        .first()
        .waitFor()
    }
  },
  {
    name: "compare three servers, and which one is odd",
    done: async (hands) => {
      const { page } = hands
      for (const name of ["web-1", "web-2", "web-3"])
        await hands.click(page.getByRole("checkbox", { name: new RegExp(name) }))
      await hands.click(page.getByRole("link", { name: "Compare 3 servers" }))
      await page.getByRole("heading", { name: "3 servers side by side" }).waitFor()
      await page.getByRole("table").getByRole("rowheader").first().waitFor()
    }
  }
]

const timed = async (page: Page, url: string, { done, name }: Job) => {
  await page.goto(url)
  await page.locator(".fleet tbody a").first().waitFor()
  await page.waitForLoadState("networkidle")
  const hands = new Hands(page)
  const began = performance.now()
  await done(hands)
  say(`| ${name} | ${hands.clicks} | ${hands.keys} | ${((performance.now() - began) / 1_000).toFixed(1)} |`)
}

/** The script of the first view, bytes as sent. */
const scriptBytes = async (page: Page, url: string) => {
  const session = await page.context().newCDPSession(page)
  await session.send("Network.enable")
  await session.send("Network.setCacheDisabled", { cacheDisabled: true })
  const scripts = new Set<string>()
  let bytes = 0
  session.on("Network.responseReceived", ({ requestId, response }) => {
    if (response.url.endsWith(".js")) scripts.add(requestId)
  })
  session.on("Network.loadingFinished", ({ encodedDataLength, requestId }) => {
    if (scripts.has(requestId)) bytes += encodedDataLength
  })
  await page.goto(`${url}/servers/web-1`)
  await page.locator(".ranked tbody .row-button").first().waitFor()
  await page.waitForLoadState("networkidle")
  await session.detach()
  return bytes
}

const benchPage = async (browser: Browser, url: string) => {
  await crowd(url)
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, reducedMotion: "reduce" })
  await context.grantPermissions(["clipboard-read", "clipboard-write"])
  const page = await context.newPage()
  page.setDefaultTimeout(60_000)
  await page.addInitScript(WATCH)
  await page.goto(`${url}${(await post(url, "/api/session/links")).path}`)
  await page.locator(".fleet tbody a").first().waitFor()
  say(`load average ${loadavg()[0]!.toFixed(1)}; script of the first view ${await scriptBytes(page, url)} B as sent`)
  say("\n| view | a refresh, B | layout shift | longest task loading, ms | refreshing | scrolling | searching |")
  say("|---|---:|---:|---:|---:|---:|---:|")
  for (const view of VIEWS) await measured(page, url, view)
  say("\n| job | clicks | keys | s |")
  say("|---|---:|---:|---:|")
  for (const job of JOBS) await timed(page, url, job)
}

const executablePath = findChromium()
if (executablePath === undefined) throw new Error("no chromium here: apt-get install chromium")
ensurePage()
const dataDir = await mkdtemp(join(tmpdir(), "nodepulse-bench-"))
const browser = await chromium.launch(launchOptions(executablePath))
const ready = Promise.withResolvers<string>()
const fiber = Effect.runFork(
  runDemo({ port: 0, days: DAYS, live: true, onReady: (url) => Effect.sync(() => ready.resolve(url)) }, dataDir).pipe(
    Effect.provideService(References.MinimumLogLevel, "Warn"),
    Effect.tapCause((cause) => Effect.sync(() => ready.reject(cause)))
  )
)
try {
  await benchPage(browser, await ready.promise)
} finally {
  await browser.close()
  const ended = new Promise<void>((resolve) => fiber.addObserver(() => resolve()))
  fiber.interruptUnsafe()
  await ended
  await rm(dataDir, { recursive: true, force: true })
}
