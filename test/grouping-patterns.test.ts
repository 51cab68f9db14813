/**
 * Rules that people save are bounded, whatever they are: patterns that keep other engines busy for ever are matched in one pass or
 * refused, and each refusal says which rule it is about and where. Time is not measured: an engine that goes back never ends here.
 */
import { describe, expect, test } from "@effect/vitest"
import { Result } from "effect"
import { previewName, previewOf } from "../src/query/grouping/GroupingPreview.ts"
import { compileRules, INSTRUCTIONS_MAX, MATCHED_LENGTH_MAX, type RuleRefused } from "../src/query/grouping/RuleSet.ts"
import { CHARACTERS_MAX, MATCH_LENGTH_MAX, RULES_MAX, type Rule } from "../src/query/grouping/Rules.ts"

const setOf = (...rules: ReadonlyArray<Rule>) => Result.getOrThrow(compileRules(rules))
const refused = (rules: ReadonlyArray<Rule>): RuleRefused => Result.getOrThrow(Result.flip(compileRules(rules)))
const shown = (match: string, name: string, of: string) => setOf({ match, name }).taken(of)?.shown

const HOSTILE: ReadonlyArray<readonly [pattern: string, name: string]> = [
  ["(a+)+$", `${"a".repeat(MATCHED_LENGTH_MAX - 1)}b`],
  ["^(a|a)*(a|a)*(a|a)*$", `${"a".repeat(MATCHED_LENGTH_MAX - 1)}b`],
  ["(x+x+)+y", "x".repeat(MATCHED_LENGTH_MAX)],
  ["^(.*a){20}$", "ab".repeat(MATCHED_LENGTH_MAX / 2)],
  ["(.*)(.*)(.*)(.*)(.*)(.*)(.*)(.*)(.*)[x]$", "ab".repeat(MATCHED_LENGTH_MAX / 2)],
  ["((a{0,20}){0,19})$", `${"a".repeat(MATCHED_LENGTH_MAX - 1)}b`],
  ["[ab]*a[ab]{90}[cd]$", "abbabaab".repeat(MATCHED_LENGTH_MAX / 8)],
  ["(?i)(\\pL*\\pN*){30}!$", "é1".repeat(MATCHED_LENGTH_MAX / 2)],
  ["(((((a*)*)*)*)*)*b", "a".repeat(MATCHED_LENGTH_MAX)]
]

describe("a rule that somebody saves cannot keep the server busy", () => {
  for (const [pattern, name] of HOSTILE) {
    test(`${pattern} is matched in one pass over the longest name`, () => {
      const set = setOf({ match: pattern, name: "x" })
      expect(set.instructions).toBeLessThanOrEqual(INSTRUCTIONS_MAX)
      set.taken(name)
      set.taken(`${name.slice(1)}c`)
    })
  }

  test("as many of them as may be saved are matched together", () => {
    const rules = Array.from({ length: 60 }, (_, n) => ({ match: `[ab]*a[ab]{${60 + n}}[cd]$`, name: "x" }))
    const set = setOf(...rules)
    let state = 1
    const random = () => {
      state = (state * 1_103_515_245 + 12_345) & 0x7fffffff
      return (state >> 16) & 1
    }
    for (let n = 0; n < 5; n++) {
      const name = Array.from({ length: MATCHED_LENGTH_MAX - 1 }, () => (random() === 1 ? "a" : "b")).join("")
      expect(set.taken(`${name}e`)).toBeUndefined()
    }
  })

  test("rules that are too expensive together are refused, by the rule that is too much", () => {
    const rules = Array.from({ length: 20 }, () => ({ match: "(a{30}){30}", name: "x" }))
    expect(refused(rules)).toMatchObject({ rule: 11, field: "match", reason: expect.stringMatching(/too expensive/) })
  })

  test("a pattern that repeats what repeats a thousand times is refused", () => {
    for (const match of ["((a{100}){100}){100}", "a{1001}", `${"(".repeat(200)}a${"){9}".repeat(20)}`]) {
      expect(refused([{ match, name: "x" }]).rule).toBe(1)
    }
  })

  test("a name that is longer than is matched keeps its own", () => {
    expect(shown("^a", "x", "a".repeat(MATCHED_LENGTH_MAX))).toBe("x")
    expect(shown("^a", "x", "a".repeat(MATCHED_LENGTH_MAX + 1))).toBeUndefined()
  })

  test("there are bounds of rules, of patterns and of all texts together", () => {
    const rule = { match: "^a$", name: "x" }
    expect(refused(Array.from({ length: RULES_MAX + 1 }, () => rule)).message).toMatch(/201 rules.* at most 200/)
    expect(refused([rule, { match: "a".repeat(MATCH_LENGTH_MAX + 1), name: "x" }])).toMatchObject({ rule: 2 })
    const long = { match: "a".repeat(MATCH_LENGTH_MAX - 10), name: "x" }
    const many = Math.ceil(CHARACTERS_MAX / (long.match.length + 1)) + 1
    expect(refused(Array.from({ length: many }, () => long)).message).toMatch(/characters together/)
  })
})

describe("a rule that cannot be used is named with its place", () => {
  const wrong: ReadonlyArray<readonly [Rule, "match" | "name", number | null, RegExp]> = [
    [{ match: "", name: "x" }, "match", null, /empty/],
    [{ match: "worker(", name: "x" }, "match", null, /missing closing/],
    [{ match: "a[z-b]", name: "x" }, "match", 3, /range/],
    [{ match: "ab**", name: "x" }, "match", 3, /repetition/],
    [{ match: "ab(?=c)", name: "x" }, "match", 3, /looks around/],
    [{ match: "(a)\\1", name: "x" }, "match", 4, /refers back/],
    [{ match: "a\\y", name: "x" }, "match", 2, /escape/],
    [{ match: "(a)", name: " " }, "name", null, /empty/],
    [{ match: "(a)", name: "x$2" }, "name", 2, /no such group/],
    [{ match: "(?P<word>a)", name: "x${other}" }, "name", 2, /no group of that name/],
    [{ match: "(a)", name: "cost: $" }, "name", 7, /dollar/],
    [{ match: "(a)", name: "a\u001b[2J" }, "name", null, /control/]
  ]
  for (const [rule, field, position, reason] of wrong) {
    test(`${JSON.stringify(rule.match)} as ${JSON.stringify(rule.name)}`, () => {
      const error = refused([{ match: "^fine$", name: "fine" }, rule])
      expect(error).toMatchObject({ rule: 2, field, position, reason: expect.stringMatching(reason) })
      expect(error.message).toContain(`rule 2, ${field} ${JSON.stringify(rule[field])}`)
    })
  }
})

describe("a rule shows a name", () => {
  test("by what its groups captured, by number and by name", () => {
    const worker = "^python3? (?:\\S*/)?(?P<script>\\w+?)_?\\d*\\.py"
    expect(shown(worker, "python ${script}", "python3 /srv/app/worker_17.py --queue mail")).toBe("python worker")
    expect(shown(worker, "$1 (python)", "python worker.py")).toBe("worker (python)")
    expect(shown("(a)(b)?", "<$2>$0$$", "xab")).toBe("<b>ab$")
    expect(shown("(a)(b)?", "<$2>", "a")).toBe("<>")
  })

  test("as the first one does that matches, anywhere in the name", () => {
    const set = setOf({ match: "b", name: "first" }, { match: "^a", name: "second" })
    expect([set.taken("ab"), set.taken("ac"), set.taken("c")]).toEqual([
      { rule: 1, shown: "first" },
      { rule: 2, shown: "second" },
      undefined
    ])
  })

  test("never as nothing: a name without anything in it keeps its own", () => {
    expect(shown("^(x?)", "$1", "abc")).toBeUndefined()
  })

  test("whatever the name is: hostile, empty, and of half a character", () => {
    for (const name of ["", "\u0000", "a\nb", "\u202eevil", "\ud800", "😀".repeat(100)]) {
      expect(shown("(?s)^(.*)$", "<$1>", name)).toBe(`<${name.toWellFormed()}>`)
    }
  })
})

describe("what rules would do", () => {
  const names = ["worker_1", "worker_2", "worker_31", "job 1a2b3c4d5e", "job 99887766ff", "nginx", "node"].map(
    (name, n) => ({ name, value: n + 0.1 })
  )
  const previewed = (...rules: ReadonlyArray<Rule>) => {
    const set = setOf(...rules)
    return previewOf(
      rules.length,
      names.map((name) => previewName(set, name))
    )
  }

  test("is told name by name, those that no rule takes first, with equal totals", () => {
    const { after, before, groups, names, taken } = previewed({ match: "^worker_", name: "worker" })
    expect(taken).toEqual([3])
    expect(names.map(({ rule }) => rule)).toEqual([null, null, null, null, 1, 1, 1])
    expect(groups.find(({ name }) => name === "worker")).toMatchObject({ members: 3 })
    expect([before.groups, after.groups]).toEqual([7, 5])
    expect(after.value).toBeCloseTo(before.value, 9)
  })

  test("suggests a rule for names that differ in digits or hashes only, and the rule takes them", () => {
    const { alike } = previewed()
    expect(alike.map(({ names, rule }) => [names, rule])).toEqual([
      [3, { match: "^worker_[0-9]+$", name: "worker_*" }],
      [2, { match: "^job [0-9a-f]+$", name: "job *" }]
    ])
    expect(previewed(...alike.map(({ rule }) => rule)).taken).toEqual([3, 2])
  })
})
