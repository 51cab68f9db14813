/**
 * The answer of a breakdown, from sums: what `docs/numbers.md` says in "The breakdown". Pure.
 *
 * Guarantee: whatever the sums are, the lines add up to the host's busy CPU, or to the groups and units where that is not known.
 */
import type { BreakdownAnswer, BreakdownLine, LeftKind, LineErrors, Missing } from "./Breakdown.ts"
import {
  type BreakdownParts,
  countedErrors,
  type Draft,
  edgeSeconds,
  edgesOf,
  hostTicks,
  pacedOf,
  ticksOf,
  total,
  type Usages
} from "./BreakdownErrors.ts"
import type { Sums } from "./BreakdownSums.ts"
import { areToldApart, explained, shortLivedLine, unitLines } from "./BreakdownUnits.ts"
import { compareBytes } from "./ByteOrder.ts"

/** How many short-lived commands are listed. */
const COMMANDS_LISTED = 5
/** Units that were seen for less of the groups' time, and a window for less of its own, are said to be missing in part. */
const UNITS_SHARED_MIN = 0.95
const COVERAGE_MIN = 0.8
/** Of less busy CPU than this in percent of a core no share is told. */
const HOST_PERCENT_MIN = 1

/** Names by ids: of the groups, which may be put together, and of anything else. */
export interface BreakdownNames {
  readonly groups: ReadonlyMap<number, string>
  readonly others: ReadonlyMap<number, string>
}

/** The groups that can be listed by name: the first `limit` by CPU, and all that are equal to the last of them. */
export const candidatesOf = ({ groups: { groups }, limit }: BreakdownParts): ReadonlyArray<number> => {
  const all = [...groups].sort(([, a], [, b]) => b.seconds - a.seconds)
  const least = all.length > limit ? all[limit - 1]![1].seconds : Number.NEGATIVE_INFINITY
  return all.filter(([, { seconds }]) => seconds >= least).map(([group]) => group)
}

export const breakdownOf = (parts: BreakdownParts, names: BreakdownNames): BreakdownAnswer => {
  const { common, cores, groups, resources, shortLived, units, window } = parts
  const nameOf = (id: number) => names.others.get(id) ?? ""
  const beyond = units === undefined ? [] : unitLines(parts, units, nameOf)
  const known = [
    ...groupLines(parts, names.groups),
    ...(shortLived === undefined ? beyond : explained(beyond, shortLivedLine(parts, shortLived)))
  ]
  const host = common.seconds === 0 ? undefined : common.busy
  const drafts = host === undefined ? known : [...known, unknownLine(parts, host, known)]
  const percent = (seconds: number) => (groups.covered === 0 ? 0 : (100 * seconds) / groups.covered)
  const coverage = window.to <= window.from ? 0 : Math.min(1, (groups.covered * 1_000_000) / (window.to - window.from))
  return {
    window,
    coveredSeconds: groups.covered,
    coverage,
    scrapes: groups.scrapes,
    host: host === undefined ? null : { cpuSeconds: host, avgCpuPercent: percent(host), cores },
    partial: missingOf(parts, coverage, nameOf),
    belowZero: belowZero(drafts),
    resources,
    lines: drafts.map((draft) => shown(draft, percent, host)),
    shortLived: commandsOf(shortLived, nameOf, percent)
  }
}

const shown = (
  { errors, groups, kind, name, runs, seconds }: Draft,
  percent: (seconds: number) => number,
  host: number | undefined
): BreakdownLine => ({
  kind,
  name,
  groups,
  runs: runs ?? null,
  cpuSeconds: seconds,
  avgCpuPercent: percent(seconds),
  share: host === undefined || percent(host) < HOST_PERCENT_MIN ? null : seconds / host,
  errorSeconds: Object.values(errors).reduce((sum, error) => sum + error, 0),
  errors
})

/** The groups that used most by name, and all others. */
const groupLines = (parts: BreakdownParts, names: ReadonlyMap<number, string>): ReadonlyArray<Draft> => {
  const { groups, limit } = parts
  const listed = candidatesOf(parts)
    .map((id) => ({ id, name: names.get(id) ?? "", usage: groups.groups.get(id)! }))
    .sort((a, b) => b.usage.seconds - a.usage.seconds || compareBytes(a.name, b.name))
    .slice(0, limit)
  const ids = new Set(listed.map(({ id }) => id))
  const line = (kind: "named" | "other", name: string | null, usages: Usages): Draft => ({
    kind,
    name,
    groups: usages.length,
    seconds: total(usages, "seconds"),
    errors: { ...countedErrors(parts, groups, usages), ticks: ticksOf(usages), edges: 0, attribution: 0 }
  })
  const others = [...groups.groups].flatMap(([id, usage]) => (ids.has(id) ? [] : [usage]))
  return [...listed.map(({ name, usage }) => line("named", name, [usage])), line("other", null, others)]
}

/** What of the host's busy CPU no other line is. Its errors are those of what is taken off, as far as these do not cancel out. */
const unknownLine = (parts: BreakdownParts, busy: number, known: ReadonlyArray<Draft>): Draft => {
  const { common, groups, host } = parts
  const rate = busy / common.seconds
  const interval = host?.interval ?? 0
  const ofUnits = known.filter(({ kind }) => kind === "remainder" || kind === "kernel")
  // What ticks hide of a group is in its unit's remainder, where there are units.
  const beside = ofUnits.length > 0 ? ofUnits : known
  const sumOf = (field: keyof LineErrors, lines: ReadonlyArray<Draft>) =>
    lines.reduce((sum, { errors }) => sum + errors[field], 0)
  return {
    kind: "unknown",
    name: null,
    groups: 0,
    seconds: busy - known.reduce((sum, { seconds }) => sum + seconds, 0),
    errors: {
      ticks: hostTicks(parts) + (ofUnits.length > 0 ? 0 : sumOf("ticks", known)),
      edges:
        edgesOf(rate, [{ step: interval, seen: host?.seen }, pacedOf(groups)], groups.covered - common.seconds) +
        sumOf("edges", beside),
      unknown: common.unknown * interval * rate + sumOf("unknown", beside),
      clamped: sumOf("clamped", beside),
      attribution: 0
    }
  }
}

const commandsOf = (
  sums: Sums | undefined,
  nameOf: (id: number) => string,
  percent: (seconds: number) => number
): BreakdownAnswer["shortLived"] =>
  [...(sums?.groups ?? [])]
    .map(([id, { runs, seconds }]) => ({ name: nameOf(id), runs: Math.round(runs), seconds }))
    .filter(({ runs }) => runs > 0)
    .sort((a, b) => b.seconds - a.seconds || b.runs - a.runs || compareBytes(a.name, b.name))
    .slice(0, COMMANDS_LISTED)
    .map(({ name, runs, seconds }) => ({ name, runs, cpuSeconds: seconds, avgCpuPercent: percent(seconds) }))

const missingOf = (
  { common, groups, units }: BreakdownParts,
  coverage: number,
  nameOf: (id: number) => string
): ReadonlyArray<Missing> => {
  const seen = units === undefined ? 0 : Math.min(units.sums.shared, units.members.shared)
  // Scrapes of two exporters do not fall together: what that hides at the window's ends is an error of the lines, and nothing is missing.
  const edges = units === undefined ? 0 : edgeSeconds(pacedOf(units.sums), pacedOf(units.members))
  const missing: Record<Missing, boolean> = {
    host: common.seconds === 0,
    units: seen === 0 || seen < UNITS_SHARED_MIN * groups.covered - edges,
    members: units !== undefined && !areToldApart(units, nameOf),
    coverage: coverage < COVERAGE_MIN
  }
  return (["host", "units", "members", "coverage"] as const).filter((what) => missing[what])
}

const belowZero = (drafts: ReadonlyArray<Draft>): ReadonlyArray<LeftKind> =>
  (["remainder", "kernel", "unknown"] as const).filter(
    (wanted) => drafts.reduce((sum, { kind, seconds }) => (kind === wanted ? sum + seconds : sum), 0) < 0
  )
