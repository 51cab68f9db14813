/**
 * Two of each role, as real programs behind a real balancer that lets nobody stick to one (nginx with the example of
 * `packaging/proxy/`): what one of them knows, all do; what must happen once, happens once; and one that is killed, or stands
 * still, costs no more than what it had in hand.
 */
import { type ChildProcess, execFile, spawn } from "node:child_process"
import { once } from "node:events"
import { mkdirSync, writeFileSync } from "node:fs"
import { readFile } from "node:fs/promises"
import { join } from "node:path"
import { promisify } from "node:util"
import { assert, describe } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import config from "../plugins.config.ts"
import { hookServer } from "./HookServer.ts"
import { ADMIN, ask, eventually, exporter, promise, ready, register, stored, type World } from "./outages/World.ts"
import { freePort } from "./Ports.ts"
import { isThere, start } from "./Proxies.ts"
import { describeValkey } from "./TestValkey.ts"

const root = join(import.meta.dirname, "..")
const resource = config.exporters.find(({ name }) => name === exporter)!.resource
const ROLES = ["digest", "ingest", "api"] as const

interface Program {
  readonly child: ChildProcess
  readonly url: string
  readonly output: () => string
}

type Ground = Omit<World, "url">

const environmentOf = ({ folder, postgres, valkey }: Ground, port?: number) => ({
  PATH: process.env.PATH,
  DATABASE_URL: Redacted.value(postgres.url),
  VALKEY_URL: valkey.url,
  NODEPULSE_ADMIN_TOKEN: ADMIN,
  NODEPULSE_DATA_DIR: folder,
  NODEPULSE_DEFAULT_RULES: "off",
  NODEPULSE_TRUSTED_PROXIES: "127.0.0.1",
  ...(port === undefined ? {} : { NODEPULSE_PORT: String(port) })
})

const program = (ground: Ground, role: string) =>
  Effect.gen(function* () {
    const port = yield* freePort
    return yield* Effect.acquireRelease(
      Effect.sync((): Program => {
        const child = spawn(process.execPath, ["src/main.ts", "server", "--role", role], {
          cwd: root,
          env: environmentOf(ground, port),
          stdio: ["ignore", "pipe", "pipe"]
        })
        let output = ""
        for (const stream of [child.stdout, child.stderr]) {
          stream.on("data", (chunk) => {
            output = `${output}${chunk}`.slice(-10_000)
          })
        }
        return { child, url: `http://127.0.0.1:${port}`, output: () => output }
      }),
      ({ child }) => Effect.sync(() => void child.kill("SIGKILL"))
    )
  })

/** The example, with the ports of the test. */
const balance = Effect.fnUntraced(function* (programs: Readonly<Record<string, Program>>) {
  const port = yield* freePort
  let site = yield* Effect.promise(() => readFile(join(root, "packaging/proxy/nginx-roles.conf"), "utf8"))
  for (const [name, { url }] of Object.entries(programs)) {
    site = site.replace(`server ${name}:8080`, `server ${url.replace("http://", "")}`)
  }
  assert.notMatch(site, /-[12]:8080/)
  yield* start("nginx", site.replace("listen 8080", `listen 127.0.0.1:${port}`), port)
  return `http://127.0.0.1:${port}`
})

const RULES = `rules:
  - {name: "web is busy", resource: "${resource}", group: "web", metric: "cpu", above: 1, over: "30s", for: "0s"}
`
const notify = (hook: string) => `receivers:
  - {name: ops, webhook: {url: "${hook}"}}
allow: ["127.0.0.1"]
default: {receivers: [ops], group_wait: "0s"}
`

/** Pushes a scrape a second through the balancer, until it is interrupted; `refused` gets what was not taken. */
const pushing = (url: string, token: string, taken: Array<number>) =>
  Effect.forever(
    Effect.gen(function* () {
      const now = Date.now()
      const row = { timestamp: new Date(now).toISOString(), name: "web", num_procs: 1, memory_bytes: 4096 }
      const body = { [exporter]: [{ ...row, cpu_seconds_total: now / 2_000 }] }
      const answer = yield* ask("POST", `${url}/metrics/prometheus`, body, token)
      taken.push(answer?.status ?? 0)
      yield* Effect.sleep("1 second")
    })
  )

const withCookie = (url: string, cookie: string) =>
  Effect.promise(async () => (await fetch(`${url}/api/session`, { headers: { cookie } })).status)

const counted = (url: string, pattern: RegExp) =>
  Effect.promise(async () => {
    const text = await (await fetch(`${url}/metrics`, { headers: { authorization: `Bearer ${ADMIN}` } })).text()
    return Number(pattern.exec(text)?.[1] ?? 0)
  })
const acceptedOf = (url: string) =>
  counted(url, new RegExp(`^nodepulse_ingest_accepted_total\\{exporter="${exporter}"\\} (\\d+)$`, "m"))

/** Opens a link that `nodepulse sign-in` made, at an address; the session's cookie. */
const signIn = Effect.fnUntraced(function* (ground: Ground, url: string) {
  const link = yield* Effect.promise(async () => {
    const { stdout } = await promisify(execFile)(process.execPath, ["src/main.ts", "sign-in"], {
      cwd: root,
      env: environmentOf(ground)
    })
    return stdout.trim().split("\n").at(-1)!
  })
  const open = Effect.promise(() => fetch(`${url}${link}`, { redirect: "manual" }))
  const opened = yield* open
  assert.strictEqual(opened.status, 303)
  assert.strictEqual((yield* open).status, 401, "a link works once, whoever takes it")
  return opened.headers.get("set-cookie")!.split(";")[0]!
})

/** As many questions at a time as clients ask; what they were answered, and when (milliseconds). */
const underLoad = (url: string, answers: Array<{ readonly at: number; readonly status: number }>, path: string) =>
  Effect.forEach(
    Array.from({ length: CLIENTS }),
    () =>
      Effect.forever(
        Effect.gen(function* () {
          const status = (yield* ask("GET", `${url}${path}`))?.status ?? 0
          answers.push({ at: performance.now(), status })
        })
      ),
    { concurrency: CLIENTS, discard: true }
  )
const CLIENTS = 6

const apart = describe.skipIf(!isThere("nginx"))

describeValkey("two of each role behind a balancer", () =>
  apart("with nginx", () => {
    promise(
      "are one installation, also while one is killed or stands still",
      (ground) =>
        Effect.gen(function* () {
          const told: Array<{ readonly title: string; readonly kinds: ReadonlyArray<string> }> = []
          const hook = yield* hookServer((_, body, response) => {
            const { incidents, title } = JSON.parse(body)
            told.push({ title, kinds: incidents.map(({ kind }: { readonly kind: string }) => kind) })
            response.end()
          })
          mkdirSync(join(ground.folder, "rules.d"))
          writeFileSync(join(ground.folder, "rules.d", "rules.yml"), RULES)
          writeFileSync(join(ground.folder, "notify.yml"), notify(hook))

          const programs: Record<string, Program> = {}
          for (const role of ROLES) {
            for (const n of [1, 2]) programs[`${role}-${n}`] = yield* program(ground, role)
          }
          for (const { url } of Object.values(programs)) yield* ready(url)
          const url = yield* balance(programs)
          const of = (name: string) => programs[name]!
          const apis = [of("api-1").url, of("api-2").url]

          // A session is good on each of them.
          const cookie = yield* signIn(ground, url)
          for (const each of [url, url, ...Object.values(programs).map((one) => one.url)]) {
            assert.strictEqual(yield* withCookie(each, cookie), 200)
          }

          // Pushes go through either, and either answers, and says which it is.
          const { server_id, token } = yield* register(url, "web")
          const taken: Array<number> = []
          yield* Effect.forkScoped(pushing(url, token, taken))
          yield* eventually(
            "both take some in",
            Effect.all([acceptedOf(of("ingest-1").url), acceptedOf(of("ingest-2").url)]),
            (all) => all.every((count) => count > 2)
          )
          yield* eventually("stored", stored(ground.postgres, server_id), ({ rows }) => rows > 5)
          const seen = new Set<number>()
          for (let n = 0; n < 8; n++) {
            const { body } = (yield* ask("GET", `${url}/api/pipeline`))!
            seen.add(body.process.pid)
            assert.deepStrictEqual(body.process.roles, ["api"])
            assert.notInclude(
              body.children.map(({ name }: { readonly name: string }) => name),
              "digest"
            )
          }
          assert.deepStrictEqual([...seen].sort(), ["api-1", "api-2"].map((name) => of(name).child.pid!).sort())

          // It fires once and is told once, though two ask.
          const firing = Effect.map(ask("GET", `${url}/api/alerts`), (answer) => answer!.body.alerts)
          yield* eventually("it fires", firing, (alerts) => alerts.length === 1)
          yield* eventually(
            "it is told",
            Effect.sync(() => told.length),
            (count) => count === 1
          )

          // One that asks the rules stands still for longer than it may: the other one goes on, and both find the same.
          const behind = Effect.map(
            ask("GET", `${url}/api/pipeline`),
            (answer) => answer!.body.alerts.asking.behindSeconds
          )
          const asksIn = (name: string) =>
            Effect.map(ask("GET", `${of(name).url}/api/pipeline`), (answer) => answer!.body.alerts.asking.pass)
          const asking = (yield* asksIn("digest-1")) === null ? "digest-2" : "digest-1"
          const other = asking === "digest-1" ? "digest-2" : "digest-1"
          of(asking).child.kill("SIGSTOP")
          yield* eventually("the other one asks", asksIn(other), (pass) => pass !== null)
          yield* eventually("in time", behind, (seconds) => seconds < 30)
          const { rows } = yield* stored(ground.postgres, server_id)
          yield* eventually("and stores", stored(ground.postgres, server_id), (now) => now.rows > rows)
          of(asking).child.kill("SIGCONT")
          yield* Effect.sleep("20 seconds")
          assert.lengthOf(yield* firing, 1)
          assert.lengthOf(told, 1, JSON.stringify(told))

          // One that is killed: the other one goes on here, too.
          of(other).child.kill("SIGKILL")
          yield* eventually("it asks again", asksIn(asking), (pass) => pass !== null)
          yield* eventually("in time", behind, (seconds) => seconds < 30)
          assert.lengthOf(yield* firing, 1)
          assert.lengthOf(told, 1, JSON.stringify(told))

          // An api and an ingest are killed under load: what they had in hand fails, and nothing else.
          const answers: Array<{ readonly at: number; readonly status: number }> = []
          yield* Effect.forkScoped(underLoad(url, answers, `/api/servers/${server_id}/${resource}/top`))
          yield* eventually(
            "load",
            Effect.sync(() => answers.length),
            (count) => count > 50
          )
          const killed = performance.now()
          of("api-1").child.kill("SIGKILL")
          of("ingest-1").child.kill("SIGKILL")
          const before = answers.length
          yield* eventually(
            "more load",
            Effect.sync(() => answers.length),
            (count) => count > before + 200
          )
          const failed = answers.filter(({ status }) => status !== 200)
          assert.isAtMost(failed.length, CLIENTS, JSON.stringify(failed))
          assert.isTrue(
            failed.every(({ at }) => at - killed < 5_000),
            JSON.stringify(failed)
          )
          const lost = taken.filter((status) => status !== 202)
          assert.isAtMost(lost.length, 1, JSON.stringify(taken))

          // Whoever signs out on one is signed out on all within five seconds.
          const alive = [apis[1]!, of("ingest-2").url, of(asking).url]
          for (const each of alive) assert.strictEqual(yield* withCookie(each, cookie), 200)
          const ended = yield* Effect.promise(() =>
            fetch(`${apis[1]}/api/session`, { method: "DELETE", headers: { cookie, origin: apis[1]! } })
          )
          assert.strictEqual(ended.status, 204)
          yield* Effect.sleep("5 seconds")
          for (const each of alive) assert.strictEqual(yield* withCookie(each, cookie), 401)

          // Two stop, and none complains.
          for (const name of [asking, "api-2"]) {
            const { child, output } = of(name)
            child.kill("SIGTERM")
            const [code] = yield* Effect.promise(() => once(child, "exit"))
            assert.strictEqual(code, 0, output())
          }
        }),
      500_000
    )
  })
)
