/** Processes with folders of rules of their own, on one database. Each look is the test's; time passes by moving what was noted. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { PgClient } from "@effect/sql-pg"
import { assert, describe, it, layer } from "@effect/vitest"
import { Duration, Effect, Layer, Logger } from "effect"
import config from "../plugins.config.ts"
import * as TestDatabase from "../test/TestDatabase.ts"
import { differencesOf, differenceText, fingerprintOf, heardOf, makeAgreement } from "./Agreement.ts"
import { RuleLayers } from "./alerts/RuleLayers.ts"
import * as StoredRulesPostgres from "./alerts/StoredRulesPostgres.ts"
import { Registry } from "./plugins/Registry.ts"

const rule = (name: string, above: number) =>
  `- name: "${name}"\n    resource: processes\n    metric: cpu\n    above: ${above}\n`
const file = (...rules: ReadonlyArray<string>) => `rules:\n${rules.map((one) => `  ${one}`).join("")}`

/** A process with a folder of rules, and what its log says. */
const makeProcess = Effect.fnUntraced(function* (
  name: string,
  roles: ReadonlyArray<string>,
  {
    exporters = config.exporters,
    packAfter
  }: { exporters?: typeof config.exporters; packAfter?: Duration.Duration } = {}
) {
  const folder = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "nodepulse-agreement-"))),
    (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
  )
  const sql = yield* PgClient.PgClient
  const rules = yield* RuleLayers.pipe(
    Effect.provide(
      RuleLayers.layerWith({ folder }).pipe(
        Layer.provide(StoredRulesPostgres.layer),
        Layer.provide(Registry.layer(config))
      ),
      { local: true }
    )
  )
  const said: Array<string> = []
  const logger = Logger.layer([Logger.make(({ message }) => void said.push(String(message)))])
  const agreement = makeAgreement({ sql, name, roles, exporters, rules, packAfter })
  return {
    ...agreement,
    said,
    look: Effect.provide(agreement.look, logger),
    what: () => agreement.view().map(({ what }) => what),
    put: (text: string, name = "a.yml") => writeFileSync(join(folder, name), text)
  }
})

describe("a fingerprint", () => {
  it("does not depend on the order of keys, but on that of lists and on every value", () => {
    assert.strictEqual(fingerprintOf({ a: 1, b: { c: [1], d: 2 } }), fingerprintOf({ b: { d: 2, c: [1] }, a: 1 }))
    assert.notStrictEqual(fingerprintOf({ a: [1, 2] }), fingerprintOf({ a: [2, 1] }))
    assert.notStrictEqual(fingerprintOf({ a: 1 }), fingerprintOf({ a: 2 }))
  })
})

layer(TestDatabase.layer)("processes that have to have the same", (it) => {
  it.effect("say that their rules differ once it lasts, with whom, and that it is over", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      yield* sql`truncate admiral.processes`
      const one = yield* makeProcess("one", ["digest"])
      const two = yield* makeProcess("two", ["digest"])
      const api = yield* makeProcess("api", ["api"])
      const ingest = yield* makeProcess("in", ["ingest"])
      const all = [one, two, api, ingest]
      const round = Effect.forEach(all, ({ look }) => look, { discard: true })
      // The same rules, in other files and another order.
      one.put(file(rule("A", 0.5), rule("B", 0.6)))
      for (const { put } of [two, api]) {
        put(`# by hand\n${file(rule("B", 0.6))}`, "z.yml")
        put(file(rule("A", 0.5)), "y.yml")
      }
      yield* round
      yield* round
      assert.deepStrictEqual(
        all.map(({ said, what }) => [what(), said]),
        all.map(() => [[], []])
      )

      two.put(file(rule("B", 0.7)), "z.yml")
      yield* round
      yield* Effect.forEach(all, ({ look }) => look, { discard: true })
      assert.deepStrictEqual(one.what(), ["rules"])
      yield* round
      yield* round
      assert.strictEqual(one.said.length, 1, one.said.join("\n"))
      assert.include(one.said[0], "processes have different rules: api (api), one (digest) / two (digest); give every")
      assert.include(two.said[0], "different rules")
      const [seen] = differencesOf(yield* heardOf(sql))
      assert.include(differenceText(seen!).remedy, "NODEPULSE_RULES_DIR")

      two.put(file(rule("B", 0.6)), "z.yml")
      for (let n = 0; n < 3; n++) yield* round
      assert.deepStrictEqual(one.what(), [])
      assert.deepStrictEqual(one.said.slice(1), ["all processes have the same rules, exporters and packing again"])
      assert.deepStrictEqual(differencesOf(yield* heardOf(sql)), [])
    }).pipe(Effect.scoped)
  )

  it.effect("are quiet about a change that goes from one to the next, and about one that is gone", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      yield* sql`truncate admiral.processes`
      const one = yield* makeProcess("one", ["digest"])
      const two = yield* makeProcess("two", ["digest"])
      yield* one.look
      yield* two.look
      one.put(file(rule("A", 0.5)))
      yield* one.look
      assert.deepStrictEqual(one.what(), ["rules"])
      two.put(file(rule("A", 0.5)))
      yield* two.look
      yield* one.look
      yield* two.look
      assert.deepStrictEqual([...one.said, ...two.said], [])

      one.put(file(rule("A", 0.6)))
      yield* one.look
      assert.deepStrictEqual(one.what(), ["rules"])
      yield* sql`update admiral.processes set seen_at = now() - interval '3 minutes' where name = 'two'`
      yield* one.look
      assert.deepStrictEqual([one.what(), one.said], [[], []])
    }).pipe(Effect.scoped)
  )

  it.effect("say it of exporters on all of them, and of packing on digests", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      yield* sql`truncate admiral.processes`
      const one = yield* makeProcess("one", ["digest", "api"], { packAfter: Duration.hours(25) })
      const usual = yield* makeProcess("usual", ["digest"])
      const packs = yield* makeProcess("packs", ["digest"], { packAfter: Duration.hours(30) })
      const api = yield* makeProcess("api", ["api"], { packAfter: Duration.hours(40) })
      const older = yield* makeProcess("older", ["ingest"], { exporters: config.exporters.slice(1) })
      for (const { look } of [api, usual, one]) yield* look
      assert.deepStrictEqual(one.what(), [])
      for (const { look } of [packs, older, one]) yield* look
      assert.deepStrictEqual(one.what(), ["exporters", "packing"])
    }).pipe(Effect.scoped)
  )

  it.effect("are not heard of any more once they end", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      yield* sql`truncate admiral.processes`
      const { look, run } = yield* makeProcess("one", ["api"])
      yield* look
      assert.lengthOf(yield* heardOf(sql), 1)
      yield* Effect.raceFirst(
        run,
        Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 50)))
      )
      assert.deepStrictEqual(yield* heardOf(sql), [])
    }).pipe(Effect.scoped)
  )
})
