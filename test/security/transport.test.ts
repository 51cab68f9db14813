/** TLS of the server's own: what it speaks and refuses, renewed certificates, certificates of agents. */
import { execFileSync } from "node:child_process"
import { chmod, copyFile, mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises"
import { request as httpRequest } from "node:http"
import { request } from "node:https"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { TLSSocket } from "node:tls"
import { expect, it } from "@effect/vitest"
import { Effect, Schedule } from "effect"
import { loadAgentConfig } from "../../agent/config/AgentConfig.ts"
import plugins from "../../plugins.config.ts"
import { loadTls, type TlsFiles } from "../../src/http/server/Tls.ts"
import { Registry } from "../../src/plugins/Registry.ts"
import { describeWith, makeAuthority } from "../DebianServers.ts"
import * as TestServer from "../TestServer.ts"

const ADMIN = "an-admin-token-for-tests"

interface Ask {
  readonly method?: string
  readonly token?: string
  readonly body?: string
  readonly options?: object
}

const ask = (url: string, path: string, ca: string, { body, method = "GET", options = {}, token = ADMIN }: Ask = {}) =>
  Effect.callback<{
    readonly status: number
    readonly headers: Readonly<Record<string, unknown>>
    readonly cert: string
  }>((resume) => {
    const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" }
    const sent = request(`${url}${path}`, { ca, method, headers, agent: false, ...options }, (response) => {
      const cert = (response.socket as TLSSocket).getPeerX509Certificate()?.fingerprint256 ?? ""
      response
        .resume()
        .on("end", () => resume(Effect.succeed({ status: response.statusCode ?? 0, headers: response.headers, cert })))
    })
    sent.on("error", (error) => resume(Effect.succeed({ status: 0, headers: { error: error.message }, cert: "" })))
    sent.end(body)
  })

const temporary = Effect.acquireRelease(
  Effect.promise(() => mkdtemp(join(tmpdir(), "nodepulse-tls-"))),
  (made) => Effect.promise(() => rm(made, { recursive: true, force: true }))
)

/** Files of a folder of one's own, with what an authority has issued. */
const files = Effect.gen(function* () {
  const authority = yield* makeAuthority
  const folder = yield* temporary
  const [certFile, keyFile] = [join(folder, "cert.pem"), join(folder, "key.pem")]
  const put = (name: string) =>
    Effect.promise(async () => {
      const issued = authority.issue(name, "DNS:localhost,IP:127.0.0.1")
      await copyFile(issued.keyFile, keyFile)
      await copyFile(issued.certFile, certFile)
      await chmod(keyFile, 0o600)
      return issued
    })
  yield* put("first")
  return { authority, put, tls: { certFile, keyFile } satisfies TlsFiles }
})

describeWith(["openssl"], "a server that speaks TLS itself", () => {
  it.live(
    "speaks 1.2 and later, tells browsers to stay, gives cookies for TLS only, and takes a renewed certificate",
    () =>
      Effect.gen(function* () {
        const { authority, put, tls } = yield* files
        yield* Effect.gen(function* () {
          const { url } = yield* TestServer.TestServer
          expect(url).toMatch(/^https:/)
          const first = yield* ask(url, "/api/session", authority.ca, { method: "POST" })
          expect(first.status).toBe(200)
          expect(first.headers["strict-transport-security"]).toBe("max-age=31536000")
          expect(String(first.headers["set-cookie"])).toMatch(/; Secure/)
          const old = { minVersion: "TLSv1.1", maxVersion: "TLSv1.1", ciphers: "DEFAULT:@SECLEVEL=0" }
          expect((yield* ask(url, "/healthz", authority.ca, { options: old })).status).toBe(0)
          const plain = yield* Effect.callback<number>((resume) => {
            const sent = httpRequest(url.replace("https:", "http:"), (response) =>
              resume(Effect.succeed(response.statusCode ?? 0))
            )
            sent.on("error", () => resume(Effect.succeed(0))).end()
          })
          expect([0, 400]).toContain(plain)
          yield* put("second")
          const renewed = yield* ask(url, "/healthz", authority.ca).pipe(
            Effect.repeat({
              until: ({ cert, status }) => status === 200 && cert !== first.cert,
              schedule: Schedule.spaced("200 millis")
            }),
            Effect.timeout("60 seconds")
          )
          expect(renewed.status).toBe(200)
        }).pipe(Effect.provide(TestServer.layerWith({ tls })))
      }).pipe(Effect.scoped)
  )

  it.live(
    "is reached by the agent of `nodepulse start`, whatever its certificate is for, also once that is renewed",
    () =>
      Effect.gen(function* () {
        const folder = yield* temporary
        const tls = { certFile: join(folder, "cert.pem"), keyFile: join(folder, "key.pem") }
        const selfSigned = (names: string) =>
          Effect.promise(async () => {
            const args = [
              "req",
              "-x509",
              "-newkey",
              "ec",
              "-pkeyopt",
              "ec_paramgen_curve:P-256",
              "-nodes",
              "-days",
              "9"
            ]
            const own = ["-subj", "/CN=self", "-addext", `subjectAltName=${names}`]
            execFileSync("openssl", [...args, ...own, "-keyout", `${tls.keyFile}.new`, "-out", `${tls.certFile}.new`])
            await chmod(`${tls.keyFile}.new`, 0o600)
            await rename(`${tls.keyFile}.new`, tls.keyFile)
            await rename(`${tls.certFile}.new`, tls.certFile)
            return await readFile(tls.certFile, "utf8")
          })
        const config = join(folder, "nodepulse.yml")
        const collected = plugins.exporters
          .filter(({ scrape }) => scrape.collector !== undefined)
          .map(({ name }) => `  - {name: ${name}, collector: always, interval: 1s}`)
        yield* Effect.promise(() => writeFile(config, `exporters:\n${collected.join("\n")}\n`))
        const agent = yield* loadAgentConfig({ path: config, embedded: true }).pipe(
          Effect.provide(Registry.layer({ exporters: plugins.exporters }))
        )
        const first = yield* selfSigned("DNS:pulse.example.org")
        yield* Effect.gen(function* () {
          const { url } = yield* TestServer.TestServer
          const lastSeen = (ca: string) =>
            Effect.callback<number>((resume) => {
              const options = { ca, agent: false, checkServerIdentity: () => undefined }
              const headers = { authorization: `Bearer ${ADMIN}` }
              request(`${url}/api/servers`, { ...options, headers }, (response) => {
                let text = ""
                response.on("data", (part) => {
                  text += part
                })
                response.on("end", () =>
                  resume(Effect.succeed(Date.parse(JSON.parse(text).servers[0]?.last_seen ?? "")))
                )
              })
                .on("error", () => resume(Effect.succeed(Number.NaN)))
                .end()
            })
          const since = (ca: string, time: number) =>
            lastSeen(ca).pipe(
              Effect.repeat({ until: (seen) => seen > time, schedule: Schedule.spaced("200 millis") }),
              Effect.timeout("90 seconds")
            )
          const before = yield* since(first, 0)
          const second = yield* selfSigned("IP:192.0.2.1")
          // From the moment at which the new one is served, nothing gets through with the one before.
          const renewed = yield* since(second, before)
          yield* since(second, renewed + 3_000)
        }).pipe(Effect.provide(TestServer.layerWith({ tls, agent })))
      }).pipe(Effect.scoped)
  )

  it.live("asks agents for a certificate of their authority where one is named, and nobody else", () =>
    Effect.gen(function* () {
      const { authority, tls } = yield* files
      const stranger = (yield* makeAuthority).issue("stranger")
      const own = authority.issue("agent")
      yield* Effect.gen(function* () {
        const { url } = yield* TestServer.TestServer
        const push = (options: object) =>
          Effect.map(
            ask(url, "/metrics/prometheus", authority.ca, { method: "POST", body: "{}", token: "none", options }),
            ({ status }) => status
          )
        expect((yield* ask(url, "/api/servers", authority.ca)).status).toBe(200)
        expect(yield* push({})).toBe(403)
        expect(yield* push({ cert: stranger.cert, key: stranger.key })).toBe(403)
        // Let in by its certificate, and asked for its token then.
        expect(yield* push({ cert: own.cert, key: own.key })).toBe(401)
      }).pipe(Effect.provide(TestServer.layerWith({ tls: { ...tls, clientCaFile: authority.caFile } })))
    }).pipe(Effect.scoped)
  )

  it.live("does not start with a key that others can write, one of another certificate, or half of them", () =>
    Effect.gen(function* () {
      const { authority, tls } = yield* files
      const said = (of: TlsFiles) => Effect.map(Effect.flip(loadTls(of)), ({ message }) => message)
      const other = authority.issue("other")
      expect(yield* said({ ...tls, certFile: other.certFile })).toMatch(/NODEPULSE_TLS_CERT_FILE=.* cannot be used/)
      expect(yield* said({ certFile: tls.certFile })).toMatch(/go together/)
      expect(yield* said({ ...tls, certFile: "/nonexistent.pem" })).toMatch(
        /CERT_FILE=\/nonexistent.pem: it cannot be read/
      )
      yield* Effect.promise(() => chmod(tls.keyFile, 0o666))
      expect(yield* said(tls)).toMatch(/NODEPULSE_TLS_KEY_FILE=.*: others can write it/)
      expect(yield* loadTls({})).toBeUndefined()
    }).pipe(Effect.scoped)
  )
})
