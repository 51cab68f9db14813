/**
 * What the groups of an exporter did on all servers together, over any range, as a port: which used most, on which server, and
 * which grow; and of one group, what it did on each server that ran it. What the numbers mean is in `docs/numbers.md`
 * ("Processes of the fleet").
 *
 * Bounds: a part of the list at a time; `GROUPS_MAX` groups are told apart (`FleetTable.ts`). An answer is at most
 * {@link FRESH_FOR} older than the question, so that whoever scrolls or searches asks nothing twice.
 */
import { Context, type Effect } from "effect"
import type { DatabaseUnavailable } from "../sinks/storage/DatabaseUnavailable.ts"
import type { Regrouping } from "./grouping/Regrouping.ts"
import type { Window } from "./Rankings.ts"

export const FRESH_FOR = "15 seconds"

/** What is ranked by: what it added up to, its highest value, or how fast its memory grows. */
export type FleetOrder = "total" | "peak" | "growth"

interface Part {
  readonly exporter: string
  /** The ranking; with `growth` only the one whose trend is shown. */
  readonly metric: string
  readonly by: FleetOrder
  /** As it was asked for; the answer says which one it is about. */
  readonly window: Window
  readonly offset: number
  readonly limit: number
  /** The names under which groups are put together. */
  readonly regrouping?: Regrouping | undefined
}

export interface RankedGroupsRequest extends Part {
  /** A part of the name that is shown, whatever its case. */
  readonly search: string
}

export interface GroupServersRequest extends Part {
  readonly name: string
}

/** What a ranking says of a group, in the units of {@link Frame}. */
export interface RankingValues {
  readonly total: number
  /** The highest rate or level on any one server. */
  readonly peak: number
}

export interface FleetValues extends RankingValues {
  /** The server with the highest total, and that total. */
  readonly worst: { readonly serverId: string; readonly total: number }
  /** The server with the highest peak. */
  readonly highest: string
}

export interface FleetGroup {
  readonly name: string
  /** On how many servers it ran. */
  readonly servers: number
  /** Epoch microseconds; null where it never ran. */
  readonly lastSeen: number | null
  /** By the key of the ranking. */
  readonly values: Readonly<Record<string, FleetValues>>
  /** Of the ranking that was asked for, per step, summed over servers; null where nothing was seen. */
  readonly trend: ReadonlyArray<number | null>
  /** Bytes an hour over all servers where it grows, how many those are, and where it grows fastest; null where on none. */
  readonly growth: { readonly perHour: number; readonly servers: number; readonly fastest: string } | null
  /** Of regrouped names: a peak may be the sum of peaks that were not at the same time. */
  readonly peakIsBound?: boolean
}

/** What all parts of an answer share. */
export interface Frame {
  readonly window: Window
  /** Right end of the first step of the trends, epoch microseconds. */
  readonly first: number
  readonly stepSeconds: number
  readonly steps: number
  /** By the key of the ranking: of totals and of peaks. */
  readonly units: Readonly<Record<string, { readonly total: string; readonly peak: string }>>
}

export interface RankedGroups extends Frame {
  readonly servers: { readonly all: number; readonly seen: number; readonly coverage: number }
  /** Over all groups, whether listed or not, by the key of the ranking. */
  readonly totals: Readonly<Record<string, number>>
  readonly groups: ReadonlyArray<FleetGroup>
  /** How many groups match, how many there are, and how many times one of a server was too many to be told apart. */
  readonly matching: number
  readonly all: number
  readonly beyond: number
  /** Where nothing matches: names that do, and were seen at another time. Of regrouped names none are told. */
  readonly gone: ReadonlyArray<{ readonly name: string; readonly lastSeen: number }>
}

export interface GroupOnServer {
  readonly serverId: string
  readonly serverName: string
  readonly lastSeen: number | null
  readonly values: Readonly<Record<string, RankingValues>>
  readonly trend: ReadonlyArray<number | null>
  /** Bytes an hour, since when (epoch microseconds), and in how many seconds memory and swap are used up; null where it does not grow. */
  readonly growth: {
    readonly perHour: number
    readonly began: number
    readonly exhaustsIn: number | null
  } | null
  /** As of {@link FleetGroup}. */
  readonly peakIsBound?: boolean
}

export interface GroupServers extends Frame {
  readonly servers: ReadonlyArray<GroupOnServer>
  /** How many servers ran it. */
  readonly all: number
  /** How wide the means are that growth is judged by, in seconds. */
  readonly growthStepSeconds: number
}

export class FleetGroups extends Context.Service<
  FleetGroups,
  {
    readonly ranked: (request: RankedGroupsRequest) => Effect.Effect<RankedGroups, DatabaseUnavailable>
    readonly servers: (request: GroupServersRequest) => Effect.Effect<GroupServers, DatabaseUnavailable>
  }
>()("nodepulse/query/FleetGroups") {}
