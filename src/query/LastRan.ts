/**
 * When a group last ran on any of some servers: in the widest buckets first, then in narrower ones of the servers and the time
 * that those name. An exporter may go on listing what is gone, so that a scrape of it is not enough.
 */
import { Effect } from "effect"
import { LEVELS } from "../sinks/rollups/RollupTables.ts"
import type { FleetShape } from "./FleetShape.ts"
import type { Window } from "./Rankings.ts"
import type { WindowReader } from "./WindowReader.ts"

/** Epoch microseconds; undefined where it did not. Where its rows are not kept any more, to within a bucket. */
export const lastRan = Effect.fnUntraced(function* (
  reader: WindowReader,
  { presence }: FleetShape,
  servers: ReadonlyArray<number>,
  group: number,
  window: Window
) {
  let among = servers
  let within = window
  let known: number | undefined
  for (let widest = LEVELS.length; widest >= 0; widest--) {
    const latest = { end: Number.NEGATIVE_INFINITY, lastAt: 0, servers: [] as Array<number> }
    const ran = (server: number, end: number, lastAt: number) => {
      if (end < latest.end) return
      if (end > latest.end) Object.assign(latest, { end, lastAt: 0, servers: [] })
      latest.lastAt = Math.max(latest.lastAt, lastAt)
      latest.servers.push(server)
    }
    const isThere = (groups: ArrayLike<number>, present: ArrayLike<number> | undefined) => {
      for (let row = 0; row < groups.length; row++) if (groups[row] === group && present?.[row] !== 0) return row
      return -1
    }
    yield* reader.read(
      among,
      within,
      (server) => ({
        scrape: ({ at, gauges, groups }) => {
          if (isThere(groups, gauges[presence]) >= 0) ran(server, at, at)
        },
        bucket: (end, { gauges, groups, groupsLastAt, lastAt }) => {
          const row = isThere(groups, gauges[presence]?.max)
          if (row >= 0) ran(server, end, groupsLastAt?.[row] ?? lastAt)
        }
      }),
      { usable: LEVELS.map((_, n) => n < widest), group }
    )
    if (latest.servers.length === 0) return known
    known = latest.lastAt
    among = latest.servers
    const width = widest === 0 ? 0 : LEVELS[widest - 1]!.seconds * 1_000_000
    within = { from: Math.max(within.from, latest.end - width), to: latest.end }
  }
  return known
})
