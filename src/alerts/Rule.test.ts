/** Names of rules, groups and servers; what a rule says of itself. */
import { assert, describe, it } from "@effect/vitest"
import { processExporter } from "../plugins/process-exporter/ProcessExporter.ts"
import { foldedName, matches, metricsOf, type Rule, sentence } from "./Rule.ts"

describe("a pattern", () => {
  it("takes a star for any characters, and everything else for itself", () => {
    for (const [pattern, name] of [
      ["postgres", "postgres"],
      ["*", ""],
      ["db-*", "db-primary"],
      ["*-7", "db-7"],
      ["a*b*c", "a-b-b-c"],
      ["a**c", "ac"],
      ["(x)+[y]", "(x)+[y]"]
    ] as const) {
      assert.isTrue(matches(pattern, name), `${pattern} ${name}`)
    }
    for (const [pattern, name] of [
      ["postgres", "postgres "],
      ["db-*", "xdb-1"],
      ["ab*ba", "aba"],
      ["a*b*c", "acb"],
      ["*a*a*", "a"]
    ] as const) {
      assert.isFalse(matches(pattern, name), `${pattern} ${name}`)
    }
  })
})

describe("a name that changes from run to run", () => {
  it("is folded, and any other stays", () => {
    for (const [name, folded] of [
      ["kworker/3:1", "kworker/#:#"],
      ["run-r6a1f0c2b9d.scope", "run-r#.scope"],
      ["build-84213", "build-#"],
      ["session-12.scope", "session-#.scope"],
      ["user@1000", "user@#"],
      ["python3.11", "python3.11"],
      ["postgres", "postgres"],
      ["deadbeef", "deadbeef"],
      ["MainThread", "MainThread"]
    ] as const) {
      assert.strictEqual(foldedName(name), folded)
    }
  })
})

describe("a rule", () => {
  const metrics = metricsOf(processExporter())
  const rule: Rule = {
    name: "busy",
    exporter: "process_exporter",
    resource: "processes",
    group: "postgres",
    server: "db-*",
    condition: { kind: "value", metric: "cpu", side: "above", of: "machine", threshold: 80, resolve: 60 },
    over: 60_000,
    for: 300_000,
    keepFiringFor: 0,
    severity: "warning",
    runbook: undefined,
    owners: []
  }

  it("reads as a sentence", () => {
    const said = (more: Partial<Rule>) => sentence({ ...rule, ...more }, metrics)
    assert.strictEqual(said({}), "postgres on db-*: cpu above 80 % of the machine, averaged over 60 s, for 5 min")
    assert.strictEqual(
      said({
        group: "*",
        server: "*",
        for: 0,
        over: 600_000,
        condition: { kind: "value", metric: "memory", side: "above", of: "core", threshold: 4096, resolve: 4096 }
      }),
      "any group on any server: memory above 4096 MiB, averaged over 10 min"
    )
    assert.strictEqual(
      said({ condition: { kind: "restarts", moreThan: 3 }, over: 900_000, for: 0 }),
      "postgres on db-*: restarted more than 3 times in 15 min"
    )
    assert.strictEqual(said({ condition: { kind: "absent" } }), "postgres on db-*: absent, for 5 min")
    assert.strictEqual(
      said({ condition: { kind: "silent" }, over: 180_000, for: 0 }),
      "on db-*: nothing heard for 3 min"
    )
    assert.strictEqual(
      said({ condition: { kind: "silent" }, over: 180_000, for: 60_000 }),
      "on db-*: nothing heard for 3 min, for 60 s"
    )
    assert.strictEqual(
      said({ condition: { kind: "growth", metric: "memory", threshold: 50, resolve: 50 }, over: 21_600_000 }),
      "postgres on db-*: memory grows by more than 50 MiB an hour, seen over 6 h, for 5 min"
    )
    assert.strictEqual(
      said({ condition: { kind: "exhausts", within: 2 }, over: 21_600_000, for: 0 }),
      "postgres on db-*: memory runs out within 2 h, as it has grown over 6 h"
    )
    assert.strictEqual(
      said({ onlyWhile: { metric: "busy", side: "above", threshold: 90, unit: "%" }, for: 0 }),
      "postgres on db-*: cpu above 80 % of the machine, averaged over 60 s, only while host busy is above 90 %"
    )
    const hidden = {
      kind: "value",
      metric: "unaccounted",
      side: "above",
      of: "core",
      threshold: 100,
      resolve: 100
    } as const
    assert.strictEqual(
      said({ group: "*", condition: hidden, for: 0 }),
      "on db-*: unaccounted above 100 % of a core, averaged over 60 s"
    )
  })
})
