/**
 * What is tried against tokens, cookies and links from outside, on a whole server: guessing them, wearing out others' sessions,
 * fixing one, using what was revoked or is for something else, making oneself an administrator.
 */
import { execFile } from "node:child_process"
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { expect, layer } from "@effect/vitest"
import { Effect } from "effect"
import { PER_ADDRESS } from "../../src/access/Guesses.ts"
import { SESSIONS_MAX } from "../../src/access/Sessions.ts"
import * as TestServer from "../TestServer.ts"

const main = fileURLToPath(new URL("../../src/main.ts", import.meta.url))
const ADMIN = "an-admin-token-for-tests"

/** A request as it is, with the status, the cookie that is set, and the answer's JSON. */
const raw = (url: string, path: string, init: RequestInit = {}) =>
  Effect.promise(async () => {
    const response = await fetch(`${url}${path}`, { redirect: "manual", ...init })
    const text = await response.text()
    const [cookie = ""] = (response.headers.get("set-cookie") ?? "").split(";")
    const isJson = (response.headers.get("content-type") ?? "").includes("json")
    return { status: response.status, cookie, headers: response.headers, body: isJson ? JSON.parse(text) : text }
  })

const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } })
const signIn = (url: string, token: string) => raw(url, "/api/session", { method: "POST", ...bearer(token) })

const create = Effect.fnUntraced(function* (body: Readonly<Record<string, unknown>>, token = ADMIN) {
  const { request } = yield* TestServer.TestServer
  return yield* request("POST", "/api/tokens", { body, token })
})

layer(TestServer.layer, { excludeTestServices: true })("whoever signs in", (it) => {
  it.effect("again and again, with a read token, signs nobody else out", () =>
    Effect.gen(function* () {
      const { request, url } = yield* TestServer.TestServer
      const administrator = yield* signIn(url, ADMIN)
      const { body } = yield* create({ kind: "read" })
      const times = Array.from({ length: SESSIONS_MAX + 10 }, () => body.token as string)
      const all = yield* Effect.forEach(times, (token) => signIn(url, token), { concurrency: 8 })
      expect(new Set(all.map(({ status }) => status))).toEqual(new Set([200]))
      const me = yield* raw(url, "/api/session", { headers: { cookie: administrator.cookie } })
      expect(me.body).toMatchObject({ kind: "admin", via: "session", principal: "admin" })
      const { sessions } = (yield* request("GET", "/api/sessions")).body
      const own = sessions.filter(({ principal }: { principal: string }) => principal === `token:${body.token_id}`)
      expect(own.length).toBe(SESSIONS_MAX)
    })
  )

  it.effect("gets a cookie of the server's making: one that was set before stays nobody's", () =>
    Effect.gen(function* () {
      const { url } = yield* TestServer.TestServer
      const fixed = "nodepulse_session=chosen-by-somebody-else-chosen-by-somebody-else"
      const headers = { authorization: `Bearer ${ADMIN}`, cookie: fixed }
      const signedIn = yield* raw(url, "/api/session", { method: "POST", headers })
      expect(signedIn.cookie).toMatch(/^nodepulse_session=[A-Za-z0-9_-]{43}$/)
      expect(signedIn.headers.get("set-cookie")).toMatch(/HttpOnly/)
      expect(signedIn.headers.get("set-cookie")).toMatch(/SameSite=Strict/)
      expect((yield* raw(url, "/api/session", { headers: { cookie: fixed } })).status).toBe(401)
    })
  )

  it.effect("can be signed out by an administrator, and by nobody else", () =>
    Effect.gen(function* () {
      const { request, url } = yield* TestServer.TestServer
      const [one, other] = [(yield* create({ kind: "read" })).body, (yield* create({ kind: "operator" })).body]
      const { cookie } = yield* signIn(url, one.token)
      const { sessions } = (yield* request("GET", "/api/sessions", { token: one.token })).body
      expect(sessions.map(({ principal }: { principal: string }) => principal)).toEqual([`token:${one.token_id}`])
      const path = `/api/sessions/${sessions[0].session_id}`
      expect((yield* request("DELETE", path, { token: other.token })).status).toBe(404)
      expect((yield* raw(url, "/api/session", { headers: { cookie } })).status).toBe(200)
      expect((yield* request("DELETE", path)).status).toBe(204)
      expect((yield* raw(url, "/api/session", { headers: { cookie } })).status).toBe(401)
    })
  )
})

layer(TestServer.layer, { excludeTestServices: true })("a token", (it) => {
  it.effect("does what its kind may, and nothing above it", () =>
    Effect.gen(function* () {
      const { register, request } = yield* TestServer.TestServer
      const agent = yield* register("agent")
      const made: Record<string, string> = { admin: ADMIN, agent: agent.token }
      for (const kind of ["read", "operator", "enrolment"]) made[kind] = (yield* create({ kind })).body.token
      const asked: ReadonlyArray<readonly [string, string, unknown, ReadonlyArray<number>]> = [
        // agent, enrolment, read, operator, admin
        ["GET", "/api/servers", undefined, [403, 403, 200, 200, 200]],
        ["POST", "/api/servers", { name: "x" }, [403, 403, 403, 201, 201]],
        ["GET", "/api/tokens", undefined, [403, 403, 403, 200, 200]],
        ["POST", "/api/tokens", { kind: "agent", server_id: agent.server_id }, [403, 403, 403, 201, 201]],
        ["POST", "/api/tokens", { kind: "read" }, [403, 403, 403, 403, 201]],
        ["POST", "/api/tokens", { kind: "admin" }, [403, 403, 403, 403, 201]],
        ["POST", "/api/session/links", undefined, [403, 403, 403, 403, 201]],
        ["DELETE", "/api/sessions?principal=admin", undefined, [403, 403, 403, 403, 200]],
        ["DELETE", "/api/sessions", undefined, [403, 403, 200, 200, 200]],
        ["GET", "/api/audit", undefined, [403, 403, 403, 403, 200]],
        ["POST", "/metrics/prometheus", {}, [422, 403, 403, 403, 403]],
        ["POST", "/api/recordings", {}, [400, 403, 403, 403, 403]],
        ["POST", `/api/servers/${agent.server_id}/recordings`, undefined, [403, 403, 403, 202, 202]],
        ["GET", `/api/servers/${agent.server_id}/recordings`, undefined, [403, 403, 200, 200, 200]],
        ["GET", "/api/recordings/1", undefined, [403, 403, 404, 404, 404]],
        ["POST", "/api/hands/poll", {}, [400, 403, 403, 403, 403]],
        ["GET", `/api/servers/${agent.server_id}/acting`, undefined, [403, 403, 403, 200, 200]],
        ["POST", `/api/servers/${agent.server_id}/previews`, { target: { pid: 1 } }, [403, 403, 403, 202, 202]],
        ["POST", `/api/servers/${agent.server_id}/orders`, {}, [403, 403, 403, 400, 400]],
        ["GET", "/api/orders", undefined, [403, 403, 403, 200, 200]],
        ["POST", "/api/orders/1/approvals", {}, [403, 403, 403, 400, 400]],
        ["POST", "/api/enroll", { name: "new" }, [403, 201, 403, 403, 403]],
        ["POST", "/api/enroll", { name: "again" }, [403, 403, 403, 403, 403]]
      ]
      for (const [method, path, body, expected] of asked) {
        const statuses: Array<number> = []
        for (const kind of ["agent", "enrolment", "read", "operator", "admin"]) {
          const options = { token: made[kind]!, ...(body === undefined ? {} : { body }) }
          statuses.push((yield* request(method, path, options)).status)
        }
        const pushed =
          path === "/metrics/prometheus" ? statuses.map((status) => (status === 202 ? 422 : status)) : statuses
        expect([method, path, body, pushed]).toEqual([method, path, body, expected])
      }
    })
  )

  it.effect("of an operator neither revokes nor rotates one that is above it", () =>
    Effect.gen(function* () {
      const { request } = yield* TestServer.TestServer
      const operator = (yield* create({ kind: "operator" })).body
      const admin = (yield* create({ kind: "admin" })).body
      const as = { token: operator.token as string, body: {} }
      expect((yield* request("DELETE", `/api/tokens/${admin.token_id}`, { token: operator.token })).status).toBe(403)
      expect((yield* request("POST", `/api/tokens/${admin.token_id}/rotate`, as)).status).toBe(403)
      expect((yield* request("POST", `/api/tokens/${operator.token_id}/rotate`, as)).status).toBe(403)
    })
  )

  it.effect("that was revoked or has been rotated out is refused, and the agent's new one loses nothing", () =>
    Effect.gen(function* () {
      const { register, request } = yield* TestServer.TestServer
      const { server_id, token } = yield* register("rotating")
      const { tokens } = (yield* request("GET", "/api/tokens")).body
      const info = tokens.find((one: { server_id: string }) => one.server_id === server_id)
      const rotated = yield* request("POST", `/api/tokens/${info.token_id}/rotate`, { body: { overlap_seconds: 3600 } })
      expect(rotated.status).toBe(201)
      const push = (one: string) =>
        Effect.map(request("POST", "/metrics/prometheus", { token: one, body: {} }), ({ status }) => status)
      expect([yield* push(token), yield* push(rotated.body.token)]).toEqual([202, 202])
      expect((yield* request("DELETE", `/api/tokens/${info.token_id}`)).status).toBe(204)
      expect([yield* push(token), yield* push(rotated.body.token)]).toEqual([401, 202])
    })
  )

  it.effect("is never in a list, an audit or a problem", () =>
    Effect.gen(function* () {
      const { request } = yield* TestServer.TestServer
      const { body } = yield* create({ kind: "enrolment", uses: 2, networks: ["127.0.0.0/8"], note: "rack 7" })
      const listed = (yield* request("GET", "/api/tokens")).body.tokens.at(-1)
      expect(listed).toMatchObject({
        prefix: body.token.slice(0, 17),
        uses_left: 2,
        networks: ["127.0.0.0/8"],
        last_used_at: null
      })
      const all = JSON.stringify([listed, (yield* request("GET", "/api/audit")).body])
      expect(all).not.toContain(body.token)
      expect(all).toContain("rack 7")
    })
  )
})

/** What `nodepulse agent enroll` does and says. */
const enroll = (args: ReadonlyArray<string>, { env = {}, input = "" } = {}) =>
  Effect.promise(
    () =>
      new Promise<{ readonly code: number; readonly said: string }>((resolve) => {
        const program = [main, "agent", "enroll", ...args]
        const child = execFile(
          process.execPath,
          program,
          { env: { ...process.env, ...env } },
          (error, stdout, stderr) =>
            resolve({ code: error === null ? 0 : Number(error.code), said: `${stdout}${stderr}` })
        )
        child.stdin?.end(input)
      })
  )

const temporaryFolder = Effect.acquireRelease(
  Effect.promise(() => mkdtemp(join(tmpdir(), "nodepulse-enroll-"))),
  (made) => Effect.promise(() => rm(made, { recursive: true, force: true }))
)

layer(TestServer.layer, { excludeTestServices: true })("a new machine", (it) => {
  it.effect("is enrolled once with `nodepulse agent enroll`, and its token is for it alone", () =>
    Effect.gen(function* () {
      const { request, url } = yield* TestServer.TestServer
      const folder = yield* temporaryFolder
      const [given, out] = [join(folder, "enrolment.token"), join(folder, "agent.token")]
      yield* Effect.promise(async () => writeFile(given, "np_enrolment_wrong\n", { mode: 0o600 }))
      const args = ["--server", url, "--token-file", given, "--out", out, "--name", "web 1"]
      expect(yield* enroll(args)).toMatchObject({ code: 1, said: expect.stringMatching(/refuses: HTTP 401/) })
      const { body } = yield* create({ kind: "enrolment" })
      yield* Effect.promise(() => writeFile(given, `${body.token}\n`))
      expect(yield* enroll(args)).toMatchObject({ code: 0, said: expect.stringMatching(/enrolled as web-1;/) })
      const token = yield* Effect.promise(() => readFile(out, "utf8"))
      expect((yield* Effect.promise(() => stat(out))).mode & 0o777).toBe(0o600)
      expect((yield* request("POST", "/metrics/prometheus", { token: token.trim(), body: {} })).status).toBe(202)
      expect(yield* enroll(args)).toMatchObject({ code: 0, said: expect.stringMatching(/is enrolled/) })
      expect(yield* enroll([...args, "--replace"])).toMatchObject({
        code: 1,
        said: expect.stringMatching(/HTTP 403.*used up/)
      })
    }).pipe(Effect.scoped)
  )
})

layer(TestServer.layer, { excludeTestServices: true })("a machine that a package prepared", (it) => {
  it.effect("is enrolled by the command alone: server and file by its configuration, the token by standard input", () =>
    Effect.gen(function* () {
      const { request, url } = yield* TestServer.TestServer
      const folder = yield* temporaryFolder
      const [config, out] = [join(folder, "nodepulse.yml"), join(folder, "agent.token")]
      yield* Effect.promise(async () => {
        await writeFile(config, `server: {url: "${url}/", token_file: "${out}"}\n`)
        await writeFile(out, "", { mode: 0o640 })
      })
      const { body } = yield* create({ kind: "enrolment", uses: 9 })
      const args = ["--config", config, "--name", "rack-1"]
      const given = { input: `${body.token}\n` }
      expect(yield* enroll(args, { input: "two words" })).toMatchObject({
        code: 1,
        said: expect.stringMatching(/one enrolment token is expected/)
      })
      // An address of this machine's own is reached directly, whatever proxy there is: by name it is not.
      const away = ["--server", url.replace("127.0.0.1", "pulse.invalid")]
      expect(yield* enroll([...args, ...away], { ...given, env: { http_proxy: "127.0.0.1:1" } })).toMatchObject({
        code: 1,
        said: expect.stringMatching(/the proxy 127\.0\.0\.1:1/)
      })
      expect(yield* enroll([...args, "--server", "pulse"], given)).toMatchObject({
        code: 1,
        said: expect.stringMatching(/pulse is no address such as https:/)
      })
      expect((yield* Effect.promise(() => stat(out))).size).toBe(0)
      const enrolled = yield* enroll(args, given)
      expect(enrolled).toMatchObject({ code: 0, said: expect.stringMatching(/enrolled as rack-1;/) })
      expect(enrolled.said).not.toMatch(/np_[a-z]+_/)
      expect((yield* Effect.promise(() => stat(out))).mode & 0o777).toBe(0o640)
      const token = (yield* Effect.promise(() => readFile(out, "utf8"))).trim()
      expect((yield* request("POST", "/metrics/prometheus", { token, body: {} })).status).toBe(202)
      expect(yield* enroll(args, given)).toMatchObject({ code: 0, said: expect.stringMatching(/is enrolled/) })
    }).pipe(Effect.scoped)
  )
})

layer(TestServer.layer, { excludeTestServices: true })("guesses", (it) => {
  it.effect("of tokens, cookies and links are stopped, and who has a good token is let in meanwhile", () =>
    Effect.gen(function* () {
      const { register, request, url } = yield* TestServer.TestServer
      const { token } = yield* register("neighbour")
      const read = (yield* create({ kind: "read" })).body.token as string
      const push = (one: string) =>
        Effect.map(request("POST", "/metrics/prometheus", { token: one, body: {} }), ({ status }) => status)
      expect(yield* push(token)).toBe(202)
      expect((yield* request("GET", "/api/exporters", { token: read })).status).toBe(200)
      const tries = Array.from({ length: PER_ADDRESS.burst + 40 }, (_, index) => index)
      const guess = (index: number) => {
        if (index % 4 === 0) return request("GET", "/api/servers", { token: `guess-${index}` })
        if (index % 4 === 1) return request("POST", "/metrics/prometheus", { token: `np_agent_${index}`, body: {} })
        if (index % 4 === 2)
          return raw(url, "/api/servers", { headers: { cookie: `nodepulse_session=guess-${index}` } })
        return raw(url, `/signin?code=guess-${index}`)
      }
      const answers = yield* Effect.forEach(tries, guess, { concurrency: 8 })
      const statuses = new Set(answers.map(({ status }) => status))
      expect(statuses).toEqual(new Set([401, 429]))
      const late = yield* raw(url, "/api/servers", bearer("another-guess"))
      expect(late.status).toBe(429)
      expect(late.body).toMatchObject({ type: "urn:nodepulse:problem:too-many-guesses" })
      expect(Number(late.headers.get("retry-after"))).toBeGreaterThan(0)
      expect(yield* push(token)).toBe(202)
      expect((yield* request("GET", "/api/exporters", { token: read })).status).toBe(200)
    })
  )
})
