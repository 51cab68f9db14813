/**
 * What the page says of a server whose agent is in trouble, in a real Chromium: each trouble comes by a real push with what
 * an agent tells of itself. Needs Debian's `chromium`; says in one line that it was left out where there is none.
 */
import { readFileSync } from "node:fs"
import { createRequire } from "node:module"
import { describe, expect, layer } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { type Browser, chromium, type Page } from "playwright-core"
import { findChromium, launchOptions } from "../scripts/Browser.ts"
import { ensurePage } from "../scripts/build-web.ts"
import { helloOf } from "../src/protocol/AgentHello.fixture.ts"
import { type AgentHello, formatHello } from "../src/protocol/AgentHello.ts"
import * as TestServer from "./TestServer.ts"

const executablePath = findChromium()
if (executablePath === undefined) {
  process.stdout.write("left out: an agent's troubles on the page, for want of a browser (apt-get install chromium)\n")
}

class Chromium extends Context.Service<Chromium, { readonly browser: Browser }>()("nodepulse/test/Chromium") {
  static readonly layer = Layer.effect(
    Chromium,
    Effect.acquireRelease(
      Effect.promise(async () => ({ browser: await chromium.launch(launchOptions(executablePath!)) })),
      ({ browser }) => Effect.promise(() => browser.close())
    )
  )
}

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8")

/** An agent on a machine, as it pushes: the answer's status. */
const agentOf = (url: string, token: string, machine: string) => {
  let sequence = 0
  return (tells: Partial<AgentHello> = {}, more: Readonly<Record<string, unknown>> = {}) =>
    Effect.promise(async () => {
      const hello = formatHello(helloOf(machine, { sequence: ++sequence, sent: Date.now() / 1_000, ...tells }))
      const timestamp = new Date().toISOString()
      const rows = [{ timestamp, name: "nginx", num_procs: 1, cpu_seconds_total: 1, memory_bytes: 1 }]
      const response = await fetch(`${url}/metrics/prometheus`, {
        method: "POST",
        headers: { authorization: `Bearer ${token}`, "content-type": "application/json", "nodepulse-agent": hello },
        body: JSON.stringify({ process_exporter: rows, ...more })
      })
      return response.status
    })
}

/** A server's agent as `make` has it tell, and what the fleet and the server's page say then. */
const troubled = (
  name: string,
  make: (first: ReturnType<typeof agentOf>, second: ReturnType<typeof agentOf>) => Effect.Effect<unknown>,
  look: (page: Page) => Promise<unknown>,
  inFleet: string | undefined
) =>
  Effect.gen(function* () {
    const { register, request, url } = yield* TestServer.TestServer
    const { server_id: id, token } = yield* register(name)
    const first = agentOf(url, token, name)
    const second = agentOf(url, token, `${name}-clone`)
    yield* make(first, second)
    const { browser } = yield* Chromium
    const link = yield* request("POST", "/api/session/links")
    const context = yield* Effect.acquireRelease(
      Effect.promise(() => browser.newContext({ reducedMotion: "reduce" })),
      (context) => Effect.promise(() => context.close())
    )
    yield* Effect.promise(async () => {
      const page = await context.newPage()
      page.setDefaultTimeout(60_000)
      await page.goto(`${url}${link.body.path}`)
      // The answer about the fleet is shared for two seconds: asked again until it is of now.
      const line = page.locator(`a[href="/servers/${id}"] .sub`)
      await expect
        .poll(async () => {
          await page.reload()
          await line.waitFor()
          return (await line.locator("b").allTextContents())[0]?.replace(/^ · /, "")
        }, POLLED)
        .toBe(inFleet)
      for (const width of [360, 1440]) {
        for (const colorScheme of ["light", "dark"] as const) {
          await page.setViewportSize({ width, height: 900 })
          // Before the page is loaded: axe would look at colours on their way from one theme to the other.
          await page.emulateMedia({ colorScheme })
          // Again before each look: a server that reported once falls silent while a slow machine looks at it.
          await Effect.runPromise(make(first, second))
          await page.goto(`${url}/servers/${id}`)
          await page.locator(".server-head .badge").waitFor()
          await page.waitForLoadState("networkidle")
          await look(page)
          await expect.poll(() => cutOff(page), { message: `${width} pixels` }).toEqual([])
          expect(await seriousFindings(page), colorScheme).toEqual([])
        }
      }
    })
  }).pipe(Effect.scoped)

const POLLED = { interval: 500 }

/** What of the banners reaches beyond them, or beyond the window, or lies below a button. */
const cutOff = async (page: Page) =>
  (await page.evaluate(`(() => {
    const over = document.scrollingElement.scrollWidth - innerWidth
    const wrong = over > 0 ? ["the page is " + over + " pixels too wide"] : []
    for (const banner of document.querySelectorAll(".banner")) {
      const { right } = banner.getBoundingClientRect()
      for (const part of banner.querySelectorAll("*")) {
        if (part.getBoundingClientRect().right > right + 1) wrong.push(part.outerHTML.slice(0, 120))
      }
      for (const command of banner.querySelectorAll(".command")) {
        const range = document.createRange()
        range.selectNodeContents(command.querySelector("code"))
        const button = command.querySelector("button").getBoundingClientRect()
        for (const box of range.getClientRects()) {
          const apart = box.right <= button.left || box.top >= button.bottom || box.bottom <= button.top
          if (!apart) wrong.push("below the button: " + command.textContent)
        }
      }
    }
    return wrong
  })()`)) as ReadonlyArray<string>

const seriousFindings = async (page: Page) => {
  await page.evaluate(AXE)
  return (await page.evaluate(
    `axe.run(document, { resultTypes: ["violations"] }).then(({ violations }) => violations
      .filter(({ impact }) => impact === "serious" || impact === "critical")
      .flatMap(({ id, nodes }) => nodes.map(({ html }) => id + ": " + html.slice(0, 160))))`
  )) as ReadonlyArray<string>
}

const textOf = (page: Page) => page.locator(".server-head .banner").first().textContent()

/** The server reads the page's files when it starts. */
const world = Layer.unwrap(
  Effect.sync(() => {
    ensurePage()
    return TestServer.layerWith({})
  })
).pipe(Layer.provideMerge(Chromium.layer))

describe.skipIf(executablePath === undefined)("the page tells of a server's agent", () => {
  layer(world, { timeout: 120_000, excludeTestServices: true })("on a phone and a desk, in both themes,", (it) => {
    it.effect("nothing where nothing is wrong", () =>
      troubled(
        "well",
        (push) => push(),
        async (page) => expect.poll(() => page.locator(".banner").count()).toBe(0),
        undefined
      )
    )

    it.effect("that two machines use one token: which one writes, which is refused, and what to do", () =>
      troubled(
        "twin",
        (one, other) =>
          Effect.gen(function* () {
            expect([yield* one(), yield* other(), yield* one(), yield* other()]).toEqual([202, 409, 202, 409])
          }),
        async (page) => {
          const text = await page.getByRole("alert").textContent()
          expect(text).toContain("Two machines report with this server's token")
          expect(text).toContain("twin writes, twin-clone is refused")
          expect(text).toContain("Give one of them a token of its own")
        },
        "two machines on one token"
      )
    )

    it.effect("that its clock is ahead, with the command that sets it", () =>
      troubled(
        "early",
        (push) => push({ sent: Date.now() / 1_000 + 1_215, corrected: -1_215 }),
        async (page) => {
          const text = await textOf(page)
          expect(text).toMatch(/clock is 20\smin ahead of NodePulse's/)
          expect(text).toContain("Its agent corrects the times")
          expect(text).toContain("timedatectl set-ntp true")
        },
        "clock 20\u202fmin ahead of the server's"
      )
    )

    it.effect("that its clock is behind, and where its points stand", () =>
      troubled(
        "tardy",
        (push) => push({ sent: Date.now() / 1_000 - 90 }),
        async (page) => {
          const text = await textOf(page)
          expect(text).toMatch(/clock is 1\smin behind NodePulse's/)
          expect(text).toContain("Its points stand where its clock puts them.")
        },
        "clock 1\u202fmin behind the server's"
      )
    )

    it.effect("that its clock was set, by how much and when", () =>
      troubled(
        "stepped",
        (push) => push({ step: { seconds: -60, at: Date.now() / 1_000 - 240 } }),
        // As long as a test may take.
        async (page) => expect.poll(() => textOf(page)).toMatch(/was set back by 1\smin, [4-7]\smin ago/),
        undefined
      )
    )

    it.effect("that an exporter answers and reports nothing, with the lines that mend it, to copy", () =>
      troubled(
        "mute",
        (push) => push({ unmatched: ["process_exporter"] }),
        async (page) => {
          const banner = page.locator(".server-head .banner")
          await expect.poll(() => banner.textContent()).toContain("process_exporter answers and matches no process")
          await expect.poll(() => banner.textContent()).toContain("measured by the agent itself")
          await expect
            .poll(() => banner.locator("pre").allTextContents())
            .toEqual([
              `process_names: [{name: "{{.Comm}}", cmdline: [".+"]}]`,
              `ARGS="-config.path=/etc/process-exporter/config.yml"`,
              "systemctl restart prometheus-process-exporter"
            ])
          await expect
            .poll(() => banner.locator(".step p code").allTextContents())
            .toEqual(["/etc/process-exporter/config.yml", "/etc/default/prometheus-process-exporter"])
          await expect.poll(() => banner.getByRole("button", { name: "Copy" }).count()).toBe(3)
        },
        "process_exporter reports nothing"
      )
    )

    it.effect("that an exporter serves more than its agent takes: how much that is, and the setting to change", () =>
      troubled(
        "crowded",
        (push) =>
          push({
            refused: [
              { exporter: "process_exporter", limit: "series", most: 50_000 },
              { exporter: "node_exporter", limit: "body", most: 4 * 1024 ** 2 }
            ]
          }),
        async (page) => {
          const [series, body] = await page.locator(".server-head .banner").allTextContents()
          expect(series).toMatch(/^process_exporter serves more than 50\s000 series, and its agent refuses/)
          expect(series).toContain("raise series_limit of this exporter in the agent's nodepulse.yml")
          expect(body).toMatch(/^node_exporter serves more than 4(\.0)?\sMiB, .* raise body_limit/)
        },
        "process_exporter serves too much"
      )
    )

    it.effect(
      "that the agent holds back to keep within its budget: what it does without, and the setting to change",
      () =>
        troubled(
          "held",
          (push) => push({ restrained: { causes: ["cpu"], interval: 4, groups: 500, recorder: false } }),
          async (page) => {
            const [banner] = await page.locator(".server-head .banner").allTextContents()
            expect(banner).toMatch(/^This server's agent holds back: it scrapes 4 times less often, keeps 500 groups/)
            expect(banner).toContain("records nothing second by second, since it used more CPU than its budget.")
            expect(banner).toContain("raise budget.cpu in its nodepulse.yml")
          },
          "its agent holds back"
        )
    )

    it.effect("that it sends an exporter which is not enabled here, legibly, and what becomes of the rows", () =>
      troubled(
        "newer",
        (push) => push({}, { [`redis_${"x".repeat(60)}`]: [{}] }),
        async (page) => {
          const text = await textOf(page)
          expect(text).toContain("Its agent sends rows of redis_xxx")
          expect(text).toContain("They wait in its spool: enable it in plugins.config.ts")
        },
        `sends redis_${"x".repeat(34)}… (66 characters), not known here`
      )
    )
  })
})
