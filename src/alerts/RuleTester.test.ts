/** Tests of rules: series as people write them, what fires over them, and what is wrong with a file. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import { nodeExporter } from "../plugins/node-exporter/NodeExporter.ts"
import { processExporter } from "../plugins/process-exporter/ProcessExporter.ts"
import { FLEET_RULES } from "./DefaultRules.ts"
import { readRules } from "./RuleFile.ts"
import { testRules } from "./RuleTester.ts"
import { readRuleTests, type TestedAlert, unknownRules } from "./RuleTestFile.ts"
import { readSeries } from "./SeriesText.ts"

const host = nodeExporter()
const EXPORTERS = [host, processExporter()]
const read = (text: string) => readRuleTests(text, EXPORTERS)
const problems = (text: string) => Result.match(read(text), { onSuccess: () => [], onFailure: (found) => found })

/** A file with one test of one series. */
const one = (groups: string, { alerts = "[]", entry = "" } = {}) =>
  `rules_file: r.yml
tests:
  - name: t
    series:
      - {server: db-1, resource: processes, cores: 4, memory: 8GiB, ${entry}groups: ${groups}}
    alerts: ${alerts}
`

/** Rule, server, group, and minutes of all that fires over the first test of a file, where nothing is expected. */
const fired = Effect.fnUntraced(function* (rules: string, text: string) {
  const asked = Result.getOrThrow(readRules(rules, EXPORTERS))
  const { unexpected } = yield* testRules(Result.getOrThrow(read(text)).tests[0]!, asked, { host })
  return unexpected.map(minutesOf)
})

const minutesOf = ({ firesAt, group, resolvesAt, rule, server }: TestedAlert) => [
  rule,
  server,
  group,
  firesAt / 60_000,
  resolvesAt === undefined ? null : resolvesAt / 60_000
]

const rule = (text: string) => `rules:\n  - {name: r, resource: processes, ${text}}`

describe("a series", () => {
  const values = (text: string) => Result.map(readSeries(text), ({ values }) => [...values])

  it("is values with the number of scrapes that have them", () => {
    assert.deepStrictEqual(values("10x2 90 500-2.5x3"), Result.succeed([10, 10, 90, 500, 497.5, 495]))
    const { beganAnew, isAbsent, values: all } = Result.getOrThrow(readSeries("1 _x2 -x2 !3x2 4"))
    assert.deepStrictEqual([...all], [1, Number.NaN, Number.NaN, Number.NaN, Number.NaN, 3, 3, 4])
    assert.deepStrictEqual([...isAbsent], [0, 0, 0, 1, 1, 0, 0, 0])
    assert.deepStrictEqual([...beganAnew], [0, 0, 0, 0, 0, 1, 1, 0])
    assert.deepStrictEqual(
      ["7", "7x1", "!7"].map((text) => Result.getOrThrow(readSeries(text)).isConstant),
      [true, false, false]
    )
  })

  it("says which part cannot be read, and is bounded", () => {
    const wrong = (text: string) => Result.match(values(text), { onSuccess: () => "", onFailure: (found) => found })
    assert.include(wrong("10x20 9ox40"), 'has the part "9ox40"')
    for (const text of ["", "x5", "5x", "5x0", "-5", "!-x2", "1e9", "1+x2", `${"9".repeat(400)}x2`]) {
      assert.include(wrong(text), "has the part", text)
    }
    assert.include(wrong("5-1x10"), "falls to -4")
    assert.include(wrong("1x9999 1x2"), "more than 10000 scrapes")
    assert.include(wrong("1 ".repeat(1_001)), "1001 parts, at most 1000")
  })
})

describe("rules over made-up series", () => {
  it.effect("see rates and levels as they are written", () =>
    Effect.gen(function* () {
      const text = one('{a: {cpu: "40x20 90x20 40x20", memory: "100x30 700x30", num_procs: 3}}')
      const cpu = (above: number) => fired(rule(`metric: cpu, above: ${above}`), text)
      // The first 90 is the average of the window a minute later: the windows of four scrapes are full of it.
      assert.deepStrictEqual(yield* cpu(89), [["r", "db-1", "a", 5.75, 10]])
      assert.deepStrictEqual(yield* cpu(90), [])
      assert.deepStrictEqual(yield* cpu(39), [["r", "db-1", "a", 1, null]])
      assert.deepStrictEqual(yield* fired(rule("metric: cpu, of: machine, above: 22"), text), [
        ["r", "db-1", "a", 5.75, 10]
      ])
      assert.deepStrictEqual(yield* fired(rule("metric: memory, above: 699"), text), [["r", "db-1", "a", 8.25, null]])
      assert.deepStrictEqual(yield* fired(rule("metric: num_procs, below: 3"), text), [])
      assert.deepStrictEqual(yield* fired(rule("server: web-*, metric: cpu, above: 1"), text), [])
    })
  )

  it.effect("do not know what was in a hole: a wait begins anew, what fires goes on", () =>
    Effect.gen(function* () {
      const busy = (cpu: string) => fired(rule("metric: cpu, above: 80, for: 5m"), one(`{a: {cpu: "${cpu}"}}`))
      assert.deepStrictEqual(yield* busy("90x60"), [["r", "db-1", "a", 6, null]])
      assert.deepStrictEqual(yield* busy("90x20 _x8 90x40"), [["r", "db-1", "a", 12, null]])
      assert.deepStrictEqual(yield* busy("90x40 _x20"), [["r", "db-1", "a", 6, null]])
    })
  )

  it.effect("see restarts, absence and a group that comes back", () =>
    Effect.gen(function* () {
      const text = one('{a: {cpu: "10x20 !10x3 10x40"}, b: {cpu: "10x20 -x20 10x23"}}')
      assert.deepStrictEqual(yield* fired(rule("restarts_above: 2, over: 5m"), text), [["r", "db-1", "a", 5.5, 10]])
      assert.deepStrictEqual(yield* fired(rule("restarts_above: 3, over: 5m"), text), [])
      assert.deepStrictEqual(yield* fired(rule("absent: true, group: b"), text), [["r", "db-1", "b", 5, 10]])
      // What a group used before its first scrape is known: its counters began at zero.
      const appears = one('{a: {cpu: 1}, b: {cpu: "-x20 380x40"}}')
      assert.deepStrictEqual(yield* fired(rule("group: b, metric: cpu, above: 90"), appears), [
        ["r", "db-1", "b", 5, null]
      ])
    })
  )

  it.effect("see the host beside the groups", () =>
    Effect.gen(function* () {
      const of = (values: string) =>
        `${one('{a: {cpu: "300x60"}}').replace("    alerts", `      - {server: db-1, resource: node, values: ${values}}\n    alerts`)}`
      const beside = rule("metric: cpu, above: 200, only_while: {metric: busy, above: 90}")
      assert.deepStrictEqual(yield* fired(beside, of('{busy: "80x20 95x40"}')), [["r", "db-1", "a", 5.5, null]])
      assert.deepStrictEqual(yield* fired(beside, of('{busy: "80x60"}')), [])
      const hidden = rule("metric: unaccounted, above: 70")
      assert.deepStrictEqual(yield* fired(hidden, of('{busy: "80x20 95x40"}')), [["r", "db-1", "", 5.75, null]])
      const used = "rules: [{name: r, resource: node, metric: memory_available, below: 5}]"
      assert.deepStrictEqual(yield* fired(used, of('{memory_used: "90x20 96x40"}')), [["r", "db-1", "", 5.75, null]])
      const silent = "rules: [{name: r, resource: node, silent: true, over: 3m}]"
      assert.deepStrictEqual(yield* fired(silent, of('{busy: "80x20 _x20 80x20"}')), [["r", "db-1", "", 8, 10]])
    })
  )

  it.effect("see what uses up memory, and that it is over once the group is gone", () =>
    Effect.gen(function* () {
      const text = one('{a: {memory: "500x60 500+15x360 -x120"}, b: {memory: 100}}', {
        entry: "interval: 1m, "
      }).replace(
        "    alerts",
        '      - {server: db-1, resource: node, memory: 8GiB, interval: 1m, values: {memory_used: "50x540"}}\n    alerts'
      )
      const found = yield* fired(rule("exhausts_in: 6h, over: 4h"), text)
      assert.deepStrictEqual(
        found.map(([name, , group]) => [name, group]),
        [["r", "a"]]
      )
      const [[, , , from, to]] = found as [[string, string, string, number, number | null]]
      // Half of 8 GiB lasts for four and a half hours at 900 MiB an hour. It is gone from the seventh hour on.
      assert.isBelow(from, 7 * 60)
      assert.isTrue(to !== null && to >= 7 * 60 && to <= 7 * 60 + 10, String(to))
    })
  )

  it.effect("are those that are shipped, over a day", () =>
    Effect.gen(function* () {
      const leak = one('{leaky: {memory: "500+0.5x1560", cpu: 5}, steady: {memory: 400}}', { entry: "interval: 1m, " })
      const found = yield* fired(FLEET_RULES, leak)
      assert.deepStrictEqual(
        found.map(([name, , group]) => [name, group]),
        [["Memory leak", "leaky"]]
      )
      assert.isAtLeast(found[0]![3] as number, 18 * 60)
    })
  )

  it.effect("are compared with what is expected, alert by alert", () =>
    Effect.gen(function* () {
      const alert = (at: string) => `{rule: r, server: db-1, group: a, fires_at: ${at}, resolves_at: 10m}`
      const tried = (alerts: string) =>
        testRules(
          Result.getOrThrow(read(one('{a: {cpu: "40x20 90x20 40x20"}}', { alerts }))).tests[0]!,
          Result.getOrThrow(readRules(rule("metric: cpu, above: 89"), EXPORTERS)),
          { host }
        )
      assert.deepStrictEqual(yield* tried(`[${alert("5m45s")}]`), { missing: [], unexpected: [], end: 885_000 })
      const { missing, unexpected } = yield* tried(`[${alert("5m")}]`)
      assert.deepStrictEqual(
        [missing.map(minutesOf), unexpected.map(minutesOf)],
        [[["r", "db-1", "a", 5, 10]], [["r", "db-1", "a", 5.75, 10]]]
      )
      assert.lengthOf((yield* tried("[]")).unexpected, 1)
    })
  )
})

describe("a test", () => {
  it.effect("asks only the rules that it names, if any", () =>
    Effect.gen(function* () {
      const both = `${rule("metric: cpu, above: 80")}\n  - {name: other, resource: processes, metric: cpu, above: 70}`
      const text = one('{a: {cpu: "90x60"}}')
      const named = (found: ReadonlyArray<ReadonlyArray<unknown>>) => found.map(([name]) => name)
      assert.deepStrictEqual(named(yield* fired(both, text)), ["other", "r"])
      assert.deepStrictEqual(named(yield* fired(both, text.replace("name: t", "name: t\n    only: [r]"))), ["r"])
    })
  )
})

describe("a file of tests", () => {
  const first = (text: string) => problems(text)[0] ?? ""

  it("says what is wrong, where, and what is allowed", () => {
    for (const [text, ...said] of [
      [one("{a: {cpu: 9ox40}}"), "tests[0].series[0].groups.a.cpu (line 5)", '"9ox40"', "10x20 90x40"],
      [one('{a: {cpi: "1x5"}}'), 'is "cpi", which is no metric of processes', 'did you mean "cpu"?', "num_procs"],
      [one('{a: {cpu: "1x5"}, b: {cpu: "1x6"}}'), "groups.b.cpu", "is of 6 scrapes, but groups.a.cpu of 5"],
      [one('{a: {cpu: "1x5"}, b: {cpu: "1x2 _x3"}}'), "groups.b", "has a hole at scrape 3, but others came"],
      [one('{a: {cpu: "1x5", memory: "1x4 -"}}'), "memory", "differ in when the group was not there"],
      [one("{a: {cpu: 5}}"), "no series says for how many scrapes"],
      [one('{a: {unaccounted: "1x5"}}'), "which is no metric of processes that can be given"],
      [one('{a: {cpu: "1x5"}}').replace("cores", "core"), "series[0].core (line 5) is not a known key", '"cores"'],
      [one('{a: {cpu: "1x5"}}').replace("4,", "none,"), 'cores (line 5) is "none", but must be a whole number'],
      [one('{a: {cpu: "1x5"}}').replace("processes", "proceses"), 'did you mean "processes"?'],
      [one('{cpu: "1x5"}').replace("groups", "values"), "of which a series has groups, not values"],
      [one('{a: {cpu: "1x5"}}').replace("rules_file: r.yml\n", ""), "one of rules_file and default_rules"],
      [one('{a: {cpu: "1x5"}}', { entry: "interval: 6m, " }), 'interval (line 5) is "6m", but must be a duration'],
      [
        one('{a: {cpu: "1x5"}}', { alerts: "[{rule: r, server: db-1, fires_at: 20s}]" }),
        "tests[0].alerts[0].fires_at (line 6) is 20 s, but rules are asked every 15 s"
      ],
      [one('{a: {cpu: "1x5"}}', { alerts: "[{rule: r, server: db, fires_at: 15s}]" }), 'is "db", which is no server'],
      [
        one('{a: {cpu: "1x5"}}', { alerts: "[{rule: r, server: db-1, fires_at: 15s, resolves_at: 15s}]" }),
        "resolves_at (line 6) is 15 s, but must be after fires_at"
      ]
    ] as const) {
      for (const part of said) assert.include(first(text), part, text)
    }
    const node = (values: string) =>
      `rules_file: r.yml\ntests: [{name: t, alerts: [], series: [{server: a, resource: node, values: ${values}}]}]`
    assert.include(first(node('{busy: "50x5"}')), "values.busy (line 2) is a part of the server's cores")
    assert.include(first(node('{swap_used: "50x5"}')), "is a part of swap_total_bytes, which must be given beside it")
    assert.include(first(node('{load: "-x5"}')), "_ is a hole")
    assert.include(first(node('{cpu_cores: "4x5"}')), "which is no metric of node that can be given")
    assert.deepStrictEqual(problems(node('{swap_total_bytes: 1000000, swap_used: "50x5"}')), [])
  })

  it("is bounded in what it may make", () => {
    const groups = Array.from({ length: 100 }, (_, n) => `g${n}: {cpu: "1x10000"}`).join(", ")
    assert.include(first(one(`{${groups}}`)), "values of columns in all, at most 8000000")
    assert.include(first(one(`{${groups}, more: {cpu: "1x10000"}}`)), "101 of them, at most 100")
  })

  it("names only rules that there are", () => {
    const file = Result.getOrThrow(
      read(one('{a: {cpu: "1x5"}}', { alerts: "[{rule: busi, server: db-1, fires_at: 15s}]" }))
    )
    assert.deepStrictEqual(unknownRules(file, ["busy", "gone"]), [
      'tests[0].alerts[0].rule (line 6) is "busi", which is no rule that is asked, did you mean "busy"? (known: busy, gone)'
    ])
    assert.deepStrictEqual(unknownRules(file, ["busi"]), [])
  })
})
