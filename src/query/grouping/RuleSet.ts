/**
 * A set of rules, compiled: which rule takes a name, and what the name is shown as.
 *
 * Guarantee: the first rule that matches takes the name, and a name that none takes keeps its own. The time is linear in the
 * length of the name whatever the patterns are, since they are matched by automata (RE2) that never go back.
 * Bounds: {@link INSTRUCTIONS_MAX} instructions for all patterns together, {@link AUTOMATON_BYTES} for what is known of them,
 * names of up to {@link MATCHED_LENGTH_MAX} characters (a longer one keeps its own): some 0.5 s for the worst set and name that
 * anybody can save, and 0.02 ms for 200 usual rules (`test/grouping-patterns.test.ts`). Pure.
 */

import { Result, Schema } from "effect"
import { RE2JS, RE2JSSyntaxException, RE2Set } from "re2js"
import { isPrintable } from "../../protocol/PrintableText.ts"
import { CHARACTERS_MAX, MATCH_LENGTH_MAX, NAME_LENGTH_MAX, RULES_MAX, type Rule } from "./Rules.ts"

/** Longer names keep their own. */
export const MATCHED_LENGTH_MAX = 512
/** Of all patterns of a set together: 200 usual ones have 5 000. */
export const INSTRUCTIONS_MAX = 10_000
const AUTOMATON_BYTES = 4 * 1024 * 1024
/** What a name is shown as is cut to this. */
const SHOWN_LENGTH_MAX = 512

/** A rule cannot be saved. `position` counts characters of `value` from 1; null where the whole of it is meant. */
export class RuleRefused extends Schema.TaggedError<RuleRefused>()("RuleRefused", {
  /** From 1 on; 0 where it is about the set. */
  rule: Schema.Int,
  field: Schema.Literals(["match", "name", "rules"]),
  value: Schema.String,
  position: Schema.NullOr(Schema.Int),
  reason: Schema.String
}) {
  readonly retryable = false
  override get message(): string {
    if (this.rule === 0) return this.reason
    const at = this.position === null ? "" : `, character ${this.position}`
    return `rule ${this.rule}, ${this.field} ${JSON.stringify(this.value)}${at}: ${this.reason}`
  }
}

/** What became of a name: by the rule with that number, from 1 on. */
export interface Taken {
  readonly rule: number
  readonly shown: string
}

export interface RuleSet {
  /** Undefined where no rule takes the name. */
  readonly taken: (name: string) => Taken | undefined
  /** How many steps a character of a name costs at most. */
  readonly instructions: number
}

/** Compiles rules, or says which is wrong and where. */
export const compileRules = (rules: ReadonlyArray<Rule>): Result.Result<RuleSet, RuleRefused> =>
  Result.gen(function* () {
    if (rules.length > RULES_MAX) {
      return yield* refuseSet(`there are ${rules.length} rules, and may be at most ${RULES_MAX}`)
    }
    const characters = rules.reduce((sum, { match, name }) => sum + match.length + name.length, 0)
    if (characters > CHARACTERS_MAX) {
      return yield* refuseSet(
        `the rules have ${characters} characters together, and may have at most ${CHARACTERS_MAX}`
      )
    }
    const patterns: Array<Pattern> = []
    let instructions = 0
    for (const [n, rule] of rules.entries()) {
      const pattern = yield* compilePattern(n + 1, rule.match)
      instructions += pattern.programSize()
      if (instructions > INSTRUCTIONS_MAX) {
        const many =
          "what it repeats or lists makes the rules together too expensive; repeat less, or match less closely"
        return yield* refuse({ rule: n + 1, field: "match", value: rule.match, position: null, reason: many })
      }
      patterns.push({ pattern, parts: yield* partsOf(n + 1, rule.name, pattern) })
    }
    return { taken: makeTaken(rules, patterns), instructions }
  })

interface Pattern {
  readonly pattern: RE2JS
  readonly parts: ReadonlyArray<Part>
}

/** A text as it is, or what the group with that number captured. */
type Part = string | number

const makeTaken = (rules: ReadonlyArray<Rule>, patterns: ReadonlyArray<Pattern>): RuleSet["taken"] => {
  if (rules.length === 0) return () => undefined
  // All patterns at once: which match a name takes one pass over it, however many they are.
  const all = new RE2Set(RE2Set.UNANCHORED, 0, AUTOMATON_BYTES)
  for (const { match } of rules) all.add(match)
  all.compile()
  return (name) => {
    if (name.length > MATCHED_LENGTH_MAX) return undefined
    const matching = all.match(name)
    if (matching.length === 0) return undefined
    const first = matching.reduce((least, n) => Math.min(least, n))
    const { parts, pattern } = patterns[first]!
    const captured = parts.some((part) => typeof part === "number") ? pattern.exec(name) : null
    const shown = parts.map((part) => (typeof part === "number" ? String(captured?.[part] ?? "") : part)).join("")
    // Nobody could find a name without anything in it.
    return shown.trim() === "" ? undefined : { rule: first + 1, shown: shown.slice(0, SHOWN_LENGTH_MAX).toWellFormed() }
  }
}

// -- what is wrong with a rule

const refuse = (refused: ConstructorParameters<typeof RuleRefused>[0]) => Result.fail(new RuleRefused(refused))

const refuseSet = (reason: string) => refuse({ rule: 0, field: "rules", value: "", position: null, reason })

const compilePattern = (rule: number, match: string): Result.Result<RE2JS, RuleRefused> => {
  const wrong = (reason: string, position: number | null = null) =>
    refuse({ rule, field: "match", value: match.slice(0, MATCH_LENGTH_MAX), position, reason })
  if (match === "") return wrong("it is empty, and would match every name")
  if (match.length > MATCH_LENGTH_MAX) return wrong(`it is longer than ${MATCH_LENGTH_MAX} characters`)
  try {
    return Result.succeed(RE2JS.compile(match))
  } catch (error) {
    if (!(error instanceof RE2JSSyntaxException)) return wrong("it cannot be compiled")
    const fragment = error.getPattern() ?? ""
    const position = fragment === "" || fragment === match ? null : match.indexOf(fragment) + 1
    return wrong(describe(error.getDescription(), fragment), position === 0 ? null : position)
  }
}

/** The engine's words for what people write most, in ours. */
const describe = (description: string, fragment: string): string => {
  if (/Perl (syntax|operator)/i.test(description) && /^\(\?[=!<]/.test(fragment)) {
    return `${fragment} looks around, which is not available: it has no bound in time`
  }
  if (/invalid escape/i.test(description) && /^\\[1-9]/.test(fragment)) {
    return `${fragment} refers back to a group, which is not available: it has no bound in time`
  }
  return fragment === "" ? description : `${description}: ${fragment}`
}

/** `$1` and `${word}` are groups of the pattern, `$0` is all that matched, `$$` is a dollar sign. */
const PLACEHOLDER = /\$(?:(\$)|([0-9])|\{([A-Za-z_][A-Za-z0-9_]{0,63})\})?/g

const partsOf = (rule: number, name: string, pattern: RE2JS): Result.Result<ReadonlyArray<Part>, RuleRefused> => {
  const wrong = (reason: string, position: number | null = null) =>
    refuse({ rule, field: "name", value: name.slice(0, NAME_LENGTH_MAX), position, reason })
  if (name.trim() === "") return wrong("it is empty")
  if (name.length > NAME_LENGTH_MAX) return wrong(`it is longer than ${NAME_LENGTH_MAX} characters`)
  if (!isPrintable(name)) return wrong("it has control or invisible characters")
  const named = pattern.namedGroups()
  const parts: Array<Part> = []
  let from = 0
  for (const found of name.matchAll(PLACEHOLDER)) {
    const [text, dollar, digit, word] = found
    const at = found.index + 1
    parts.push(name.slice(from, found.index))
    from = found.index + text.length
    if (dollar !== undefined) parts.push("$")
    else if (digit !== undefined) {
      if (Number(digit) > pattern.groupCount()) return wrong(`${text}: the pattern has no such group`, at)
      parts.push(Number(digit))
    } else if (word !== undefined) {
      if (!Object.hasOwn(named, word)) return wrong(`${text}: the pattern has no group of that name`, at)
      parts.push(named[word]!)
    } else return wrong("a dollar sign stands for a group, as in $1; write $$ for the sign itself", at)
  }
  return Result.succeed([...parts, name.slice(from)].filter((part) => part !== ""))
}
