/**
 * Acting through a whole server: people at terminals who ask and sign, a host that polls and is played here, and who is told of it.
 */
import { randomUUID } from "node:crypto"
import { mkdtempSync, writeFileSync } from "node:fs"
import { chmod, readFile, stat } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { PgClient } from "@effect/sql-pg"
import { assert, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { holds, keyIdOf, publicKeyOf } from "../src/protocol/Approvals.ts"
import type { Outcome, Preview, PreviewRequest, SignedOrder } from "../src/protocol/Orders.ts"
import { orderFor, outcomeOf, pollOf, previewOf } from "./ActingWorld.ts"
import { home, run } from "./CommandLine.ts"
import { hookServer } from "./HookServer.ts"
import * as TestServer from "./TestServer.ts"

const ADMIN = "an-admin-token-for-tests"

/** What the hook was told: titles. */
const told: Array<string> = []
const titleWith = (...parts: ReadonlyArray<string>) => told.find((title) => parts.every((part) => title.includes(part)))

const server = Layer.unwrap(
  Effect.gen(function* () {
    const url = yield* hookServer((_, body, response) => {
      told.push(JSON.parse(body).title)
      response.end()
    })
    const notifyFile = join(mkdtempSync(join(tmpdir(), "nodepulse-acts-")), "notify.yml")
    writeFileSync(
      notifyFile,
      `receivers: [{name: ops, webhook: {url: "${url}/"}}]\nallow: ["127.0.0.1"]\nroutes: [{name: acts, receivers: [ops], rule: "Act", group_wait: "0s"}]\n`
    )
    return TestServer.layerWith({ notifyFile })
  })
)

/** Somebody who has signed in, and made a key. */
const somebody = Effect.fnUntraced(function* (name: string) {
  const { url } = yield* TestServer.TestServer
  const env = { HOME: yield* home, NODEPULSE_URL: url, NODEPULSE_TOKEN: ADMIN }
  const made = yield* run(["approve", "--new-key", name], env)
  const key = /key: "([^"]+)"/.exec(made.out)![1]!
  return { env, name, key: publicKeyOf(key)! }
})

/** Polls as a host does until it has said what became of an order, or `until` says that it is enough. */
const host = Effect.fnUntraced(function* (
  { server_id, token }: { readonly server_id: string; readonly token: string },
  answer: { readonly preview?: (preview: Preview) => Preview; readonly outcome?: (signed: SignedOrder) => Outcome }
) {
  const { request } = yield* TestServer.TestServer
  const seen: Array<SignedOrder> = []
  let previews: ReadonlyArray<Preview> = []
  let outcomes: ReadonlyArray<Outcome> = []
  for (;;) {
    const body = pollOf(server_id, { previews, outcomes, wait_seconds: 2 })
    const polled = yield* request("POST", "/api/hands/poll", { token, body })
    assert.strictEqual(polled.status, 200, JSON.stringify(polled.body))
    if (outcomes.length > 0) assert.deepStrictEqual(polled.body.recorded, [outcomes[0]!.id])
    if (outcomes.length > 0) return seen
    const orders: ReadonlyArray<SignedOrder> = polled.body.orders
    seen.push(...orders)
    previews = polled.body.previews.map((one: PreviewRequest) =>
      (answer.preview ?? ((it) => it))(previewOf(server_id, one))
    )
    outcomes = orders.map((signed) => answer.outcome?.(signed) ?? outcomeOf(signed.order.id))
  }
})

/** What an agent sends of a process. */
const rowsOf = Effect.fnUntraced(function* (name: string, token: string) {
  const { request } = yield* TestServer.TestServer
  for (const ago of [30_000, 15_000, 0]) {
    const timestamp = new Date(Date.now() - ago).toISOString()
    const row = { timestamp, name, num_procs: 1, cpu_seconds_total: 100 - ago / 1_000, memory_bytes: 2 ** 20 }
    yield* request("POST", "/metrics/prometheus", { body: { process_exporter: [row] }, token })
  }
})

layer(server, { excludeTestServices: true, timeout: "2 minutes" })("at a terminal, acting", (it) => {
  it.effect("a key is made once, for nobody else to read, and is used only as it is", () =>
    Effect.gen(function* () {
      const ada = yield* somebody("ada")
      const file = join(ada.env.HOME, ".config", "nodepulse", "approver.json")
      assert.strictEqual((yield* Effect.promise(() => stat(file))).mode & 0o777, 0o600)
      const before = yield* Effect.promise(() => readFile(file, "utf8"))
      assert.include((yield* run(["approve", "--new-key", "ada"], ada.env)).failure, "is there already")
      assert.strictEqual(yield* Effect.promise(() => readFile(file, "utf8")), before)
      const shown = yield* run(["approve", "--key"], ada.env)
      assert.include(shown.out, Buffer.from(ada.key).toString("base64"))
      assert.notInclude(shown.out, "PRIVATE")
      yield* Effect.promise(() => chmod(file, 0o640))
      assert.include((yield* run(["approve", "--key"], ada.env)).failure, "others can read it")
      const nobody = { ...ada.env, HOME: yield* home }
      assert.include((yield* run(["approve", "x"], nobody)).failure, "--new-key")
    })
  )

  it.effect("an order is shown, signed once the host's name was typed, and told with its outcome", () =>
    Effect.gen(function* () {
      const { register, request } = yield* TestServer.TestServer
      const web = yield* register("web-1")
      const ada = yield* somebody("ada")
      const order = ["act", "order", "web-1", "terminate", "--pid", "4711", "--reason", "it burns"]
      assert.include((yield* run(order, ada.env)).failure, "nothing acts on web-1")
      yield* request("POST", "/api/hands/poll", { token: web.token, body: pollOf(web.server_id) })
      const [acted, seen] = yield* Effect.all([run(order, ada.env, { stdin: "web-1\n" }), host(web, {})], {
        concurrency: 2
      })
      assert.isUndefined(acted.failure, acted.failure)
      for (const part of ["terminate process 4711 (burner)", "it burns", "done: done as asked"])
        assert.include(acted.out, part)
      assert.strictEqual(seen.length, 1)
      assert.strictEqual(seen[0]!.approvals[0]!.by, "ada")
      assert.isTrue(holds(seen[0]!.order, seen[0]!.approvals[0]!, ada.key))
      const { out } = yield* run(["act", "list", "web-1"], ada.env)
      assert.match(out, /done +admin +terminate 4711 \(burner\)/)
      const id = seen[0]!.order.id
      const shown = yield* run(["act", "show", id], ada.env)
      for (const part of [
        `order    ${id}`,
        "do       terminate process 4711 (burner)",
        "is       done: done as asked",
        "asked by admin",
        `signed by ada with key ${keyIdOf(ada.key)}, good until `,
        "sent by hands:",
        "done, signed by ada, says hands:",
        "What its host said before, at ",
        "restart burner.service: would restart it",
        "What changed is told from "
      ])
        assert.include(shown.out, part)
      const told_ = JSON.parse((yield* run(["act", "show", id, "--json"], ada.env)).out)
      assert.deepStrictEqual(
        [told_.order.state, told_.preview.state, told_.diff, told_.marks],
        ["done", "answered", null, null]
      )
      assert.include((yield* run(["act", "show", "x"], ada.env)).failure, "there is no order")
      const marks = yield* request("GET", `/api/servers/${web.server_id}/marks?hours=1`)
      yield* rowsOf("burner", web.token)
      const row = () =>
        Effect.map(run(["top", "web-1"], ada.env), ({ out }) => out.split("\n").find((line) => line.includes("burner")))
      for (let n = 0; n < 60 && (yield* row()) === undefined; n++) yield* Effect.sleep("500 millis")
      assert.match((yield* row()) ?? "", / burner {2}\(terminate by ada, [\d:]+\)$/)
      assert.deepInclude(marks.body.marks.at(-1), { kind: "act", verb: "terminate", target: "burner", result: "done" })
    })
  )

  it.effect("an order of a while ago is shown with what changed by it, and without what its host said before", () =>
    Effect.gen(function* () {
      const { register } = yield* TestServer.TestServer
      const sql = yield* PgClient.PgClient
      const web = yield* register("web-4")
      const ada = yield* somebody("ada")
      const order = orderFor(web.server_id)
      const at = Math.floor(Date.now() / 1_000) - 900
      for (const [event, seconds, content] of [
        ["asked", at, { order, preview_id: randomUUID(), needed: 1, group: "burner" }],
        ["sent", at, {}],
        ["done", at, outcomeOf(order.id, { at })]
      ] as const)
        yield* sql`insert into admiral.orders (order_id, server_id, at, event, author, content)
          select ${order.id}, id, to_timestamp(${seconds}::float8), ${event}, 'x', ${JSON.stringify(content)}::json
          from admiral.servers where server_id = ${web.server_id}`
      const { failure, out } = yield* run(["act", "show", order.id], ada.env)
      assert.isUndefined(failure, failure)
      for (const part of ["is not kept any more", "What changed", "all groups", "terminate burner: done (this order)"])
        assert.include(out, part)
    })
  )

  it.effect("nothing is given where the name is wrong, where --yes would be too easy, or where the host refuses", () =>
    Effect.gen(function* () {
      const { register, request } = yield* TestServer.TestServer
      const web = yield* register("web-2")
      const ada = yield* somebody("ada")
      yield* request("POST", "/api/hands/poll", { token: web.token, body: pollOf(web.server_id) })
      const order = (verb: string, ...more: ReadonlyArray<string>) => [
        "act",
        "order",
        "web-2",
        verb,
        "--pid",
        "4711",
        "--reason",
        "x",
        ...more
      ]
      const refusal = { code: "outside-hours" as const, message: "only at night" }
      const refused = (preview: Preview): Preview => ({
        ...preview,
        offers: preview.offers.map((offer) => (offer.verb === "restart" ? { ...offer, refusal } : offer))
      })
      const tries: ReadonlyArray<readonly [ReadonlyArray<string>, string, string]> = [
        [order("terminate"), "web-1\n", "not signed"],
        [order("terminate", "--yes"), "", "cannot be taken back"],
        [order("restart"), "web-2\n", "outside-hours"],
        [order("kill"), "web-2\n", "does not allow kill"],
        [order("terminate", "--minutes", "5"), "web-2\n", "--minutes does not go with terminate"]
      ]
      const polling = Effect.forever(host(web, { preview: refused }))
      yield* Effect.raceFirst(
        Effect.forEach(tries, ([args, stdin, said]) =>
          Effect.map(run(args, ada.env, { stdin }), ({ failure }) => assert.include(failure, said))
        ),
        polling
      )
      assert.deepStrictEqual((yield* request("GET", `/api/orders?server=${web.server_id}`)).body.orders, [])
    })
  )

  it.effect(
    "a second person signs what the first has asked, and a refusal is told to both and to whoever wants it",
    () =>
      Effect.gen(function* () {
        const { register, request } = yield* TestServer.TestServer
        const web = yield* register("web-3")
        const [ada, bob] = [yield* somebody("ada"), yield* somebody("bob")]
        yield* request("POST", "/api/hands/poll", { token: web.token, body: pollOf(web.server_id) })
        const order = ["act", "order", "web-3", "restart", "--unit", "burner", "--reason", "x"]
        const outcome = ({ order }: SignedOrder) =>
          outcomeOf(order.id, { result: "refused", code: "not-allowed", message: "not here", by: [] })
        const people = Effect.gen(function* () {
          const first = yield* run(order, ada.env, { stdin: "web-3\n" })
          assert.include(first.failure, "another person's signature")
          const id = /nodepulse approve (\S+)/.exec(first.failure!)![1]!
          // Somebody else is told where to sign, while it waits.
          for (let n = 0; n < 80 && titleWith("web-3", "waits") === undefined; n++) yield* Effect.sleep("500 millis")
          assert.include(
            titleWith("web-3", "waits"),
            "Warning: restart burner.service waits for a second signature until "
          )
          assert.include(
            (yield* run(["approve", id], ada.env, { stdin: "web-3\n" })).failure,
            "another person's signature"
          )
          assert.include((yield* run(["approve", id], bob.env, { stdin: "no\n" })).failure, "not signed")
          const second = yield* run(["approve", id], bob.env, { stdin: "web-3\n" })
          assert.include(second.failure, "refused (not-allowed): not here")
          assert.include((yield* run(["approve", id], bob.env, { stdin: "web-3\n" })).failure, "no signatures any more")
        })
        const [, seen] = yield* Effect.all([people, host(web, { outcome })], { concurrency: 2 })
        const { approvals, order: sent } = seen[0]!
        assert.deepStrictEqual(approvals.map(({ by }) => by).sort(), ["ada", "bob"])
        for (const one of approvals) assert.isTrue(holds(sent, one, one.by === "ada" ? ada.key : bob.key))
        const title = () => titleWith("web-3", "refused")
        for (let n = 0; n < 40 && title() === undefined; n++) yield* Effect.sleep("500 millis")
        assert.include(title(), "Warning: restart burner.service: refused (not-allowed)")
      })
  )
})
