/** Whether a host's file says anything of what is looked at: then its panel has the line "Act on this". The host decides. Pure. */
import type { Answer } from "../ask/Api.ts"

type Rule = NonNullable<Answer<"acting.get">["hands"]>["rules"][number]

export interface Subject {
  /** What the host is asked about. */
  readonly target: { readonly unit: string } | { readonly group: string }
  /** In which units it is known to be. */
  readonly units: ReadonlyArray<string>
}

/** Names of the kernel are cut at this many characters, those of the page are not. */
const COMM_MAX = 15

/** The kernel's names that a name of the page may stand for: "nginx: worker" is of `nginx`. */
const commsOf = (name: string): ReadonlyArray<string> => [name, name.slice(0, COMM_MAX), name.split(/[\s:]/)[0] ?? ""]

/** `*` stands for any characters; without it, it is the name itself. In linear time, whatever the pattern. */
export const matches = (pattern: string, name: string): boolean => {
  const parts = pattern.split("*")
  const [first = "", ...rest] = parts
  if (rest.length === 0) return pattern === name
  const last = rest.pop() ?? ""
  if (!name.startsWith(first) || !name.endsWith(last) || name.length < first.length + last.length) return false
  let at = first.length
  for (const part of rest) {
    const found = name.indexOf(part, at)
    if (found < 0) return false
    at = found + part.length
  }
  return at <= name.length - last.length
}

export const isAllowed = (rules: ReadonlyArray<Rule>, { target, units }: Subject): boolean =>
  rules.some((rule) => {
    if (rule.units.length > 0) return rule.units.some((one) => units.some((unit) => matches(one, unit)))
    return "group" in target && rule.names.some((one) => commsOf(target.group).some((name) => matches(one, name)))
  })
