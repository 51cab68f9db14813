/**
 * What the page draws at a glance, as a port: all servers in one answer, the top groups of a server over time in one
 * answer, one group on all servers. What the numbers mean is in `docs/numbers.md`, as for `Rankings`.
 *
 * Bound: one row per server; at most `SERIES_MAX` series of at most 2 000 steps.
 */
import { Context, type Effect } from "effect"
import type { UnknownServer } from "../access/Servers.ts"
import type { DatabaseUnavailable } from "../sinks/storage/DatabaseUnavailable.ts"
import type { Regrouping } from "./grouping/Regrouping.ts"
import type { Window } from "./Rankings.ts"

export const SERIES_MAX = 100

/** The state of one server; null where it is not known, or was last known more than a day ago. */
export interface ServerGlance {
  readonly serverId: string
  readonly name: string
  readonly cpuCores: number | null
  /** Busy CPU between the host's latest two scrapes, in percent of one core; of the columns that are known. */
  readonly cpuPercent: number | null
  readonly memoryTotalBytes: number | null
  readonly memoryUsedBytes: number | null
  readonly load: number | null
  readonly uptimeSeconds: number | null
  /**
   * Busy CPU in percent of one core over the steps before `trendUntil`; null where nothing was seen. Each is the rate from
   * the last scrape before the step, or after a hole the first one in it, to its last one: what lies between is not read.
   */
  readonly trend: ReadonlyArray<number | null>
  /** The group with the highest `cpu_percent` of the top list: in the latest scrape, ties by name. */
  readonly busiest: { readonly name: string; readonly value: number } | null
}

export interface FleetGlance {
  /** Right end of the last step of each trend, epoch microseconds. */
  readonly trendUntil: number
  readonly trendStepSeconds: number
  /** Which exporter and ranking `busiest` is of; null where none ranks CPU. */
  readonly busiestOf: { readonly exporter: string; readonly metric: string } | null
  readonly servers: ReadonlyArray<ServerGlance>
}

export interface OneSeries {
  /** Of a group, or a field of the history answer. */
  readonly name: string
  /** Latest scrape in the window in which it was present, epoch microseconds; null where it never was. */
  readonly lastSeen: number | null
  /** How often its counters began anew. */
  readonly resets: number
  /** One value per step, null where nothing was seen. */
  readonly values: ReadonlyArray<number | null>
}

export interface SeriesAnswer {
  readonly window: Window
  readonly stepSeconds: number
  /** Right end of the first step, epoch microseconds. The last step ends at the window's end. */
  readonly first: number
  readonly steps: number
  readonly series: ReadonlyArray<OneSeries>
  /** All groups that are not listed together; null where the exporter has no groups. */
  readonly other: ReadonlyArray<number | null> | null
  /** The host's own total, in the unit of the series; null where nothing tells it. */
  readonly host: ReadonlyArray<number | null> | null
}

/** One group on one server. */
export interface GroupOnServer {
  readonly serverId: string
  readonly lastSeen: number
  /** The fields of a ranked row that tell of now. */
  readonly fields: Readonly<Record<string, number | null>>
}

/** What runs on a server, of all that has a text in its name the one that uses most. */
export interface Running {
  readonly name: string
  readonly value: number | null
}

export class Overview extends Context.Service<
  Overview,
  {
    /** All servers; at most a few seconds old. */
    readonly fleet: Effect.Effect<FleetGlance, DatabaseUnavailable>
    /** `names`: which groups (or, without groups, which fields of the history), in the order of the answer. */
    readonly series: (request: {
      readonly exporter: string
      readonly serverId: string
      /** The ranking whose values are shown; none for an exporter without groups. */
      readonly metric: string | undefined
      readonly names: ReadonlyArray<string>
      readonly window: Window
      readonly points: number
      /** How far apart the server's scrapes are, microseconds; as declared where it is absent. */
      readonly interval?: number
      readonly regrouping?: Regrouping | undefined
    }) => Effect.Effect<SeriesAnswer, UnknownServer | DatabaseUnavailable>
    /**
     * By the ids of servers: what each runs whose name contains a text, whatever its case, by the latest scrape of the last
     * day. Of the ranking that `fleet` shows; at most a few seconds old.
     */
    readonly running: (text: string) => Effect.Effect<ReadonlyMap<string, Running>, DatabaseUnavailable>
    /** The servers whose latest scrape of the last day has the group, those that use most first. */
    readonly across: (request: {
      readonly exporter: string
      readonly metric: string
      readonly name: string
      readonly regrouping?: Regrouping | undefined
    }) => Effect.Effect<ReadonlyArray<GroupOnServer>, DatabaseUnavailable>
  }
>()("nodepulse/sinks/Overview") {}
