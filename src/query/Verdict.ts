/**
 * What on a server waits, for what, and which setting changes it, as a port: the known table of `docs/verdict.md`, asked of a window.
 *
 * Guarantee: nothing is judged of a window that was seen for less than {@link JUDGED_MIN}, and what was not seen is said (`partial`).
 * Bound: {@link VERDICTS_MAX} verdicts. It tells what waited, and who used most meanwhile; it proves nobody's guilt.
 */
import { Context, type Effect } from "effect"
import type { UnknownServer } from "../access/Servers.ts"
import type { DatabaseUnavailable } from "../sinks/storage/DatabaseUnavailable.ts"
import type { Window } from "./Rankings.ts"

/** The part of a window that must have been seen. */
export const JUDGED_MIN = 0.8
/** The most verdicts of an answer: those that matter most. */
export const VERDICTS_MAX = 20

/**
 * - `throttled`: held back by its own quota of CPU.
 * - `neighbours`: waits for a CPU while others use them; `cores`: while it uses them itself, or nobody knows who does.
 * - `steal`: the hypervisor gave the CPU to others.
 * - `memory`: waits for memory, or was killed for want of it.
 * - `io`: waits for disks.
 */
export type VerdictKind = "throttled" | "neighbours" | "cores" | "steal" | "memory" | "io"

/** The setting that changes it. Commands are null where there is none, or where the name could not be typed as it is. */
export interface Setting {
  readonly what: string
  readonly where: string
  /** As it is set now; null where that is not told. */
  readonly current: string | null
  readonly systemd: string | null
  readonly docker: string | null
  readonly kubernetes: string | null
}

export interface Verdict {
  readonly kind: VerdictKind
  /** A unit by its name, or the host. */
  readonly subject: { readonly kind: "unit" | "host"; readonly name: string | null }
  readonly sentence: string
  readonly evidence: Readonly<Record<string, number>>
  /** The others that used most meanwhile, in what was waited for: percent of a core, or MiB a second. */
  readonly neighbours: ReadonlyArray<{ readonly name: string; readonly value: number; readonly unit: NeighbourUnit }>
  readonly setting: Setting | null
}

export type NeighbourUnit = "percent" | "mb_per_second"

export interface VerdictAnswer {
  readonly window: Window
  readonly coverage: number
  readonly judged: boolean
  /** What was not seen: the host, its units, or the pressure of either. */
  readonly partial: ReadonlyArray<"host" | "units" | "pressure">
  readonly units: string | null
  /** The whole of it. */
  readonly sentence: string
  readonly verdicts: ReadonlyArray<Verdict>
}

export class Verdicts extends Context.Service<
  Verdicts,
  {
    readonly of: (request: {
      readonly serverId: string
      readonly window: Window
    }) => Effect.Effect<VerdictAnswer, UnknownServer | DatabaseUnavailable>
  }
>()("nodepulse/query/Verdicts") {}
