/**
 * Certificates, proxies and sockets, with real ones: a TLS server of a private authority (made with openssl), a small
 * CONNECT proxy, a socket in a folder.
 */
import { execFileSync } from "node:child_process"
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import * as Http from "node:http"
import * as Https from "node:https"
import * as Net from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it, layer } from "@effect/vitest"
import { Context, Duration, Effect, Layer, Redacted, Result } from "effect"
import { processExporter } from "../../src/plugins/process-exporter/ProcessExporter.ts"
import { Registry } from "../../src/plugins/Registry.ts"
import { connectionOf, loadAgentConfig } from "../config/AgentConfig.ts"
import type { ProxyAddress } from "../config/ProxySettings.ts"
import { loadTls } from "../config/TlsFiles.ts"
import { type ExchangeRequest, exchange } from "./HttpExchange.ts"
import { closedPort } from "./HttpPeer.fixture.ts"
import { ScrapeDown } from "./ScrapeError.ts"
import { scrapeRequest } from "./ScrapeSource.ts"

const get = (url: string, changes: Partial<ExchangeRequest> = {}) =>
  exchange({ method: "GET", url, headers: {}, timeout: Duration.seconds(20), bodyLimit: 100_000, ...changes })

const textOf = (request: ReturnType<typeof get>) =>
  Effect.map(request, ({ body, status }) => `${status} ${Buffer.from(body).toString()}`)

const temporaryFolder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "nodepulse-dial-"))),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
)

/** An authority, a certificate of it for localhost and one for an agent; another authority; all in one folder. */
class Certificates extends Context.Service<Certificates, { readonly folder: string }>()("test/Certificates") {
  static readonly layer = Layer.effect(
    Certificates,
    Effect.map(temporaryFolder, (folder) => {
      const openssl = (...args: ReadonlyArray<string>) => execFileSync("openssl", args, { cwd: folder, stdio: "pipe" })
      const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
      const authority = (name: string) =>
        openssl(
          "req",
          "-x509",
          ...key,
          "-keyout",
          `${name}.key`,
          "-out",
          `${name}.pem`,
          "-subj",
          `/CN=${name}`,
          "-days",
          "30"
        )
      const signed = (name: string, extension: string) => {
        openssl("req", ...key, "-keyout", `${name}.key`, "-out", `${name}.csr`, "-subj", `/CN=${name}`)
        writeFileSync(join(folder, "extension"), extension)
        openssl(
          ...["x509", "-req", "-in", `${name}.csr`, "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"],
          ...["-out", `${name}.pem`, "-days", "30", "-extfile", "extension"]
        )
      }
      authority("ca")
      authority("other")
      signed("server", "subjectAltName=DNS:localhost")
      signed("agent", "extendedKeyUsage=clientAuth")
      return Certificates.of({ folder })
    })
  )
}

const listening = <S extends Net.Server>(
  server: S,
  where: number | string
): Effect.Effect<number, never, import("effect").Scope.Scope> => {
  const sockets = new Set<Net.Socket>()
  server.on("connection", (socket: Net.Socket) => {
    sockets.add(socket)
    socket.on("error", () => {})
    socket.on("close", () => sockets.delete(socket))
  })
  return Effect.acquireRelease(
    Effect.callback<number>((resume) => {
      const done = () =>
        resume(Effect.succeed(typeof where === "string" ? 0 : (server.address() as Net.AddressInfo).port))
      if (typeof where === "string") server.listen(where, done)
      else server.listen(where, "127.0.0.1", done)
    }),
    () =>
      Effect.callback<void>((resume) => {
        for (const socket of sockets) socket.destroy()
        server.close(() => resume(Effect.void))
      })
  )
}

/** A TLS server that says who asked. Resolves to its port. */
const tlsServer = (options: Https.ServerOptions = {}) =>
  Effect.gen(function* () {
    const { folder } = yield* Certificates
    const read = (name: string) => execFileSync("cat", [join(folder, name)])
    const server = Https.createServer(
      { key: read("server.key"), cert: read("server.pem"), ca: read("ca.pem"), ...options },
      (request, response) => {
        const { subject } = (request.socket as import("node:tls").TLSSocket).getPeerCertificate()
        response.end(`hello ${subject?.CN ?? "nobody"}`)
      }
    )
    return yield* listening(server, 0)
  })

/** A proxy that tunnels and forwards, and notes what it was asked. */
const proxy = (options: { readonly authorization?: string; readonly refuses?: number } = {}) =>
  Effect.gen(function* () {
    const asked: Array<string> = []
    const verdict = (request: Http.IncomingMessage): number | undefined => {
      asked.push(`${request.method} ${request.url}`)
      if (options.refuses !== undefined) return options.refuses
      return options.authorization === request.headers["proxy-authorization"] ? undefined : 407
    }
    const server = Http.createServer((request, response) => {
      const refusal = verdict(request)
      if (refusal !== undefined) response.writeHead(refusal).end()
      else response.end(`forwarded ${request.headers.authorization ?? "nobody"}`)
    })
    server.on("connect", (request: Http.IncomingMessage, client: Net.Socket) => {
      client.on("error", () => {})
      const refusal = verdict(request)
      if (refusal !== undefined) return void client.end(`HTTP/1.1 ${refusal} No\r\n\r\n`)
      const upstream = Net.connect(Number(request.url!.split(":")[1]), "127.0.0.1", () => {
        client.write("HTTP/1.1 200 Connection established\r\n\r\n")
        upstream.pipe(client).pipe(upstream)
      })
      upstream.on("error", () => client.destroy())
      client.on("close", () => upstream.destroy())
    })
    const port = yield* listening(server, 0)
    const address = (authorization?: string): ProxyAddress => ({
      secure: false,
      host: "127.0.0.1",
      port,
      authorization: authorization === undefined ? undefined : Redacted.make(authorization)
    })
    return { asked, port, address }
  })

const material = (section: string, files: Readonly<Record<string, string>>) =>
  Effect.gen(function* () {
    const { folder } = yield* Certificates
    const paths = Object.fromEntries(Object.entries(files).map(([key, name]) => [key, join(folder, name)]))
    return Result.map(yield* loadTls(section, paths), (read) => ({ read, folder }))
  })

layer(Certificates.layer)("a connection over TLS", (it) => {
  it.effect("trusts the authority that is named, and no other", () =>
    Effect.gen(function* () {
      const port = yield* tlsServer()
      const url = `https://localhost:${port}/metrics`
      const { read } = Result.getOrThrow(yield* material("server", { ca_file: "ca.pem" }))
      assert.strictEqual(yield* textOf(get(url, yield* read)), "200 hello nobody")
      const other = Result.getOrThrow(yield* material("server", { ca_file: "other.pem" }))
      assert.strictEqual((yield* Effect.flip(get(url, yield* other.read))).failure, "tls")
      assert.strictEqual((yield* Effect.flip(get(url))).failure, "tls")
    })
  )

  it.effect("says which cure is right: another name, an unknown authority, a certificate of our own", () =>
    Effect.gen(function* () {
      const cureOf = (url: string, connection: Partial<ExchangeRequest>) =>
        Effect.map(
          Effect.flip(get(url, connection)),
          ({ detail, failure }) => new ScrapeDown({ exporter: "x", endpoint: url, failure, detail }).cure
        )
      const open = yield* tlsServer()
      const asking = { requestCert: true, rejectUnauthorized: true } as const
      const closed = yield* tlsServer(asking)
      const older = yield* tlsServer({ ...asking, maxVersion: "TLSv1.2" })
      const plain = yield* listening(
        Http.createServer((_, response) => void response.end()),
        0
      )
      const { read } = Result.getOrThrow(yield* material("server", { ca_file: "ca.pem" }))
      const trusting = yield* read
      assert.match(yield* cureOf(`https://127.0.0.1:${open}`, trusting), /the name that its certificate is for/)
      assert.match(yield* cureOf(`https://localhost:${open}`, {}), /authority of its certificate in ca_file/)
      assert.match(yield* cureOf(`https://localhost:${closed}`, trusting), /cert_file and key_file/)
      assert.match(yield* cureOf(`https://localhost:${older}`, trusting), /cert_file and key_file/)
      assert.match(yield* cureOf(`https://localhost:${plain}`, trusting), /Use http:\/\//)
    })
  )

  it.effect("shows the agent's certificate where it is asked for one", () =>
    Effect.gen(function* () {
      const port = yield* tlsServer({ requestCert: true, rejectUnauthorized: true })
      const files = { ca_file: "ca.pem", cert_file: "agent.pem", key_file: "agent.key" }
      const { read } = Result.getOrThrow(yield* material("server", files))
      assert.strictEqual(yield* textOf(get(`https://localhost:${port}`, yield* read)), "200 hello agent")
    })
  )

  it.effect("uses what was renewed, and the last that could be used while a file is being written", () =>
    Effect.gen(function* () {
      const { folder } = yield* Certificates
      copyFileSync(join(folder, "other.pem"), join(folder, "renewed.pem"))
      const { read } = Result.getOrThrow(yield* material("server", { ca_file: "renewed.pem" }))
      const before = yield* read
      writeFileSync(join(folder, "renewed.pem"), "half a cert")
      assert.deepStrictEqual(yield* read, before)
      copyFileSync(join(folder, "ca.pem"), join(folder, "renewed.pem"))
      const port = yield* tlsServer()
      assert.strictEqual(yield* textOf(get(`https://localhost:${port}`, yield* read)), "200 hello nobody")
    })
  )

  it.effect("is refused at the start where its files cannot be used, with the setting and the file", () =>
    Effect.gen(function* () {
      const { folder } = yield* Certificates
      writeFileSync(join(folder, "broken.pem"), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
      const problem = (files: Readonly<Record<string, string>>) =>
        Effect.map(material("exporters[0]", files), (loaded) => Result.getOrThrow(Result.flip(loaded)))
      assert.match(
        yield* problem({ ca_file: "missing.pem" }),
        /^exporters\[0\]\.ca_file .*missing\.pem cannot be read \(ENOENT\)$/
      )
      assert.match(yield* problem({ ca_file: "agent.key" }), /ca_file .*agent\.key holds no certificate in PEM form$/)
      assert.match(
        yield* problem({ cert_file: "agent.pem", key_file: "agent.pem" }),
        /key_file .* holds no private key/
      )
      assert.match(
        yield* problem({ cert_file: "agent.pem", key_file: "server.key" }),
        /key_file .*server\.key is not the key of exporters\[0\]\.cert_file .*agent\.pem$/
      )
      assert.match(
        yield* problem({ cert_file: "broken.pem", key_file: "agent.key" }),
        /broken\.pem.* cannot be used \(/
      )
    })
  )

  it.effect("goes through a proxy by a tunnel, in which TLS is the server's own", () =>
    Effect.gen(function* () {
      const port = yield* tlsServer({ requestCert: true, rejectUnauthorized: true })
      const files = { ca_file: "ca.pem", cert_file: "agent.pem", key_file: "agent.key" }
      const { read } = Result.getOrThrow(yield* material("server", files))
      const through = yield* proxy({ authorization: "Basic abc" })
      const request = get(`https://localhost:${port}/base`, { ...(yield* read), proxy: through.address("Basic abc") })
      assert.strictEqual(yield* textOf(request), "200 hello agent")
      assert.deepStrictEqual(through.asked, [`CONNECT localhost:${port}`])
      const untrusted = yield* Effect.flip(get(`https://localhost:${port}`, { proxy: through.address("Basic abc") }))
      assert.strictEqual(untrusted.failure, "tls")
    })
  )

  it.effect("is set up by nodepulse.yml: authority, certificate and proxy of the server, and of an exporter", () =>
    Effect.gen(function* () {
      const { folder } = yield* Certificates
      const port = yield* tlsServer({ requestCert: true, rejectUnauthorized: true })
      const through = yield* proxy({ authorization: `Basic ${btoa("scott:tiger")}` })
      const files = `ca_file: "${folder}/ca.pem", cert_file: "${folder}/agent.pem", key_file: "${folder}/agent.key"`
      const path = join(folder, "nodepulse.yml")
      writeFileSync(
        path,
        `server: { url: "https://localhost:${port}", token: abc, proxy: "http://scott:tiger@127.0.0.1:${through.port}", ${files} }
exporters: [{ name: process_exporter, endpoint: "https://localhost:${port}/metrics", ${files} }]`
      )
      const config = yield* loadAgentConfig({ path, environment: {} }).pipe(
        Effect.provide(Registry.layer({ exporters: [processExporter()] }))
      )
      const connection = yield* connectionOf(config.server!)
      assert.strictEqual(yield* textOf(get(config.server!.url, connection)), "200 hello agent")
      assert.strictEqual(through.asked.length, 1)
      assert.strictEqual(yield* textOf(exchange(yield* scrapeRequest(config.exporters[0]!, "test"))), "200 hello agent")
      assert.strictEqual(through.asked.length, 1, "exporters are reached directly")
      assert.notInclude(JSON.stringify([config, connection]), "tiger")
      assert.notInclude(JSON.stringify([config, connection]), btoa("scott:tiger"))
    })
  )
})

describe("a proxy", () => {
  it.live("is asked for the full address where it is http, with the address's own credentials and no others", () =>
    Effect.gen(function* () {
      const through = yield* proxy({ authorization: "Basic abc" })
      const request = get("http://scott:ti%40ger@example.invalid:8080/base?x=1", {
        proxy: through.address("Basic abc")
      })
      assert.strictEqual(yield* textOf(request), `200 forwarded Basic ${btoa("scott:ti@ger")}`)
      assert.deepStrictEqual(through.asked, ["GET http://example.invalid:8080/base?x=1"])
    })
  )

  it.live("that wants credentials, leads nowhere or is not there is told as the proxy's fault", () =>
    Effect.gen(function* () {
      const closed = yield* closedPort
      const gone: ProxyAddress = {
        secure: false,
        host: "127.0.0.1",
        port: closed,
        authorization: Redacted.make("Basic s3")
      }
      const guarded = yield* proxy({ authorization: "Basic abc" })
      const refusing = yield* proxy({ refuses: 403 })
      for (const url of ["https://example.invalid/", "http://example.invalid/"]) {
        const wanted = yield* Effect.flip(get(url, { proxy: guarded.address("Basic s3cret") }))
        assert.strictEqual(wanted.failure, "proxy")
        assert.match(wanted.detail, /^the proxy 127\.0\.0\.1:\d+ wants credentials \(HTTP 407\)/)
        assert.notInclude(wanted.detail, "s3cret")
        const missing = yield* Effect.flip(get(url, { proxy: gone }))
        assert.strictEqual(missing.failure, "proxy")
        assert.match(missing.detail, new RegExp(`^the proxy 127\\.0\\.0\\.1:${closed}.*connection refused`))
      }
      const nowhere = yield* Effect.flip(get("https://example.invalid/", { proxy: refusing.address() }))
      assert.match(nowhere.detail, /does not lead there \(HTTP 403\)$/)
    })
  )

  it.live("that says nothing costs no more than the time-out, and its connection is closed", () =>
    Effect.gen(function* () {
      const sockets: Array<Net.Socket> = []
      const silent = yield* listening(
        Net.createServer((socket) => void sockets.push(socket.resume())),
        0
      )
      const address: ProxyAddress = { secure: false, host: "127.0.0.1", port: silent, authorization: undefined }
      const error = yield* Effect.flip(
        get("https://example.invalid/", { proxy: address, timeout: Duration.millis(300) })
      )
      assert.strictEqual(error.failure, "timeout")
      while (sockets.some((socket) => !socket.destroyed)) yield* Effect.sleep(5)
    })
  )
})

describe("a socket of this machine", () => {
  it.live("is read like any other address, /metrics where no path is named", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const path = join(folder, "exporter.sock")
      const server = Http.createServer((request, response) => response.end(`${request.headers.host} ${request.url}`))
      yield* listening(server, path)
      const cases: ReadonlyArray<readonly [address: string, asked: string]> = [
        [`unix://${path}:/other?target=a:/b`, "/other?target=a:/b"],
        [`unix://${path}`, "/metrics"],
        [`unix:${path}`, "/metrics"],
        [`http+unix://${encodeURIComponent(path)}/x`, "/x"]
      ]
      for (const [address, asked] of cases) assert.strictEqual(yield* textOf(get(address)), `200 localhost ${asked}`)
    })
  )

  it.live("that is not there, or has nobody behind it, refuses: the collector may stand in", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const missing = yield* Effect.flip(get(`unix://${folder}/none.sock:/metrics`))
      assert.deepStrictEqual([missing.failure, missing.detail], ["refused", `there is no socket ${folder}/none.sock`])
      writeFileSync(join(folder, "file"), "")
      assert.strictEqual((yield* Effect.flip(get(`unix://${folder}/file:/metrics`))).failure, "refused")
      const down = new ScrapeDown({
        exporter: "x",
        endpoint: `unix://${folder}/none.sock:/metrics`,
        failure: missing.failure,
        detail: missing.detail
      })
      assert.include(down.message, `does not answer on ${folder}/none.sock`)
    })
  )
})
