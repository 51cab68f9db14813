/** Acting on the page, in a real Chromium: who sees it, what a host says, what is signed, and what became of it. The host is played. */
import { randomUUID } from "node:crypto"
import { describe, expect, layer, test } from "@effect/vitest"
import { Effect } from "effect"
import type { Page } from "playwright-core"
import { type PlayedApprover, type PlayedHost, playHands } from "../scripts/PlayedHands.ts"
import { keyIdOf, publicKeyOf } from "../src/protocol/Approvals.ts"
import type { Offer } from "../src/protocol/Orders.ts"
import { matches } from "../web/src/acting/Allowed.ts"
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
  push,
  unique,
  visit,
  world
} from "./WebWorld.ts"

const HOSTILE = `<img src=x onerror="window.hacked=1">`
const PROCESS = { pid: 4_711, start_ticks: 123_456, name: "burner" }
const OTHER = { pid: 4_712, start_ticks: 200_000, name: "burner" }
const UNIT = { unit: "burner.service", invocation: "0123456789abcdef0123456789abcdef" }

const offer = (verb: Offer["verb"], changes: Partial<Offer> = {}): Offer => ({
  verb,
  target: PROCESS,
  refusal: null,
  roles: ["operator", "admin"],
  second_person: false,
  left_this_hour: 3,
  would: `would ${verb} it ${HOSTILE}`,
  settings: {},
  ...changes
})

const process = (target: typeof PROCESS) => ({
  ...target,
  group: "burner",
  parent: 1,
  user: HOSTILE,
  state: "R",
  command: `/usr/bin/${HOSTILE}`,
  unit: UNIT.unit,
  threads: 1,
  nice: 0,
  children: 2,
  memory_bytes: 2 ** 26,
  cpu_seconds: 4_000,
  container: false
})

/** What a host says that has a burner in a unit. The order of its offers is not that of the ladder. */
const hostOf = (server: string, approvers: ReadonlyArray<PlayedApprover> = []): PlayedHost => ({
  server,
  bootId: randomUUID(),
  approvers,
  rules: [
    {
      verbs: ["quota", "restart", "terminate"],
      units: ["burn*.service"],
      names: [],
      roles: ["operator", "admin"],
      second_person: false,
      per_hour: 3,
      hours: null
    }
  ],
  unit: {
    ...UNIT,
    description: HOSTILE,
    active: "active",
    restart: "on-failure",
    main_pid: 4_711,
    processes: 2,
    dependants: [HOSTILE],
    dependants_more: 3,
    weight: null,
    quota_percent: null,
    memory_high_bytes: null,
    memory_bytes: 2 ** 27
  },
  processes: [process(PROCESS), process(OTHER)],
  shares: [`${HOSTILE} (12)`],
  offers: [
    offer("kill", { refusal: { code: "term-first", message: "" } }),
    offer("terminate"),
    offer("nice", { settings: { nice: { min: 5, max: 15 } } }),
    offer("terminate", { target: OTHER }),
    offer("restart", { target: UNIT, second_person: true }),
    offer("quota", { target: UNIT, settings: { percent: { min: 20, max: 200 }, minutes: { min: 1, max: 60 } } })
  ],
  does: ({ verb }) => ({
    result: "done",
    code: null,
    message: `${verb} was carried out`,
    reverts_at: verb === "quota" ? Math.floor(Date.now() / 1_000) + 1_800 : null
  }),
  waitSeconds: 1
})

/** A server whose processes are in units. */
const registered = Effect.fnUntraced(function* (name: string) {
  const { register } = yield* TestServer.TestServer
  const server = yield* register(unique(name))
  const now = Math.floor(Date.now() / INTERVAL) * INTERVAL
  for (let n = 1; n <= 3; n++) {
    const at = now - (3 - n) * INTERVAL
    yield* push(server.token, {
      [HOST]: [hostRow(at, n)],
      [GROUPS]: ["burner", "calm"].map((one) => ({
        ...groupRow(at, one, n * 9, 30),
        unit: one === "burner" ? UNIT.unit : "calm.service"
      }))
    })
  }
  return server
})

/** With a host that is played for as long as the test lasts. */
const acting = Effect.fnUntraced(function* (changes: Partial<PlayedHost> = {}) {
  const { url } = yield* TestServer.TestServer
  const server = yield* registered("acts")
  const approvers: Array<PlayedApprover> = []
  const host = { ...hostOf(server.server_id, approvers), ...changes }
  yield* Effect.forkScoped(playHands(url, server.token, host))
  return { server: server.server_id, approvers, host }
})

const panel = (page: Page) => page.getByRole("complementary", { name: /history/ })
const line = (page: Page) => panel(page).getByText("Act on this")
const ladder = (page: Page) => page.locator(".ladder .rung-head p:first-child b")
const statusOf = (page: Page, text: RegExp) => page.getByRole("status").filter({ hasText: text }).first()

/** Opens the line, once the host has been heard of. */
const opened = async (page: Page) => {
  await expect
    .poll(async () => {
      if (await line(page).isVisible()) return true
      await page.reload()
      await panel(page).getByText("in this range").waitFor()
      await page.waitForTimeout(1_000)
      return line(page).isVisible()
    })
    .toBe(true)
  await line(page).click()
}

/** Makes a key in this browser, and has the host know it. */
const keyed = async (
  page: Page,
  name: string,
  approvers: Array<PlayedApprover>,
  role: "operator" | "admin" = "admin"
) => {
  const { origin } = new URL(page.url())
  await page.goto(`${origin}/access/keys`)
  await page.getByLabel("Whose is it?").fill(name)
  await page.getByRole("button", { name: "Make it" }).click()
  const shown = await page.locator(".browser-key pre").textContent()
  const publicKey = publicKeyOf(/key: "([^"]+)"/.exec(shown ?? "")?.[1] ?? "")!
  approvers.push({ name, role, key: keyIdOf(publicKey), publicKey })
  return keyIdOf(publicKey)
}

const shop = (server: string, query = "open=burner") => `/servers/${server}?${query}`

test("a pattern of a host's file matches as the host's own does", () => {
  for (const [pattern, name, is] of [
    ["nginx.service", "nginx.service", true],
    ["nginx.service", "xnginx.service", false],
    ["worker@*.service", "worker@7.service", true],
    ["worker@*.service", "worker@.service", true],
    ["worker@*.service", "worker.service", false],
    ["a*b*c", "a-b-b-c", true],
    ["a*b*c", "ac", false],
    ["ab*ba", "aba", false]
  ] as const)
    expect(matches(pattern, name), `${pattern} ${name}`).toBe(is)
})

describe.skipIf(executablePath === undefined)("acting on the page", () => {
  layer(world, { timeout: 180_000, excludeTestServices: true })("in a browser", (it) => {
    it.effect(
      "asks the host only when it is opened, and shows what it says, the gentlest first, the unit before all",
      () =>
        Effect.gen(function* () {
          const { server } = yield* acting()
          yield* inBrowser(shop(server), async (page) => {
            const asked: Array<string> = []
            page.on("request", (request) => request.url().includes("previews") && asked.push(request.url()))
            await opened(page)
            await statusOf(page, /As the host saw it/).waitFor()
            expect(asked.length).toBeGreaterThan(0)
            await expect
              .poll(() => ladder(page).allTextContents())
              .toEqual(["Limit its CPU, for a while", "Restart it", "Lower its priority", "Ask it to end", "Kill it"])
            await page.getByText("on-failure: systemd starts it again").waitFor()
            await page.getByText("and 3 more").waitFor()
            await page.getByRole("row", { name: /4711.*0:20:34 after the boot/ }).waitFor()
            await page.getByText("A process is killed only after it was asked to end").waitFor()
            await page.getByText("two operators or administrators").waitFor()
            expect(await page.evaluate("window.hacked")).toBeUndefined()
            expect(await findings(page)).toEqual([])
            // Of the other process there is less.
            await page.getByLabel("Which process").selectOption("4712")
            await expect.poll(() => ladder(page).count()).toBe(3)
          })
          yield* inBrowser("/healthz", async (page) => {
            const told = page.waitForResponse(/acting/)
            await page.goto(`${new URL(page.url()).origin}${shop(server, "open=calm")}`)
            await panel(page).getByText("in this range").waitFor()
            await told
            expect(await line(page).count()).toBe(0)
          })
          yield* inBrowser(
            shop(server),
            async (page) => {
              const asked: Array<string> = []
              page.on("request", (request) => request.url().endsWith("/acting") && asked.push(request.url()))
              await panel(page).getByText("in this range").waitFor()
              expect([await line(page).count(), asked]).toEqual([0, []])
              expect(await page.getByRole("link", { name: "Acts" }).count()).toBe(0)
            },
            { role: "read" }
          )
        }).pipe(Effect.scoped)
    )

    it.effect("signs exactly what it shows, by a key that cannot leave the browser, and tells what became of it", () =>
      Effect.gen(function* () {
        const { approvers, server } = yield* acting()
        const { request } = yield* TestServer.TestServer
        yield* inBrowser("/access/keys", async (page) => {
          const { origin } = new URL(page.url())
          const key = await keyed(page, "Ada", approvers)
          expect(await findings(page)).toEqual([])
          const kept = await page.evaluate(`new Promise((done, failed) => {
            const opening = indexedDB.open("nodepulse", 1)
            opening.onsuccess = () => {
              const all = opening.result.transaction("keys").objectStore("keys").getAll()
              all.onsuccess = () => crypto.subtle.exportKey("pkcs8", all.result[0].privateKey).then(() => done("read"), () => done("refused"))
            }
          })`)
          expect(kept).toBe("refused")
          await page.goto(`${origin}${shop(server)}`)
          await opened(page)
          await page.getByRole("button", { name: "Choose… Limit its CPU" }).click()
          await page.getByText("You sign as").waitFor()
          await page.getByLabel("At most").fill("60")
          await page.getByLabel("For how long").fill("15")
          await expect.poll(() => page.getByRole("button", { name: "Sign and send" }).isDisabled()).toBe(true)
          await page.getByLabel("Why").fill("it starves the shop")
          await page
            .locator(".exactly-said", { hasText: /Limit burner.service to 60 % of one core, for 15.min/ })
            .waitFor()
          expect(await findings(page)).toEqual([])
          await page.getByRole("button", { name: "Sign and send" }).click()
          await statusOf(page, /The host has done it: quota was carried out/).waitFor()
          await page.getByRole("link", { name: "The order" }).click()
          await page.getByText("Taken back").waitFor()
          await page.getByText("what changed stands here from").waitFor()
          await page.getByText("Signed by Ada").first().waitFor()
          expect(await findings(page)).toEqual([])
          const id = page.url().split("/").at(-1)
          const { body } = await Effect.runPromise(request("GET", `/api/orders/${id}`))
          expect(body.order).toMatchObject({
            verb: "quota",
            target: UNIT,
            settings: { percent: 60, minutes: 15 },
            reason: "it starves the shop"
          })
          // The host has verified it with the code of hosts, over the bytes that the browser has signed.
          expect(body.outcome.by).toEqual(["Ada"])
          expect(body.events[1].approval.key).toBe(key)
          await page.getByRole("link", { name: "Acts", exact: true }).click()
          await page.getByRole("row", { name: /Limit burner.service.*Ada.*done/ }).waitFor()
          expect(await findings(page)).toEqual([])
          // And it is a mark of the server.
          await page.goto(`${origin}/servers/${server}`)
          await page.locator(".stack .tick.act").first().click({ timeout: 60_000 })
          await page.locator(".told").getByText("A CPU limit for burner.service, signed by Ada").waitFor()
          await page.getByRole("link", { name: "The order" }).click()
          await page.waitForURL(`**/acts/${id}`)
          // And its row says so: a link, which opens nothing else.
          await page.goto(`${origin}/servers/${server}`)
          const row = page.getByRole("row", { name: /burner/ })
          const acted = row.getByRole("link", { name: /A CPU limit for burner.service, signed by Ada; until/ })
          await acted.waitFor()
          await expect.poll(() => acted.innerText()).toContain("CPU limit, Ada")
          await expect.poll(() => page.locator(".ranked .acted").count()).toBe(1)
          expect(await findings(page)).toEqual([])
          await acted.click()
          await page.waitForURL(`**/acts/${id}`)
        })
        // Who may read sees it, and no way to what they may not see.
        yield* inBrowser(
          `/servers/${server}`,
          async (page) => {
            const row = page.getByRole("row", { name: /burner.*A CPU limit for burner.service, signed by Ada; until/s })
            await row.waitFor()
            expect(await row.getByRole("link").count()).toBe(0)
          },
          { role: "read" }
        )
      }).pipe(Effect.scoped)
    )

    it.effect("has the server's name typed for what nothing brings back, and shows a refusal in words", () =>
      Effect.gen(function* () {
        const { approvers, server } = yield* acting({
          does: () => ({ result: "refused", code: "target-changed", message: "", reverts_at: null })
        })
        yield* inBrowser("/access/keys", async (page) => {
          const { origin } = new URL(page.url())
          await keyed(page, "Ada", approvers)
          await page.goto(`${origin}${shop(server)}`)
          await opened(page)
          await page.getByRole("button", { name: "Choose… Ask it to end" }).click()
          await page.getByLabel("Why").fill("gone wild")
          const send = page.getByRole("button", { name: "Sign and send" })
          await page.getByLabel(`Type ${server} to confirm`).fill(`${server}x`)
          await expect.poll(() => send.isDisabled()).toBe(true)
          await page.getByLabel(`Type ${server} to confirm`).fill(server)
          await send.click()
          await statusOf(page, /\(target-changed\): The target is not the one of the preview any more/).waitFor()
          await page.getByRole("button", { name: "Look again" }).click()
          await statusOf(page, /As the host saw it/).waitFor()
        })
      }).pipe(Effect.scoped)
    )

    it.effect("has a second person sign what the first one saw, in another browser, and nothing before that", () =>
      Effect.gen(function* () {
        const { approvers, server } = yield* acting()
        const ada = yield* visit("/access/keys")
        const bob = yield* visit("/access/keys", { role: "operator", name: "Bob" })
        yield* Effect.promise(async () => {
          const { origin } = new URL(ada.page.url())
          await keyed(ada.page, "Ada", approvers)
          await keyed(bob.page, "Bob", approvers, "operator")
          await ada.page.goto(`${origin}${shop(server)}`)
          await opened(ada.page)
          await ada.page.getByRole("button", { name: "Choose… Restart it" }).click()
          await ada.page.getByLabel("Why").fill("leaks")
          await ada.page.getByLabel(`Type ${server} to confirm`).fill(server)
          await ada.page.getByRole("button", { name: "Sign it, for a second person" }).click()
          await statusOf(ada.page, /2 persons have to sign it/).waitFor()
          const link = (await ada.page.locator(".acting-share pre").first().textContent()) ?? ""
          expect(link).toMatch(/\/acts\/[0-9a-f-]{36}$/)
          await bob.page.goto(`${origin}/servers/${server}/acts`)
          await bob.page
            .getByRole("row", { name: /Restart burner.service.*waits for a second signature.*until/ })
            .waitFor()
          await bob.page.goto(link)
          await bob.page.getByRole("heading", { name: "Restart burner.service" }).waitFor()
          await bob.page.getByText(/Ada has signed it: it holds for/).waitFor()
          expect(await findings(bob.page)).toEqual([])
          await bob.page.getByLabel(`Type ${server} to confirm`).fill(server)
          await bob.page.getByRole("button", { name: "Sign it" }).click()
          await statusOf(bob.page, /The host has done it/).waitFor()
          await statusOf(ada.page, /The host has done it/).waitFor()
          await bob.page.getByText("Ada and Bob").waitFor()
        })
      }).pipe(Effect.scoped)
    )

    it.effect("signs nothing that the server tells otherwise after it was shown", () =>
      Effect.gen(function* () {
        const { approvers, server } = yield* acting()
        yield* inBrowser("/access/keys", async (page) => {
          const { origin } = new URL(page.url())
          await keyed(page, "Ada", approvers)
          await page.goto(`${origin}${shop(server)}`)
          await opened(page)
          await page.getByRole("button", { name: "Choose… Restart it" }).click()
          await page.getByLabel("Why").fill("leaks")
          await page.getByLabel(`Type ${server} to confirm`).fill(server)
          await page.getByRole("button", { name: "Sign it, for a second person" }).click()
          await statusOf(page, /2 persons have to sign it/).waitFor()
          await page.getByRole("button", { name: "Sign it again" }).waitFor()
          await page.route("**/api/orders/*", async (route) => {
            const response = await route.fetch()
            const body = JSON.parse(await response.text())
            await route.fulfill({ response, json: { ...body, order: { ...body.order, server: "db-1" } } })
          })
          await page.getByRole("alert").filter({ hasText: "Sign nothing" }).waitFor()
          expect(await page.getByRole("button", { name: "Sign it again" }).count()).toBe(0)
          expect(await page.locator(".exactly-said").textContent()).toContain(server)
        })
      }).pipe(Effect.scoped)
    )

    it.effect("gives an order unsigned where there is no key, and says where plain HTTP forbids one", () =>
      Effect.gen(function* () {
        const { server } = yield* acting()
        yield* inBrowser(shop(server), async (page) => {
          const { origin } = new URL(page.url())
          await opened(page)
          await page.getByRole("button", { name: "Choose… Lower its priority" }).click()
          await page.getByText("There is no key in this browser yet.").waitFor()
          await page.getByLabel("Why").fill("too eager")
          await page.getByRole("button", { name: "Give it unsigned" }).click()
          await statusOf(page, /nobody has signed it/).waitFor()
          await page.getByText(/^nodepulse approve [0-9a-f-]{36}$/).waitFor()
          // As it is on plain HTTP from another machine.
          await page.addInitScript("Object.defineProperty(globalThis, 'isSecureContext', { value: false })")
          await page.goto(`${origin}/access/keys`)
          await page.getByText("Browsers sign on encrypted pages only").waitFor()
          await page.getByText("nodepulse approve").waitFor()
          expect(await page.getByRole("button", { name: "Make it" }).count()).toBe(0)
        })
      }).pipe(Effect.scoped)
    )

    it.effect("says that a host does not answer, that it refuses, and that nothing was heard of its hands", () =>
      Effect.gen(function* () {
        const refusing = yield* acting({ unit: null, processes: [] })
        yield* inBrowser(shop(refusing.server), async (page) => {
          await opened(page)
          await statusOf(page, /The host would do nothing here.*does not allow it/).waitFor()
        })
        const mute = yield* acting({ answers: () => false })
        yield* inBrowser(shop(mute.server), async (page) => {
          await page.route("**/api/previews/*", async (route) => {
            const response = await route.fetch()
            await route.fulfill({ response, json: { ...JSON.parse(await response.text()), state: "expired" } })
          })
          await opened(page)
          await statusOf(page, /did not answer within a minute/).waitFor()
          await page.unroute("**/api/previews/*")
          await page.route("**/api/servers/*/acting", async (route) => {
            const response = await route.fetch()
            const body = JSON.parse(await response.text())
            await route.fulfill({ response, json: { ...body, hands: { ...body.hands, state: "silent" } } })
          })
          await page.reload()
          await panel(page).getByText("nothing listens there").waitFor()
          await line(page).click()
          await page.getByText("Nothing listens on this host.").waitFor()
          expect(await findings(page)).toEqual([])
        })
      }).pipe(Effect.scoped)
    )

    it.effect("forgets a key, after a question", () =>
      inBrowser("/access/keys", async (page) => {
        await keyed(page, HOSTILE, [])
        await page.getByRole("button", { name: "Forget…" }).click()
        await page.getByRole("button", { name: "Forget it" }).click()
        await page.getByRole("heading", { name: "Make a key", exact: true }).waitFor()
        expect(await page.evaluate("window.hacked")).toBeUndefined()
      })
    )
  })
})
