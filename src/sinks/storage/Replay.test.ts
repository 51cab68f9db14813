import { PgClient } from "@effect/sql-pg"
import { assert, layer } from "@effect/vitest"
import { Effect, Layer, Option } from "effect"
import { TestConsole } from "effect/testing"
import * as TestDatabase from "../../../test/TestDatabase.ts"
import { Audit, CurrentAuthor } from "../../access/Audit.ts"
import * as AuditPostgres from "../../access/AuditPostgres.ts"
import { Servers } from "../../access/Servers.ts"
import * as ServersPostgres from "../../access/ServersPostgres.ts"
import { dropLetters, replayLetters } from "../../commands/DeadLettersCommand.ts"
import { Registry } from "../../plugins/Registry.ts"
import { makeSnapshotCodec } from "../../plugins/SnapshotCodec.ts"
import { makeWires } from "../../plugins/Wire.ts"
import { DeadLetters, type NewDeadLetter } from "./DeadLetters.ts"
import * as DeadLettersPostgres from "./DeadLettersPostgres.ts"
import { Replay } from "./Replay.ts"
import * as SnapshotRowsPostgres from "./SnapshotRowsPostgres.ts"
import { suiteExporters, suiteRow } from "./SnapshotRowsSuite.ts"

const codec = makeSnapshotCodec(makeWires(suiteExporters))

const letter = (key: number, server: string, over: Partial<NewDeadLetter> = {}): NewDeadLetter => ({
  key: `${server} ${key}`,
  exporter: "suite_exporter",
  serverId: server,
  reason: "there is no such server",
  payload: codec.encode(suiteRow({ serverId: server, timestamp: 1_000_000 + key })),
  ...over
})

const every = { ids: [], all: true, exporter: Option.none(), reason: Option.none() }
const rowsOf = (server: string) =>
  Effect.gen(function* () {
    const sql = yield* PgClient.PgClient
    const [row] = yield* sql<{ readonly count: number }>`
      select count(*)::int4 as count from admiral.suite_snapshots where server_id = ${server}`
    return row!.count
  })
const left = Effect.flatMap(DeadLetters, (letters) => letters.list({ limit: 1_000 }))

const parts = Replay.layer.pipe(
  Layer.provideMerge(
    Layer.mergeAll(
      DeadLettersPostgres.layer,
      SnapshotRowsPostgres.layer,
      ServersPostgres.layer,
      AuditPostgres.layer,
      Registry.layer({ exporters: suiteExporters })
    ).pipe(Layer.provide(Registry.layer({ exporters: suiteExporters })))
  ),
  Layer.provideMerge(TestDatabase.layerWith({ exporters: suiteExporters }))
)

layer(parts)("dead letters replayed", (it) => {
  it.effect("become rows once what was wrong is mended, and are letters no more; those that still fail stay", () =>
    Effect.gen(function* () {
      const letters = yield* DeadLetters
      const good = Array.from({ length: 450 }, (_, n) => letter(n, "late"))
      yield* letters.put([
        ...good.slice(0, 200),
        letter(0, "nobody"),
        letter(1, "late", { key: "rubbish", payload: "[1," }),
        letter(2, "late", { key: "gone", exporter: "no_such_exporter" }),
        ...good.slice(200)
      ])
      const failure = yield* Effect.flip(replayLetters(every))
      assert.strictEqual(failure.message, "453 dead letters still cannot be stored")
      assert.strictEqual((yield* left).total, 453)

      yield* (yield* Servers).register("late")
      assert.include((yield* Effect.flip(replayLetters(every))).message, "3 dead letters")
      assert.strictEqual(yield* rowsOf("late"), 450)
      const { letters: stay } = yield* left
      assert.deepStrictEqual(
        new Set(stay.map(({ exporter, payload, serverId }) => [exporter, payload, serverId].join())).size,
        3
      )
      const told = (yield* TestConsole.errorLines).join("\n")
      assert.include(told, "stays: the snapshot is no JSON array")
      assert.include(told, "453 of 453: 450 stored, 3 stay")

      // Run again, as after a cut: nothing changes.
      yield* letters.put(good.slice(0, 5))
      yield* Effect.flip(replayLetters(every))
      assert.strictEqual(yield* rowsOf("late"), 450)
      assert.strictEqual((yield* left).total, 3)
    })
  )

  it.effect("leave what was done with them in the audit: who, how many, and which were asked for", () =>
    Effect.gen(function* () {
      const letters = yield* DeadLetters
      const { list } = yield* Audit
      yield* dropLetters(every)
      yield* (yield* Servers).register("audited")
      const before = (yield* list({ limit: 1 })).entries[0]!.id
      const entries = Effect.map(list({ limit: 100 }), (page) =>
        page.entries
          .filter(({ id }) => Number(id) > Number(before))
          .map(({ action, author, detail, subject }) => [author, action, subject, detail].join(" | "))
      )
      yield* letters.put([
        ...Array.from({ length: 202 }, (_, n) => letter(n, "audited")),
        letter(1, "audited", { key: "no rows", payload: "[" }),
        letter(2, "audited", { key: "quoted", exporter: "no_such_exporter", reason: 'says "no"' })
      ])
      const by = Effect.provideService(CurrentAuthor, { name: "shell:root", address: null })
      yield* Effect.flip(replayLetters(every)).pipe(by)
      assert.deepStrictEqual(yield* entries, [
        "shell:root | dead-letters.replay | 4 dead letters | --all",
        "shell:root | dead-letters.replay | 198 dead letters | --all"
      ])
      yield* dropLetters({
        ...every,
        all: false,
        exporter: Option.some("no_such_exporter"),
        reason: Option.some('"no"')
      }).pipe(by)
      const [one] = (yield* left).letters
      yield* dropLetters({ ...every, all: false, ids: [one!.id] }).pipe(by)
      // What is gone already was changed by nobody.
      yield* dropLetters({ ...every, all: false, ids: [one!.id] }).pipe(by)
      yield* dropLetters(every).pipe(by)
      assert.deepStrictEqual((yield* entries).slice(0, 2), [
        `shell:root | dead-letters.drop | 1 dead letter | ${one!.id}`,
        'shell:root | dead-letters.drop | 1 dead letter | --exporter no_such_exporter --reason "\\"no\\""'
      ])
    })
  )

  it.effect("are chosen by id, by exporter or by reason, never by accident", () =>
    Effect.gen(function* () {
      const letters = yield* DeadLetters
      yield* dropLetters(every)
      yield* (yield* Servers).register("chosen")
      yield* letters.put([
        letter(1, "chosen", { reason: "First Reason" }),
        letter(2, "chosen", { reason: "first reason, again" }),
        letter(3, "chosen", { reason: "100%" }),
        letter(4, "chosen", { reason: "1000", exporter: "bare_exporter", payload: "x" })
      ])
      const refused = yield* Effect.flip(replayLetters({ ...every, all: false }))
      assert.include(refused.message, "say which")
      yield* replayLetters({ ...every, all: false, reason: Option.some("FIRST reason") })
      assert.strictEqual(yield* rowsOf("chosen"), 2)
      // A filter is text, and no pattern.
      yield* dropLetters({ ...every, all: false, reason: Option.some("0%") })
      const { letters: rest } = yield* left
      assert.deepStrictEqual(
        rest.map(({ exporter }) => exporter),
        ["bare_exporter"]
      )
      const [one] = rest
      yield* dropLetters({ ...every, all: false, ids: [one!.id] })
      assert.strictEqual((yield* left).total, 0)
      yield* dropLetters({ ...every, all: false, ids: [one!.id] })
      assert.include((yield* TestConsole.errorLines).join("\n"), `${one!.id}: there is no such letter (any more)`)
    })
  )
})
