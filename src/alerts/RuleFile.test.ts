/** Rules as people write them. */
import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import { nodeExporter } from "../plugins/node-exporter/NodeExporter.ts"
import { processExporter } from "../plugins/process-exporter/ProcessExporter.ts"
import { readRules } from "./RuleFile.ts"

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
          "  - {name: few, resource: processes, group: nginx, metric: num_procs, below: 3, resolve: 4}"
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
        { kind: "value", metric: "num_procs", side: "below", of: "core", threshold: 3, resolve: 4 }
      ])
    )
  })

  it("says what is wrong, where, and what was probably meant", () => {
    const cases: ReadonlyArray<readonly [string, string]> = [
      [
        rule("metric: cpu"),
        "rules[0].name (line 2): a rule has one of above, below, restarts_above, absent and silent; none is given"
      ],
      [
        rule("metric: cpu", "above: 8", "absent: true"),
        "rules[0].name (line 2): a rule has one of above, below, restarts_above, absent and silent; above and absent are given"
      ],
      [
        rule("metrik: cpu", "above: 8"),
        'rules[0].metrik (line 4) is not a known key, did you mean "metric"? (known here: name, resource, group, server, metric, above, below, of, resolve, restarts_above, absent, silent, over, for, keep_firing_for, severity, runbook, owners)'
      ],
      [
        rule("metric: cpus", "above: 8"),
        'rules[0].metric (line 4) is "cpus", which is no metric of processes, did you mean "cpu"? (known: cpu, memory, num_procs)'
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
        'rules[0].over (line 6) is "2h", but must be a duration between 30s and 1h, such as "15s" or "1m"'
      ],
      [rule("metric: cpu", "above: .nan"), "rules[0].above (line 5) is null, but must be a finite number"],
      [
        "rules:\n  - {name: a, resource: proceses, absent: true}",
        'rules[0].resource (line 2) is "proceses", which is no resource, did you mean "processes"? (known: node, processes)'
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
