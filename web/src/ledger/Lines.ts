/**
 * A ledger as it is shown: what went the way of the whole first, then what went against it, then all others and what is
 * unaccounted for, then the whole. Pure.
 *
 * Guarantee: what is shown adds up to the last digit. Every number is a whole count of the ledger's last digit: changes are
 * rounded so that they are together the shown change of the whole (largest remainders up), the values before likewise, and
 * what is shown after is before + change. So a number is less than one of its last digit off, one after less than two.
 */
import type { Changes, Ranking } from "../ask/Api.ts"
import { type Scale, scaleOf } from "./Scale.ts"

/** In percent of a core: a smaller change of CPU is not worth telling. */
const CORE_PART_MIN = 5
/** Of anything else, a part of the larger side. */
const PART_MIN = 0.01

type Group = Changes["changes"][number]

/** A line as it is shown: before, after and change in counts of the last digit, the share in whole percent. */
export interface Line {
  readonly key: string
  readonly before: number
  readonly after: number
  readonly change: number
  readonly share: number | null
  /** The numbers themselves, in the unit of the API. */
  readonly exact: {
    readonly before: number
    readonly after: number
    readonly change: number
    readonly share: number | null
  }
}

export interface GroupLine extends Line {
  readonly group: Group
}

export interface Lines {
  /** `level`: the whole hardly changed, and what it is made of did; `quiet`: nothing did. */
  readonly verdict: "rose" | "fell" | "level" | "quiet"
  readonly scale: Scale
  /** Those that went the way of the whole, and those that went the other way; where that hardly changed, up and down. */
  readonly along: ReadonlyArray<GroupLine>
  readonly against: ReadonlyArray<GroupLine>
  readonly other: (Line & { readonly groups: number }) | undefined
  readonly unaccounted: Line | undefined
  readonly total: Line
  /** The largest change of a line but the whole, in counts: what a full bar is. */
  readonly largest: number
}

type Exact = Line["exact"]

export const linesOf = (answer: Changes, ranking: Ranking, divisor: number): Lines => {
  const { changes, other, total, unaccounted } = answer
  const isCpu = ranking.share === "cpu" && ranking.by === "rate" && answer.unit === "percent"
  const least = isCpu ? CORE_PART_MIN : PART_MIN * Math.max(Math.abs(total.before), Math.abs(total.after))
  const parts = unaccounted === null ? [...changes, other] : [...changes, other, unaccounted]
  const widest = Math.max(...parts.map(({ change }) => Math.abs(change)), Math.abs(total.change))
  const scale = scaleOf(
    answer.unit,
    Math.max(Math.abs(total.before), Math.abs(total.after)) / divisor,
    widest / divisor
  )
  // Less than one of the last digit would be shown as no change: of one that restarted even that is worth a line.
  const isTold = ({ change, restarted }: Group) => restarted || Math.abs(change / divisor) >= scale.one
  const told = changes.filter(isTold)
  const untold = changes.filter((group) => !isTold(group))
  const rest = { groups: other.groups + untold.length, exact: added([other, ...untold]) }
  const shown = roundedTo(
    [...told, rest.exact, ...(unaccounted === null ? [] : [unaccounted])],
    total,
    divisor * scale.one
  )
  const groups = told.map((group, n): GroupLine => ({ ...shown.lines[n]!, key: `g${group.name}`, group }))
  const beside = shown.lines.slice(told.length)
  const level = total.change === 0 || Math.abs(total.change) < least
  const moved = [...changes, ...(unaccounted === null ? [] : [unaccounted])].some(
    ({ change }) => Math.abs(change) >= least && change !== 0
  )
  const up = total.change > 0 || level
  return {
    verdict: level ? (moved ? "level" : "quiet") : up ? "rose" : "fell",
    scale,
    along: groups.filter(({ group }) => group.change > 0 === up),
    against: groups.filter(({ group }) => group.change > 0 !== up),
    other: rest.groups === 0 ? undefined : { ...beside[0]!, key: "other", groups: rest.groups },
    unaccounted: unaccounted === null ? undefined : { ...neverBelow(beside[1]!), key: "unaccounted" },
    total: { ...shown.total, key: "total" },
    largest: Math.max(1, ...shown.lines.map(({ change }) => Math.abs(change)))
  }
}

/** What is to be said of a group beside its numbers. One that appeared has restarted in no sense that helps. */
export const lifeOf = ({ appeared, gone, restarted }: Pick<Group, "appeared" | "gone" | "restarted">) => [
  ...(appeared ? (["new"] as const) : []),
  ...(gone ? (["gone"] as const) : []),
  ...(restarted && !appeared ? (["restarted"] as const) : [])
]

const added = (lines: ReadonlyArray<Exact>): Exact => {
  const sum = (of: (line: Exact) => number) => lines.reduce((all, line) => all + of(line), 0)
  return {
    before: sum(({ before }) => before),
    after: sum(({ after }) => after),
    change: sum(({ change }) => change),
    share: lines[0]?.share === null ? null : sum(({ share }) => share ?? 0)
  }
}

/** Every line in counts of `one`, so that they add up to the whole as it is shown. */
const roundedTo = (lines: ReadonlyArray<Exact>, whole: Exact, one: number) => {
  const total = { before: nearest(whole.before / one), change: nearest(whole.change / one) }
  const before = apportioned(
    lines.map((line) => line.before / one),
    total.before
  )
  const change = apportioned(
    lines.map((line) => line.change / one),
    total.change
  )
  const shares = apportioned(
    lines.map(({ share }) => 100 * (share ?? 0)),
    100
  )
  const exactOf = ({ after, before, change, share }: Exact): Exact => ({ before, after, change, share })
  return {
    lines: lines.map((line, n) => ({
      before: before[n]!,
      after: before[n]! + change[n]!,
      change: change[n]!,
      share: line.share === null ? null : shares[n]!,
      exact: exactOf(line)
    })),
    total: {
      ...total,
      after: total.before + total.change,
      share: whole.share === null ? null : 100,
      exact: exactOf(whole)
    }
  }
}

/** Without a sign where it is 0. */
const nearest = (value: number): number => Math.round(value) + 0

/** Whole numbers, each the one below or above its value, that add up to `whole`, which is the nearest to the sum of the values. */
export const apportioned = (values: ReadonlyArray<number>, whole: number): ReadonlyArray<number> => {
  const rounded = values.map(Math.floor)
  const left = whole - rounded.reduce((sum, value) => sum + value, 0)
  const byRemainder = values
    .map((value, n) => ({ n, remainder: value - Math.floor(value) }))
    .sort((a, b) => b.remainder - a.remainder || a.n - b.n)
  for (const { n } of byRemainder.slice(0, Math.max(0, left))) rounded[n]! += 1
  return rounded
}

/** What nobody accounts for is never shown below 0: where scrapes of host and groups do not fall together it can be, a little. */
const neverBelow = <A extends { readonly before: number; readonly after: number }>(line: A): A => ({
  ...line,
  before: Math.max(0, line.before),
  after: Math.max(0, line.after)
})
