/**
 * What a rule would have done: the past asked at the same moments and by the same machine as the present, as a port.
 *
 * Guarantee: the same alerts as having lived through it, once its rows are there, whatever order they came in.
 * Where the time is over, what it answers is whole for the servers that it says it tried, and nothing else is in it.
 * Bound: a server's rows of an hour at a time; the first {@link INCIDENTS_MAX} incidents are kept; others have the event loop in between. Hours in which the roll-ups say that no value reached the threshold are not read.
 */
import { Context, type Effect } from "effect"
import type { Window } from "../query/Rankings.ts"
import type { DatabaseUnavailable } from "../sinks/storage/DatabaseUnavailable.ts"
import type { Rule } from "./Rule.ts"

/** One alert, from when it fired until it was over; epoch milliseconds. */
export interface Incident {
  /** Null: of NodePulse itself. */
  readonly serverId: string | null
  readonly group: string
  readonly from: number
  /** Null: it still fires at the end. */
  readonly to: number | null
  /** What made it fire, in the unit of the rule's metric; null where it has none. */
  readonly value: number | null
}

export interface BacktestAnswer {
  /** In order of time. */
  readonly incidents: ReadonlyArray<Incident>
  /** Incidents beyond {@link INCIDENTS_MAX}, which are counted only. */
  readonly more: number
  /** How many servers the rule is about, and how many of them were tried before the time was over. */
  readonly servers: number
  readonly tried: number
}

/** A rule that fires more often is none. */
export const INCIDENTS_MAX = 1_000

export class Backtest extends Context.Service<
  Backtest,
  {
    /**
     * Of rules about NodePulse itself only those whose past is known (`installation/Installation.ts`). Once `isOver` says so, no
     * further server is tried, and the incidents of those that were not tried to the end are left out.
     */
    readonly run: (
      rule: Rule,
      window: Window,
      isOver?: () => boolean
    ) => Effect.Effect<BacktestAnswer, DatabaseUnavailable>
  }
>()("nodepulse/alerts/Backtest") {}
