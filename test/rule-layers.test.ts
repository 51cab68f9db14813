/** Rules of three layers, over PostgreSQL and a folder: which one counts, who may change it, and what the audit says of it. */
import { mkdtemp, rm, utimes, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, layer } from "@effect/vitest"
import { Effect, Layer, Result } from "effect"
import { Audit, CurrentAuthor } from "../src/access/Audit.ts"
import * as AuditPostgres from "../src/access/AuditPostgres.ts"
import { DEFAULT_RULES } from "../src/alerts/DefaultRules.ts"
import { Rulebook } from "../src/alerts/Rulebook.ts"
import { changesText, documentText, readDocument, readDocuments } from "../src/alerts/RuleDocument.ts"
import { RuleLayers } from "../src/alerts/RuleLayers.ts"
import * as StoredRulesPostgres from "../src/alerts/StoredRulesPostgres.ts"
import { makeRegistry, Registry } from "../src/plugins/Registry.ts"
import * as TestDatabase from "./TestDatabase.ts"
import { exporters } from "./TruthRows.ts"

const live = Layer.mergeAll(StoredRulesPostgres.layer, AuditPostgres.layer).pipe(
  Layer.provideMerge(Layer.succeed(Registry, Result.getOrThrow(makeRegistry({ exporters })))),
  Layer.provideMerge(TestDatabase.layerWith({ exporters }))
)

const SHIPPED =
  "rules:\n  - {name: shipped, resource: node, silent: true}\n  - {name: other, resource: nothing, silent: true}"

/** A folder, and the layers over it and what is stored. */
const world = Effect.gen(function* () {
  const folder = yield* Effect.acquireRelease(
    Effect.promise(() => mkdtemp(join(tmpdir(), "nodepulse-rules-"))),
    (made) => Effect.promise(() => rm(made, { recursive: true, force: true }))
  )
  const context = yield* Layer.build(
    Rulebook.layer.pipe(Layer.provideMerge(RuleLayers.layerWith({ folder, defaults: SHIPPED })))
  )
  const use = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.provideContext(effect, context)
  return {
    write: (name: string, text: string) => Effect.promise(() => writeFile(join(folder, name), text)),
    /** As an archive or an image has it: always of the same time. */
    unpack: (name: string, text: string) =>
      Effect.promise(async () => {
        await writeFile(join(folder, name), text)
        await utimes(join(folder, name), 1, 1)
      }),
    drop: (name: string) => Effect.promise(() => rm(join(folder, name))),
    names: use(Effect.flatMap(Rulebook, ({ rules }) => Effect.map(rules, (found) => found.map(({ name }) => name)))),
    read: use(Effect.flatMap(RuleLayers, ({ read }) => read)),
    save: (document: Readonly<Record<string, unknown>>, base: number) =>
      use(Effect.flatMap(RuleLayers, ({ save }) => save(Result.getOrThrow(readDocument(document, exporters)), base))),
    remove: (name: string, base?: number) => use(Effect.flatMap(RuleLayers, ({ remove }) => remove(name, base)))
  }
})

layer(live, { timeout: "2 minutes" })("rules", (it) => {
  it.effect("come from a folder; a file with a problem takes nothing away, and is told as long as it has one", () =>
    Effect.gen(function* () {
      const { drop, names, read, write } = yield* world
      assert.deepStrictEqual(yield* names, ["shipped"])
      yield* write("a.yml", "rules:\n  - {name: a, resource: node, silent: true}")
      yield* write("b.yml", "rules:\n  - {name: b, resource: node, silent: true}")
      yield* write("notes.txt", "none of ours")
      assert.deepStrictEqual(yield* names, ["a", "b", "shipped"])
      yield* write("a.yml", "rules:\n  - {name: a, resource: node, silnt: true}")
      assert.deepStrictEqual(yield* names, ["a", "b", "shipped"])
      for (const _ of [1, 2]) {
        const { problems } = yield* read
        assert.lengthOf(problems, 1)
        assert.match(problems[0]!, /^a\.yml: rules\[0\]\.silnt \(line 2\) is not a known key/)
      }
      yield* write(
        "a.yml",
        "rules:\n  - {name: a2, resource: node, silent: true}\n  - {name: b, resource: node, silent: true}"
      )
      assert.deepStrictEqual(yield* names, ["a2", "b", "shipped"])
      assert.deepStrictEqual((yield* read).problems, ['b.yml: "b" is the name of two rules'])
      yield* drop("a.yml")
      assert.deepStrictEqual(yield* names, ["b", "shipped"])
    }).pipe(Effect.scoped)
  )

  it.effect("of a file that is as old and as large as before are read again", () =>
    Effect.gen(function* () {
      const { names, unpack } = yield* world
      yield* unpack("a.yml", "rules: [{name: a, resource: node, silent: true}]")
      assert.deepStrictEqual(yield* names, ["a", "shipped"])
      yield* unpack("a.yml", "rules: [{name: b, resource: node, silent: true}]")
      assert.deepStrictEqual(yield* names, ["b", "shipped"])
    }).pipe(Effect.scoped)
  )

  it.effect("of a file count before those that were saved, and those before the ones that are shipped", () =>
    Effect.gen(function* () {
      const { drop, names, read, remove, save, write } = yield* world
      const shown = Effect.map(read, ({ rules }) =>
        rules.map(({ enabled, origin, replaces, rule }) => [rule.name, origin.kind, replaces, enabled] as const)
      )
      assert.deepStrictEqual(yield* shown, [["shipped", "default", [], true]])
      const { origin } = yield* save({ name: "shipped", resource: "node", silent: true, enabled: false }, 0)
      assert.deepStrictEqual(yield* shown, [["shipped", "stored", ["default"], false]])
      assert.deepStrictEqual(yield* names, [])
      yield* write("mine.yml", "rules:\n  - {name: shipped, resource: node, silent: true, over: 10m}")
      assert.deepStrictEqual(yield* shown, [["shipped", "file", ["stored", "default"], true]])
      const version = origin.kind === "stored" ? origin.version : 0
      const refused = yield* Effect.flip(save({ name: "shipped", resource: "node", silent: true }, version))
      assert.include(refused.message, "is a rule of the file mine.yml")
      yield* remove("shipped")
      assert.deepStrictEqual(yield* shown, [["shipped", "file", ["default"], true]])
      assert.include((yield* Effect.flip(remove("shipped"))).message, "remove it there")
      yield* drop("mine.yml")
      assert.include((yield* Effect.flip(remove("shipped"))).message, "enabled: false")
      assert.deepStrictEqual(yield* names, ["shipped"])
    }).pipe(Effect.scoped)
  )

  it.effect("are switched off by their name alone, in a file as over the API, whatever they ask", () =>
    Effect.gen(function* () {
      const { names, read, remove, save, write } = yield* world
      const off = { name: "shipped", enabled: false }
      const whole = { name: "shipped", resource: "node", silent: true, enabled: false }
      yield* write(
        "off.yml",
        "rules:\n  - {name: shipped, enabled: false}\n  - {name: a, resource: node, silent: true}"
      )
      assert.deepStrictEqual(yield* names, ["a"])
      const shown = Effect.map(read, ({ rules }) => rules.find(({ name }) => name === "shipped")!)
      const listed = yield* shown
      assert.deepStrictEqual([listed.enabled, listed.replaces], [false, ["default"]])
      assert.deepStrictEqual(listed.origin, { kind: "file", file: "off.yml" })
      // It is listed with what it would ask, so that it can be switched on again from there.
      assert.deepStrictEqual(listed.document, whole)
      assert.strictEqual(listed.rule.condition.kind, "silent")
      yield* write("off.yml", "rules: []")
      assert.deepStrictEqual(yield* names, ["shipped"])
      const saved = yield* save(off, 0)
      assert.deepStrictEqual([saved.document, saved.enabled, saved.replaces], [whole, false, ["default"]])
      assert.deepStrictEqual(yield* shown, saved)
      assert.deepStrictEqual(yield* names, [])
      // Two layers that only switch off, over one that asks.
      yield* write("off.yml", "rules:\n  - {name: shipped, enabled: false}")
      assert.deepStrictEqual([(yield* shown).replaces, (yield* shown).document], [["stored", "default"], whole])
      yield* write("off.yml", "rules: []")
      yield* remove("shipped")
      assert.deepStrictEqual(yield* names, ["shipped"])
    }).pipe(Effect.scoped)
  )

  it.effect("that are switched off and are not there are told; those of an exporter that is not enabled are not", () =>
    Effect.gen(function* () {
      const { names, read, remove, save, write } = yield* world
      yield* write(
        "off.yml",
        "rules:\n  - {name: Shiped, enabled: false}\n  - {name: other, enabled: false}\n  - {name: mine, enabled: false}"
      )
      assert.deepStrictEqual((yield* read).problems, [
        'off.yml: "Shiped" is switched off, but there is no such rule, did you mean "shipped"?',
        'off.yml: "mine" is switched off, but there is no such rule'
      ])
      assert.deepStrictEqual(yield* names, ["shipped"])
      const refused = yield* Effect.flip(save({ name: "own", enabled: false }, 0))
      assert.include(refused.message, "there is nothing to switch off; save the whole rule")
      // A name that a file has is the file's, though it switches off nothing.
      assert.strictEqual(
        (yield* Effect.flip(save({ name: "mine", resource: "node", silent: true }, 0)))._tag,
        "RuleInFile"
      )
      yield* write("off.yml", "rules: []")
      yield* save({ name: "mine", resource: "node", silent: true }, 0)
      yield* write("off.yml", "rules:\n  - {name: mine, enabled: false}")
      assert.deepStrictEqual((yield* read).problems, [])
      assert.deepStrictEqual(yield* names, ["shipped"])
      yield* remove("mine")
    }).pipe(Effect.scoped)
  )

  it.effect("are saved by one of two who began at the same version, and the audit says what was and what is", () =>
    Effect.gen(function* () {
      const { list } = yield* Audit
      const { remove, save } = yield* world
      const by = (name: string) => Effect.provideService(CurrentAuthor, { name, address: null })
      const rule = (above: number) => ({ name: "busy", resource: "processes", metric: "cpu", above, for: "5m" })
      const first = yield* by("ann")(save(rule(80), 0))
      const base = first.origin.kind === "stored" ? first.origin.version : 0
      const tries = yield* Effect.all(
        [Effect.result(by("bob")(save(rule(90), base))), Effect.result(by("cyd")(save(rule(95), base)))],
        { concurrency: 2 }
      )
      assert.lengthOf(tries.filter(Result.isSuccess), 1)
      assert.strictEqual(tries.filter(Result.isFailure)[0]!.failure._tag, "RuleConflict")
      assert.strictEqual((yield* Effect.flip(save(rule(1), 0)))._tag, "RuleConflict")
      assert.strictEqual((yield* Effect.flip(remove("busy", base)))._tag, "RuleConflict")
      yield* by("dan")(remove("busy"))
      assert.strictEqual((yield* Effect.flip(save(rule(1), base)))._tag, "UnknownRule")
      const again = yield* save(rule(80), 0)
      assert.isAbove(again.origin.kind === "stored" ? again.origin.version : 0, base + 1)
      yield* remove("busy")
      const { entries } = yield* list({ limit: 10, action: "rule" })
      const told = entries.map(({ action, author, detail, subject }) => [action, author, subject, detail]).reverse()
      const busy = told.filter(([, , subject]) => subject === "rule busy")
      assert.deepStrictEqual(busy[0], [
        "rule.save",
        "ann",
        "rule busy",
        'name: none -> "busy"; resource: none -> "processes"; metric: none -> "cpu"; above: none -> 80; for: none -> "5m"'
      ])
      assert.match(busy[1]![3]!, /^above: 80 -> 9[05]$/)
      assert.deepStrictEqual(busy[2]!.slice(0, 2), ["rule.remove", "dan"])
    }).pipe(Effect.scoped)
  )

  it.effect("are as many as there may be in all layers together, and no more", () =>
    Effect.gen(function* () {
      const { names, read, save, write } = yield* world
      const many = (count: number) =>
        `rules:\n${Array.from({ length: count }, (_, n) => `  - {name: r${n}, resource: node, silent: true}`).join("\n")}`
      yield* write("many.yml", many(199))
      assert.lengthOf(yield* names, 200)
      assert.strictEqual(
        (yield* Effect.flip(save({ name: "more", resource: "node", silent: true }, 0)))._tag,
        "TooManyRules"
      )
      yield* write("many.yml", many(200))
      assert.deepStrictEqual((yield* read).problems, ['"shipped" is one too many: at most 200 rules'])
      assert.lengthOf(yield* names, 200)
    }).pipe(Effect.scoped)
  )

  it("that are shipped are read by those who read files", () => {
    const read = readDocuments(DEFAULT_RULES, exporters)
    assert.isTrue(Result.isSuccess(read), JSON.stringify(read))
  })

  it.effect("with the longest texts are in the audit with all that was and is", () =>
    Effect.gen(function* () {
      const { list } = yield* Audit
      const { remove, save } = yield* world
      const long = (letter: string, most: number) => letter.repeat(most)
      const document = (letter: string, above: number) => ({
        owners: Array.from({ length: 20 }, (_, n) => `${long(letter, 97)}${100 + n}`),
        runbook: `https://wiki.example/${long(letter, 950)}`,
        name: long("n", 100),
        resource: "processes",
        group: long(letter, 200),
        server: long(letter, 200),
        metric: "cpu",
        above
      })
      const { origin } = yield* save(document("a", 80), 0)
      const base = origin.kind === "stored" ? origin.version : 0
      yield* save({ ...document("b", 90), owners: ["dba"] }, base)
      yield* remove(document("a", 0).name)
      const { entries } = yield* list({ limit: 3, action: "rule" })
      const [removed, changed, saved] = entries.map(({ detail }) => detail)
      for (const part of ["above: none -> 80", `runbook: none -> "${document("a", 0).runbook}"`, "aaa119"]) {
        assert.include(saved, part)
      }
      assert.include(changed, "above: 80 -> 90")
      assert.include(changed, `group: "${long("a", 200)}" -> "${long("b", 200)}"`)
      assert.include(removed, "above: 90 -> none")
      // Whose name is last may be cut, and that is told.
      assert.isAtMost(changed!.length, 4_000)
      assert.match(changed!, /; owners: \["a+100"/)
      assert.isTrue(changed!.endsWith("…"))
    }).pipe(Effect.scoped)
  )

  it("as documents are read as in a file, and go back into one", () => {
    const document = {
      name: "busy: #1",
      resource: "processes",
      metric: "cpu",
      above: 80,
      owners: ["dba"],
      enabled: false
    }
    const read = Result.getOrThrow(readDocument(document, exporters))
    assert.deepStrictEqual(Result.getOrThrow(readDocuments(documentText(document), exporters)), [read])
    assert.isFalse(read.enabled)
    const wrong = readDocument({ ...document, above: "eighty", gropu: "x" }, exporters)
    const problems = Result.match(wrong, { onSuccess: () => [], onFailure: (found) => found })
    assert.deepStrictEqual(
      problems.map((problem) => problem.slice(0, 24)),
      ["gropu is not a known key", 'above is "eighty", but m']
    )
    assert.strictEqual(changesText({ a: 1, b: 2 }, { b: 2, c: [1] }), "a: 1 -> none; c: none -> [1]")
  })
})
