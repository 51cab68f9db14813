/**
 * The ranking over several servers: who is on top of the fleet.
 *
 * It is made of the servers' own answers: the first k of the fleet are among the first k of each server, so the ranking is
 * exact, and every number means what it means for one server. Groups may also be put together by name: their totals,
 * averages and current values are then sums over servers, and their peak is the highest on any one of them (two peaks
 * need not have been at the same moment).
 *
 * Bounds: {@link SERVERS_MAX} servers. By name, the sums are exact where each server has no more than {@link groupsMax} groups;
 * what a server has beyond is in `other`.
 */
import { Effect } from "effect"
import { rankingOf } from "../plugins/Catalog.ts"
import type { Exporter } from "../plugins/Exporter.ts"
import { compareBytes } from "./ByteOrder.ts"
import type { Regrouping } from "./grouping/Regrouping.ts"
import type { RankedRow, Rankings, TopAnswer, Window } from "./Rankings.ts"

export const SERVERS_MAX = 5_000
/** Of each server, however many servers there are. */
const GROUPS_MIN = 1_000
/** Of all servers together: some hundred megabytes. */
const GROUPS_IN_ALL = 1_000_000

/** How many groups of each of so many servers are put together by name. */
export const groupsMax = (servers: number): number =>
  Math.max(GROUPS_MIN, Math.floor(GROUPS_IN_ALL / Math.max(1, servers)))

export type FleetBy = "server" | "name"

export interface FleetRow extends RankedRow {
  /** Where the group runs; by name, on how many servers. */
  readonly server_id?: string
  readonly servers?: number
}

export interface FleetTop {
  readonly rows: ReadonlyArray<FleetRow>
  /** How many groups there are in all, and what those have together that are not listed. */
  readonly other: Readonly<Record<string, number>> & { readonly groups: number }
  /** How much of the window each server saw. */
  readonly servers: ReadonlyArray<{ readonly serverId: string; readonly answer: TopAnswer }>
}

/** The fleet's first `limit` groups over the window. */
export const fleetTop = (
  rankings: Rankings["Service"],
  request: {
    readonly exporter: Exporter
    readonly servers: ReadonlyArray<string>
    readonly metric: string
    readonly by: FleetBy
    readonly limit: number
    readonly window: Window
    readonly regrouping?: Regrouping | undefined
  }
) =>
  Effect.map(
    rankings.tops({
      exporter: request.exporter.name,
      serverIds: request.servers,
      metric: request.metric,
      // By name a group that is small everywhere may be large in all: then every group counts.
      limit: request.by === "name" ? groupsMax(request.servers.length) : request.limit,
      window: request.window,
      regrouping: request.regrouping
    }),
    (answers): FleetTop =>
      merge(
        request,
        request.servers.map((serverId) => ({ serverId, answer: answers.get(serverId)! }))
      )
  )

/** The pure part. */
export const merge = (
  request: { readonly exporter: Exporter; readonly metric: string; readonly by: FleetBy; readonly limit: number },
  servers: FleetTop["servers"]
): FleetTop => {
  const { exporter, limit, metric } = request
  const { fields, ranking } = rankingOf(exporter, metric)
  const by = ranking.by === "rate" ? fields.total! : fields.peak
  const all = servers.flatMap(({ answer, serverId }) =>
    answer.rows.map((row): FleetRow => ({ ...row, server_id: serverId }))
  )
  const rows = (request.by === "name" ? byName(all) : all).sort(
    (a, b) =>
      Number(b[by]) - Number(a[by]) ||
      compareBytes(a.name, b.name) ||
      compareBytes(a.server_id ?? "", b.server_id ?? "")
  )
  const listed = rows.slice(0, limit)
  const other: Record<string, number> & { groups: number } = { groups: 0 }
  for (const { answer } of servers) add(other, answer.other)
  for (const row of rows.slice(limit)) {
    other.groups++
    // Only what adds up: the fields that `other` of one server has.
    for (const field of Object.keys(servers[0]?.answer.other ?? {})) {
      if (field !== "groups") other[field] = (other[field] ?? 0) + Number(row[field] ?? 0)
    }
  }
  return { rows: listed, other, servers }
}

const byName = (rows: ReadonlyArray<FleetRow>): Array<FleetRow> => {
  const names = new Map<string, Record<string, RankedRow[string]> & { name: string; servers: number }>()
  for (const { server_id: _, ...row } of rows) {
    const sum = names.get(row.name)
    if (sum === undefined) {
      names.set(row.name, { ...row, servers: 1 })
      continue
    }
    sum.servers++
    for (const [field, value] of Object.entries(row)) {
      if (value === true) sum[field] = true
      if (typeof value !== "number") continue
      const so = sum[field]
      const before = typeof so === "number" ? so : 0
      sum[field] = field.startsWith("peak_") ? Math.max(before, value) : before + value
    }
  }
  return [...names.values()]
}

const add = (sum: Record<string, number>, more: Readonly<Record<string, number>>): void => {
  for (const [field, value] of Object.entries(more)) sum[field] = (sum[field] ?? 0) + value
}
