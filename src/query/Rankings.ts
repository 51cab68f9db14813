/**
 * Questions to the stored rows, as a port: who is on top, and how did it go over time. What every number means is
 * defined in `docs/numbers.md`; nothing here invents what was not seen.
 *
 * A window is (from, to]: an increase belongs to the moment of its right end, so that adjacent windows add up.
 */
import { Context, type Effect } from "effect"
import type { UnknownServer } from "../access/Servers.ts"
import type { DatabaseUnavailable } from "../sinks/storage/DatabaseUnavailable.ts"
import type { Regrouping } from "./grouping/Regrouping.ts"

/** Epoch microseconds; `from` excluded, `to` included. */
export interface Window {
  readonly from: number
  readonly to: number
  /** How far the rows that it was read from are behind; absent: not at all (`ReadReplica.ts`). */
  readonly replicaLagSeconds?: number
}

/**
 * One ranked group. The fields beside `name` follow from the declaration, see `rankingFields`, `answerFields` and `otherLabels`;
 * `monitoring` is there, and true, where the group is monitoring itself; of a regrouped
 * answer `peak_is_bound` says whether a peak is more than what was surely seen.
 */
export interface RankedRow {
  readonly name: string
  readonly [field: string]: string | number | boolean | null | ReadonlyArray<string>
}

export interface TopAnswer {
  readonly rows: ReadonlyArray<RankedRow>
  readonly window: Window
  /** Covered time in seconds. */
  readonly coveredSeconds: number
  /** Covered time divided by the window's length, 0 to 1. */
  readonly coverage: number
  readonly scrapes: number
  /** The server's latest scrape until the window's end, also where it lies before the window; epoch microseconds. */
  readonly lastSeen: number | null
  readonly resets: number
  readonly clamped: number
  /** Steps whose increase nobody knows: of groups, and of the host's busy CPU. */
  readonly unknown: number
  readonly host: { readonly cpuCores: number | null; readonly memoryTotalBytes: number | null } | null
  /** All groups that are not listed, in the fields of the rankings, and how many they are. */
  readonly other: Readonly<Record<string, number>> & { readonly groups: number }
  /**
   * Busy CPU of the host in the time that the exporter covered, less that of all groups; null where there is no such time. A
   * little below 0 where the scrapes of the two do not fall together.
   */
  readonly unaccounted: { readonly cpuSeconds: number; readonly avgCpuPercent: number } | null
  readonly memoryOvercounted: boolean
}

export interface HistoryAnswer {
  readonly window: Window
  readonly stepSeconds: number
  readonly coverage: number
  /** Right end of each step, epoch microseconds. */
  readonly timestamps: ReadonlyArray<number>
  /** One value per step; null where nothing was seen. Keys as in the top answer: `cpu_percent`, `memory_mb`, … */
  readonly series: Readonly<Record<string, ReadonlyArray<number | null>>>
  /** Of regrouped names: a peak may be the sum of peaks that were not at the same time. */
  readonly peakIsBound?: boolean
}

export interface TopRequest {
  readonly exporter: string
  readonly metric: string
  readonly limit: number
  readonly window: Window
  /** Names are put together as its rules say. */
  readonly regrouping?: Regrouping | undefined
  /** Only the rows that have this value of a label beside the ranked one; the whole window is read from rows. */
  readonly only?: LabelFilter | undefined
}

/** One value of one label. */
export interface LabelFilter {
  readonly label: string
  readonly value: string
}

export class Rankings extends Context.Service<
  Rankings,
  {
    readonly top: (
      request: TopRequest & { readonly serverId: string }
    ) => Effect.Effect<TopAnswer, UnknownServer | DatabaseUnavailable>
    /** The same for several servers at once, by their ids, without what the latest scrape says beside what is ranked. */
    readonly tops: (
      request: Omit<TopRequest, "only"> & { readonly serverIds: ReadonlyArray<string> }
    ) => Effect.Effect<ReadonlyMap<string, TopAnswer>, UnknownServer | DatabaseUnavailable>
    readonly history: (request: {
      readonly exporter: string
      readonly serverId: string
      /** The value of the ranked label; absent for an exporter without one. */
      readonly name?: string
      readonly window: Window
      /** At most this many steps. */
      readonly points: number
      /** How far apart the server's scrapes are, microseconds; as declared where it is absent. */
      readonly interval?: number
      readonly regrouping?: Regrouping | undefined
      readonly only?: LabelFilter | undefined
    }) => Effect.Effect<HistoryAnswer, UnknownServer | DatabaseUnavailable>
  }
>()("nodepulse/sinks/Rankings") {}
