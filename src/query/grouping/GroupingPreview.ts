/**
 * What rules would do to the names of a window: which rule takes which, what the totals are before and after, and which names that
 * no rule takes differ in digits or hashes only. Pure, and bounded by what it is given: {@link LISTED_MAX} names are listed,
 * those that no rule takes first.
 */
import { isPrintable } from "../../protocol/PrintableText.ts"
import type { RuleSet } from "./RuleSet.ts"
import { MATCH_LENGTH_MAX, NAME_LENGTH_MAX, type Rule } from "./Rules.ts"

const LISTED_MAX = 1_000
const ALIKE_MAX = 20
const EXAMPLES_MAX = 3

/** A name and what it has in the ranking's unit: an average, which adds up. */
export interface Named {
  readonly name: string
  readonly value: number
}

export interface PreviewedName extends Named {
  /** From 1 on; null where no rule takes it. */
  readonly rule: number | null
  readonly shown: string
}

/** Names that no rule takes and that differ in digits or hashes only, and a rule that would put them together. */
export interface Alike {
  readonly rule: Rule
  readonly names: number
  readonly value: number
  readonly examples: ReadonlyArray<string>
}

export interface Preview {
  readonly names: ReadonlyArray<PreviewedName>
  readonly groups: ReadonlyArray<Named & { readonly members: number }>
  /** How many names each rule takes, in the order of the rules. */
  readonly taken: ReadonlyArray<number>
  readonly alike: ReadonlyArray<Alike>
  readonly before: { readonly groups: number; readonly value: number }
  readonly after: { readonly groups: number; readonly value: number }
}

/** One name, by the rules. */
export const previewName = (set: RuleSet, { name, value }: Named): PreviewedName => {
  const taken = set.taken(name)
  return { name, value, rule: taken?.rule ?? null, shown: taken?.shown ?? name }
}

/** What all names come to. `rules` is how many rules there are. */
export const previewOf = (rules: number, names: ReadonlyArray<PreviewedName>): Preview => {
  const taken = Array.from({ length: rules }, () => 0)
  for (const { rule } of names) if (rule !== null) taken[rule - 1]! += 1
  const groups = [...Map.groupBy(names, ({ shown }) => shown)]
    .map(([name, members]) => ({ name, members: members.length, value: sumOf(members) }))
    .sort(byValue)
  const listed = [...names].sort((a, b) => Number(a.rule !== null) - Number(b.rule !== null) || byValue(a, b))
  return {
    names: listed.slice(0, LISTED_MAX),
    groups: groups.slice(0, LISTED_MAX),
    taken,
    alike: alikeOf(names.filter(({ rule }) => rule === null)),
    before: { groups: names.length, value: sumOf(names) },
    after: { groups: groups.length, value: sumOf(groups) }
  }
}

const byValue = (a: Named, b: Named): number => b.value - a.value || (a.name < b.name ? -1 : 1)

const sumOf = (values: ReadonlyArray<Named>): number => values.reduce((sum, { value }) => sum + value, 0)

// -- what looks alike

/** A run of digits, or a hash: at least eight of its digits. */
const VARYING = /[0-9a-f]{8,64}|[0-9]{1,64}/g

const alikeOf = (names: ReadonlyArray<Named>): ReadonlyArray<Alike> =>
  [...Map.groupBy(names, ({ name }) => name.replace(VARYING, "\0"))]
    .filter(([frame, members]) => members.length > 1 && frame.includes("\0"))
    .map(
      ([, members]): Alike => ({
        rule: ruleOf(members.map(({ name }) => name)),
        names: members.length,
        value: sumOf(members),
        examples: members.slice(0, EXAMPLES_MAX).map(({ name }) => name)
      })
    )
    .filter(({ rule: { match, name } }) => match.length <= MATCH_LENGTH_MAX && name.length <= NAME_LENGTH_MAX)
    .filter(({ rule: { match } }) => isPrintable(match))
    .sort((a, b) => b.names - a.names || b.value - a.value)
    .slice(0, ALIKE_MAX)

/** A rule that takes these names: what is the same in all of them stays as it is. */
const ruleOf = (names: ReadonlyArray<string>): Rule => {
  const texts = names[0]!.split(VARYING)
  const runs = names.map((name) => name.match(VARYING) ?? [])
  const kinds = texts.slice(1).map((_, n) => {
    const all = runs.map((run) => run[n] ?? "")
    if (all.every((run) => run === all[0])) return { match: all[0]!, name: all[0]! }
    return { match: all.every((run) => /^[0-9]+$/.test(run)) ? "[0-9]+" : "[0-9a-f]+", name: "*" }
  })
  const escaped = (text: string) => text.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&")
  return {
    match: `^${texts.map((text, n) => `${n === 0 ? "" : kinds[n - 1]!.match}${escaped(text)}`).join("")}$`,
    name: texts.map((text, n) => `${n === 0 ? "" : kinds[n - 1]!.name}${text.replaceAll("$", "$$$$")}`).join("")
  }
}
