/**
 * Rule sets over the API of a whole server: versions, two editors, rollback, who may save, and every question that takes a
 * set, of an hour of workers that only their numbers tell apart.
 */
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import plugins from "../plugins.config.ts"
import * as TestServer from "./TestServer.ts"

const { exporters } = plugins
const GROUPS = exporters.find(({ top }) => top !== undefined)!
const RULE = { match: "^python3 (\\w+?)_\\d+\\.py$", name: "python $1" }

/** Forty scrapes until just now, of three workers, a cron and a python that is something else. */
const seed = Effect.fnUntraced(function* (name: string) {
  const server = yield* TestServer.TestServer
  const { server_id, token } = yield* server.register(name)
  const began = Date.now() - 601_000
  for (let n = 0; n <= 40; n++) {
    const timestamp = new Date(began + n * 15_000).toISOString()
    const one = (name: string, share: number) => ({
      timestamp,
      name,
      num_procs: 1,
      cpu_seconds_total: 100 + n * 15 * share,
      memory_bytes: 64 * 2 ** 20
    })
    const rows = [1, 2, 3].map((worker) => one(`python3 worker_${worker}.py`, worker / 10))
    const body = { [GROUPS.name]: [...rows, one("cron", 0.05), one("python3 -m pip", 0.01)] }
    const { status } = yield* server.request("POST", "/metrics/prometheus", { body, token })
    assert.strictEqual(status, 202)
  }
  return server_id
})

layer(TestServer.layer, { excludeTestServices: true })("rule sets", (it) => {
  const asks = Effect.map(TestServer.TestServer, ({ request }) => {
    const ask = (method: string, path: string, body?: unknown, token?: string) =>
      Effect.map(
        request(method, path, { body, ...(token === undefined ? {} : { token }) }),
        ({ body: json, status }) => ({ json, status })
      )
    return { ask, save: (body: unknown, token?: string) => ask("POST", "/api/groupings", body, token) }
  })

  it.effect("are kept as versions with author and comment, and go back to an older one", () =>
    Effect.gen(function* () {
      const { ask, save } = yield* asks
      const first = yield* save({ name: "versions", base_version: 0, rules: [RULE], comment: "by script" })
      assert.strictEqual(first.status, 201)
      assert.deepInclude(first.json, { name: "versions", version: 1, author: "admin", comment: "by script" })
      const other = { match: "^cron", name: "jobs" }
      yield* save({ name: "versions", base_version: 1, rules: [other] })
      const back = yield* ask("POST", "/api/groupings/versions/rollback", { to_version: 1, base_version: 2 })
      assert.deepInclude(back.json, { version: 3, comment: "back to version 1" })
      assert.deepStrictEqual(back.json.rules, [RULE])
      const { json } = yield* ask("GET", "/api/groupings/versions/versions")
      assert.deepStrictEqual(
        json.versions.map(({ version }: { version: number }) => version),
        [3, 2, 1]
      )
      assert.deepStrictEqual((yield* ask("GET", "/api/groupings/versions?version=2")).json.rules, [other])
      const audit = yield* ask("GET", "/api/audit")
      type Entry = { readonly action: string; readonly subject: string }
      const saved = audit.json.entries.filter(({ subject }: Entry) => subject.startsWith("grouping versions@"))
      assert.deepStrictEqual(
        saved.map(({ action, subject }: Entry) => [action, subject]),
        [3, 2, 1].map((version) => ["grouping.save", `grouping versions@${version}`])
      )
    })
  )

  it.effect("of two editors that began at the same version one saves, and the other is told by whom", () =>
    Effect.gen(function* () {
      const { save } = yield* asks
      yield* save({ name: "two", base_version: 0, rules: [RULE] })
      const rules = [1, 2, 3, 4].map((n) => ({ match: `^${n}$`, name: "x" }))
      const answers = yield* Effect.forEach(
        rules,
        (rule) => save({ name: "two", base_version: 1, rules: [rule], comment: "mine" }),
        { concurrency: 4 }
      )
      assert.deepStrictEqual(answers.map(({ status }) => status).sort(), [201, 409, 409, 409])
      const refused = answers.find(({ status }) => status === 409)!
      assert.deepInclude(refused.json, { version: 2, author: "admin", comment: "mine" })
      assert.match(String(refused.json.detail), /admin saved version 2 of two meanwhile; yours is made from version 1/)
      assert.strictEqual((yield* save({ name: "two", base_version: 0, rules: [] })).status, 409)
      assert.strictEqual((yield* save({ name: "nobody", base_version: 7, rules: [] })).status, 404)
    })
  )

  it.effect("are saved by operators, and read and chosen by everybody who may read", () =>
    Effect.gen(function* () {
      const { ask, save } = yield* asks
      const made = yield* ask("POST", "/api/tokens", { kind: "read" })
      const reader = made.json.token
      const operator = (yield* ask("POST", "/api/tokens", { kind: "operator" })).json.token
      const body = { name: "rights", base_version: 0, rules: [RULE] }
      assert.strictEqual((yield* save(body, reader)).status, 403)
      assert.strictEqual((yield* save(body, operator)).status, 201)
      const changes: ReadonlyArray<readonly [string, string, unknown]> = [
        ["POST", "/api/groupings/preview", { rules: [RULE] }],
        ["POST", "/api/groupings/rights/rollback", { to_version: 1, base_version: 1 }],
        ["DELETE", "/api/groupings/rights", undefined]
      ]
      for (const [method, path, sent] of changes) {
        assert.strictEqual((yield* ask(method, path, sent, reader)).status, 403, `${method} ${path}`)
      }
      const { json } = yield* ask("GET", "/api/groupings", undefined, reader)
      assert.include(
        json.groupings.map(({ name }: { name: string }) => name),
        "rights"
      )
      assert.strictEqual((yield* ask("GET", "/api/groupings/rights", undefined, reader)).status, 200)
    })
  )

  it.effect("that cannot be used are refused with the rule, the pattern and the position", () =>
    Effect.gen(function* () {
      const { ask, save } = yield* asks
      const wrong = yield* save({ name: "wrong", base_version: 0, rules: [RULE, { match: "ab(?=c)", name: "x" }] })
      assert.strictEqual(wrong.status, 400)
      assert.deepInclude(wrong.json, {
        type: "urn:nodepulse:problem:invalid-rule",
        rule: 2,
        field: "match",
        value: "ab(?=c)",
        position: 3
      })
      for (const name of ["", "Upper", "a b", "x".repeat(41), "a@2"]) {
        assert.strictEqual((yield* save({ name, base_version: 0, rules: [] })).status, 400, name)
      }
      assert.strictEqual((yield* ask("GET", "/api/groupings/wrong")).status, 404)
    })
  )

  it.effect("that are retired are offered no more, links to their versions go on, and the name can be used again", () =>
    Effect.gen(function* () {
      const { ask, save } = yield* asks
      yield* save({ name: "old", base_version: 0, rules: [RULE] })
      assert.strictEqual((yield* ask("DELETE", "/api/groupings/old")).status, 204)
      assert.strictEqual((yield* ask("GET", "/api/groupings/old")).status, 404)
      assert.strictEqual((yield* ask("DELETE", "/api/groupings/old")).status, 404)
      assert.deepStrictEqual((yield* ask("GET", "/api/groupings/old?version=1")).json.rules, [RULE])
      assert.deepInclude((yield* save({ name: "old", base_version: 0, rules: [] })).json, { version: 3 })
    })
  )

  it.effect("put the workers together in every question that ranks them, and each answer says by which version", () =>
    Effect.gen(function* () {
      const { ask, save } = yield* asks
      const [one, two] = [yield* seed("workers-1"), yield* seed("workers-2")]
      yield* save({ name: "workers", base_version: 0, rules: [RULE] })
      type Row = Record<string, unknown> & { readonly name: string }
      const named = (rows: unknown) => (rows as ReadonlyArray<Row>).map(({ name }) => name)
      const { resource } = GROUPS
      const names = ["python worker", "cron", "python3 -m pip"]
      const get = (path: string) => ask("GET", `${path}${path.includes("?") ? "&" : "?"}grouping=workers`)

      const top = (yield* get(`/api/servers/${one}/${resource}/top`)).json
      assert.deepStrictEqual(named(top[resource]), names)
      const [worker] = top[resource] as ReadonlyArray<Row>
      assert.closeTo(Number(worker!.avg_cpu_percent), 60, 1e-6)
      assert.deepInclude(worker, { num_procs: 3, memory_mb: 192, peak_is_bound: false })
      assert.deepStrictEqual(top.grouping, { name: "workers", version: 1 })
      const plain = (yield* ask("GET", `/api/servers/${one}/${resource}/top`)).json
      assert.isUndefined(plain.grouping)
      assert.lengthOf(plain[resource] as ReadonlyArray<Row>, 5)

      const worked = "name=python%20worker"
      const history = (yield* get(`/api/servers/${one}/${resource}/history?${worked}`)).json
      const percent = (history.series as Record<string, ReadonlyArray<number | null>>).cpu_percent!
      assert.closeTo(Math.max(...percent.map((value) => value ?? 0)), 60, 1e-6)
      assert.deepStrictEqual([history.peak_is_bound, history.grouping], [false, top.grouping])

      const diff = (yield* get(`/api/servers/${one}/${resource}/diff?against_server=${two}`)).json
      assert.sameMembers(named(diff.changes), names)
      const fleet = (yield* get(`/api/${resource}/top?by=name`)).json
      assert.deepInclude((fleet[resource] as ReadonlyArray<Row>)[0], { name: "python worker", servers: 2 })
      const series = (yield* get(`/api/servers/${one}/${resource}/series`)).json
      assert.deepStrictEqual(named(series.series), names)
      const across = (yield* get(`/api/${resource}/across?${worked}`)).json
      assert.strictEqual(across.total, 2)
      const compare = (yield* get(`/api/${resource}/compare?server=${one}&server=${two}`)).json
      assert.sameMembers(named(compare.groups), names)
      const spread = (yield* get(`/api/${resource}/spread?${worked}`)).json
      assert.sameMembers([...(spread.server_ids as ReadonlyArray<string>)], [one, two])
      const then = `hours=0.25&at=${new Date().toISOString()}`
      const groups = (yield* get(`/api/${resource}/groups?${then}&search=PYTHON`)).json
      assert.deepStrictEqual(named(groups.groups), ["python worker", "python3 -m pip"])
      assert.deepInclude((groups.groups as ReadonlyArray<Row>)[0], { servers: 2, peak_is_bound: false })
      const plainGroups = (yield* ask("GET", `/api/${resource}/groups?${then}`)).json
      assert.closeTo(groups.totals.cpu, plainGroups.totals.cpu, 1e-9 * plainGroups.totals.cpu)
      const ran = (yield* get(`/api/${resource}/groups/servers?${then}&${worked}`)).json
      assert.strictEqual(ran.all, 2)
      for (const answer of [diff, fleet, series, across, compare, spread, groups, ran]) {
        assert.deepStrictEqual(answer.grouping, { name: "workers", version: 1 })
      }
    })
  )

  it.effect("a version that is named does not change, and one that is not there is no answer", () =>
    Effect.gen(function* () {
      const { ask, save } = yield* asks
      const id = yield* seed("pinned")
      yield* save({ name: "pinned", base_version: 0, rules: [RULE] })
      yield* save({ name: "pinned", base_version: 1, rules: [{ match: "^python", name: "python" }] })
      const firstOf = Effect.fnUntraced(function* (grouping: string) {
        const { json, status } = yield* ask("GET", `/api/servers/${id}/${GROUPS.resource}/top?grouping=${grouping}`)
        return status === 200 ? (json[GROUPS.resource] as ReadonlyArray<{ name: string }>)[0]!.name : status
      })
      assert.strictEqual(yield* firstOf("pinned@1"), "python worker")
      assert.strictEqual(yield* firstOf("pinned"), "python")
      assert.strictEqual(yield* firstOf("pinned@9"), 404)
      assert.strictEqual(yield* firstOf("nobody"), 404)
      for (const wrong of ["", "a@0", "A", "a@", "a@x"]) assert.strictEqual(yield* firstOf(wrong), 400, wrong)
    })
  )

  it.effect("show before they are saved which rule takes what, and that the total stays", () =>
    Effect.gen(function* () {
      const { ask } = yield* asks
      const id = yield* seed("preview")
      const { json, status } = yield* ask("POST", "/api/groupings/preview", { rules: [], server_id: id })
      assert.strictEqual(status, 200)
      const [alike] = json.alike as ReadonlyArray<{ rule: typeof RULE; names: number }>
      assert.deepInclude(alike, {
        names: 3,
        rule: { match: "^python3 worker_[0-9]+\\.py$", name: "python3 worker_*.py" }
      })
      const next = (yield* ask("POST", "/api/groupings/preview", { rules: [alike!.rule], server_id: id })).json
      assert.deepStrictEqual(next.taken, [3])
      const [before, after] = [next.before, next.after] as ReadonlyArray<{ groups: number; value: number }>
      assert.deepStrictEqual([before!.groups, after!.groups], [5, 3])
      assert.closeTo(after!.value, before!.value, 1e-9 * before!.value)
      const refused = yield* ask("POST", "/api/groupings/preview", { rules: [{ match: "(", name: "x" }] })
      assert.deepInclude(refused.json, { rule: 1, field: "match" })
      assert.strictEqual((yield* ask("POST", "/api/groupings/preview", { rules: [], server_id: "none" })).status, 404)
    })
  )
})
