/**
 * Signing in with an OpenID provider, a real one (`oidc-provider`): whose groups let them in, as what, and what does not.
 */
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { expect, it } from "@effect/vitest"
import { ConfigProvider, Effect, Layer } from "effect"
// @ts-expect-error the package has no types
import Provider from "oidc-provider"
import { PublicUrl } from "../../src/http/server/Origin.ts"
import { layerConfig, roleOf } from "../../src/http/session/OpenId.ts"
import * as TestServer from "../TestServer.ts"

const PUBLIC = "https://pulse.example"
const CLIENT = { client_id: "nodepulse", client_secret: "a-secret-of-the-tests" }
const GROUPS: Readonly<Record<string, ReadonlyArray<string>>> = {
  alice: ["staff", "ops"],
  bob: ["staff"],
  eve: ["guests"]
}

const provider = Effect.acquireRelease(
  Effect.promise(async () => {
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
    const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const made = new Provider(issuer, {
      clients: [{ ...CLIENT, redirect_uris: [`${PUBLIC}/signin/oidc/callback`] }],
      claims: { openid: ["sub"], profile: ["preferred_username"], groups: ["groups"] },
      conformIdTokenClaims: false,
      pkce: { required: () => true },
      cookies: { keys: ["a key of the tests"] },
      findAccount: (_: unknown, id: string) => ({
        accountId: id,
        claims: () => ({ sub: id, preferred_username: `${id}@example.org`, groups: GROUPS[id] ?? [] })
      })
    })
    server.on("request", made.callback())
    return { issuer, server }
  }),
  ({ server }) =>
    Effect.sync(() => {
      server.close()
      server.closeAllConnections()
    })
)

/** A browser: keeps cookies by origin, follows nothing by itself. */
const makeBrowser = () => {
  const jars = new Map<string, Map<string, string>>()
  const visit = (address: string, body?: URLSearchParams) =>
    Effect.promise(async () => {
      const { origin } = new URL(address)
      const jar = jars.get(origin) ?? new Map<string, string>()
      jars.set(origin, jar)
      const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join("; ")
      const response = await fetch(address, {
        redirect: "manual",
        headers: { cookie },
        ...(body === undefined ? {} : { method: "POST", body })
      })
      for (const set of response.headers.getSetCookie()) {
        const [pair = ""] = set.split(";")
        const at = pair.indexOf("=")
        jar.set(pair.slice(0, at), pair.slice(at + 1))
      }
      const location = response.headers.get("location")
      const cookies = response.headers.getSetCookie()
      return {
        status: response.status,
        to: location === null ? null : new URL(location, address).href,
        text: await response.text(),
        cookies
      }
    })
  /** Signs in at the provider; the address that it leads back to. */
  const signInAt = (begin: string, login: string) =>
    Effect.gen(function* () {
      let at = begin
      for (let step = 0; step < 20; step++) {
        if (at.startsWith(PUBLIC)) return at
        let answer = yield* visit(at)
        const prompt = /name="prompt" value="(\w+)"/.exec(answer.text)?.[1]
        if (answer.to === null && prompt !== undefined) {
          answer = yield* visit(at, new URLSearchParams({ prompt, login, password: "any" }))
        }
        if (answer.to === null)
          throw new Error(`the provider stops at ${at}: ${answer.status} ${answer.text.slice(0, 500)}`)
        at = answer.to
      }
      throw new Error("the provider leads nowhere")
    })
  return { visit, signInAt }
}

const withServer = <A, E, R>(issuer: string, use: Effect.Effect<A, E, R>) =>
  use.pipe(
    Effect.provide(
      TestServer.layerWith({ publicUrl: PUBLIC }).pipe(
        Layer.provide(
          ConfigProvider.layer(
            ConfigProvider.fromEnv({
              env: {
                NODEPULSE_OIDC_ISSUER: issuer,
                NODEPULSE_OIDC_CLIENT_ID: CLIENT.client_id,
                NODEPULSE_OIDC_CLIENT_SECRET: CLIENT.client_secret,
                NODEPULSE_OIDC_READ_GROUPS: "staff, auditors",
                NODEPULSE_OIDC_ADMIN_GROUPS: "ops"
              }
            })
          )
        )
      )
    )
  )

it.live("a provider's groups let people in as what they are, with a session like any other", () =>
  Effect.gen(function* () {
    const { issuer } = yield* provider
    yield* withServer(
      issuer,
      Effect.gen(function* () {
        const { request, url } = yield* TestServer.TestServer
        expect((yield* request("GET", "/signin/oidc/configured", { token: "" })).body).toEqual({ configured: true })
        const here = (address: string) => address.replace(PUBLIC, url)
        const signIn = Effect.fnUntraced(function* (login: string) {
          const browser = makeBrowser()
          const began = yield* browser.visit(`${url}/signin/oidc`)
          expect(began.status).toBe(303)
          const asked = new URL(began.to!).searchParams
          expect([asked.get("code_challenge_method"), asked.get("response_type")]).toEqual(["S256", "code"])
          expect(began.cookies[0]).toMatch(/^nodepulse_signin=.*HttpOnly.*SameSite=Lax/)
          const back = yield* browser.signInAt(began.to!, login)
          return { back: here(back), browser, answer: yield* browser.visit(here(back)) }
        })
        const alice = yield* signIn("alice")
        expect([alice.answer.status, alice.answer.to]).toEqual([303, `${url}/`])
        expect(alice.answer.cookies.join("\n")).toMatch(/nodepulse_session=[^;]{43};.*HttpOnly.*SameSite=Strict/)
        const me = yield* alice.browser.visit(`${url}/api/session`)
        expect(JSON.parse(me.text)).toMatchObject({ kind: "admin", via: "session", name: "alice@example.org" })
        const bob = yield* signIn("bob")
        expect(JSON.parse((yield* bob.browser.visit(`${url}/api/session`)).text)).toMatchObject({
          kind: "read",
          principal: "oidc:bob"
        })

        const eve = yield* signIn("eve")
        expect(eve.answer.status).toBe(403)
        expect(eve.answer.text).toMatch(/none of your groups may use NodePulse/)
        expect((yield* eve.browser.visit(`${url}/api/session`)).status).toBe(401)
        const noted = (yield* request("GET", "/api/audit?action=session.refuse")).body.entries
        expect(noted[0]).toMatchObject({
          author: "oidc:eve (eve@example.org)",
          subject: "sign-in by provider",
          detail: expect.stringContaining("none of your groups")
        })

        // What Alice came back with works once, and in her browser only.
        expect((yield* alice.browser.visit(alice.back)).status).toBe(403)
        const carol = makeBrowser()
        const began = yield* carol.visit(`${url}/signin/oidc`)
        const back = here(yield* carol.signInAt(began.to!, "alice"))
        expect((yield* makeBrowser().visit(back)).status).toBe(403)
        const mallory = makeBrowser()
        yield* mallory.visit(`${url}/signin/oidc`)
        expect((yield* mallory.visit(back)).status).toBe(403)

        const { sessions } = (yield* request("GET", "/api/sessions")).body
        const people = sessions.filter(({ principal }: { principal: string }) => principal.startsWith("oidc:"))
        expect(people.map(({ kind, name, principal }: Record<string, string>) => [principal, name, kind])).toEqual([
          ["oidc:alice", "alice@example.org", "admin"],
          ["oidc:bob", "bob@example.org", "read"]
        ])
      })
    )
  }).pipe(Effect.scoped)
)

it.live("where no provider is configured there is nothing, and half a configuration ends the start", () =>
  Effect.gen(function* () {
    yield* Effect.gen(function* () {
      const { url } = yield* TestServer.TestServer
      for (const path of ["/signin/oidc", "/signin/oidc/callback?code=x&state=y"]) {
        expect((yield* makeBrowser().visit(`${url}${path}`)).status).toBe(404)
      }
    }).pipe(Effect.provide(TestServer.layer))
    const start = (publicUrl: string, env: Readonly<Record<string, string>>) =>
      Layer.build(layerConfig).pipe(
        Effect.provideService(PublicUrl, publicUrl),
        Effect.provide(ConfigProvider.layer(ConfigProvider.fromEnv({ env }))),
        Effect.flip,
        Effect.map(String),
        Effect.scoped
      )
    const issuer = { NODEPULSE_OIDC_ISSUER: "https://id.example" }
    expect(yield* start("", issuer)).toMatch(/NODEPULSE_PUBLIC_URL is needed/)
    expect(yield* start(PUBLIC, issuer)).toMatch(/groups of at least one role/)
    expect(yield* start(PUBLIC, { NODEPULSE_OIDC_ISSUER: "id" })).toMatch(/NODEPULSE_OIDC_ISSUER is no address/)
  }).pipe(Effect.scoped)
)

it("the highest role of somebody's groups counts, and what is no list of groups is none", () => {
  const groups = { read: ["a"], operator: ["b"], admin: ["c"] }
  const role = (claim: unknown) => roleOf({ groups }, claim)
  expect([
    role(["a"]),
    role(["b", "a"]),
    role(["c", "a"]),
    role([]),
    role("c"),
    role(undefined),
    role([["c"]])
  ]).toEqual(["read", "operator", "admin", undefined, undefined, undefined, undefined])
})
