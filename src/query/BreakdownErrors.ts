/**
 * By how much the lines of a breakdown may be wrong, in core-seconds, and what they are made of. The reasons and their sizes are in
 * `docs/numbers.md` ("The breakdown"). Pure.
 *
 * An error is what the source of it can do at most, but for the edges and what is unknown: these are taken at the rate of the rest.
 */
import type { BreakdownAnswer, LineErrors, LineKind } from "./Breakdown.ts"
import type { Span, Sums, Usage } from "./BreakdownSums.ts"
import type { Common } from "./HostSteps.ts"
import { CLAMP_SLACK } from "./Increases.ts"
import type { Window } from "./Rankings.ts"

/** A process's user and system time are each cut to ticks of this many seconds, at both ends of a window. */
const TICK_SECONDS = 0.01
const TICKS_OF_A_PROCESS = 2
/** comp_t of process accounting has 13 significant bits, at least 10 of them in use. */
const COMP_T_ERROR = 2 ** -10

export interface BreakdownParts {
  readonly window: Window
  readonly limit: number
  readonly groups: Sums
  /** Busy CPU of the host in the time that the groups' exporter covered. */
  readonly common: Common
  readonly cores: number | null
  /** How many counters the host's busy CPU is the sum of, and how far apart its scrapes are, in seconds. */
  readonly host: { readonly counters: number; readonly interval: number; readonly seen: Span | undefined } | undefined
  /** Undefined where nothing tells of units. */
  readonly units: UnitParts | undefined
  readonly shortLived: Sums | undefined
  readonly resources: BreakdownAnswer["resources"]
}

export interface UnitParts {
  readonly sums: Sums
  /** What the groups used in the same time: by their unit, or by anything else. */
  readonly members: Sums
  readonly byUnit: boolean
  /** The name of the unit that is the kernel's own. */
  readonly kernel: string | undefined
}

/** A line before its share of the whole is known. */
export interface Draft {
  readonly kind: LineKind
  readonly name: string | null
  readonly groups: number
  readonly runs?: number
  readonly seconds: number
  readonly errors: LineErrors
}

export type Usages = ReadonlyArray<Readonly<Usage>>

export const total = (usages: Usages, field: keyof Usage): number =>
  usages.reduce((sum, usage) => sum + usage[field], 0)

/** How far apart scrapes were, in seconds. */
const stepOf = ({ covered, scrapes }: Sums): number => (scrapes === 0 ? 0 : covered / scrapes)

/** Cores, over the time that both exporters saw. */
export const rateOf = ({ shared }: Sums, seconds: number): number => (shared === 0 ? 0 : Math.abs(seconds) / shared)

/** A group that used something had a process, though each of its scrapes came too late to see it. */
export const ticksOf = (usages: Usages): number =>
  TICK_SECONDS *
  TICKS_OF_A_PROCESS *
  usages.reduce((sum, { processes, seconds }) => sum + Math.max(processes, seconds > 0 ? 1 : 0), 0)

/** Of records of process accounting. */
export const recordTicks = (runs: number, seconds: number): number =>
  TICK_SECONDS * TICKS_OF_A_PROCESS * runs + COMP_T_ERROR * seconds

/** Of the host's own counters. */
export const hostTicks = ({ cores, host }: BreakdownParts): number =>
  TICK_SECONDS * (cores ?? 0) * (host?.counters ?? 0)

/** What was cut can be wrong by what the machine can do in a step, what is unknown by what was used on average. */
export const countedErrors = ({ cores }: BreakdownParts, sums: Sums, usages: Usages) => ({
  unknown: total(usages, "unknown") * stepOf(sums) * rateOf(sums, total(usages, "seconds")),
  clamped: total(usages, "clamped") * (cores ?? 0) * CLAMP_SLACK * stepOf(sums)
})

/** How far apart scrapes are, in seconds, and where what they saw begins and ends. */
interface Paced {
  readonly step: number
  readonly seen: Span | undefined
}

export const pacedOf = (sums: Sums): Paced => ({ step: stepOf(sums), seen: sums.seen })

/**
 * At each end of a window the time that only one of two exporters saw, and no more than an interval of the slower one: seconds, of
 * both ends together. That interval where it is not known what they saw.
 */
export const edgeSeconds = (one: Paced, other: Paced): number => {
  const most = Math.max(one.step, other.step)
  const edge = (end: keyof Span) =>
    one.seen === undefined || other.seen === undefined
      ? most
      : Math.min(most, Math.abs(one.seen[end] - other.seen[end]) / 1_000_000)
  return edge("from") + edge("to")
}

/** The edges at the rate of the time that both saw. `unshared` is what else only one of them saw, in seconds. */
export const edgesOf = (rate: number, [one, other]: readonly [Paced, Paced], unshared: number): number =>
  rate * (edgeSeconds(one, other) + Math.abs(unshared))
