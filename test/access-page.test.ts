/** Tokens, sessions and the audit on the page, in a real Chromium: who sees what, and what each of it does. */
import { describe, expect, layer } from "@effect/vitest"
import { Effect } from "effect"
import type { Page } from "playwright-core"
import * as TestServer from "./TestServer.ts"
import { executablePath, findings, inBrowser, NOISE, once, unique, visit, worldWith } from "./WebWorld.ts"

const HOSTILE = "<img src=x onerror=window.hacked=1>, note"
/** 120 of them, the newest of which is hostile. */
const notes = once(
  Effect.gen(function* () {
    const { request } = yield* TestServer.TestServer
    yield* Effect.forEach(Array.from({ length: 120 }), (_, n) =>
      request("POST", "/api/notes", { body: { text: n === 119 ? HOSTILE : `deploy ${n}` } })
    )
  })
)

const AFAR = { "x-forwarded-for": "192.0.2.7" }
const list = (page: Page, name: string) => page.getByRole("region", { name, exact: true })
const rowOf = (page: Page, text: string) => page.getByRole("row").filter({ hasText: text })
const sentence = (page: Page, text: RegExp) => page.locator(".audit li").filter({ hasText: text }).first()

describe.skipIf(executablePath === undefined)("access on the page", () => {
  const world = worldWith({ NODEPULSE_TRUSTED_PROXIES: "127.0.0.1" })
  layer(world, { timeout: 120_000, excludeTestServices: true })("in a browser", (it) => {
    it.effect("makes a token, shows it once, tells its last use, revokes it, and the audit has it all", () =>
      Effect.gen(function* () {
        const { request } = yield* TestServer.TestServer
        const status = (token: string) =>
          Effect.runPromise(Effect.map(request("GET", "/api/servers", { token }), (answer) => answer.status))
        const note = unique("grafana")
        yield* inBrowser("/access", async (page) => {
          await page.getByRole("button", { name: "Make a token" }).click()
          await page.getByLabel("What is it for?").selectOption("read")
          await page.getByLabel("How long").selectOption("30 days")
          await page.getByLabel("Note").fill(note)
          expect(await findings(page)).toEqual([])
          await page.keyboard.press("Enter")
          await page.getByText("It is shown only once.").waitFor()
          const token = (await page.locator("dialog pre").first().textContent()) ?? ""
          expect(token).toMatch(/^np_read_[\w-]{43}$/)
          await expect.poll(() => page.locator("dialog pre").nth(1).textContent()).toContain("nodepulse login http")
          await page.keyboard.press("Escape")
          await page.locator("dialog").waitFor({ state: "detached" })
          await rowOf(page, note).getByText("never", { exact: true }).waitFor()
          expect(await page.content()).not.toContain(token)
          await expect.poll(() => rowOf(page, note).textContent()).toContain("by admin")
          expect(await status(token)).toBe(200)
          await page.reload()
          const used = rowOf(page, note).getByRole("cell").nth(3)
          await expect.poll(() => used.textContent()).toMatch(/just now|\d\s(s|min) ago/)
          await rowOf(page, note).getByRole("button", { name: "Revoke" }).click()
          await page.getByRole("button", { name: "Cancel" }).click()
          expect(await status(token)).toBe(200)
          await rowOf(page, note).getByRole("button", { name: "Revoke" }).click()
          await page.locator("dialog").getByRole("button", { name: "Revoke" }).click()
          await expect.poll(() => rowOf(page, note).count()).toBe(0)
          expect(await status(token)).toBe(401)
          await page.getByRole("button", { name: /Show \d+ that (is|are) over/ }).click()
          await rowOf(page, note).getByText("revoked").waitFor()
          expect(await findings(page)).toEqual([])
          const prefix = token.slice(0, 12)
          await page.getByRole("link", { name: "Audit", exact: true }).click()
          await sentence(page, new RegExp(`token ${prefix}… revoked by admin from 127\\.0\\.0\\.1`)).waitFor()
          await sentence(page, new RegExp(`token ${prefix}… made by admin`)).waitFor()
          expect(await findings(page)).toEqual([])
        })
      })
    )

    it.effect("rotates an agent's token, and both are good while it is changed", () =>
      Effect.gen(function* () {
        const { register, request } = yield* TestServer.TestServer
        const name = unique("rotating")
        const agent = yield* register(name)
        const push = (token: string) =>
          Effect.runPromise(
            Effect.map(request("POST", "/metrics/prometheus", { token, body: {} }), (answer) => answer.status)
          )
        yield* inBrowser(`/access?q=${name}`, async (page) => {
          await rowOf(page, name).getByRole("button", { name: "Rotate" }).click()
          await page.locator("dialog").getByRole("button", { name: "Rotate" }).click()
          await page.getByText("It is shown only once.").waitFor()
          const token = (await page.locator("dialog pre").first().textContent()) ?? ""
          expect([await push(agent.token), await push(token)]).toEqual([202, 202])
          await page.keyboard.press("Escape")
          await page.locator("dialog").waitFor({ state: "detached" })
          await expect.poll(() => rowOf(page, name).count()).toBe(2)
          await page.getByRole("link", { name: "Audit", exact: true }).click()
          await sentence(page, new RegExp(`token np_agent_.{4}… for ${name} rotated by admin`)).waitFor()
        })
      })
    )

    it.effect("takes in machines with an enrolment token, as often and from where it says", () =>
      Effect.gen(function* () {
        const { request } = yield* TestServer.TestServer
        const note = unique("rack")
        yield* inBrowser(
          "/access",
          async (page) => {
            await page.getByRole("button", { name: "Make a token" }).click()
            const kinds = page.getByLabel("What is it for?").locator("option")
            await expect.poll(() => kinds.allTextContents()).toEqual(["Enrolment", "Agent"])
            await page.getByLabel("Note").fill(note)
            await page.getByLabel("How many machines").fill("2")
            await page.getByLabel("From which networks").fill("not a network")
            await page.getByRole("button", { name: "Make it" }).click()
            await page.locator("dialog .problem").filter({ hasText: "network" }).waitFor()
            await page.getByLabel("From which networks").fill("127.0.0.0/8")
            await page.getByRole("button", { name: "Make it" }).click()
            await page.getByText("It is shown only once.").waitFor()
            const token = (await page.locator("dialog pre").first().textContent()) ?? ""
            await expect
              .poll(() => page.locator("dialog pre").nth(1).textContent())
              .toContain("nodepulse agent enroll --server")
            const enrolled = await Effect.runPromise(
              request("POST", "/api/enroll", { token, body: { name: "from the rack" } })
            )
            expect(enrolled.status).toBe(201)
            await page.reload()
            const tokens = list(page, "Enrolment tokens")
            const row = tokens.getByRole("row").filter({ hasText: note })
            await row.getByText("1 more").waitFor()
            await expect.poll(() => row.textContent()).toContain("127.0.0.0/8")
            await expect.poll(() => row.textContent()).toContain("by link:operator of tests")
            expect(await tokens.getByRole("button", { name: "Rotate" }).count()).toBe(0)
          },
          { role: "operator", expected: NOISE }
        )
      })
    )

    it.effect("shows a reader their own sessions, and an operator machines' tokens: nothing that they may not do", () =>
      Effect.gen(function* () {
        const { request } = yield* TestServer.TestServer
        const above = unique("above")
        yield* request("POST", "/api/tokens", { body: { kind: "admin", note: above } })
        yield* inBrowser(
          "/access",
          async (page) => {
            await list(page, "Sessions").waitFor()
            await rowOf(page, "this session").waitFor()
            await expect.poll(() => page.getByRole("row").count()).toBe(2)
            for (const name of ["Tokens", "Audit"])
              expect(await page.getByRole("link", { name, exact: true }).count()).toBe(0)
            expect(await page.getByRole("button", { name: "Make a sign-in link" }).count()).toBe(0)
            expect(await findings(page)).toEqual([])
            await page.goto(page.url().replace("/access", "/access/audit"))
            await page.getByText("it is not for your role").waitFor()
            await page.goto(page.url().replace("/access/audit", "/"))
            await page.getByRole("link", { name: "Access: your sessions" }).waitFor()
            await page.getByRole("heading", { name: "Servers" }).waitFor()
            expect(await page.getByRole("button", { name: "Add a server" }).count()).toBe(0)
          },
          { role: "read", name: unique("reader") }
        )
        yield* inBrowser(
          "/access",
          async (page) => {
            await rowOf(page, above).waitFor()
            expect(await rowOf(page, above).getByRole("button").count()).toBe(0)
            await expect.poll(() => rowOf(page, "rotating").first().getByRole("button").count()).toBe(2)
            expect(await page.getByRole("link", { name: "Audit", exact: true }).count()).toBe(0)
            await page.getByRole("link", { name: "NodePulse, all servers" }).click()
            await page.getByRole("button", { name: "Add a server" }).waitFor()
          },
          { role: "operator" }
        )
      })
    )

    it.effect("signs somebody out everywhere, and lets somebody in by a link under their own name", () =>
      Effect.gen(function* () {
        const { url } = yield* TestServer.TestServer
        const name = unique("Ada")
        yield* inBrowser("/access/sessions", async (page) => {
          await rowOf(page, "this session").waitFor()
          await page.getByRole("button", { name: "Make a sign-in link" }).click()
          await page.getByLabel("Who is it for?").fill(name)
          await page.getByLabel("As what").selectOption("operator")
          await page.getByRole("button", { name: "Make it" }).click()
          const link = (await page.locator("dialog pre").textContent()) ?? ""
          expect(link).toContain(`${url}/signin?code=`)
          const cookies: Array<string> = []
          for (let n = 0; n < 2; n++) {
            if (n === 1) {
              await page.keyboard.press("Escape")
              await page.locator("dialog").waitFor({ state: "detached" })
              await page.getByRole("button", { name: "Make a sign-in link" }).click()
              await page.getByLabel("Who is it for?").fill(name)
              await page.getByRole("button", { name: "Make it" }).click()
            }
            const path = (await page.locator("dialog pre").textContent()) ?? ""
            const opened = await fetch(path, { redirect: "manual" })
            cookies.push(opened.headers.get("set-cookie")?.split(";")[0] ?? "")
          }
          await page.reload()
          await expect.poll(() => rowOf(page, name).count()).toBe(2)
          await expect.poll(() => rowOf(page, name).last().textContent()).toContain("one-time link")
          await rowOf(page, name).first().getByRole("button", { name: "Everywhere" }).click()
          await page.getByRole("heading", { name: `Sign ${name} out everywhere?` }).waitFor()
          expect(await findings(page)).toEqual([])
          await page.locator("dialog").getByRole("button", { name: "Sign out everywhere" }).click()
          await expect.poll(() => rowOf(page, name).count()).toBe(0)
          for (const cookie of cookies) {
            expect((await fetch(`${url}/api/session`, { headers: { cookie } })).status).toBe(401)
          }
          await page.getByRole("link", { name: "Audit", exact: true }).click()
          await sentence(page, new RegExp(`all sessions of link:${name} ended by admin.*2 sessions`)).waitFor()
          await sentence(page, new RegExp(`link:${name} signed in from 127\\.0\\.0\\.1`)).waitFor()
        })
      })
    )

    it.effect(
      "keeps what was typed when the session ends, hides what is below, and goes on after signing in again",
      () =>
        Effect.gen(function* () {
          const { request } = yield* TestServer.TestServer
          const { body } = yield* request("POST", "/api/tokens", { body: { kind: "operator" } })
          yield* inBrowser(
            "/",
            async (page) => {
              const fill = async (token: string) => {
                await page.getByLabel("token").last().fill(token)
                await page.getByRole("button", { name: "Sign in", exact: true }).click()
              }
              await fill(body.token)
              await page.getByRole("button", { name: "Add a server" }).click()
              await page.getByLabel("What is it called?").fill("typed-1")
              await Effect.runPromise(request("DELETE", `/api/sessions?principal=token:${body.token_id}`))
              await page.getByRole("button", { name: "Add", exact: true }).click()
              await page.getByRole("heading", { name: "Your session has ended" }).waitFor()
              await expect.poll(() => page.getByLabel("What is it called?").isVisible()).toBe(false)
              await page.keyboard.press("Escape")
              await page.getByRole("button", { name: "go on here" }).click()
              await page.getByText("Nobody is signed in yet.").waitFor()
              expect(await findings(page)).toEqual([])
              await fill(body.token)
              await page.getByRole("heading", { name: "Your session has ended" }).waitFor({ state: "detached" })
              await expect.poll(() => page.getByLabel("What is it called?").inputValue()).toBe("typed-1")
              await page.getByRole("button", { name: "Add", exact: true }).click()
              await page.getByRole("heading", { name: "Connect typed-1" }).waitFor()
            },
            { signedOut: true, expected: NOISE }
          )
        })
    )

    it.effect("says on every view that it comes unencrypted, until that is hidden; not at hand, and not by TLS", () =>
      Effect.gen(function* () {
        const banner = (page: Page) => page.getByRole("region", { name: "Unencrypted" })
        yield* inBrowser(
          "/",
          async (page) => {
            await banner(page).getByText("This page comes to you unencrypted").waitFor()
            await expect.poll(() => banner(page).textContent()).toContain("NODEPULSE_TLS_CERT_FILE")
            expect(await findings(page)).toEqual([])
            await page.getByRole("link", { name: /^Access/ }).click()
            await page.getByRole("heading", { name: "Access" }).waitFor()
            await banner(page).getByRole("button", { name: "Hide" }).click()
            await banner(page).waitFor({ state: "detached" })
            await page.reload()
            await page.getByRole("heading", { name: "Access" }).waitFor()
            expect(await banner(page).count()).toBe(0)
          },
          { headers: AFAR }
        )
        for (const headers of [{}, { ...AFAR, "x-forwarded-proto": "https" }]) {
          yield* inBrowser(
            "/access/sessions",
            async (page) => {
              await rowOf(page, "this session").waitFor()
              expect(await banner(page).count()).toBe(0)
            },
            { headers, role: "read" }
          )
        }
        const { url } = yield* TestServer.TestServer
        yield* Effect.promise(() =>
          fetch(`${url}/api/servers`, { headers: { ...AFAR, authorization: "Bearer an-admin-token-for-tests" } })
        )
        yield* inBrowser("/", async (page) => {
          await banner(page).getByText("A token came unencrypted").waitFor()
          await expect.poll(() => banner(page).textContent()).toContain("192.0.2.7")
        })
      })
    )

    it.effect("looks through the audit by who, what and days, tells what is not shown, and takes it elsewhere", () =>
      Effect.gen(function* () {
        yield* notes
        yield* inBrowser("/access/audit", async (page) => {
          const lines = page.locator(".audit li")
          await page.getByText("The newest 100 entries are shown. There are older ones.").waitFor()
          await page.getByLabel("What", { exact: true }).selectOption("Notes")
          await page.waitForURL("**what=note**")
          await lines.first().getByText(HOSTILE).waitFor()
          expect(await page.evaluate("window.hacked")).toBeUndefined()
          await page.getByRole("button", { name: "Show older" }).click()
          await page.getByText("120 entries: that is all.").waitFor()
          await expect.poll(() => lines.count()).toBe(120)
          const saving = page.waitForEvent("download")
          await page.getByRole("button", { name: "Save as CSV" }).click()
          const saved = await (await saving).createReadStream()
          const csv = (await saved.toArray()).join("")
          expect(csv.split("\r\n")).toHaveLength(122)
          expect(csv).toContain(`"${HOSTILE}"`)
          await page.keyboard.press("/")
          await page.keyboard.type("operator of")
          await page.waitForURL("**who=operator**")
          await page.getByText("Nothing matches.").waitFor()
          await page.getByLabel("What", { exact: true }).selectOption("Everything")
          await sentence(page, /link:operator of tests signed in/).waitFor()
          await page.getByLabel("to", { exact: true }).fill("2001-01-01")
          await page.getByText("Nothing matches.").waitFor()
          expect(page.url()).toContain("to=2001-01-01")
        })
      })
    )

    it.effect("fits a phone, in the dark too", () =>
      Effect.gen(function* () {
        for (const path of ["/access", "/access/sessions", "/access/audit"]) {
          const { page } = yield* visit(path, { width: 360, dark: true })
          yield* Effect.promise(async () => {
            await page.locator(".listed tbody tr, .audit li").first().waitFor()
            await expect.poll(() => page.evaluate("document.documentElement.scrollWidth")).toBe(360)
            expect(await findings(page)).toEqual([])
          })
        }
      }).pipe(Effect.scoped)
    )
  })
})
