/**
 * How an exporter's rows are ranked.
 *
 * A ranking names a column and how it is ranked: a counter by its increase over the window (`rate`), a gauge by its
 * highest value (`peak`). The fields of the answer follow from the ranking's key and the column's unit; `rankingFields`
 * is the one place that says how.
 */
import type { Column, Columns, NamesOf, OptionalIn } from "./Column.ts"

/** What of the host a ranking is a share of. It lets the answer clamp to the host's limit and show what is unaccounted for. */
export type HostShare = "cpu" | "memory"

export interface Rate<N extends string = string> {
  readonly by: "rate"
  readonly column: N
  readonly share: HostShare | undefined
}

export interface Peak<N extends string = string> {
  readonly by: "peak"
  readonly column: N
  readonly share: HostShare | undefined
}

/** Ranks a counter by its increase over the window. `share: "cpu"` says that the counter is CPU time of the host. */
export const rate = <const N extends string>(column: N, options?: { readonly share?: HostShare }): Rate<N> => ({
  by: "rate",
  column,
  share: options?.share
})

/** Ranks a gauge by its highest value in the window. `share: "memory"` says that the gauge is memory of the host. */
export const peak = <const N extends string>(column: N, options?: { readonly share?: HostShare }): Peak<N> => ({
  by: "peak",
  column,
  share: options?.share
})

export type Ranking<C extends Columns> = Rate<NamesOf<C, "counter">> | Peak<NamesOf<C, "gauge">>
export type AnyRanking = Rate | Peak

/** The top-N query of an exporter. */
export interface TopQuery<C extends Columns, R extends string, D extends string = never> {
  /** The resource in the address: `GET /api/servers/{id}/{resource}/top`; also the name of the list in the answer. */
  readonly resource: string
  /** The label whose values are ranked; none that a row may lack. */
  readonly per: Exclude<NamesOf<C, "label">, OptionalIn<C>>
  /** Rankings by the name that `metric=` takes. */
  readonly rankings: Readonly<Record<R, Ranking<C>>>
  /**
   * Rankings that are read, and whose fields are in an answer, only where `metric=` names them: so that what everybody asks for
   * costs nothing for what few do. None of them is a share of the host.
   */
  readonly onDemand?: Readonly<Record<D, Ranking<C>>>
  /** The ranking used where the request names none; not one that is on demand. */
  readonly default: NoInfer<R>
  /**
   * A gauge whose 0 says that the group is gone although the exporter still lists it, such as the number of its
   * processes: a rate that the latest scrape would still show is then 0.
   */
  readonly presence?: NamesOf<C, "gauge">
  /**
   * A gauge of bytes in which pages that processes share count once in all (PSS), where the ranking by the share of memory counts
   * them in each (RSS). It is shown beside that.
   */
  readonly proportional?: NamesOf<C, "gauge">
  /**
   * Groups that are monitoring itself, by their names: rows of them say so. With it, so are groups that are called as an enabled
   * exporter, as far as the kernel keeps such a name.
   */
  readonly monitoring?: ReadonlyArray<string>
}

/** The top-N query of any exporter. */
export type AnyTopQuery = TopQuery<Columns, string, string>

/**
 * The fields that a ranking adds to each row of the answer.
 *
 * | ranking | now | average | peak | total |
 * |---|---|---|---|---|
 * | rate of `seconds` | `cpu_percent` | `avg_cpu_percent` | `peak_cpu_percent` | `cpu_seconds` |
 * | rate of `bytes` | `net_mb_per_second` | `avg_…` | `peak_…` | `net_mb` |
 * | rate, other unit | `requests_per_second` | `avg_…` | `peak_…` | `requests_total` |
 * | peak of `bytes` | `memory_mb` | `avg_memory_mb` | `peak_memory_mb` | |
 * | peak, other unit | `threads` (`temperature_celsius`) | `avg_…` | `peak_…` | |
 *
 * `scale` turns the stored unit into the one shown (rates: per second first): 100 for seconds of CPU into percent of one
 * core, 1 / 2^20 for bytes into MiB (docs/numbers.md: "MB" is MiB).
 */
export interface RankingFields {
  readonly now: string
  readonly average: string
  readonly peak: string
  /** Only for rates. */
  readonly total: string | undefined
  /** What `now`, `average` and `peak` are multiplied with. */
  readonly scale: number
  /** What `total` is multiplied with. */
  readonly totalScale: number
  /** The unit that the page shows: `percent`, `mb`, `mb_per_second`, `per_second`, or the column's own. */
  readonly unit: string
}

const MIB = 1 / (1024 * 1024)

/** See {@link RankingFields}. */
export const rankingFields = (key: string, by: AnyRanking["by"], column: Column): RankingFields => {
  const unit = column.kind === "label" ? undefined : column.unit
  const fields = (now: string, total: string | undefined, scale: number, totalScale: number, shown: string) => ({
    now,
    average: `avg_${now}`,
    peak: `peak_${now}`,
    total,
    scale,
    totalScale,
    unit: shown
  })
  if (by === "rate") {
    if (unit === "seconds") return fields(`${key}_percent`, `${key}_seconds`, 100, 1, "percent")
    if (unit === "bytes") return fields(`${key}_mb_per_second`, `${key}_mb`, MIB, MIB, "mb_per_second")
    return fields(`${key}_per_second`, `${key}_total`, 1, 1, "per_second")
  }
  if (unit === "bytes") return fields(`${key}_mb`, undefined, MIB, 1, "mb")
  return fields(unit === undefined ? key : `${key}_${unit}`, undefined, 1, 1, unit ?? "")
}
