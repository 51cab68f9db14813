/** Recordings over PostgreSQL: whose they are, how many are kept, and what asks for them. */
import { PgClient } from "@effect/sql-pg"
import { assert, layer } from "@effect/vitest"
import { Clock, Effect, Layer } from "effect"
import { Audit } from "../src/access/Audit.ts"
import * as AuditPostgres from "../src/access/AuditPostgres.ts"
import { Servers } from "../src/access/Servers.ts"
import * as ServersPostgres from "../src/access/ServersPostgres.ts"
import { kill, recording } from "../src/protocol/Recording.fixture.ts"
import type { Recording } from "../src/protocol/Recording.ts"
import { RECORDINGS_DAYS, RECORDINGS_MAX, Recordings } from "../src/recordings/Recordings.ts"
import * as RecordingsPostgres from "../src/recordings/RecordingsPostgres.ts"
import { live as alerting, anew, book, busy, evaluated, rulesOf } from "./AlertsWorld.ts"
import * as TestDatabase from "./TestDatabase.ts"
import { EPOCH, exporters, store } from "./TruthRows.ts"
import { times } from "./TruthVector.ts"

const ports = Layer.mergeAll(RecordingsPostgres.layer, ServersPostgres.layer, AuditPostgres.layer)
const live = ports.pipe(Layer.provideMerge(TestDatabase.layerWith({ exporters })))

const NOW = Date.UTC(2026, 0, 1, 12)
const MINUTE = 60_000
const DAY = 24 * 60 * MINUTE

const at =
  (millis: number) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    Effect.flatMap(Clock.Clock, (clock) =>
      Effect.provideService(effect, Clock.Clock, { ...clock, currentTimeMillis: Effect.succeed(millis) } as Clock.Clock)
    )

const idOf = (n: number) => n.toString(16).padStart(32, "0")
const made = (n: number, changes: Partial<Recording> = {}) =>
  recording({ id: idOf(n), ended: NOW / 1_000 + n, ...changes })

const registered = Effect.flatMap(Servers, ({ register }) =>
  Effect.map(register("web"), ({ server }) => server.serverId)
)

/** Stores one as it is read. */
const put = (serverId: string, sent: Recording, there?: Recordings["Service"]) =>
  Effect.flatMap(there === undefined ? Recordings : Effect.succeed(there), (recordings) =>
    recordings.put(serverId, sent, JSON.stringify(sent))
  )

/** Another process over the same database. */
const another = Effect.map(Layer.build(Layer.fresh(RecordingsPostgres.layer)), (context) => context).pipe(
  Effect.flatMap((context) => Effect.provideContext(Recordings, context))
)

layer(live, { timeout: "1 minute" })("recordings", (it) => {
  it.effect("are stored once, are read as they were sent, and belong to their server alone", () =>
    Effect.gen(function* () {
      const [one, other] = [yield* registered, yield* registered]
      const recordings = yield* Recordings
      const sent = made(1, { reason: "oom_kill", kills: [kill({ name: "größe 名" })] })
      assert.isTrue(yield* put(one, sent))
      assert.isFalse(yield* put(one, sent))
      assert.isTrue(yield* put(other, sent))
      const [head, ...more] = (yield* recordings.of(one)).recordings
      assert.deepStrictEqual(more, [])
      assert.deepInclude(head, { serverId: one, reason: "oom_kill", to: NOW + 1_000, from: NOW - 1_000 })
      assert.deepStrictEqual(head?.kills, sent.kills)
      assert.deepStrictEqual(JSON.parse((yield* recordings.get(head!.id)).json), sent)
      for (const id of ["", "x", "0", "99999999999999999999", "1; drop table"]) {
        assert.strictEqual((yield* Effect.flip(recordings.get(id)))._tag, "UnknownRecording")
      }
      assert.strictEqual((yield* Effect.flip(put("nobody", sent)))._tag, "UnknownServer")
    })
  )

  it.effect("are bounded for each server: the oldest that somebody asked for gives way first, the newest never", () =>
    Effect.gen(function* () {
      const [one, other] = [yield* registered, yield* registered]
      const recordings = yield* Recordings
      yield* put(other, made(0))
      for (let n = 0; n < RECORDINGS_MAX; n++) {
        yield* put(one, made(n, { reason: n < 2 ? "asked" : n % 2 === 0 ? "alert" : "oom_kill" }))
      }
      const kept = Effect.map(recordings.of(one), (found) =>
        found.recordings.map(({ to }) => (to - NOW) / 1_000).sort((a, b) => a - b)
      )
      assert.strictEqual((yield* kept).length, RECORDINGS_MAX)
      yield* put(one, made(100, { reason: "oom_kill" }))
      assert.deepStrictEqual((yield* kept).slice(0, 2), [1, 2])
      yield* put(one, made(101, { reason: "alert" }))
      yield* put(one, made(102, { reason: "alert" }))
      assert.deepStrictEqual((yield* kept).slice(0, 2), [3, 4])
      yield* put(one, made(103, { reason: "asked" }))
      const all = yield* kept
      assert.strictEqual(all.length, RECORDINGS_MAX)
      assert.include(all, 103)
      assert.strictEqual((yield* recordings.of(other)).recordings.length, 1)
    })
  )

  it.effect("are dropped when they are too old, and so are requests", () =>
    Effect.gen(function* () {
      const one = yield* registered
      const { ask, of } = yield* Recordings
      yield* put(one, made(1))
      yield* put(one, made(2, { ended: NOW / 1_000 + DAY / 1_000 }))
      yield* at(NOW)(ask(one))
      const recordings = yield* another
      yield* at(NOW + RECORDINGS_DAYS * DAY + 2_000)(recordings.refresh)
      const left = yield* of(one)
      assert.strictEqual(left.recordings.length, 1)
      assert.isUndefined(left.request)
    }).pipe(Effect.scoped)
  )

  it.effect(
    "that somebody asks for are wanted by every process, once, until one is there or nobody waits any more",
    () =>
      Effect.gen(function* () {
        const one = yield* registered
        const here = yield* Recordings
        const there = yield* another
        const asked = yield* at(NOW)(here.ask(one))
        const again = yield* at(NOW + MINUTE)(there.ask(one))
        assert.strictEqual(again.id, asked.id)
        const audited = (yield* (yield* Audit).list({ action: "recording.ask", limit: 10 })).entries
        assert.strictEqual(audited.filter(({ subject }) => subject === "server web").length > 0, true)
        yield* at(NOW + MINUTE)(there.refresh)
        assert.deepStrictEqual(here.wanted(one), { id: asked.id, reason: "asked" })
        assert.deepStrictEqual(there.wanted(one), { id: asked.id, reason: "asked" })
        yield* at(NOW + MINUTE)(put(one, made(1, { id: asked.id }), there))
        assert.isUndefined(there.wanted(one))
        yield* at(NOW + MINUTE)(here.refresh)
        assert.isUndefined(here.wanted(one))
        assert.isNotNull((yield* here.of(one)).request?.answeredAt)
        const next = yield* at(NOW + 2 * MINUTE)(here.ask(one))
        assert.notStrictEqual(next.id, asked.id)
        yield* at(NOW + 13 * MINUTE)(here.refresh)
        assert.isUndefined(here.wanted(one))
      }).pipe(Effect.scoped)
  )

  it.effect("that two ask for at once are one", () =>
    Effect.gen(function* () {
      const one = yield* registered
      const all = [yield* Recordings, yield* another, yield* another]
      const asked = yield* at(NOW)(
        Effect.all(
          [...all, ...all].map(({ ask }) => ask(one)),
          { concurrency: "unbounded" }
        )
      )
      assert.strictEqual(new Set(asked.map(({ id }) => id)).size, 1)
    }).pipe(Effect.scoped)
  )
})

layer(Layer.provideMerge(ports, alerting), { timeout: "1 minute" })("alerts that fire", (it) => {
  it.effect("ask for one recording of their server, however many they are, and none where they fire late", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const rules = rulesOf(
        "resource: processes, server: noisy, metric: cpu, above: 50",
        "resource: processes, server: noisy, metric: cpu, above: 60",
        "resource: processes, server: quiet, metric: cpu, above: 60"
      )
      yield* anew(rules, 0)
      assert.strictEqual(book.rules.length, 3)
      yield* store([
        ...busy("noisy", times(0, 1_800), (t) => (t > 300 && t <= 900 ? 90 : 10)),
        ...busy("quiet", times(0, 1_800), () => 10)
      ])
      const requests = sql<{ readonly server_id: string; readonly reason: string; readonly at: number }>`
        select server.server_id, request.reason, extract(epoch from request.asked_at)::float8 as at
        from admiral.recording_requests request join admiral.servers server on server.id = request.server_id
        where server.server_id in ('noisy', 'quiet')`
      for (let t = 0; t <= 600; t += 60) yield* evaluated(t)
      const [one, ...more] = yield* requests
      assert.deepInclude(one, { server_id: "noisy", reason: "alert" })
      assert.deepStrictEqual(more, [])
      assert.isAtLeast(one!.at, EPOCH / 1e6 + 300)
      yield* sql`delete from admiral.recording_requests`
      yield* anew(rules, 0)
      yield* evaluated(0)
      yield* evaluated(1_500)
      assert.deepStrictEqual(yield* requests, [])
    })
  )
})
