/** Rules as people write them. */
import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import { nodeExporter } from "../plugins/node-exporter/NodeExporter.ts"
import { processExporter } from "../plugins/process-exporter/ProcessExporter.ts"
import { metricsOf } from "./Rule.ts"
import { readEntries, readRules } from "./RuleFile.ts"

const EXPORTERS = [nodeExporter(), processExporter()]
const read = (text: string) => readRules(text, EXPORTERS)
const problems = (text: string) => Result.match(read(text), { onSuccess: () => [], onFailure: (found) => found })
const rule = (...lines: ReadonlyArray<string>) =>
  `rules:\n  - name: busy\n    resource: processes\n${lines.map((line) => `    ${line}\n`).join("")}`

describe("a file of rules", () => {
  it("is read with its defaults", () => {
    assert.deepStrictEqual(
      read(rule("metric: cpu", "above: 80")),
      Result.succeed([
        {
          name: "busy",
          exporter: "process_exporter",
          resource: "processes",
          group: "*",
          server: "*",
          condition: { kind: "value", metric: "cpu", side: "above", of: "core", threshold: 80, resolve: 80 },
          over: 60_000,
          for: 0,
          keepFiringFor: 0,
          severity: "warning",
          runbook: undefined,
          owners: []
        }
      ])
    )
  })

  it("asks for one thing", () => {
    const conditions = Result.map(
      read(
        [
          rule("restarts_above: 3", "over: 15m"),
          "  - {name: gone, resource: processes, group: nginx, absent: true}",
          "  - {name: quiet, resource: node, silent: true, over: 3m}",
          "  - {name: few, resource: processes, group: nginx, metric: num_procs, below: 3, resolve: 4}",
          "  - {name: leak, resource: processes, metric: memory, growth_above: 50, resolve: 20}",
          "  - {name: full, resource: node, exhausts_in: 2h, over: 4h}",
          "  - {name: hidden, resource: processes, metric: unaccounted, above: 100}"
        ].join("\n")
      ),
      (rules) => rules.map(({ condition }) => condition)
    )
    assert.deepStrictEqual(
      conditions,
      Result.succeed([
        { kind: "restarts", moreThan: 3 },
        { kind: "absent" },
        { kind: "silent" },
        { kind: "value", metric: "num_procs", side: "below", of: "core", threshold: 3, resolve: 4 },
        { kind: "growth", metric: "memory", threshold: 50, resolve: 20 },
        { kind: "exhausts", within: 2 },
        { kind: "value", metric: "unaccounted", side: "above", of: "core", threshold: 100, resolve: 100 }
      ])
    )
  })

  it("may ask the same of the host, and looks at six hours for growth", () => {
    const rules = Result.getOrThrow(
      read(
        [
          rule("metric: cpu", "above: 80", "only_while: {metric: busy, above: 90}"),
          "  - {name: leak, resource: processes, metric: memory, growth_above: 50}"
        ].join("\n")
      )
    )
    assert.deepStrictEqual(rules[0]!.onlyWhile, { metric: "busy", side: "above", threshold: 90, unit: "%" })
    assert.strictEqual(rules[1]!.over, 6 * 3_600_000)
  })

  it("switches off a rule by its name alone, and by nothing less", () => {
    const off = "rules:\n  - {name: gone, enabled: false, runbook: null}\n  - {name: a, resource: node, silent: true}"
    assert.deepStrictEqual(
      Result.map(readEntries(off, EXPORTERS), (entries) => entries.map(({ name, rule }) => [name, rule?.resource])),
      Result.succeed([
        ["gone", undefined],
        ["a", "node"]
      ])
    )
    assert.deepStrictEqual(
      Result.map(read(off), (rules) => rules.map(({ name }) => name)),
      Result.succeed(["a"])
    )
    const missing = ["rules[0].resource is missing"]
    for (const more of ["enabled: true", "enabled: false, severity: info", "silent: true"]) {
      assert.deepStrictEqual(problems(`rules: [{name: gone, ${more}}]`), missing, more)
    }
    assert.deepStrictEqual(problems("rules: [{name: gone, enabled: false}, {name: gone, enabled: false}]"), [
      'rules[1].name (line 1): "gone" is the name of two rules'
    ])
  })

  it("says what is wrong, where, and what was probably meant", () => {
    const cases: ReadonlyArray<readonly [string, string]> = [
      [
        rule("metric: cpu"),
        "rules[0].name (line 2): a rule has one of above, below, restarts_above, absent, silent, growth_above and exhausts_in; none is given"
      ],
      [rule("metric: cpu", 'above: "80%"'), 'rules[0].above (line 5) is "80%", but must be a number'],
      [rule("metric: cpu", "above: .inf"), "rules[0].above (line 5) is Infinity, but must be a finite number"],
      [
        "rules:\n  - {name: a, resource: node, absent: true}",
        "rules[0].absent (line 2) says nothing: node has no groups; silent asks whether nothing is heard of it"
      ],
      [
        "rules:\n  - {name: a, resource: processes, group: x, silent: true}",
        "rules[0].group (line 2) says nothing beside silent: absent asks whether a group runs"
      ],
      [
        rule("metric: cpu", "above: 8", "absent: true"),
        "rules[0].name (line 2): a rule has one of above, below, restarts_above, absent, silent, growth_above and exhausts_in; above and absent are given"
      ],
      [
        rule("metrik: cpu", "above: 8"),
        'rules[0].metrik (line 4) is not a known key, did you mean "metric"? (known here: name, resource, group, server, metric, above, below, of, resolve, restarts_above, absent, silent, growth_above, exhausts_in, only_while, over, for, keep_firing_for, severity, runbook, owners, enabled)'
      ],
      [
        rule("metric: cpus", "above: 8"),
        `rules[0].metric (line 4) is "cpus", which is no metric of processes, did you mean "cpu"? (known: ${[...metricsOf(processExporter()).keys()].join(", ")})`
      ],
      [
        rule("metric: cpu", "above: 8", "resolve: 9"),
        "rules[0].resolve (line 6) is 9, but must be at most 8: it is where an alert is over"
      ],
      [
        rule("metric: num_procs", "above: 8", "of: machine"),
        "rules[0].of (line 6): num_procs is no share of the machine"
      ],
      [
        rule("metric: cpu", "above: 8", "over: 2h"),
        "rules[0].over (line 6) is 120 minutes, but must be at most an hour: only growth is asked of more"
      ],
      [
        rule("metric: cpu", "above: 8", "over: 7h"),
        'rules[0].over (line 6) is "7h", but must be a duration between 30s and 6h, such as "15s" or "1m"'
      ],
      [
        rule("metric: memory", "growth_above: 50", "over: 1h"),
        'rules[0].over (line 6) is 60 minutes, but growth shows in 4 to 6 hours, such as "6h"'
      ],
      [
        rule("metric: cpu", "growth_above: 50"),
        'rules[0].metric (line 4) is "cpu", but growth is that of a level in bytes (memory, swap, pss_bytes)'
      ],
      [
        rule("metric: memory", "growth_above: 50", "resolve: 60"),
        "rules[0].resolve (line 6) is 60, but must be at most 50: it is where an alert is over"
      ],
      [rule("exhausts_in: 2h", "metric: memory"), "rules[0].metric (line 5) says nothing beside exhausts_in"],
      [
        rule("silent: true", "only_while: {metric: busy, above: 90}"),
        "rules[0].only_while (line 5) says nothing beside silent"
      ],
      [
        rule("metric: cpu", "above: 8", "only_while: {metric: bussy, above: 90}"),
        `rules[0].only_while (line 6) is "bussy", which is no metric of the host, did you mean "busy"? (known: ${[...metricsOf(nodeExporter()).keys()].join(", ")})`
      ],
      [
        rule("metric: cpu", "above: 8", "only_while: {metric: busy}"),
        "rules[0].only_while (line 6) has one of above and below"
      ],
      [
        "rules:\n  - {name: a, resource: node, group: nginx, metric: busy, above: 9}",
        "rules[0].group (line 2) says nothing: node has no groups"
      ],
      [rule("metric: cpu", "above: .nan"), "rules[0].above (line 5) is NaN, but must be a finite number"],
      [
        "rules:\n  - {name: a, resource: proceses, absent: true}",
        'rules[0].resource (line 2) is "proceses", which is no resource, did you mean "processes"? (known: node, processes, nodepulse)'
      ],
      [
        "rules:\n  - {name: a, resource: node, silent: true}\n  - {name: a, resource: node, silent: true}",
        'rules[1].name (line 3): "a" is the name of two rules'
      ]
    ]
    for (const [text, said] of cases) assert.deepStrictEqual(problems(text), [said])
  })

  it("is bounded", () => {
    const many = Array.from({ length: 201 }, (_, n) => `  - {name: r${n}, resource: node, silent: true}`).join("\n")
    assert.deepStrictEqual(problems(`rules:\n${many}`), ["rules: 201 of them, at most 200"])
    assert.include(problems(`rules: [${"[".repeat(40)}]`)[0], "nested more than 16 deep")
    assert.include(problems("x".repeat(300_000))[0], "larger than 262144 bytes")
  })
})
