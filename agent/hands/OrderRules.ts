/**
 * Whether the host's file allows a verb on a target, now and by these people. Pure.
 *
 * A rule holds where all that it says holds; an order needs one rule that does. Where none does, the refusal is that of the rule that
 * comes closest, so that who asks learns what is missing.
 */
import type { Order } from "../../src/protocol/Orders.ts"
import { REFUSALS, type RefusalCode, type Verb } from "../../src/protocol/OrderText.ts"
import {
  type HandsApprover,
  type HandsFile,
  type HandsRule,
  type Hours,
  isProcessVerb,
  type Span
} from "./HandsFile.ts"
import { matches } from "./NamePattern.ts"

export interface Refused {
  readonly code: RefusalCode
  readonly message: string
}

export const refused = (code: RefusalCode, detail = ""): Refused => ({
  code,
  message: detail === "" ? REFUSALS[code] : `${REFUSALS[code]}: ${detail}`
})

export interface TargetNames {
  /** The unit itself, or the one that the process is in. */
  readonly unit: string | null
  /** Of the process; undefined for a unit. */
  readonly process?: string
}

/** The rules that allow the verb on the target to somebody, sometime. */
export const rulesFor = (file: HandsFile, verb: Verb, { process, unit }: TargetNames): ReadonlyArray<HandsRule> =>
  file.rules.filter(({ names, units, verbs }) => {
    if (!verbs.includes(verb) || isProcessVerb(verb) !== (process !== undefined)) return false
    const isUnit = units.length === 0 || (unit !== null && units.some((pattern) => matches(pattern, unit)))
    const isName = process === undefined || names.length === 0 || names.some((pattern) => matches(pattern, process))
    return isUnit && isName
  })

export interface RuleUse {
  /** Minutes of the day, by this host. */
  readonly minuteOfDay: number
  /** Of a rule within the last hour. */
  readonly usesOf: (rule: string) => number
}

/** What of the rule does not hold now, whoever signs; undefined where all does. */
export const notNow = (rule: HandsRule, { minuteOfDay, usesOf }: RuleUse): Refused | undefined => {
  if (rule.hours !== undefined && !isWithin(rule.hours, minuteOfDay)) {
    return refused("outside-hours", `allowed ${rule.hours.text}`)
  }
  if (usesOf(rule.id) >= rule.perHour) return refused("rate-limited", `${rule.perHour} an hour`)
  return undefined
}

const isWithin = ({ from, until }: Hours, minute: number): boolean =>
  from < until ? from <= minute && minute < until : minute >= from || minute < until

/** What of the rule does not hold for these people and settings; undefined where all does. */
const notBy = (rule: HandsRule, order: Order, by: ReadonlyArray<HandsApprover>): Refused | undefined => {
  for (const [key, value] of settingsOf(order)) {
    const { max, min } = rule.spans[key]
    if (value < min || value > max) return refused("not-allowed", `${key} ${value} is not between ${min} and ${max}`)
  }
  const people = new Set(by.filter(({ role }) => rule.roles.includes(role)).map(({ name }) => name))
  if (people.size === 0) return refused("not-allowed", `to ${by[0]?.role}s, only to ${rule.roles.join(" or ")}s`)
  if (rule.secondPerson && people.size < 2) return refused("second-person-needed")
  return undefined
}

/** The settings of an order, as the file calls them. */
const settingsOf = (order: Order): ReadonlyArray<readonly [keyof HandsRule["spans"], number]> => {
  if (order.verb === "nice") return [["nice", order.settings.nice]]
  if (order.verb === "weight")
    return [
      ["weight", order.settings.weight],
      ["minutes", order.settings.minutes]
    ]
  if (order.verb === "quota")
    return [
      ["quota", order.settings.percent],
      ["minutes", order.settings.minutes]
    ]
  if (order.verb === "memory_high")
    return [
      ["memory_high", order.settings.bytes],
      ["minutes", order.settings.minutes]
    ]
  return []
}

/** The rule by which the order may be done, or why it may not. */
export const ruleThatAllows = (
  file: HandsFile,
  order: Order,
  names: TargetNames,
  by: ReadonlyArray<HandsApprover>,
  use: RuleUse
): HandsRule | Refused => {
  let closest: Refused = refused("not-allowed")
  for (const rule of rulesFor(file, order.verb, names)) {
    const wrong = notBy(rule, order, by) ?? notNow(rule, use)
    if (wrong === undefined) return rule
    if (CLOSENESS.indexOf(wrong.code) >= CLOSENESS.indexOf(closest.code)) closest = wrong
  }
  return closest
}

/** The later, the less is missing. */
const CLOSENESS: ReadonlyArray<RefusalCode> = ["not-allowed", "second-person-needed", "outside-hours", "rate-limited"]

/** What the file allows of a verb's settings, as an offer tells it. */
export const offeredSpans = (verb: Verb, { spans }: HandsRule): Readonly<Record<string, Span>> => {
  if (verb === "nice") return { nice: spans.nice }
  if (verb === "weight") return { weight: spans.weight, minutes: spans.minutes }
  if (verb === "quota") return { percent: spans.quota, minutes: spans.minutes }
  if (verb === "memory_high") return { bytes: spans.memory_high, minutes: spans.minutes }
  return {}
}
