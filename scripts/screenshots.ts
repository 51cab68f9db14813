/**
 * `npm run screenshots`: the pictures of README and docs, taken of the demonstration's fleet in a real Chromium.
 *
 *     npm run screenshots                             starts a demonstration of its own
 *     node scripts/screenshots.ts http://127.0.0.1:8081   of one that runs already
 */
import { mkdir, mkdtemp, rm, stat } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Console, Effect, References } from "effect"
import { chromium, type Page } from "playwright-core"
import { findChromium, launchOptions } from "./Browser.ts"
import { runDemo } from "./demo.ts"
import { ACTING_SERVER, ada } from "./demo-hands.ts"
import { mailPage } from "./demo-mail.ts"

const FOLDER = join(import.meta.dirname, "..", "docs", "screenshots")
const BYTES_MAX = 300_000

type Theme = "light" | "dark"

interface Shot {
  readonly name: string
  readonly path: string
  readonly width?: number
  readonly height?: number
  readonly themes?: ReadonlyArray<Theme>
  /** Before the picture is taken. */
  readonly before?: (page: Page) => Promise<unknown>
}

const ACTS = `/servers/${ACTING_SERVER}/units?open=grafana-renderer.service`

const SHOTS: ReadonlyArray<Shot> = [
  { name: "fleet", path: "/", before: alive },
  { name: "server", path: "/servers/ci-runner-1", height: 1240 },
  { name: "why", path: "/servers/web-1", height: 1560, themes: ["light"] },
  { name: "unit", path: "/servers/web-1/units?open=mailqueue.service", height: 1000, themes: ["dark"] },
  { name: "memory", path: "/servers/media-1?metric=memory&range=7d", height: 1240, themes: ["light"] },
  { name: "process", path: "/servers/web-1?open=mailqueue-worker&range=6h", height: 1000 },
  { name: "brush", path: "/servers/web-1?range=6h", height: 1240, themes: ["dark"], before: brush },
  { name: "changed", path: "/servers/web-1?range=6h&against=day", height: 1240, themes: ["light"] },
  { name: "processes", path: "/processes?range=7d", themes: ["light"] },
  { name: "compare", path: "/compare?s=web-1,web-2,web-3&range=24h", height: 1100, themes: ["dark"] },
  { name: "watch", path: "/watch", before: watched },
  { name: "alert", path: "/watch", height: 1240, before: anAlert },
  { name: "narrow-alert", path: "/watch", width: 390, height: 1420, themes: ["light"], before: anAlert },
  { name: "message", path: "/watch", width: 390, height: 860, themes: ["light"], before: aMessage },
  { name: "rule", path: "/watch/rule?name=PostgreSQL%20is%20busy", height: 1100, themes: ["dark"], before: tried },
  { name: "act-preview", path: ACTS, height: 1500, before: previewed },
  { name: "act-sign", path: ACTS, height: 1740, before: chosen },
  { name: "act-approve", path: ACTS, height: 1100, themes: ["light"], before: waiting },
  { name: "act-mark", path: `/servers/${ACTING_SERVER}`, height: 900, themes: ["dark"], before: aMark },
  { name: "act-order", path: `/servers/${ACTING_SERVER}/acts`, height: 1240, before: anOrder },
  { name: "narrow-act", path: ACTS, width: 390, height: 1800, themes: ["light"], before: chosen },
  { name: "pipeline", path: "/pipeline", height: 860, before: (page) => page.waitForTimeout(17_000) },
  { name: "narrow-fleet", path: "/", width: 390, height: 844, themes: ["light"], before: alive },
  { name: "narrow-server", path: "/servers/db-primary", width: 390, height: 1500, themes: ["dark"] }
]

/** A slow machine needs a while to report for a whole fleet after it was made. */
async function alive(page: Page) {
  await page.getByRole("button", { name: /10 live/ }).waitFor({ timeout: 120_000 })
}

async function watched(page: Page) {
  await page.locator(".alert.critical").first().waitFor({ timeout: 300_000 })
}

async function anAlert(page: Page) {
  await page.locator(".alert-rule", { hasText: "Runaway process" }).first().click({ timeout: 300_000 })
  await page.locator(".before-after tbody tr").first().waitFor({ timeout: 60_000 })
}

async function aMessage(page: Page) {
  await anAlert(page)
  const id = page.url().split("/").at(-1)
  const told = await page.evaluate((path) => fetch(path).then((answer) => answer.json()), `/api/alerts/${id}`)
  await page.goto("about:blank")
  await page.setContent(mailPage(told as Parameters<typeof mailPage>[0]))
}

/** The line is lower than the rule's: what it would have done there. */
async function tried(page: Page) {
  await page.getByRole("textbox", { name: /^Threshold/ }).fill("55")
  await page.getByRole("textbox", { name: "Resolves at" }).fill("45")
  await page.locator(".fired-strip").first().waitFor({ timeout: 60_000 })
}

/** Ada's key is in this browser: as if it had been made there. */
async function previewed(page: Page) {
  const { approver, pkcs8 } = ada
  const key = { id: approver.key, name: approver.name, publicKey: Buffer.from(approver.publicKey).toString("base64") }
  await page.evaluate(`(async () => {
    const privateKey = await crypto.subtle.importKey("pkcs8", new Uint8Array(${JSON.stringify([...pkcs8])}), "Ed25519", false, ["sign"])
    await new Promise((done, failed) => {
      const opening = indexedDB.open("nodepulse", 1)
      opening.onupgradeneeded = () => opening.result.createObjectStore("keys", { keyPath: "id" })
      opening.onerror = failed
      opening.onsuccess = () => {
        const keys = opening.result.transaction("keys", "readwrite").objectStore("keys")
        keys.put({ ...${JSON.stringify(key)}, madeAt: Date.now(), privateKey }).onsuccess = done
      }
    })
  })()`)
  await page.getByText("Act on this").click()
  await page.getByText("As the host saw it").waitFor({ timeout: 60_000 })
  await page.evaluate("document.querySelector('.act-on').scrollIntoView()")
}

async function chosen(page: Page) {
  await previewed(page)
  await page.getByRole("button", { name: "Choose… Limit its CPU" }).click()
  await page.getByLabel("Why").fill("Rules are evaluated late again")
  await page.evaluate("document.querySelector('.ladder').scrollIntoView()")
}

async function waiting(page: Page) {
  await previewed(page)
  await page.getByRole("button", { name: "Choose… Restart it" }).click()
  await page.getByLabel("Why").fill("It renders nothing any more")
  await page.getByLabel(/to confirm$/).fill(ACTING_SERVER)
  await page.getByRole("button", { name: /^Sign it/ }).click()
  await page.getByRole("link", { name: "The order" }).click()
  await page.getByText("Ada has signed it").waitFor()
}

async function aMark(page: Page) {
  await page.locator(".stack .tick.act").first().click({ timeout: 60_000 })
}

async function anOrder(page: Page) {
  await page.getByRole("link", { name: "Limit grafana-renderer.service" }).last().click()
  await page.locator(".act-ledger .ledger tbody tr, .act-ledger .nothing").first().waitFor()
}

async function brush(page: Page) {
  const box = await page.locator(".stack .u-over").boundingBox()
  if (box === null) return
  await page.mouse.move(box.x + box.width * 0.44, box.y + 90)
  await page.mouse.down()
  await page.mouse.move(box.x + box.width * 0.62, box.y + 100, { steps: 6 })
  await page.mouse.up()
}

const take = async (url: string, only: string | undefined) => {
  const executablePath = findChromium()
  if (executablePath === undefined) throw new Error("no chromium here: apt-get install chromium")
  const links = await fetch(`${url}/api/session/links`, { method: "POST", headers: { authorization: "Bearer demo" } })
  const { path } = (await links.json()) as { readonly path: string }
  await mkdir(FOLDER, { recursive: true })
  const userData = await mkdtemp(join(tmpdir(), "nodepulse-chromium-"))
  const context = await chromium.launchPersistentContext(userData, {
    ...launchOptions(executablePath),
    viewport: { width: 1440, height: 900 }
  })
  const page = context.pages()[0] ?? (await context.newPage())
  const complaints: Array<string> = []
  page.on("console", (message) => message.type() === "error" && complaints.push(message.text()))
  page.on("pageerror", (error) => complaints.push(String(error)))
  await page.goto(`${url}${path}`)
  for (const {
    height = 900,
    name,
    path,
    themes = ["light", "dark"] as ReadonlyArray<Theme>,
    before,
    width = 1440
  } of SHOTS) {
    if (only !== undefined && !name.includes(only)) continue
    for (const theme of themes) {
      await page.emulateMedia({ colorScheme: theme, reducedMotion: "reduce" })
      await page.setViewportSize({ width, height })
      await page.goto(`${url}${path}`)
      await page.waitForLoadState("networkidle")
      await before?.(page)
      await page.waitForTimeout(600)
      const file = join(FOLDER, `${name}-${theme}.png`)
      await page.screenshot({ path: file })
      const { size } = await stat(file)
      process.stdout.write(
        `${name}-${theme}.png ${Math.round(size / 1000)} kB${size > BYTES_MAX ? " TOO LARGE" : ""}\n`
      )
    }
  }
  await context.close()
  await rm(userData, { recursive: true, force: true })
  for (const complaint of complaints) process.stdout.write(`the page complained: ${complaint}\n`)
}

const [given, only] = process.argv.slice(2)
if (given !== undefined) await take(given, only)
else {
  const dataDir = await mkdtemp(join(tmpdir(), "nodepulse-demo-"))
  const ready = Promise.withResolvers<string>()
  const fiber = Effect.runFork(
    runDemo(
      {
        port: 0,
        days: 7,
        live: true,
        onReady: () => Effect.void,
        onWatched: (url) => Effect.sync(() => ready.resolve(url))
      },
      dataDir
    ).pipe(
      Effect.provideService(References.MinimumLogLevel, "Warn"),
      Effect.tapCause((cause) => Effect.sync(() => ready.reject(cause)))
    )
  )
  await Effect.runPromise(Console.log("making a fleet: this takes about a minute …"))
  await take(await ready.promise, undefined)
  const ended = new Promise<void>((resolve) => fiber.addObserver(() => resolve()))
  fiber.interruptUnsafe()
  await ended
  await rm(dataDir, { recursive: true, force: true })
}
