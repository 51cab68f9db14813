/**
 * What a person at a terminal gets: `nodepulse login`, `top`, `diff`, `alerts` and the like against a whole server, in this process, and in a pipe as
 * a process of its own.
 */
import { chmod, readFile, stat, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { PgClient } from "@effect/sql-pg"
import { assert, describe, layer } from "@effect/vitest"
import { Effect } from "effect"
import { home, piped, run } from "./CommandLine.ts"
import * as TestServer from "./TestServer.ts"

const ADMIN = "an-admin-token-for-tests"
const HOSTILE = "evil\u001b[2J\u202ename"

/** Forty scrapes, the last one just now: `node` takes a core more over the second half; `cron` is gone in it. */
const seed = Effect.fnUntraced(function* (name: string) {
  const server = yield* TestServer.TestServer
  const { server_id, token } = yield* server.register(name)
  const began = Date.now() - 40 * 15_000
  for (let n = 0; n <= 40; n++) {
    const timestamp = new Date(began + n * 15_000 - 1_000).toISOString()
    const later = Math.max(0, n - 20) * 15
    const one = (name: string, cpu: number, procs: number) => ({
      timestamp,
      name,
      num_procs: procs,
      cpu_seconds_total: 100 + cpu,
      memory_bytes: procs * 512 * 2 ** 20
    })
    const cron = Math.min(n, 20) * 15 * 0.2
    const body = {
      node_exporter: [
        { timestamp, cpu_user_seconds: 900 + n * 1.5 + later + cron, cpu_cores: 4, memory_total_bytes: 2 ** 33 }
      ],
      process_exporter: [
        one("node", n * 1.5 + later, 3),
        one("cron", cron, n <= 20 ? 1 : 0),
        one(HOSTILE, 0, 1),
        one("名前", 0, 0)
      ]
    }
    const { status } = yield* server.request("POST", "/metrics/prometheus", { body, token })
    assert.strictEqual(status, 202)
  }
  const at = (n: number) => new Date(began + n * 15_000 - 1_000).toISOString()
  return { server: server_id, began: at(0), half: at(20), ended: at(40) }
})
type Seeded = Effect.Success<ReturnType<typeof seed>>

layer(TestServer.layer, { excludeTestServices: true })("at a terminal", (it) => {
  describe("signing in", () => {
    it.effect("saves a token that works, where nobody else reads it, and forgets it again", () =>
      Effect.gen(function* () {
        const { url } = yield* TestServer.TestServer
        const env = { HOME: yield* home }
        const file = join(env.HOME, ".config", "nodepulse", "sign-in.json")
        assert.include((yield* run(["top"], env)).failure, "nodepulse login")
        const login = yield* run(["login", `${url}/`], env, { stdin: `${ADMIN}\n` })
        assert.isUndefined(login.failure)
        assert.notInclude(login.out, ADMIN)
        assert.deepStrictEqual(JSON.parse(yield* Effect.promise(() => readFile(file, "utf8"))), { url, token: ADMIN })
        const mode = (yield* Effect.promise(() => stat(file))).mode & 0o777
        assert.strictEqual(mode, 0o600)
        assert.isUndefined((yield* run(["top"], env)).failure)
        yield* Effect.promise(() => chmod(file, 0o644))
        assert.include((yield* run(["top"], env)).failure, "others can read it")
        yield* run(["logout"], env)
        assert.include((yield* run(["top"], env)).failure, "not signed in")
      })
    )

    it.effect("says what is wrong, and saves nothing", () =>
      Effect.gen(function* () {
        const { url } = yield* TestServer.TestServer
        const { token: ofAgent } = yield* (yield* TestServer.TestServer).register("only-writes")
        const env = { HOME: yield* home }
        for (const [address, stdin, expected] of [
          [url, "wrong", "does not know the token"],
          [url, ofAgent, "can only send data"],
          [url, "", "empty"],
          ["pulse.example", ADMIN, "no address"],
          ["ftp://pulse.example", ADMIN, "no address"],
          ["http://me:secret@pulse.example", ADMIN, "leave the user out"],
          [`${url}/signin?code=x`, ADMIN, "sign-in link"],
          ["http://127.0.0.1:1", ADMIN, "cannot be reached"]
        ] as const) {
          const { failure } = yield* run(["login", address], env, { stdin })
          assert.include(failure, expected, address)
        }
        assert.include((yield* run(["top"], env)).failure, "not signed in")
      })
    )

    it.effect("is not needed where the environment has address and token, and needs both", () =>
      Effect.gen(function* () {
        const { url } = yield* TestServer.TestServer
        const env = { HOME: yield* home, NODEPULSE_URL: url }
        assert.include((yield* run(["top"], env)).failure, "go together")
        assert.isUndefined((yield* run(["top"], { ...env, NODEPULSE_TOKEN: ADMIN })).failure)
      })
    )
  })

  describe("top and diff", () => {
    it.effect("tell who uses most, what changed, and when; as a table, as JSON, of one server or all", () =>
      Effect.gen(function* () {
        const { request, url } = yield* TestServer.TestServer
        const seeded = yield* seed("Web One")
        const { server } = seeded
        const env = { HOME: yield* home, NODEPULSE_URL: url, NODEPULSE_TOKEN: ADMIN }
        yield* isTop(seeded, env)
        yield* isDiff(seeded, env)
        yield* isRefused(server, env)
        yield* isNoted(server, env)
        yield* isBacktested(server, env)
        yield* isRegrouped(server, env)
        yield* isPiped(server, env)
        const { body } = yield* request("GET", `/api/servers/${server}/processes/top?limit=2`)
        const { out } = yield* run(["top", server, "-n", "2", "--json"], env)
        assert.deepStrictEqual(Object.keys(JSON.parse(out)).sort(), Object.keys(body).sort())
        assert.strictEqual(JSON.parse(out).processes[0].name, "node")
      }).pipe(Effect.scoped)
    )
  })

  describe("alerts, silences and rules", () => {
    it.effect("tell what fires and what fired, and who knows; for those who may, in words and as JSON", () =>
      Effect.gen(function* () {
        const { register, request, url } = yield* TestServer.TestServer
        const { server_id } = yield* register("Alert One")
        const env = { HOME: yield* home, NODEPULSE_URL: url, NODEPULSE_TOKEN: ADMIN }
        yield* areRules(env)
        yield* nobodyAsks
        const ids = yield* fired(server_id)
        yield* areListed(server_id, ids, env)
        yield* isAcknowledged(ids, env)
        yield* areSilenced(server_id, env)
        const { body } = yield* request("POST", "/api/tokens", { body: { kind: "read" } })
        yield* areRefused(ids.firing, { ...env, NODEPULSE_TOKEN: body.token })
        const failed = yield* piped(["alerts", "show", "0"], env, false)
        assert.deepStrictEqual([failed.code, failed.out], [1, ""])
        assert.match(failed.error, /^nodepulse: there is no alert "0"/)
      }).pipe(Effect.scoped)
    )
  })
})

type Env = Readonly<Record<string, string>>

const isTop = Effect.fnUntraced(function* ({ began, ended, server }: Seeded, env: Env) {
  const { failure, out } = yield* run(["top", server, "--from", began, "--to", ended], env)
  assert.isUndefined(failure)
  const [title, head, first, ...more] = out.split("\n")
  assert.match(title!, /^Web One \(4 cores, 8\.0G\) {2}/)
  assert.strictEqual(head!.replaceAll(/ +/g, " ").trim(), "CPU% AVG CPU% PEAK CPU% MEMORY PEAK MEMORY NUM PROCS NAME")
  assert.match(first!, /^ *110\.0 +60\.0 +110\.0 +1\.5G +1\.5G +3 +node$/)
  // What a name holds is shown and does nothing; nothing is coloured, and nothing is cut.
  assert.isTrue(more.some((line) => line.endsWith("evil\\u001b[2J\\u202ename")))
  assert.isFalse(out.includes("\u001b"))
  assert.isTrue(more.some((line) => line.endsWith("(unaccounted)")))
  const named = yield* run(["top", "Web One", "--by", "memory", "-n", "1"], env)
  assert.include(named.out, "MEMORY  AVG MEMORY")
  assert.include(named.out, "(3 more)")
  const fleet = yield* run(["top", "-n", "1"], env)
  assert.match(fleet.out, new RegExp(`${server} +node`))
  const coloured = yield* run(["top", server], env, { colours: true })
  assert.include(coloured.out, "\u001b[1mWeb One")
  assert.notInclude(coloured.out, "\u001b[2J\u202e")
  const then = yield* run(["top", server, "--at", "2001-01-01 03:14"], env)
  assert.include(then.out, "2001-01-01 03:09 to 2001-01-01 03:14")
  assert.include(then.out, "No data in this time range.")
})

const isDiff = Effect.fnUntraced(function* ({ ended, half, server }: Seeded, env: Env) {
  const { failure, out } = yield* run(["diff", server, "--from", half, "--to", ended, "--limit", "2"], env)
  assert.isUndefined(failure)
  const lines = out.split("\n")
  assert.match(lines[0]!, /^before Web One {2}.* seen for \d+ %$/)
  assert.match(lines[1]!, /^after {2}Web One {2}.* seen for \d+ %$/)
  const row = (name: string) =>
    lines
      .find((line) => line.includes(name))!
      .replaceAll(/ +/g, " ")
      .trim()
  assert.strictEqual(row("node"), "+100.0 125 % 10.0 110.0 3 > 3 node")
  assert.strictEqual(row("cron"), "-20.0 -25 % 20.0 0.0 1 > 0 cron gone")
  assert.match(row("unaccounted"), /^[+-]0\.0 -?0 % -?0\.0 -?0\.0 \(unaccounted\)$/)
  assert.strictEqual(row("busy CPU"), "+80.0 100 % 30.0 110.0 the host's busy CPU")
  assert.include(lines.at(-1), "the host's busy CPU")
  const json = JSON.parse((yield* run(["diff", server, "--against", "week", "--json"], env)).out)
  assert.strictEqual(json.partial, true)
  assert.strictEqual(Date.parse(json.after.window.to) - Date.parse(json.before.window.to), 7 * 86_400_000)
})

const isRefused = Effect.fnUntraced(function* (server: string, env: Env) {
  for (const [args, expected] of [
    [["top", "nobody"], "there is no server nobody; there are"],
    [["top", server, "--by", "disk"], "one of cpu, memory"],
    [["top", server, "--resource", "node"], "no ranking of node; available: processes"],
    [["top", server, "--at", "25:00"], "--at 25:00 is no moment"],
    [["top", server, "--at", "03:14", "--from", "02:00"], "does not go with"],
    [["top", server, "--last", "soon"], "--last soon is no span"],
    [["top", server, "-n", "0"], "1 to 1000"],
    [["top", server, "--grouping", "nobody"], 'no rule set "nobody"'],
    [["top", server, "--grouping", "a@"], "--grouping a@ is not the name of a rule set"],
    [["diff", server, "--grouping", "nobody@2"], 'no rule set "nobody@2"'],
    [["diff", server, "--against", "day", "--against-at", "03:14"], "leave it out"],
    [["diff", server, "--against-at", "then"], "--against-at then is no moment"],
    [["diff", server, "--against-server", "nobody"], "there is no server nobody"]
  ] as const) {
    const { failure, out } = yield* run(args, env)
    assert.isDefined(failure, args.join(" "))
    assert.include(`${failure} ${out}`, expected, args.join(" "))
  }
})

const isNoted = Effect.fnUntraced(function* (server: string, env: Env) {
  const { request } = yield* TestServer.TestServer
  assert.include((yield* run(["note", "deploy 1.4"], env)).out, "on all servers")
  assert.include((yield* run(["note", "moved", "--server", "Web One", "--at", "2m ago"], env)).out, "on Web One")
  assert.include((yield* run(["note", "x", "--at", "soon"], env)).failure, "--at soon is no moment")
  assert.include((yield* run(["note", " "], env)).failure, "not only blanks")
  const { body } = yield* request("GET", `/api/servers/${server}/marks`)
  assert.deepStrictEqual(
    body.marks.map(({ author, kind, text }: Record<string, string>) => [kind, text, author]),
    [
      ["note", "moved", "admin"],
      ["note", "deploy 1.4", "admin"]
    ]
  )
  const reader = yield* request("POST", "/api/tokens", { body: { kind: "read" } })
  const refused = yield* run(["note", "x"], { ...env, NODEPULSE_TOKEN: reader.body.token })
  assert.include(refused.failure, "needs an operator")
})

const isBacktested = Effect.fnUntraced(function* (server: string, env: Env & { readonly HOME: string }) {
  const file = join(env.HOME, "rules.yml")
  const write = (text: string) => Effect.promise(() => writeFile(file, text))
  const rules = (above: number) =>
    `rules:\n  - {name: hungry, resource: processes, server: Web*, group: node, metric: cpu, above: ${above}}`
  yield* write(rules(50))
  assert.strictEqual(
    (yield* run(["rules", "check", file], env)).out,
    "hungry: node on Web*: cpu above 50 % of a core, averaged over 60 s"
  )
  assert.include((yield* run(["rules", "check", file, file], env)).out, "is the name of a rule in")
  const { failure, out } = yield* run(["rules", "backtest", file, "--last", "1h"], env)
  assert.isUndefined(failure)
  assert.match(out, /would have fired once on 1 server, for \d+ (s|min) at the longest/)
  assert.match(out, new RegExp(`still {2}${server} {2}node {2}\\d`))
  yield* write(rules(500))
  assert.include((yield* run(["rules", "backtest", file], env)).out, "would never have fired, on 1 server")
  assert.include((yield* run(["rules", "backtest", file, "--rule", "other"], env)).failure, 'no rule "other"')
  yield* write(rules(50).replace("above", "abov"))
  for (const command of ["check", "backtest"]) {
    const wrong = yield* run(["rules", command, file], env)
    assert.include(`${wrong.failure} ${wrong.out}`, 'did you mean "above"?')
  }
  assert.include((yield* run(["rules", "check", `${file}.gone`], env)).failure, "cannot be read")
  yield* write("rules:\n  - {name: Crash loop, enabled: false}\n  - {name: 'A clock is off', enabled: false}")
  assert.deepStrictEqual((yield* run(["rules", "check", file], env)).out.split("\n"), [
    "Crash loop: switched off; any group on any server: restarted more than 5 times in 15 min",
    "A clock is off: switched off; on any server: the agent's clock is more than 30 seconds off, for 5 min"
  ])
  yield* write("rules:\n  - {name: Crash lop, enabled: false}")
  const nothing = yield* run(["rules", "check", file], env)
  assert.include(nothing.out, '"Crash lop" is switched off, but no such rule is shipped, did you mean "Crash loop"?')
  assert.include(nothing.failure, "1 problem")
})

/** The server's own evaluation would end alerts that no rule has found: as far as it knows, all was asked for the next hour. */
const nobodyAsks = Effect.flatMap(
  PgClient.PgClient,
  (sql) => sql`insert into admiral.alert_progress (asked_until, holder) values (now() + interval '1 hour', 'test')
    on conflict (single) do update set asked_until = excluded.asked_until, holder = excluded.holder`
)

/** An alert that fires, of a rule and about a group with hostile names, and an earlier one about the server, which is over. */
const fired = Effect.fnUntraced(function* (server: string) {
  const sql = yield* PgClient.PgClient
  const asked = JSON.stringify({ resource: "processes", metric: "cpu", unit: "% of a core", span: 360_000 })
  const insert = (rule: string, group: string, minutes: number, over: number | null) =>
    Effect.map(
      sql<{ readonly id: string }>`
        insert into admiral.alerts (rule, sentence, severity, server_id, alert_group, value, asked, fired_at, resolved_at)
        select ${rule}::text, ${`${group} is busy`}::text, 'critical', server.id, ${group}::text, 91.25, ${asked}::text::jsonb,
          now() - ${minutes}::int * interval '1 minute', now() - ${over}::int * interval '1 minute'
        from admiral.servers server where server.server_id = ${server} returning id::text as id`,
      ([row]) => row!.id
    )
  const over = yield* insert("old", "", 180, 150)
  return { over, firing: yield* insert(RULE, HOSTILE, 10, null) }
})

const RULE = "busy\u001b[31m"

/** A line of a table, its blanks made one. */
const lineWith = (out: string, text: string): string =>
  (out.split("\n").find((line) => line.includes(text)) ?? "").replaceAll(/ +/g, " ").trim()

interface Fired {
  readonly firing: string
  readonly over: string
}

const areListed = Effect.fnUntraced(function* (server: string, { firing, over }: Fired, env: Env) {
  const all = yield* run(["alerts"], env)
  assert.isUndefined(all.failure)
  const [head, first, second] = all.out.split("\n").map((line) => line.replaceAll(/ +/g, " ").trim())
  assert.strictEqual(head, "ID FIRED LASTED STATE SEVERITY VALUE SERVER WHAT")
  assert.match(
    first!,
    new RegExp(
      `^${firing} .* 1[01](?:\\.\\d)? min firing critical 91.3 % of a core ${server} busy\\\\u001b\\[31m: evil`
    )
  )
  assert.match(second!, new RegExp(`^${over} .* 30 min over critical 91.3 % of a core ${server} old$`))
  assert.isFalse(all.out.includes("\u001b"))
  const coloured = yield* run(["alerts"], env, { colours: true })
  assert.include(coloured.out, "\u001b[33m")
  assert.notInclude(coloured.out, "\u001b[2J")
  const ids = (args: ReadonlyArray<string>) =>
    Effect.map(run(["alerts", "--json", ...args], env), ({ out }) =>
      JSON.parse(out).alerts.map(({ alert_id }: { readonly alert_id: string }) => alert_id)
    )
  assert.deepStrictEqual(yield* ids([]), [firing, over])
  assert.deepStrictEqual(yield* ids(["--state", "firing"]), [firing])
  assert.deepStrictEqual(yield* ids(["--state", "resolved"]), [over])
  assert.deepStrictEqual(yield* ids(["--since", "1h ago"]), [firing])
  assert.deepStrictEqual(yield* ids(["--rule", "old", "--server", "Alert One"]), [over])
  assert.include((yield* run(["alerts", "-n", "1"], env)).out, "The first 1; --limit shows more.")
  assert.strictEqual((yield* run(["alerts", "--rule", "none"], env)).out, "no alerts like that")
  const { out } = yield* run(["alerts", "show", firing], env)
  assert.include(out, "evil\\u001b[2J\\u202ename is busy (91 % of a core)")
  assert.include(out, `critical: evil`)
  assert.isFalse(out.includes("\u001b"))
  const story = JSON.parse((yield* run(["alerts", "show", firing, "--json"], env)).out)
  assert.strictEqual(story.alert_id, firing)
})

const isAcknowledged = Effect.fnUntraced(function* ({ firing, over }: Fired, env: Env) {
  const acknowledged = yield* run(["alerts", "ack", firing, "--note", "I look"], env)
  assert.include(acknowledged.out, `acknowledged alert ${firing}, busy\\u001b[31m: evil`)
  assert.match((yield* run(["alerts", "show", firing], env)).out, /^acknowledged by admin, [\d:]+: I look$/m)
  assert.include(lineWith((yield* run(["alerts"], env)).out, firing), "firing, acknowledged")
  assert.include((yield* run(["alerts", "ack", over], env)).failure, "over")
  for (const [args, expected] of [
    [["ack", "999999"], 'there is no alert "999999"'],
    [["ack", "../1"], "../1 is no number of an alert"],
    [["show", ""], "an empty text is no number of an alert"],
    [["ack", firing, "--note", " "], "--note is not"],
    [["--since", "soon"], "--since soon is no moment"],
    [["--server", "nobody"], "there is no server nobody"],
    [["--rule", "r".repeat(101)], "--rule has 101 characters"],
    [["--limit", "0"], "1 to 1000"],
    [["--state", "odd"], "odd"]
  ] as const) {
    const { failure, out } = yield* run(["alerts", ...args], env)
    assert.isDefined(failure, args.join(" "))
    assert.include(`${failure} ${out}`, expected)
  }
})

const areSilenced = Effect.fnUntraced(function* (server: string, env: Env) {
  assert.strictEqual((yield* run(["silences"], env)).out, "there are no silences")
  const add = (...args: ReadonlyArray<string>) => run(["silences", "add", "--comment", "why\u0007", ...args], env)
  const plain = (...args: ReadonlyArray<string>) => run(["silences", "add", "--comment", "known", ...args], env)
  const added = yield* plain("--rule", "busy*", "--severity", "critical", "--for", "2h")
  assert.match(added.out, /^silence \d+: busy\* on any server, critical only, .* to .*$/)
  const id = /^silence (\d+)/.exec(added.out)![1]!
  assert.include(lineWith((yield* run(["alerts", "--state", "firing"], env)).out, "busy"), ", silenced,")
  const later = yield* plain("--maintenance", "--server", server, "--from", "in 2d", "--for", "90m")
  assert.match(later.out, new RegExp(`^maintenance \\d+: maintenance of ${server}, `))
  const { out } = yield* run(["silences"], env)
  assert.match(
    lineWith(out, "busy*"),
    new RegExp(`^${id} active .* admin busy\\* on any server, critical only: known$`)
  )
  assert.match(lineWith(out, "maintenance"), /^\d+ to come .* admin maintenance of .*: known$/)
  const [asked] = JSON.parse((yield* run(["silences", "--json"], env)).out).silences
  assert.strictEqual(asked.silence_id, id)
  const lasts = Date.parse(asked.until) - Date.parse(asked.from)
  assert.isTrue(lasts > 7_100_000 && lasts <= 7_200_000, String(lasts))
  assert.strictEqual((yield* run(["silences", "end", id], env)).out, `silence ${id} is over`)
  assert.notInclude((yield* run(["silences"], env)).out, "busy*")
  assert.match(lineWith((yield* run(["silences", "--all"], env)).out, "busy*"), / over /)
  for (const [ran, expected] of [
    [plain("--for", "2h"), "say which alerts"],
    [add("--rule", "a", "--for", "2h"), "--comment is not"],
    [plain("--rule", "a", "--for", "long"), "--for long is no span"],
    [plain("--rule", "*".repeat(9), "--for", "2h"), "is not a pattern"],
    [plain("--rule", "a", "--for", "2h", "--from", "soon"), "--from soon is no moment"],
    [plain("--rule", "a", "--for", "2h", "--from", "2020-01-01"), "end in the past"],
    [plain("--rule", "a", "--for", "400d"), "at most 366 days"],
    [plain("--rule", "a", "--for", "999999999w"), "more than a year"],
    [plain("--maintenance", "--for", "2h"), "--maintenance needs --server"],
    [plain("--maintenance", "--server", "*", "--rule", "a", "--for", "2h"), "does not go with --rule"],
    [run(["silences", "end", "999999"], env), "999999"],
    [run(["silences", "end", "x"], env), "x is no number of a silence"]
  ] as const) {
    const { failure, out } = yield* ran
    assert.isDefined(failure, expected)
    assert.include(`${failure} ${out}`, expected)
  }
})

const areRules = Effect.fnUntraced(function* (env: Env) {
  const { request } = yield* TestServer.TestServer
  assert.strictEqual((yield* run(["rules", "list"], env)).out, "there are no rules")
  const document = { resource: "node", silent: true, over: "30m", severity: "info" }
  for (const [name, enabled] of [
    ["quiet", true],
    ["off", false]
  ] as const) {
    yield* request("PUT", `/api/rules/${name}`, { body: { document: { ...document, enabled }, base_version: 0 } })
  }
  const { out } = yield* run(["rules", "list"], env)
  assert.match(lineWith(out, "quiet"), /^0 info saved by admin quiet: /)
  assert.match(lineWith(out, "off"), /^off info saved by admin off: /)
  const json = JSON.parse((yield* run(["rules", "list", "--json"], env)).out)
  assert.strictEqual(json.rules.length, 2)
})

/** Reading is for whoever may read; the rest needs an operator. */
const areRefused = Effect.fnUntraced(function* (alert: string, env: Env) {
  for (const args of [["alerts"], ["alerts", "show", alert], ["silences"], ["rules", "list"]]) {
    assert.isUndefined((yield* run(args, env)).failure, args.join(" "))
    assert.include((yield* run(args, { HOME: env.HOME! })).failure, "not signed in")
  }
  for (const args of [
    ["alerts", "ack", alert],
    ["silences", "add", "--server", "*", "--for", "2h", "--comment", "x"],
    ["silences", "end", "1"]
  ]) {
    assert.include((yield* run(args, env)).failure, "needs an operator", args.join(" "))
  }
})

/** A set goes from a file to versions and back, and what cannot be used is told with its line. */
const isRegrouped = Effect.fnUntraced(function* (server: string, env: Env & { readonly HOME: string }) {
  const file = join(env.HOME, "workers.yml")
  const write = (text: string) => Effect.promise(() => writeFile(file, text))
  const rules = (name: string) => `name: no-script\nrules:\n  - match: '^(n)ode$'\n    name: '${name}'\n`
  yield* write(rules("$1ode.js"))
  const tried = yield* run(["groups", "apply", file, "--dry-run", "--server", server], env)
  assert.isUndefined(tried.failure)
  assert.match(tried.out, /1 {2} +1 {2}\$1ode\.js {2}\(\^\(n\)ode\$\)/)
  assert.match(tried.out, /names become \d+, \d+ of them taken by no rule/)
  assert.include((yield* run(["groups", "list"], env)).out, "there are no rule sets yet")
  assert.strictEqual((yield* run(["groups", "apply", file], env)).out, "saved 1 rules as version 1 of no-script")
  assert.include((yield* run(["groups", "apply", file], env)).out, "has these rules already: version 1")
  const regrouped = yield* run(["top", server, "--grouping", "no-script"], env)
  assert.match(regrouped.out, /names grouped by no-script@1/)
  assert.match(regrouped.out, / node\.js$/m)
  assert.match((yield* run(["top", "--grouping", "no-script@1"], env)).out, / node\.js$/m)
  const changed = yield* run(["diff", server, "--grouping", "no-script"], env)
  assert.match(changed.out, /^names grouped by no-script@1$/m)
  assert.include(changed.out, "node.js")
  yield* write(rules("node"))
  assert.include((yield* run(["groups", "apply", file, "--comment", "shorter"], env)).out, "version 2")
  assert.match((yield* run(["groups", "list"], env)).out, /2 +1 .*admin +no-script/)
  const shown = (yield* run(["groups", "show", "no-script@1"], env)).out
  assert.include(shown, "name: $1ode.js")
  assert.include((yield* run(["groups", "rollback", "no-script", "1"], env)).out, "as version 3 of no-script")
  yield* write(shown)
  assert.include((yield* run(["groups", "apply", file], env)).out, "has these rules already: version 3")
  for (const [text, expected] of [
    [rules("$2"), 'rules[0].name (line 4): rule 1, name "$2", character 1: $2: the pattern has no such group'],
    [rules("x").replace("(n)", "(n"), "rules[0].match (line 3)"],
    [rules("x").replace("match", "pattern"), "rules[0].pattern (line 3) is not a known key"],
    [rules("x").replace("no-script", "No Script"), "name (line 1)"]
  ] as const) {
    yield* write(text)
    assert.include((yield* run(["groups", "apply", file], env)).failure, expected)
  }
  for (const [args, expected] of [
    [["show", "gone"], 'there is no rule set "gone"'],
    [["show", "a@"], "a@ is not the name of a rule set"],
    [["rollback", "no-script", "9"], 'no rule set "no-script@9"'],
    [["apply", `${file}.gone`], "cannot be read"]
  ] as const) {
    assert.include((yield* run(["groups", ...args], env)).failure, expected)
  }
})

/** A process of its own: its exit codes, and what it does when its reader goes. */
const isPiped = Effect.fnUntraced(function* (server: string, env: Env) {
  const { code, out } = yield* piped(["top", server, "--watch"], env, true)
  assert.strictEqual(code, 0)
  assert.include(out, "Web One")
  const failed = yield* piped(["top", "nobody"], env, false)
  assert.strictEqual(failed.code, 1)
  assert.match(failed.error, /^nodepulse: there is no server nobody/)
  assert.strictEqual(failed.out, "")
})
