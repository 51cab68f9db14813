/**
 * When each server was last heard of by each exporter, and how often it reports, as a port: what live, late and offline are
 * told from, and how wide the steps of a chart must be.
 *
 * Bound: the latest `SCRAPES_MAX` scrapes of each exporter and server.
 */
import { Context, Duration, type Effect } from "effect"
import type { Exporter } from "../plugins/Exporter.ts"
import type { DatabaseUnavailable } from "../sinks/storage/DatabaseUnavailable.ts"
import type { Window } from "./Rankings.ts"

export interface Sighting {
  readonly exporter: string
  /** Epoch microseconds. */
  readonly lastSeen: number
  /** How far apart its scrapes really are, see `SeenInterval`; microseconds. */
  readonly interval: number
}

/** How far apart scrapes are, microseconds: the latest of a window, and at most; as declared where too few are known. */
export interface Pace {
  readonly latest: number
  readonly longest: number
}

/** How far apart the scrapes of one exporter are, microseconds: as declared where it was not heard of. */
export const intervalOf = (sightings: ReadonlyArray<Sighting> | undefined, { name, scrape }: Exporter): number =>
  sightings?.find(({ exporter }) => exporter === name)?.interval ?? Duration.toMillis(scrape.interval) * 1_000

export class Sightings extends Context.Service<
  Sightings,
  {
    /** Of every server that was ever heard of; at most a few seconds old. */
    readonly all: Effect.Effect<ReadonlyMap<string, ReadonlyArray<Sighting>>, DatabaseUnavailable>
    /** Of one server; none where it is unknown or was never heard of. */
    readonly of: (serverId: string) => Effect.Effect<ReadonlyArray<Sighting>, DatabaseUnavailable>
    /** Of one exporter and server in a window; of a long one, in the last hours of it. */
    readonly pace: (request: {
      readonly exporter: string
      readonly serverId: string
      readonly window: Window
    }) => Effect.Effect<Pace, DatabaseUnavailable>
  }
>()("nodepulse/query/Sightings") {}
