/**
 * NodePulse behind a real nginx and a real Caddy that speak TLS with the examples of `packaging/proxy/`: what travels, what is
 * believed, and a real agent and a real Chromium through them.
 */
import { execFile, spawn } from "node:child_process"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { request as httpRequest } from "node:http"
import { request } from "node:https"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { gzipSync } from "node:zlib"
import { describe, expect, layer } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { chromium } from "playwright-core"
import plugins from "../plugins.config.ts"
import { findChromium, launchOptions } from "../scripts/Browser.ts"
import { ensurePage } from "../scripts/build-web.ts"
import { makeAuthority } from "./DebianServers.ts"
import { freePort } from "./Ports.ts"
import { exampleOf, isThere, type ProxyKind, start } from "./Proxies.ts"
import * as TestServer from "./TestServer.ts"

const ADMIN = "an-admin-token-for-tests"
const CLIENT = "127.0.0.9"
const GUESSER = "127.0.0.66"
const main = join(import.meta.dirname, "..", "src", "main.ts")
const executablePath = findChromium()

/** What clients know of the server: its address by TLS, the same without, and whom to trust. */
class Outside extends Context.Service<
  Outside,
  { readonly url: string; readonly plainPort: number; readonly ca: string; readonly caFile: string }
>()("nodepulse/test/Outside") {}

/** The example with ports and a certificate of the test. */
const siteOf = Effect.fnUntraced(function* (
  kind: ProxyKind,
  upstream: string,
  ports: { readonly tls: number; readonly plain: number },
  { certFile, keyFile }: { readonly certFile: string; readonly keyFile: string }
) {
  const example = (yield* exampleOf(kind === "nginx" ? "nginx.conf" : "Caddyfile", upstream))
    .replaceAll("/etc/ssl/pulse.pem", certFile)
    .replaceAll("/etc/ssl/pulse.key", keyFile)
  return kind === "nginx"
    ? example
        .replace("listen 443 ssl", `listen 127.0.0.1:${ports.tls} ssl`)
        .replace("listen 80", `listen 127.0.0.1:${ports.plain}`)
    : example.replace("\npulse.example.org {", `\nhttps://localhost:${ports.tls} {`).replace("# tls", "tls")
})

const worldOf = (kind: ProxyKind) =>
  Layer.unwrap(
    Effect.gen(function* () {
      const ports = { tls: yield* freePort, plain: yield* freePort }
      const url = `https://localhost:${ports.tls}`
      ensurePage()
      const environment = { NODEPULSE_TRUSTED_PROXIES: "127.0.0.1" }
      const server = TestServer.layerWith({ publicUrl: url, environment })
      const proxied = Layer.effect(
        Outside,
        Effect.gen(function* () {
          const authority = yield* makeAuthority
          const issued = authority.issue("proxy", "DNS:localhost")
          const { url: upstream } = yield* TestServer.TestServer
          yield* start(kind, yield* siteOf(kind, upstream, ports, issued), ports.tls)
          return Outside.of({ url, plainPort: ports.plain, ca: authority.ca, caFile: authority.caFile })
        })
      )
      return Layer.provideMerge(proxied, server)
    })
  )

interface Ask {
  readonly body?: unknown
  readonly token?: string
  readonly from?: string
  readonly headers?: Readonly<Record<string, string>>
}

/** A request of a client on another address than the proxy's. */
const ask = (method: string, path: string, { body, from = CLIENT, headers = {}, token = ADMIN }: Ask = {}) =>
  Effect.gen(function* () {
    const { ca, url } = yield* Outside
    return yield* Effect.promise(
      () =>
        new Promise<{
          readonly status: number
          readonly headers: Readonly<Record<string, unknown>>
          // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape
          readonly json: any
        }>((resolve, reject) => {
          const sent = request(
            `${url}${path}`,
            {
              method,
              ca,
              family: 4,
              localAddress: from,
              agent: false,
              headers: { authorization: `Bearer ${token}`, "content-type": "application/json", ...headers }
            },
            (response) => {
              const chunks: Array<Buffer> = []
              response.on("data", (chunk: Buffer) => chunks.push(chunk))
              response.on("end", () => {
                const text = Buffer.concat(chunks).toString()
                const json = /json/.test(response.headers["content-type"] ?? "") ? JSON.parse(text) : text
                resolve({ status: response.statusCode ?? 0, headers: response.headers, json })
              })
            }
          )
          sent.on("error", reject)
          sent.end(Buffer.isBuffer(body) ? body : body === undefined ? undefined : JSON.stringify(body))
        })
    )
  })

for (const kind of ["nginx", "caddy"] as const) {
  describe.skipIf(!isThere(kind))(`NodePulse behind ${kind}, as documented,`, () => {
    layer(worldOf(kind), { timeout: 240_000, excludeTestServices: true })("by TLS", (it) => {
      it.effect(
        "tells browsers to stay, gives cookies for TLS only, and believes no address that a client claims",
        () =>
          Effect.gen(function* () {
            const forged = { "x-forwarded-for": "203.0.113.7, 127.0.0.1", "x-forwarded-proto": "http" }
            const { url } = yield* Outside
            const signedIn = yield* ask("POST", "/api/session", { headers: { ...forged, origin: url } })
            expect(signedIn.status).toBe(200)
            expect(signedIn.headers["strict-transport-security"]).toBe("max-age=31536000")
            expect(String(signedIn.headers["set-cookie"])).toMatch(/; Secure/)
            expect(String(signedIn.headers["set-cookie"])).toMatch(/; HttpOnly/)
            const { sessions } = (yield* ask("GET", "/api/sessions")).json
            expect(sessions.map(({ address }: { readonly address: string }) => address)).toEqual([CLIENT])
            // An origin of somebody else's changes nothing.
            const foreign = {
              headers: { origin: "https://evil.example", cookie: String(signedIn.headers["set-cookie"]) }
            }
            expect((yield* ask("POST", "/api/session/links", { ...foreign, token: "" })).status).toBeGreaterThanOrEqual(
              400
            )
          })
      )

      it.effect("counts guesses by the client's own address", () =>
        Effect.gen(function* () {
          const statuses = yield* Effect.forEach(
            Array.from({ length: 200 }, (_, guess) => guess),
            (guess) =>
              Effect.map(
                ask("GET", "/api/servers", {
                  token: `np_read_${guess}`,
                  from: GUESSER,
                  headers: { "x-forwarded-for": `203.0.113.${guess}` }
                }),
                ({ status }) => status
              ),
            { concurrency: 4 }
          )
          expect(new Set(statuses)).toEqual(new Set([401, 429]))
          // Nobody else is stopped for them, with a token that was never seen before neither.
          expect((yield* ask("GET", "/api/servers", { token: "np_read_nobody" })).status).toBe(401)
        })
      )

      it.effect("takes pushes as agents send them, also large ones", () =>
        Effect.gen(function* () {
          const { token } = (yield* ask("POST", "/api/servers", { body: { name: "large" } })).json
          const timestamp = new Date().toISOString()
          const rows = Array.from({ length: 4_000 }, (_, n) => ({
            timestamp,
            name: `group ${n} ${"x".repeat(400)}`,
            num_procs: 1,
            cpu_seconds_total: n,
            memory_bytes: n
          }))
          const [groups] = plugins.exporters.filter(({ top }) => top !== undefined)
          const payload = JSON.stringify({ [groups!.name]: rows })
          expect(payload.length).toBeGreaterThan(1.5 * 2 ** 20)
          const sent = { token, body: gzipSync(payload), headers: { "content-encoding": "gzip" } }
          expect(yield* ask("POST", "/metrics/prometheus", sent)).toMatchObject({
            status: 202,
            json: { accepted: 4_000 }
          })
          expect((yield* ask("POST", "/metrics/prometheus", { token, body: Buffer.from(payload) })).status).toBe(202)
        })
      )

      it.effect.skipIf(executablePath === undefined)(
        `enrols an agent, which an open page then shows by itself${executablePath === undefined ? " (left out: no chromium)" : ""}`,
        () =>
          Effect.gen(function* () {
            const { caFile, url } = yield* Outside
            const folder = yield* Effect.acquireRelease(
              Effect.promise(() => mkdtemp(join(tmpdir(), "nodepulse-behind-"))),
              (made) => Effect.promise(() => rm(made, { recursive: true, force: true, maxRetries: 5 }))
            )
            const collected = plugins.exporters
              .filter(({ scrape }) => scrape.collector !== undefined)
              .map(({ name }) => `  - {name: ${name}, collector: always, interval: 1s}`)
            const config = join(folder, "nodepulse.yml")
            const made = yield* ask("POST", "/api/tokens", { body: { kind: "enrolment" } })
            yield* Effect.promise(async () => {
              const server = `server: {url: "${url}", token_file: "${folder}/token", ca_file: "${caFile}"}`
              await writeFile(
                config,
                `${server}\nbuffer: {path: "${folder}/spool"}\nexporters:\n${collected.join("\n")}\n`
              )
              await writeFile(join(folder, "enrolment"), made.json.token, { mode: 0o600 })
            })
            const link = (yield* ask("POST", "/api/session/links", { headers: { origin: url } })).json.path
            const browser = yield* Effect.acquireRelease(
              Effect.promise(() => chromium.launch(launchOptions(executablePath!))),
              (opened) => Effect.promise(() => opened.close())
            )
            const page = yield* Effect.promise(async () => {
              const opened = await (await browser.newContext({ ignoreHTTPSErrors: true })).newPage()
              await opened.goto(`${url}${link}`)
              await opened.locator('a[href^="/servers/"]').first().waitFor({ timeout: 60_000 })
              const [cookie] = await opened.context().cookies()
              expect(cookie).toMatchObject({ secure: true, httpOnly: true, sameSite: "Strict" })
              return opened
            })
            const program = [main, "agent", "enroll", "--config", config, "--name", "rack-1"]
            const said = yield* Effect.promise(
              () =>
                new Promise<string>((resolve) => {
                  execFile(process.execPath, [...program, "--token-file", join(folder, "enrolment")], (_, out, err) =>
                    resolve(out + err)
                  )
                })
            )
            expect(said).toContain("enrolled as rack-1;")
            yield* Effect.acquireRelease(
              Effect.sync(() => spawn(process.execPath, [main, "agent", "--config", config], { stdio: "ignore" })),
              (agent) =>
                Effect.promise(
                  () =>
                    new Promise<void>((resolve) => {
                      agent.on("exit", () => resolve())
                      agent.kill("SIGKILL")
                    })
                )
            )
            yield* Effect.promise(async () => {
              const live = page.locator('a[href="/servers/rack-1"] .state.live')
              await live.first().waitFor({ timeout: 90_000 })
            })
          }).pipe(Effect.scoped)
      )

      if (kind === "nginx") {
        it.effect("sends whoever comes without it to https", () =>
          Effect.gen(function* () {
            const { plainPort } = yield* Outside
            const location = yield* Effect.promise(
              () =>
                new Promise<string>((resolve, reject) => {
                  httpRequest({ port: plainPort, host: "127.0.0.1", path: "/x", agent: false }, (response) => {
                    response.resume()
                    resolve(`${response.statusCode} ${response.headers.location}`)
                  })
                    .on("error", reject)
                    .end()
                })
            )
            expect(location).toMatch(/^301 https:\/\/.*\/x$/)
          })
        )
      }
    })
  })
}
