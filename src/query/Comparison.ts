/**
 * Servers side by side, as a port and its pure part: the matrix of groups × servers with the odd ones marked, and one group
 * over all servers. What every number means is in `docs/numbers.md` ("Comparison").
 *
 * Guarantees: a value of the matrix is the one of the server's own top answer; listed groups + `other` are `total`, server by
 * server. A server that was not seen has no value, never 0. Bound: {@link COMPARED_MAX} servers in a matrix.
 */
import { Context, type Effect } from "effect"
import type { UnknownServer } from "../access/Servers.ts"
import { rankingOf } from "../plugins/Catalog.ts"
import type { Exporter } from "../plugins/Exporter.ts"
import type { HostShare } from "../plugins/TopQuery.ts"
import type { DatabaseUnavailable } from "../sinks/storage/DatabaseUnavailable.ts"
import { compareBytes } from "./ByteOrder.ts"
import { type Deviations, deviationsOf } from "./Deviation.ts"
import type { Regrouping } from "./grouping/Regrouping.ts"
import { type HostFacts, machineScale } from "./HostFacts.ts"
import type { TopAnswer, Window } from "./Rankings.ts"

export const COMPARED_MIN = 2
export const COMPARED_MAX = 8

/** `own`: the unit of the ranking, such as percent of one core. `machine`: percent of what the server has. */
export type Scale = "own" | "machine"

/** What a server's groups used together over time, and the host by its own account; in the unit of the ranking. */
export interface TotalSeries {
  readonly groups: ReadonlyArray<number | null>
  readonly host: ReadonlyArray<number | null> | null
}

export interface TotalsAnswer {
  readonly stepSeconds: number
  /** Right end of the first step, epoch microseconds. The last step ends at the window's end. */
  readonly first: number
  readonly steps: number
  readonly servers: ReadonlyMap<string, TotalSeries>
}

/** One group on one server over a window. */
export interface GroupReading {
  readonly coverage: number
  /** The average over the window in the unit of the ranking; null where the server was not seen. */
  readonly value: number | null
  /** It ran in at least one scrape. */
  readonly ran: boolean
  readonly facts: HostFacts | undefined
}

interface ComparisonRequest {
  readonly exporter: string
  readonly metric: string
  readonly serverIds: ReadonlyArray<string>
  readonly window: Window
}

export class Comparisons extends Context.Service<
  Comparisons,
  {
    /** Several servers over time, in the same steps. */
    readonly totals: (
      request: ComparisonRequest & {
        readonly points: number
        /** How far apart scrapes are, microseconds: the longest of the servers. */
        readonly interval: number
      }
    ) => Effect.Effect<TotalsAnswer, UnknownServer | DatabaseUnavailable>
    /** One group on each of the servers, by their ids. */
    readonly spread: (
      request: ComparisonRequest & { readonly name: string; readonly regrouping?: Regrouping | undefined }
    ) => Effect.Effect<ReadonlyMap<string, GroupReading>, UnknownServer | DatabaseUnavailable>
  }
>()("nodepulse/query/Comparisons") {}

// -- the pure part

export interface MatrixRow extends Deviations {
  /** One value per server, in their order; 0 where the group was not there, null where the server was not seen. */
  readonly values: ReadonlyArray<number | null>
}

export interface Matrix {
  readonly groups: ReadonlyArray<MatrixRow & { readonly name: string }>
  /** All groups that are not listed: how many there are of different names. */
  readonly other: { readonly groups: number; readonly values: ReadonlyArray<number | null> }
  readonly total: MatrixRow
}

/** One that stands out: a group on a server, or all that a server runs. */
export interface OddOne {
  /** Null: all groups together. */
  readonly name: string | null
  /** The place of the server. */
  readonly server: number
  readonly value: number
  readonly median: number
  /** Of how many servers that is the median. */
  readonly count: number
  readonly deviation: number
}

/** The exporter's ranking with what follows from its declaration. */
export const comparedBy = (exporter: Exporter, metric: string) => {
  const { fields, ranking } = rankingOf(exporter, metric)
  return { by: ranking.by, share: ranking.share, fields }
}

/** Below this nothing is worth telling: 5 % of a core or 16 MiB, or 1 % of the machine or of the highest value. */
const leastOf = (share: HostShare | undefined, scale: Scale, values: ReadonlyArray<number | null>): number => {
  if (scale === "machine") return 1
  if (share === "cpu") return 5
  if (share === "memory") return 16
  return 0.01 * values.reduce<number>((most, value) => Math.max(most, value ?? 0), 0)
}

/**
 * The matrix of some servers' own top answers, which list all groups. The first `limit` by their highest value on any server
 * are rows; ties by name.
 */
export const matrixOf = (
  exporter: Exporter,
  metric: string,
  scale: Scale,
  answers: ReadonlyArray<TopAnswer>,
  limit: number
): Matrix => {
  const { by, fields, share } = comparedBy(exporter, metric)
  const factors = answers.map((answer) => factorOf(answer, by, share, scale))
  const scaled = (value: number, server: number) => {
    const factor = factors[server]!
    return factor === null ? null : value * factor
  }
  const rowsOf = answers.map(({ rows }) => new Map(rows.map((row) => [row.name, Number(row[fields.average] ?? 0)])))
  const names = new Set(rowsOf.flatMap((rows) => [...rows.keys()]))
  const all = [...names]
    .map((name) => {
      const values = rowsOf.map((rows, server) => scaled(rows.get(name) ?? 0, server))
      return { name, values, most: Math.max(...values.map((value) => value ?? 0)) }
    })
    .sort((a, b) => b.most - a.most || compareBytes(a.name, b.name))
  /** Of each server: some groups together, and what its own answer does not list. */
  const summed = (rows: typeof all) =>
    answers.map(({ other }, server) => {
      const rest = scaled(other[fields.average] ?? 0, server)
      return rest === null ? null : rows.reduce((sum, { values }) => sum + values[server]!, rest)
    })
  const total = summed(all)
  const least = leastOf(share, scale, total)
  const judged = (values: ReadonlyArray<number | null>): MatrixRow => ({ values, ...deviationsOf(values, least) })
  const others = all.slice(limit)
  return {
    groups: all.slice(0, limit).map(({ name, values }) => ({ name, ...judged(values) })),
    other: { groups: others.length, values: summed(others) },
    total: judged(total)
  }
}

/** What a server's values are multiplied with; null where it has none. A rate needs time that was covered. */
const factorOf = (
  { coveredSeconds, host, scrapes }: TopAnswer,
  by: "rate" | "peak",
  share: HostShare | undefined,
  scale: Scale
): number | null => {
  if (scrapes === 0 || (by === "rate" && coveredSeconds === 0)) return null
  if (scale === "own") return 1
  return machineScale(share, host === null ? undefined : { cores: host.cpuCores, memory: host.memoryTotalBytes })
}

/** What stands out of a matrix, the largest differences first; a server as a whole before its groups where they are equal. */
export const oddOnes = ({ groups, total }: Matrix): ReadonlyArray<OddOne> =>
  [{ ...total, name: null }, ...groups]
    .flatMap(({ count, deviations, median, name, odd, values }) =>
      odd.map(
        (server): OddOne => ({
          name,
          server,
          value: values[server]!,
          median: median!,
          count,
          deviation: deviations[server]!
        })
      )
    )
    .sort((a, b) => Math.abs(b.value - b.median) - Math.abs(a.value - a.median))

export interface Spread extends Deviations {
  /** Those on which the group ran, by their ids. */
  readonly servers: ReadonlyArray<{ readonly serverId: string; readonly value: number | null }>
  /** How many were seen and did not run it, and how many were not seen. */
  readonly absent: number
  readonly unseen: number
}

/** One group over servers: compared are those on which it ran. */
export const spreadOf = (
  exporter: Exporter,
  metric: string,
  scale: Scale,
  readings: ReadonlyMap<string, GroupReading>
): Spread => {
  const { share } = comparedBy(exporter, metric)
  let [absent, unseen] = [0, 0]
  const servers: Array<Spread["servers"][number]> = []
  for (const [serverId, { facts, ran, value }] of readings) {
    if (value === null) unseen++
    else if (!ran) absent++
    else {
      const factor = scale === "own" ? 1 : machineScale(share, facts)
      servers.push({ serverId, value: factor === null ? null : value * factor })
    }
  }
  servers.sort((a, b) => compareBytes(a.serverId, b.serverId))
  const values = servers.map(({ value }) => value)
  return { servers, absent, unseen, ...deviationsOf(values, leastOf(share, scale, values)) }
}
