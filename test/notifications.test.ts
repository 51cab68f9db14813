/**
 * Alerts that people are told of, with real parts: PostgreSQL, a hook server that fails, hangs and redirects, and several notifiers
 * that are ended between sending and noting it.
 */
import { createHmac } from "node:crypto"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import type { IncomingMessage, ServerResponse } from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { PgClient, PgTypes } from "@effect/sql-pg"
import { assert, layer } from "@effect/vitest"
import { Effect, Fiber, Layer, Result, Schedule } from "effect"
import config from "../plugins.config.ts"
import { makeHeartbeat } from "../src/alerts/delivery/Heartbeat.ts"
import { type Notification, Notifications } from "../src/alerts/delivery/Notifications.ts"
import * as NotificationsPostgres from "../src/alerts/delivery/NotificationsPostgres.ts"
import { NotifyBook } from "../src/alerts/delivery/NotifyBook.ts"
import { type NotifyConfig, readNotify } from "../src/alerts/delivery/NotifyFile.ts"
import { Rulebook } from "../src/alerts/Rulebook.ts"
import { Silences } from "../src/alerts/silences/Silences.ts"
import * as SilencesPostgres from "../src/alerts/silences/SilencesPostgres.ts"
import { AlertStories } from "../src/alerts/story/Story.ts"
import { makeRegistry, Registry } from "../src/plugins/Registry.ts"
import { hookServer } from "./HookServer.ts"
import { makeStandingClock } from "./StandingClock.ts"
import * as TestDatabase from "./TestDatabase.ts"

/** What happens while a message is written. */
let writing: () => Effect.Effect<unknown, unknown> = () => Effect.void
const book: { config: NotifyConfig | undefined } = { config: undefined }
const ground = Layer.mergeAll(
  Layer.succeed(Registry, Result.getOrThrow(makeRegistry({ exporters: config.exporters }))),
  Layer.succeed(Rulebook, { rules: Effect.succeed([]) } as never),
  Layer.succeed(AlertStories, { of: () => Effect.andThen(Effect.suspend(writing), Effect.succeedNone) } as never),
  Layer.succeed(NotifyBook, { state: Effect.sync(() => ({ config: book.config, problems: [] })) })
).pipe(Layer.provideMerge(SilencesPostgres.layer), Layer.provideMerge(TestDatabase.layer))
const options = { publicUrl: "https://pulse.example" }
const live = NotificationsPostgres.layerWith(options).pipe(Layer.provideMerge(ground))

const clock = makeStandingClock()
const EPOCH = Date.UTC(2025, 9, 30, 12)
let second = 0
/** Puts the clock forward, by seconds. */
const wait = (by: number) => {
  second += by
  clock.set(EPOCH + second * 1_000)
}

interface Seen {
  readonly path: string
  readonly headers: IncomingMessage["headers"]
  readonly body: string
  // biome-ignore lint/suspicious/noExplicitAny: a message is whatever was sent.
  readonly json: any
}

/** A server that hooks are at. What it answers is `answer`'s, by path; it answers 200 unless told otherwise. */
const hook = (answer: (path: string, response: ServerResponse) => void = (_, response) => void response.end()) =>
  Effect.gen(function* () {
    const seen: Array<Seen> = []
    const url = yield* hookServer(({ headers, url: path = "" }, body, response) => {
      seen.push({ path, headers, body, json: body === "" ? undefined : JSON.parse(body) })
      answer(path, response)
    })
    return { url, seen }
  })

const configure = (text: string) => {
  book.config = Result.getOrThrow(readNotify(text, tmpdir()))
}

const hooks = (url: string, more = "", ...names: ReadonlyArray<string>) =>
  configure(
    `receivers:\n${(names.length === 0 ? ["ops"] : names).map((name) => `  - {name: ${name}, webhook: {url: "${url}/${name}"}}\n`).join("")}` +
      `allow: ["127.0.0.1"]\n${more === "" ? "default: {receivers: [ops]}\n" : more}`
  )

/** Begins anew: nobody was told of anything. */
const anew = Effect.gen(function* () {
  const sql = yield* PgClient.PgClient
  for (const table of [
    "notifications",
    "incident_alerts",
    "incidents",
    "alerts",
    "delivery_progress",
    "alert_progress"
  ])
    yield* sql.unsafe(`delete from admiral.${table}`)
  wait(1_000_000)
})

const at = (seconds: number) => PgTypes.float8((EPOCH + seconds * 1_000) / 1_000)

const fire = Effect.fnUntraced(function* (server: string, group = "g", rule = "busy", severity = "warning") {
  const sql = yield* PgClient.PgClient
  yield* sql`insert into admiral.servers (server_id, name) values (${server}, ${`${server}.example`}) on conflict do nothing`
  yield* sql.unsafe(
    `insert into admiral.alerts (rule, sentence, severity, server_id, alert_group, value, asked, fired_at)
     select $1::text, 'it is busy', $2::text, id, $3::text, 91.234, '{"resource": "processes", "metric": "cpu", "unit": "%", "span": 60000}', to_timestamp($4::float8)
     from admiral.servers where server_id = $5::text`,
    [PgTypes.text(rule), PgTypes.text(severity), PgTypes.text(group), at(second), PgTypes.text(server)]
  )
})

const resolve = (server: string) =>
  Effect.flatMap(PgClient.PgClient, (sql) =>
    sql.unsafe(
      `update admiral.alerts set resolved_at = to_timestamp($1::float8)
       where resolved_at is null and server_id = (select id from admiral.servers where server_id = $2::text)`,
      [at(second), PgTypes.text(server)]
    )
  )

/** Plans, and sends all that is due; how many messages went out or failed. */
const passed = Effect.gen(function* () {
  const { plan, send } = yield* Notifications
  yield* clock.stood(plan)
  let count = 0
  while (yield* clock.stood(send)) count++
  return count
})

const listed = Effect.flatMap(Notifications, ({ list }) => list({ limit: 1_000 }))
const states = Effect.map(listed, (all) => all.map(({ kind, state }: Notification) => `${kind} ${state}`).reverse())

layer(live, { timeout: "2 minutes", excludeTestServices: true })("notifications", (it) => {
  it.effect("are not sent by a process that stood still until others may send them", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      yield* anew
      const { seen, url } = yield* hook()
      hooks(url)
      yield* fire("a")
      assert.strictEqual(yield* passed, 0)
      wait(30)
      writing = () => sql`update admiral.notifications set claimed_until = clock_timestamp() + interval '44 seconds'`
      assert.strictEqual(yield* passed, 1)
      assert.lengthOf(seen, 0)
      writing = () => Effect.void
      wait(60)
      assert.strictEqual(yield* passed, 1)
      assert.lengthOf(seen, 1)
    }).pipe(
      Effect.ensuring(
        Effect.sync(() => {
          writing = () => Effect.void
        })
      )
    )
  )

  it.effect("are one message an incident, one that it is over, and nothing where nothing happened since", () =>
    Effect.gen(function* () {
      yield* anew
      const { seen, url } = yield* hook()
      hooks(url)
      yield* fire("a")
      yield* fire("a", "h", "busy", "critical")
      assert.strictEqual(yield* passed, 0)
      wait(30)
      assert.strictEqual(yield* passed, 1)
      wait(300)
      assert.strictEqual(yield* passed, 0)
      yield* resolve("a")
      yield* passed
      wait(30)
      assert.strictEqual(yield* passed, 1)
      const [first, last] = seen
      assert.lengthOf(seen, 2)
      assert.deepInclude(first!.json, { route: "default", test: false })
      assert.strictEqual(first!.json.title, "Critical: 2 alerts on a.example (a): busy")
      assert.include(first!.json.text, "https://pulse.example/")
      assert.deepInclude(first!.json.incidents[0], {
        kind: "firing",
        server_id: "a",
        severity: "critical",
        over: false
      })
      assert.deepInclude(first!.json.incidents[0].alerts[0], { rule: "busy", value: 91.234, group: "g" })
      assert.deepInclude(last!.json.incidents[0], { kind: "resolved", over: true, key: first!.json.incidents[0].key })
      assert.deepStrictEqual(yield* states, ["firing sent", "resolved sent"])
    }).pipe(Effect.scoped)
  )

  it.effect("wait while people silence them, and are not repeated once somebody acknowledged them", () =>
    Effect.gen(function* () {
      yield* anew
      const { seen, url } = yield* hook()
      hooks(url, 'default: {receivers: [ops], group_wait: 0s, repeat_every: "10m"}\n')
      const { add } = yield* Silences
      const now = EPOCH + second * 1_000
      const silence = { kind: "silence" as const, rule: "*", server: "a.example", group: "*", severity: undefined }
      yield* clock.stood(add({ ...silence, from: now, until: now + 300_000, comment: "moving" }))
      yield* fire("a")
      yield* fire("b")
      yield* passed
      assert.deepStrictEqual(
        seen.map(({ json }) => json.incidents[0].server_id),
        ["b"]
      )
      wait(299)
      assert.strictEqual(yield* passed, 0)
      wait(2)
      assert.strictEqual(yield* passed, 1)
      assert.strictEqual(seen[1]!.json.incidents[0].server_id, "a")
      const sql = yield* PgClient.PgClient
      yield* sql`update admiral.alerts set acknowledged_at = now(), acknowledged_by = 'ann', acknowledged_note = ''
        where server_id = (select id from admiral.servers where server_id = 'b')`
      wait(700)
      yield* passed
      const told = seen.slice(2).map(({ json }) => `${json.incidents[0].kind} ${json.incidents[0].server_id}`)
      assert.deepStrictEqual(told.sort(), ["acknowledged b", "repeated a"])
    }).pipe(Effect.scoped)
  )

  it.effect(
    "that cannot be sent are tried later and later, for a day, and what follows from them is not sent either",
    () =>
      Effect.gen(function* () {
        yield* anew
        const { seen, url } = yield* hook((_, response) => void response.writeHead(500).end("secret-of-the-hook"))
        hooks(url)
        yield* fire("a")
        yield* passed
        wait(30)
        const stats = Effect.flatMap(Notifications, ({ stats }) => clock.stood(stats))
        const pauses: Array<number> = []
        for (;;) {
          yield* passed
          const firing = (yield* listed).find(({ kind }) => kind === "firing")!
          if (firing.state === "dead") break
          if (pauses.length === 3) {
            const { dead, oldestSeconds, waiting } = yield* stats
            assert.deepStrictEqual([dead, waiting], [0, 1])
            assert.approximately(
              oldestSeconds!,
              pauses.reduce((sum, pause) => sum + pause, 0),
              1
            )
          }
          const pause = Math.ceil((firing.dueAt - EPOCH) / 1_000) - second
          if (pauses.push(pause) === 20) yield* resolve("a")
          wait(pause)
        }
        yield* passed
        assert.isBelow(pauses[0]!, 10)
        assert.isAtLeast(pauses[2]!, 15)
        assert.isAtLeast(pauses[8]!, 400)
        assert.isTrue(pauses.every((pause) => pause <= 721))
        assert.approximately(
          pauses.reduce((sum, pause) => sum + pause, 0),
          86_400,
          800
        )
        assert.isAbove(seen.length, 12)
        assert.deepStrictEqual(yield* states, ["firing dead", "resolved dead"])
        assert.deepStrictEqual(yield* stats, { waiting: 0, oldestSeconds: null, dead: 2 })
        const [over, firing] = yield* listed
        assert.strictEqual(firing!.error, "it answers 500")
        assert.strictEqual(over!.error, "the message before it could not be sent")
      }).pipe(Effect.scoped)
  )

  it.effect(
    "are kept for a month, and as long as they wait; those that failed together do not come back together",
    () =>
      Effect.gen(function* () {
        yield* anew
        const { url } = yield* hook((path, response) => void response.writeHead(path === "/ops" ? 200 : 500).end())
        const failing = 'routes: [{name: b, receivers: [fails], server: "b-*", group_wait: 0s}]\n'
        hooks(url, `${failing}default: {receivers: [ops], group_wait: 0s}\n`, "ops", "fails")
        for (const server of ["a", "b-1", "b-2", "b-3"]) yield* fire(server)
        yield* passed
        yield* resolve("a")
        yield* passed
        assert.deepStrictEqual((yield* states).sort(), [
          "firing sent",
          ...Array(3).fill("firing waiting"),
          "resolved sent"
        ])
        const waiting = (yield* listed).filter(({ state }) => state === "waiting")
        assert.isAbove(new Set(waiting.map(({ dueAt }) => dueAt)).size, 1)
        const sql = yield* PgClient.PgClient
        yield* sql`update admiral.notifications set created_at = created_at - interval '31 days', due_at = due_at + interval '1 hour'`
        yield* sql`update admiral.incidents set closed_at = closed_at - interval '29 days' where server = 'a'`
        const { run } = yield* Notifications
        const running = yield* Effect.forkChild(clock.stood(run))
        yield* Effect.repeat(states, {
          until: (all) => all.every((state) => state === "firing waiting"),
          schedule: Schedule.spaced("50 millis")
        }).pipe(Effect.timeout("1 minute"))
        yield* Fiber.interrupt(running)
        assert.lengthOf(yield* listed, 3)
        const incidents = sql<{ readonly server: string }>`select server from admiral.incidents order by server`
        assert.deepStrictEqual(
          (yield* incidents).map(({ server }) => server),
          ["a", "b-1", "b-2", "b-3"]
        )
      }).pipe(Effect.scoped)
  )

  it.effect("are left alone for as long as the receiver asks for, and follow no redirect", () =>
    Effect.gen(function* () {
      yield* anew
      const { seen, url } = yield* hook((path, response) => {
        if (path === "/busy") response.writeHead(429, { "retry-after": "120" }).end()
        else if (path === "/moved") response.writeHead(307, { location: `${url}/elsewhere` }).end()
        else response.end()
      })
      hooks(url, "default: {receivers: [busy, moved], group_wait: 0s}\n", "busy", "moved")
      yield* fire("a")
      assert.strictEqual(yield* passed, 2)
      const ofBusy = () => seen.filter(({ path }) => path === "/busy").length
      wait(110)
      yield* passed
      assert.strictEqual(ofBusy(), 1)
      wait(11)
      yield* passed
      assert.strictEqual(ofBusy(), 2)
      assert.isFalse(seen.some(({ path }) => path === "/elsewhere"))
      assert.deepStrictEqual((yield* listed).map(({ error }) => error).sort(), [
        "it answers 307: redirects are not followed",
        "it answers 429"
      ])
    }).pipe(Effect.scoped)
  )

  it.effect(
    "that an order waits for a second person lead to where it is signed, and are not sent once that is too late",
    () =>
      Effect.gen(function* () {
        yield* anew
        const sql = yield* PgClient.PgClient
        let isDown = true
        const { seen, url } = yield* hook((_, response) => response.writeHead(isDown ? 503 : 200).end())
        hooks(url, "default: {receivers: [ops], group_wait: 0s}\n")
        const waits = Effect.fnUntraced(function* (server: string, order: string) {
          yield* fire(server, "restart x", "Act")
          yield* sql`update admiral.alerts set sentence = 'restart x waits for a second signature until 12:00:00 UTC',
          asked = jsonb_build_object('resource', 'signatures', 'order_id', ${order}::text) where resolved_at is null and rule = 'Act'
          and server_id = (select id from admiral.servers where server_id = ${server})`
        })
        yield* waits("w-1", "order-1")
        assert.strictEqual(yield* passed, 1)
        // It is signed while the receiver is away.
        yield* resolve("w-1")
        isDown = false
        wait(60)
        yield* passed
        assert.strictEqual(seen.length, 1)
        // That it is over, which was not sent either, comes after it.
        const [dead] = yield* sql`select error from admiral.notifications where dead_at is not null order by id`
        assert.include(dead, { error: "it was signed, or over, before this could be sent" })
        yield* waits("w-2", "order-2")
        assert.strictEqual(yield* passed, 1)
        const { json } = seen.at(-1)!
        assert.strictEqual(
          json.title,
          "Warning: restart x waits for a second signature until 12:00:00 UTC on w-2.example (w-2)"
        )
        assert.strictEqual(json.incidents[0].alerts[0].link, "https://pulse.example/acts/order-2")
        assert.include(json.text, "https://pulse.example/acts/order-2")
        yield* resolve("w-2")
        yield* passed
        // A program closes what it opened. People see what became of the order.
        assert.deepStrictEqual([seen.length, seen.at(-1)!.json.incidents[0].kind], [3, "resolved"])
        const folder = mkdtempSync(join(tmpdir(), "nodepulse-notify-"))
        yield* Effect.addFinalizer(() => Effect.sync(() => rmSync(folder, { recursive: true })))
        writeFileSync(join(folder, "chat"), `${url}/chat`, { mode: 0o600 })
        configure(
          `receivers: [{name: chat, mattermost: {url_file: "${folder}/chat"}}]\nallow: ["127.0.0.1"]\ndefault: {receivers: [chat], group_wait: 0s}\n`
        )
        yield* waits("w-3", "order-3")
        assert.strictEqual(yield* passed, 1)
        yield* resolve("w-3")
        wait(60)
        assert.strictEqual(yield* passed, 0)
      })
  )

  it.effect("beyond a route's rate wait, and go out together: nothing is left out", () =>
    Effect.gen(function* () {
      yield* anew
      const { seen, url } = yield* hook()
      hooks(url, "default: {receivers: [ops], group_wait: 0s, rate: 3}\n")
      for (let n = 0; n < 20; n++) yield* fire(`many-${n}`)
      yield* passed
      assert.deepStrictEqual(
        seen.map(({ json }) => json.incidents.length),
        [1, 1, 18]
      )
      assert.match(seen[2]!.json.title, /^Warning: 18 incidents on 18 servers$/)
      for (let n = 20; n < 25; n++) yield* fire(`many-${n}`)
      assert.strictEqual(yield* passed, 0)
      wait(599)
      assert.strictEqual(yield* passed, 0)
      wait(2)
      yield* passed
      assert.strictEqual(
        seen.slice(3).reduce((sum, { json }) => sum + json.incidents.length, 0),
        5
      )
      assert.isTrue((yield* listed).every(({ state }) => state === "sent"))
    }).pipe(Effect.scoped)
  )

  it.effect("are never sent twice by notifiers that work side by side", () =>
    Effect.gen(function* () {
      yield* anew
      const { seen, url } = yield* hook((_, response) => void setTimeout(() => response.end(), 20))
      hooks(url, "default: {receivers: [ops, b, c], group_wait: 0s, rate: 1000}\n", "ops", "b", "c")
      const others = yield* Effect.forEach([1, 2, 3], () =>
        Layer.build(Layer.fresh(NotificationsPostgres.layerWith({ publicUrl: undefined })))
      )
      for (let n = 0; n < 15; n++) yield* fire(`side-${n}`)
      const work = Effect.flatMap(Notifications, ({ plan, send }) =>
        Effect.andThen(plan, Effect.repeat(send, { until: (more) => !more })).pipe(clock.stood)
      )
      // Whoever finds nothing has others that are still sending: until all is.
      for (
        let rounds = 0;
        (yield* listed).filter(({ state }) => state === "sent").length < 45 && rounds < 100;
        rounds++
      )
        yield* Effect.forEach([...others, ...others], (one) => Effect.provideContext(work, one as never), {
          concurrency: 6,
          discard: true
        })
      const sent = seen.map(({ json, path }) => `${path} ${json.incidents[0].server_id}`)
      assert.lengthOf(sent, 45)
      assert.strictEqual(new Set(sent).size, 45)
    }).pipe(Effect.scoped)
  )

  it.effect("are sent again, under the same id, where whoever sent them ended before it was noted", () =>
    Effect.gen(function* () {
      yield* anew
      let hold = true
      const { seen, url } = yield* hook((_, response) => {
        if (!hold) response.end()
      })
      hooks(url, "default: {receivers: [ops], group_wait: 0s}\n")
      const context = yield* Layer.build(Layer.fresh(NotificationsPostgres.layerWith(options)))
      const { plan, send } = yield* Effect.provideContext(Notifications, context as never)
      yield* fire("a")
      yield* clock.stood(plan)
      const dying = yield* Effect.forkChild(clock.stood(send))
      yield* until(() => seen.length === 1)
      yield* Fiber.interrupt(dying)
      hold = false
      assert.isFalse(yield* clock.stood(send), "its claim still holds")
      const sql = yield* PgClient.PgClient
      yield* sql`update admiral.notifications set claimed_until = claimed_until - interval '1 minute'`
      assert.isTrue(yield* clock.stood(send), "nobody keeps it")
      assert.lengthOf(seen, 2)
      assert.strictEqual(seen[0]!.headers["x-nodepulse-delivery"], seen[1]!.headers["x-nodepulse-delivery"])
      assert.deepStrictEqual(yield* states, ["firing sent"])
    }).pipe(Effect.scoped)
  )

  it.effect("are signed with the secret of a file, which no error and no list ever holds", () =>
    Effect.gen(function* () {
      yield* anew
      const folder = mkdtempSync(join(tmpdir(), "nodepulse-notify-"))
      yield* Effect.addFinalizer(() => Effect.sync(() => rmSync(folder, { recursive: true })))
      const { seen, url } = yield* hook((path, response) =>
        path.startsWith("/token-hunter2") ? void response.writeHead(403).end("hunter2") : void response.end()
      )
      writeFileSync(join(folder, "secret"), "hunter2\n", { mode: 0o600 })
      writeFileSync(join(folder, "url"), `${url}/token-hunter2?key=hunter2\n`, { mode: 0o600 })
      configure(`receivers:
  - {name: signed, webhook: {url: "${url}/signed", secret_file: "${folder}/secret"}}
  - {name: hidden, slack: {url_file: "${folder}/url"}}
  - {name: lost, slack: {url_file: "${folder}/none"}}
allow: ["127.0.0.0/8"]
default: {receivers: [signed, hidden, lost], group_wait: 0s}
`)
      yield* fire("a")
      assert.strictEqual(yield* passed, 3)
      const signed = seen.find(({ path }) => path === "/signed")!
      const [, t, v1] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(String(signed.headers["x-nodepulse-signature"]))!
      assert.strictEqual(v1, createHmac("sha256", "hunter2").update(`${t}.${signed.body}`).digest("hex"))
      assert.strictEqual(Number(t), Math.floor((EPOCH + second * 1_000) / 1_000))
      const { configured, test } = yield* Notifications
      const sql = yield* PgClient.PgClient
      const shown = JSON.stringify([
        yield* listed,
        yield* configured,
        yield* clock.stood(test("hidden")),
        yield* clock.stood(test("lost")),
        yield* sql`select subject, detail from admiral.audit`
      ])
      assert.notInclude(shown, "hunter2")
      assert.include(shown, "it answers 403")
      assert.include(shown, `${folder}/none: it cannot be read (ENOENT)`)
      assert.include(shown, "receiver hidden")
    }).pipe(Effect.scoped)
  )

  it.effect("of a receiver that hangs keep no other waiting for more than its time", () =>
    Effect.gen(function* () {
      yield* anew
      const { seen, url } = yield* hook((path, response) => {
        if (path !== "/hangs") response.end()
      })
      hooks(url, "default: {receivers: [hangs, ops], group_wait: 0s}\n", "hangs", "ops")
      for (let n = 0; n < 6; n++) yield* fire(`hung-${n}`)
      const { run } = yield* Notifications
      const running = yield* Effect.forkChild(clock.stood(run))
      yield* until(() => seen.filter(({ path }) => path === "/ops").length === 6)
      assert.isAtMost(seen.filter(({ path }) => path === "/hangs").length, 2)
      yield* Fiber.interrupt(running)
    }).pipe(Effect.scoped)
  )

  it.effect("a heartbeat comes while the rules are asked, once in its time, and ends with them", () =>
    Effect.gen(function* () {
      yield* anew
      const { seen, url } = yield* hook()
      configure(`receivers: []\nheartbeat: {url: "${url}/beat", every: "1m", method: POST}\nallow: ["127.0.0.1"]\n`)
      const sql = yield* PgClient.PgClient
      const asked = sql.unsafe(
        `insert into admiral.alert_progress (asked_until) values (to_timestamp($1::float8))
         on conflict (single) do update set asked_until = excluded.asked_until`,
        [at(second)]
      )
      const beats = [yield* makeHeartbeat, yield* makeHeartbeat]
      const beat = Effect.forEach(beats, ({ pass }) => clock.stood(pass), { concurrency: 2, discard: true })
      yield* beat
      assert.lengthOf(seen, 0)
      yield* asked
      for (let waited = 0; waited < 600; waited += 5) {
        yield* beat
        wait(5)
      }
      // At 0, 60 and, while it counts as alive, before 120.
      assert.lengthOf(seen, 2)
      assert.strictEqual(seen[0]!.path, "/beat")
      // A clock that was ahead, and is right again: nothing comes until rules are asked of now, and then at once.
      yield* sql`update admiral.delivery_progress set heartbeat_at = heartbeat_at + interval '400 days'`
      yield* sql`update admiral.alert_progress set asked_until = asked_until + interval '400 days'`
      yield* beat
      assert.lengthOf(seen, 2)
      yield* sql`update admiral.alert_progress set asked_until = asked_until + interval '10 minutes' - interval '400 days'`
      yield* beat
      assert.lengthOf(seen, 3)
    }).pipe(Effect.scoped)
  )

  it.effect("go on after a clock that was ahead for a while", () =>
    Effect.gen(function* () {
      yield* anew
      const { seen, url } = yield* hook((path, response) => {
        if (path === "/fails") response.statusCode = 503
        response.end()
      })
      const two = "routes:\n  - {name: b, receivers: [fails], server: b, group_wait: 0s}\n"
      hooks(url, `${two}default: {receivers: [ops], group_wait: 30s, rate: 3}\n`, "ops", "fails")
      const ahead = 400 * 86_400
      wait(ahead)
      // All of the rate is used up, one is waited for, and one could not be sent.
      for (const server of ["u", "v", "w"]) yield* fire(server)
      yield* fire("b")
      yield* passed
      wait(30)
      yield* passed
      yield* fire("waits")
      yield* passed
      wait(-ahead)
      const before = seen.length
      yield* fire("later")
      yield* passed
      wait(30)
      yield* passed
      const told = seen.slice(before).map(({ json, path }) => `${path} ${json.incidents[0].server_id}`)
      assert.sameMembers([...new Set(told)], ["/ops waits", "/ops later", "/fails b"])
    }).pipe(Effect.scoped)
  )

  it.effect("are repeated to whom nobody could tell that it fires", () =>
    Effect.gen(function* () {
      yield* anew
      let status = 503
      const { seen, url } = yield* hook((_, response) => {
        response.statusCode = status
        response.end()
      })
      hooks(url, 'default: {receivers: [ops], group_wait: 0s, repeat_every: "4h"}\n')
      yield* fire("a")
      for (let hour = 0; hour < 26; hour++) {
        yield* passed
        wait(3_600)
      }
      status = 200
      const before = seen.length
      yield* passed
      assert.deepStrictEqual(
        seen.slice(before, before + 1).map(({ json }) => json.incidents[0].kind),
        ["repeated"]
      )
      assert.include(yield* states, "firing dead")
    }).pipe(Effect.scoped)
  )

  it.effect("of what comes and goes all the time are not looked at for ever", () =>
    Effect.gen(function* () {
      yield* anew
      const { seen, url } = yield* hook()
      hooks(url, "default: {receivers: [ops], group_wait: 30s}\n")
      for (let n = 0; n < 40; n++) {
        yield* fire("flaps")
        yield* passed
        wait(16)
        yield* resolve("flaps")
        yield* passed
        wait(16)
      }
      const sql = yield* PgClient.PgClient
      const [{ count }] = (yield* sql`select count(*)::int as count from admiral.incident_alerts
        where state in ('untold', 'told')`) as [{ count: number }]
      assert.isAtMost(count, 3)
      yield* passed
      wait(60)
      yield* passed
      assert.deepStrictEqual(
        seen.map(({ json }) => `${json.incidents[0].kind} ${json.incidents[0].alerts.length}`),
        ["firing 1", "resolved 1"]
      )
    }).pipe(Effect.scoped)
  )
})

const until = (isSo: () => boolean) =>
  Effect.repeat(Effect.sync(isSo), { until: (so) => so, schedule: Schedule.spaced("20 millis") }).pipe(
    Effect.timeout("20 seconds")
  )
