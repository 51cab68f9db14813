/**
 * The lines of a breakdown beyond the groups by name: what units used and their groups did not, what of it accounting names, and the
 * kernel's own. Pure.
 *
 * Guarantee: together they are what all units used less what all groups did, however it is divided.
 */

import {
  type BreakdownParts,
  countedErrors,
  type Draft,
  edgesOf,
  pacedOf,
  rateOf,
  recordTicks,
  ticksOf,
  total,
  type UnitParts,
  type Usages
} from "./BreakdownErrors.ts"
import type { Sums } from "./BreakdownSums.ts"
import { compareBytes } from "./ByteOrder.ts"

/** How many units have a line of their own. */
const UNITS_LISTED = 3
/** Where more of the groups' CPU than this has no unit, units are not told apart. */
const UNPLACED_MAX = 0.1

type NameOf = (id: number) => string

/** Whether nearly all groups say in which unit they are. */
export const areToldApart = ({ byUnit, members }: UnitParts, nameOf: NameOf): boolean => {
  const all = total([...members.groups.values()], "seconds")
  return byUnit && unplacedOf(members, nameOf) <= UNPLACED_MAX * all
}

/** What the groups used whose unit is not told. */
const unplacedOf = ({ groups }: Sums, nameOf: NameOf): number =>
  [...groups].reduce((sum, [id, { seconds }]) => (nameOf(id) === "" ? sum + seconds : sum), 0)

/** What units used beyond their groups: the largest ones, the others, and the kernel's. */
export const unitLines = (parts: BreakdownParts, units: UnitParts, nameOf: NameOf): ReadonlyArray<Draft> => {
  const { members, sums } = units
  if (!areToldApart(units, nameOf)) {
    return [beyond(parts, units, "remainder", null, [...sums.groups.values()], [...members.groups.values()], 0)]
  }
  const unplaced = unplacedOf(members, nameOf)
  const own = [...sums.groups].map(([id, usage]) => {
    const inside = members.groups.get(id)
    return { id, name: nameOf(id), usage, inside, left: usage.seconds - (inside?.seconds ?? 0) }
  })
  const kernel = own.find(({ name }) => name === units.kernel)
  const others = own.filter((unit) => unit !== kernel).sort((a, b) => b.left - a.left || compareBytes(a.name, b.name))
  const largest = others.slice(0, UNITS_LISTED).filter(({ left }) => left > 0)
  // Groups whose unit is not told, or was not seen: they used what the units did, too.
  const outside = [...members.groups].flatMap(([id, usage]) => (sums.groups.has(id) ? [] : [usage]))
  const line = (kind: "remainder" | "kernel", name: string | null, some: typeof own, more: Usages = []) => {
    const inside = some.flatMap(({ inside }) => inside ?? [])
    return beyond(
      parts,
      units,
      kind,
      name,
      some.map(({ usage }) => usage),
      [...inside, ...more],
      unplaced
    )
  }
  return [
    ...largest.map((unit) => line("remainder", unit.name, [unit])),
    line("remainder", null, others.slice(largest.length), outside),
    ...(kernel === undefined ? [] : [line("kernel", kernel.name, [kernel])])
  ]
}

/** A line of what some units used less what the groups inside them did. */
const beyond = (
  parts: BreakdownParts,
  { members, sums }: UnitParts,
  kind: "remainder" | "kernel",
  name: string | null,
  units: Usages,
  inside: Usages,
  unplaced: number
): Draft => {
  const used = total(units, "seconds")
  const seconds = used - total(inside, "seconds")
  const [mine, theirs] = [countedErrors(parts, sums, units), countedErrors(parts, members, inside)]
  return {
    kind,
    name,
    groups: units.length,
    seconds,
    errors: {
      ticks: ticksOf(inside),
      edges: edgesOf(rateOf(sums, used), [pacedOf(sums), pacedOf(members)], 0),
      unknown: mine.unknown + theirs.unknown,
      clamped: mine.clamped + theirs.clamped,
      attribution: Math.min(unplaced, Math.abs(seconds))
    }
  }
}

/** All short-lived processes that accounting tells of. */
export const shortLivedLine = (parts: BreakdownParts, sums: Sums): Draft => {
  const usages = [...sums.groups.values()]
  const seconds = total(usages, "seconds")
  const runs = total(usages, "runs")
  return {
    kind: "short_lived",
    name: null,
    groups: usages.length,
    runs: Math.round(runs),
    seconds,
    errors: {
      ...countedErrors(parts, sums, usages),
      ticks: recordTicks(runs, seconds),
      edges: edgesOf(rateOf(sums, seconds), [pacedOf(sums), pacedOf(parts.groups)], 0),
      attribution: 0
    }
  }
}

/**
 * The units' lines once short-lived processes have theirs. Accounting does not say in which unit they ran: each unit's remainder gives
 * the same part of itself, and what that may be off by is in its error. What is more than all remainders makes that of the others
 * negative, so that nothing is counted twice.
 */
export const explained = (lines: ReadonlyArray<Draft>, short: Draft): ReadonlyArray<Draft> => {
  const remainders = lines.filter(({ kind }) => kind === "remainder")
  const left = remainders.reduce((sum, { seconds }) => sum + Math.max(0, seconds), 0)
  const taken = Math.min(short.seconds, left)
  const reduced = remainders.map((line): Draft => {
    const own = Math.max(0, line.seconds)
    const part = left === 0 ? 0 : (taken * own) / left
    const least = Math.max(0, taken - (left - own))
    const most = Math.min(taken, own)
    const excess = line.name === null ? short.seconds - taken : 0
    const attribution = line.errors.attribution + Math.max(part - least, most - part)
    return { ...line, seconds: line.seconds - part - excess, errors: { ...line.errors, attribution } }
  })
  return [...reduced, short, ...lines.filter(({ kind }) => kind !== "remainder")]
}
