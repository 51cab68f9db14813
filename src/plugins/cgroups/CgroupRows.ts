/**
 * From the cgroups of a scrape to rows that are a partition of the host: each unit has what it and none of the others
 * used, so that the rows add up to the root.
 *
 * A cgroup's CPU, memory, devices and threads are what it says less what the listed cgroups below it say. A row may have
 * several cgroups, such as all sessions of a user: theirs are summed. What cannot be taken apart (pressure, limits) is
 * that of the row's topmost cgroups, and null where it is a whole slice's, since the slice's units are rows of their own.
 * Pressure and peak of several topmost ones are null, too: they wait at the same time, so that their sum could be longer than
 * there was time, and one scrape's totals do not say which of them waited longest since the last one.
 *
 * `members` is a hash of the cgroups that a row is made of and of those taken off it. Where it changes, the sums leap: the
 * increase is then unknown (docs/numbers.md). Pure; linear in the cgroups.
 */
import { hashOfNames } from "../NameSet.ts"
import type { Cgroup, Measure } from "./CadvisorTree.ts"

/** A row but for what its labels do not say. Undefined: not told. */
export type UnitValues = { -readonly [M in Measure | "cores"]?: number | undefined }

export interface UnitRow {
  readonly unit: string
  readonly slice: string
  readonly values: UnitValues
  readonly members: number | null
}

/** What a cgroup counts of those below it, too. */
const INCLUSIVE = ["cpu", "memory", "anon", "read", "written", "threads"] as const
/** What a cgroup tells of itself only. */
const OF_ITSELF = ["processes", "oomKills"] as const
/** What a quota does to a cgroup as a whole. */
const OF_QUOTA = ["periods", "throttledPeriods", "throttled"] as const
const PRESSURE = ["cpuSome", "memorySome", "memoryFull", "ioSome", "ioFull"] as const
/** What those of several cgroups do not add up to. */
const OF_ONE = ["peak", ...PRESSURE] as const
/** Seconds to the microsecond: what is behind it after subtracting is noise of binary fractions. */
const MICROS = 1e6

export const unitRows = (cgroups: ReadonlyArray<Cgroup>): ReadonlyArray<UnitRow> => {
  const rows = new Map<string, Array<Cgroup>>()
  for (const cgroup of cgroups) {
    const key = keyOf(cgroup)
    const members = rows.get(key)
    if (members === undefined) rows.set(key, [cgroup])
    else members.push(cgroup)
  }
  return [...rows.values()].map(rowOf)
}

const keyOf = ({ unit: { slice, unit } }: Cgroup): string => `${slice.length}:${slice}${unit}`

const rowOf = (members: ReadonlyArray<Cgroup>): UnitRow => {
  const { slice, unit } = members[0]!.unit
  const values: UnitValues = {}
  const add = (measure: Measure, value: number | undefined) => {
    if (value !== undefined) values[measure] = (values[measure] ?? 0) + value
  }
  for (const cgroup of members) {
    for (const measure of INCLUSIVE) add(measure, exclusive(cgroup, measure))
    for (const measure of OF_ITSELF) add(measure, cgroup.values[measure])
  }
  const tops = members.filter(({ parent }) => parent === undefined || keyOf(parent) !== keyOf(members[0]!))
  for (const top of tops) for (const measure of OF_QUOTA) add(measure, top.values[measure])
  const whole = tops.every((top) => !isRemainder(top))
  // Nothing sits in a slice itself: that says nothing about whether it is still there.
  if (!whole && values.processes === 0) values.processes = undefined
  if (whole && tops.length === 1) for (const measure of OF_ONE) values[measure] = tops[0]!.values[measure]
  values.limit = totalOf(tops, ({ values: { limit } }) => limit)
  values.cores = totalOf(tops, ({ values: { period, quota } }) =>
    quota === undefined || !(period !== undefined && period > 0) ? undefined : quota / period
  )
  for (const measure of ["cpu", ...OF_QUOTA, ...PRESSURE] as const) {
    const value = values[measure]
    if (value !== undefined && Math.abs(value) < 9e9) values[measure] = Math.round(value * MICROS) / MICROS
  }
  for (const measure of INCLUSIVE) if (values[measure] !== undefined) values[measure] = Math.max(0, values[measure])
  const parts = members.flatMap((cgroup) => [cgroup.id, ...cgroup.children.map(({ id }) => id)])
  return { unit, slice, values, members: hashOfNames(parts) }
}

/** What a cgroup used and no listed cgroup below it did. */
const exclusive = ({ children, values }: Cgroup, measure: (typeof INCLUSIVE)[number]): number | undefined => {
  const all = values[measure]
  if (all === undefined) return undefined
  return children.reduce((rest, child) => rest - (child.values[measure] ?? 0), all)
}

/** Whether the row is what is left of a cgroup whose units are rows of their own. */
const isRemainder = ({ children, unit }: Cgroup): boolean =>
  unit.kind === "root" ||
  unit.kind === "slice" ||
  (unit.kind !== "user" && children.some((child) => !isSameUnit(child.unit, unit)))

const isSameUnit = (one: Cgroup["unit"], other: Cgroup["unit"]): boolean =>
  one.unit === other.unit && one.slice === other.slice

/** A limit of all of them together: undefined where one has none. 0 is how cAdvisor tells none. */
const totalOf = (tops: ReadonlyArray<Cgroup>, limit: (cgroup: Cgroup) => number | undefined): number | undefined => {
  let total = 0
  for (const top of tops) {
    const value = limit(top)
    if (value === undefined || !(value > 0)) return undefined
    total += value
  }
  return tops.length === 0 ? undefined : total
}
