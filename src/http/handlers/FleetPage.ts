/**
 * A part of the fleet's list, as a page asks for it: what is searched for, in an order, from one row to another. Pure.
 *
 * The order is total and the same on every refresh: ties by the server's id, what is not known at the end.
 */
import type { ServerGlance } from "../../query/Overview.ts"

type FleetSort = "name" | "state" | "cpu" | "memory" | "load" | "busiest"
export type State = "live" | "stale" | "silent"

export interface FleetAsked {
  readonly search?: string
  readonly state?: State
  readonly sort?: FleetSort
  readonly dir?: "up" | "down"
  readonly offset?: number
  readonly limit?: number
}

/** What runs on a server and matches the search. */
export interface Match {
  readonly name: string
  readonly value: number | null
}

export interface Listed {
  readonly glance: ServerGlance
  readonly state: State
  /** Of a server that is found by what runs on it, the process that uses most. */
  readonly match: Match | null
}

export interface FleetPage {
  readonly rows: ReadonlyArray<Listed>
  /** Servers that match, on all pages. */
  readonly matching: number
  /** Servers of each state, whatever is searched for. */
  readonly states: Readonly<Record<State, number>>
}

export const fleetPage = (
  servers: ReadonlyArray<{ readonly glance: ServerGlance; readonly state: State }>,
  asked: FleetAsked,
  running: ReadonlyMap<string, Match>
): FleetPage => {
  const states = { live: 0, stale: 0, silent: 0 }
  for (const { state } of servers) states[state]++
  const wanted = (asked.search ?? "").toLowerCase()
  const found = servers.flatMap(({ glance, state }): ReadonlyArray<Listed> => {
    if (asked.state !== undefined && asked.state !== state) return []
    if (wanted === "" || glance.name.toLowerCase().includes(wanted) || glance.serverId.includes(wanted))
      return [{ glance, state, match: null }]
    const match = running.get(glance.serverId)
    return match === undefined ? [] : [{ glance, state, match }]
  })
  const { offset = 0 } = asked
  return {
    rows: ordered(found, asked).slice(offset, asked.limit === undefined ? undefined : offset + asked.limit),
    matching: found.length,
    states
  }
}

const ordered = (found: ReadonlyArray<Listed>, { dir, sort }: FleetAsked): ReadonlyArray<Listed> => {
  if (sort === undefined) return found
  const up = dir === "up"
  return found
    .map((row) => ({ row, value: VALUES[sort](row) }))
    .sort((a, b) => {
      if (a.value === null || b.value === null) {
        if (a.value !== b.value) return a.value === null ? 1 : -1
      } else if (a.value !== b.value) return a.value < b.value === up ? -1 : 1
      return a.row.glance.serverId < b.row.glance.serverId ? -1 : 1
    })
    .map(({ row }) => row)
}

const share = (part: number | null, whole: number | null) =>
  part === null || whole === null || whole === 0 ? null : part / whole

const ORDER = { live: 2, stale: 1, silent: 0 } as const

const VALUES: Readonly<Record<FleetSort, (row: Listed) => number | string | null>> = {
  name: ({ glance }) => glance.name.toLowerCase(),
  state: ({ state }) => ORDER[state],
  cpu: ({ glance }) => share(glance.cpuPercent, glance.cpuCores),
  memory: ({ glance }) => share(glance.memoryUsedBytes, glance.memoryTotalBytes),
  load: ({ glance }) => share(glance.load, glance.cpuCores),
  busiest: ({ glance, match }) => (match ?? glance.busiest)?.value ?? null
}
