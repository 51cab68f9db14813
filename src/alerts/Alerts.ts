/**
 * Alerts: what the rules say of the present, as a port.
 *
 * Guarantees: one evaluation in the whole installation at a time. State is stored with the moment until which the rules were asked, in
 * one transaction: whoever goes on, after a restart or on another machine, fires nothing again and forgets nothing. Moments that were
 * missed are asked afterwards, up to {@link CATCH_UP_MILLIS}; of what is older nobody knows.
 */
import { Context, type Effect, Schema } from "effect"
import type { DatabaseUnavailable } from "../sinks/storage/DatabaseUnavailable.ts"
import type { Severity } from "./Rule.ts"

/** What the rule asked when an alert fired, for whoever shows it: the rule may have changed since, or be gone. */
export interface Asked {
  /** What it is about: the resource of an exporter, or `nodepulse`. */
  readonly resource: string
  /** Null where it asks for no number. */
  readonly metric: string | null
  /** Of the value, as people read it: "% of a core", "MiB"; empty where it has none. */
  readonly unit: string
  /** How long before it fired the rule began to look: `over` and `for`, milliseconds. */
  readonly span: number
  /** How long it held before it fired: `for`, milliseconds; absent of alerts of which this was not kept yet. */
  readonly held?: number
}

/** Which alerts; all where nothing is said. */
export interface AlertFilter {
  readonly id?: string
  /** Those that fired at any time in (from, to], epoch milliseconds. */
  readonly from?: number
  readonly to?: number
  readonly state?: "firing" | "resolved"
  readonly serverId?: string
  /** Its whole name. */
  readonly rule?: string
}

/** An alert that fires, or did; epoch milliseconds. */
export interface Alert {
  readonly id: string
  readonly rule: string
  /** What the rule asked when it fired. */
  readonly sentence: string
  readonly severity: Severity
  /** Null, as its name: it is about NodePulse itself. */
  readonly serverId: string | null
  readonly serverName: string | null
  /** The folded name; empty where the alert is about the server. */
  readonly group: string
  /** What made it fire, in the unit of the rule's metric; null where it has none. */
  readonly value: number | null
  readonly asked: Asked
  readonly firedAt: number
  /** Null: it still fires. */
  readonly resolvedAt: number | null
  /** Whether nobody knows if it still holds. */
  readonly isUnknown: boolean
  /** Whether it fires and nobody is told of it: `silences/Silence.ts`. */
  readonly isSilenced: boolean
  /** Who knows of it; ends with the alert. */
  readonly acknowledged: Acknowledgement | undefined
}

export interface Acknowledgement {
  /** Epoch milliseconds. */
  readonly at: number
  /** As the audit calls them. */
  readonly by: string
  /** What they say; may be empty. */
  readonly note: string
}

/** There is no such alert. Not retryable. */
export class UnknownAlert extends Schema.TaggedError<UnknownAlert>()("UnknownAlert", { alertId: Schema.String }) {
  readonly retryable = false
  override get message(): string {
    return `there is no alert ${JSON.stringify(this.alertId)}`
  }
}

/** The alert does not fire any more, so there is nothing to acknowledge. Not retryable. */
export class AlertIsOver extends Schema.TaggedError<AlertIsOver>()("AlertIsOver", {
  alertId: Schema.String,
  /** Epoch milliseconds. */
  resolvedAt: Schema.Finite
}) {
  readonly retryable = false
  override get message(): string {
    return `alert ${this.alertId} has been over since ${new Date(this.resolvedAt).toISOString()}`
  }
}

/** How far back moments are asked that nobody asked in time: a restart, an upgrade, a database that was away. */
export const CATCH_UP_MILLIS = 3_600_000

export interface Evaluated {
  /** How many moments were asked; 0 where it is too early, or another process is at it. */
  readonly moments: number
  readonly fired: number
  readonly resolved: number
}

/** How the evaluation does. */
export interface AlertStats {
  /** How many alerts fire. */
  readonly firing: number
  /** How long ago the latest moment lies that any process has asked, seconds; null where there are no rules. */
  readonly behindSeconds: number | null
  /** Of the latest pass in which this process asked the rules; null where it has not. */
  readonly pass: {
    readonly seconds: number
    readonly moments: number
    readonly rules: number
    /** Watches of servers that it keeps, one for each exporter that rules ask; and what their scrapes take. */
    readonly watches: number
    readonly bytes: number
  } | null
}

export class Alerts extends Context.Service<
  Alerts,
  {
    /** Asks all rules at the moments until now that nobody has asked yet. */
    readonly pass: Effect.Effect<Evaluated, DatabaseUnavailable>
    /** Passes for ever; where the database is away, again a little later. For the supervisor. */
    readonly run: Effect.Effect<never>
    readonly stats: Effect.Effect<AlertStats, DatabaseUnavailable>
    /** Those that fire first, then the latest ones that fired. */
    readonly list: (
      request: AlertFilter & { readonly limit: number }
    ) => Effect.Effect<ReadonlyArray<Alert>, DatabaseUnavailable>
    /** Says that somebody knows of it, and what; whoever does so later replaces who did before. */
    readonly acknowledge: (
      alertId: string,
      note: string
    ) => Effect.Effect<Alert, UnknownAlert | AlertIsOver | DatabaseUnavailable>
    /** How many alerts fire, by the names of their rules. */
    readonly firing: Effect.Effect<ReadonlyMap<string, number>, DatabaseUnavailable>
  }
>()("nodepulse/alerts/Alerts") {}
