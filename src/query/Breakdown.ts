/**
 * Where the host's CPU went, as a port: groups by name, what their units used beyond them, the kernel, and what nobody knows, as
 * lines that add up to the host's busy CPU, each with its error. What each line is: `docs/numbers.md` ("The breakdown").
 *
 * Guarantees: the lines add up (1e-9 relative), and all but the groups' own are `unaccounted` of the top answer. What is missing
 * is said (`partial`), and so is what came out below zero.
 */
import { Context, type Effect, Schema } from "effect"
import type { UnknownServer } from "../access/Servers.ts"
import type { DatabaseUnavailable } from "../sinks/storage/DatabaseUnavailable.ts"
import type { Regrouping } from "./grouping/Regrouping.ts"
import type { Window } from "./Rankings.ts"

/**
 * - `named`, `other`: groups by name, and all other groups.
 * - `remainder`: what units used and their groups did not: processes that were gone before a scrape.
 * - `short_lived`: the part of it that accounting names.
 * - `kernel`: what the kernel used beside its threads.
 * - `unknown`: the rest of the host's busy CPU.
 */
export type LineKind = "named" | "other" | LeftKind | "short_lived"
/** The kinds that are a difference, so that they can come out below zero. */
export type LeftKind = "remainder" | "kernel" | "unknown"

/** By how much a line may be wrong, in core-seconds, by the reason. */
export interface LineErrors {
  /** Clocks of 10 ms: what a process used is told in ticks. */
  readonly ticks: number
  /** Scrapes of two exporters do not fall together: at the window's edges, and where one of them said nothing. */
  readonly edges: number
  /** Increases that nobody knows. */
  readonly unknown: number
  /** Increases that were cut to what the machine can do. */
  readonly clamped: number
  /** Which unit it was in is not told: of processes, or of short-lived ones. */
  readonly attribution: number
}

export interface BreakdownLine {
  readonly kind: LineKind
  /** Of a group or unit; null where the line is of several, or of none. */
  readonly name: string | null
  /** How many groups or units the line is of. */
  readonly groups: number
  /** How many processes exited; null but for `short_lived`. */
  readonly runs: number | null
  readonly cpuSeconds: number
  readonly avgCpuPercent: number
  /** Of the host's busy CPU; null where that is not known, or less than 1 % of a core. */
  readonly share: number | null
  readonly errorSeconds: number
  readonly errors: LineErrors
}

/** What an answer lacks. */
export type Missing = "host" | "units" | "members" | "coverage"

export interface BreakdownAnswer {
  readonly window: Window
  readonly coveredSeconds: number
  readonly coverage: number
  readonly scrapes: number
  /** Busy CPU in the time that the groups' exporter covered; null where the host was not seen then. */
  readonly host: { readonly cpuSeconds: number; readonly avgCpuPercent: number; readonly cores: number | null } | null
  readonly partial: ReadonlyArray<Missing>
  /** The kinds of line that come out below zero, all lines of the kind together. */
  readonly belowZero: ReadonlyArray<LeftKind>
  /** The resources that the answer is made of. */
  readonly resources: { readonly groups: string; readonly units: string | null; readonly shortLived: string | null }
  readonly lines: ReadonlyArray<BreakdownLine>
  /** The short-lived commands that used most. */
  readonly shortLived: ReadonlyArray<{
    readonly name: string
    readonly runs: number
    readonly cpuSeconds: number
    readonly avgCpuPercent: number
  }>
}

/** No exporter that is enabled ranks groups by CPU of the host. */
export class NothingToBreakDown extends Schema.TaggedError<NothingToBreakDown>()("NothingToBreakDown", {}) {
  readonly retryable = false
  override get message(): string {
    return "no exporter that is enabled tells what uses CPU of the host"
  }
}

export class Breakdowns extends Context.Service<
  Breakdowns,
  {
    readonly of: (request: {
      readonly serverId: string
      readonly window: Window
      /** How many groups are listed by name. */
      readonly limit: number
      /** Names are put together as its rules say. */
      readonly regrouping?: Regrouping | undefined
    }) => Effect.Effect<BreakdownAnswer, UnknownServer | DatabaseUnavailable | NothingToBreakDown>
  }
>()("nodepulse/query/Breakdowns") {}
