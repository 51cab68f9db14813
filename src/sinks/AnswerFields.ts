/**
 * From aggregates to the fields of an answer: what `docs/numbers.md` says about averages, shares and units. Pure.
 */
import { Duration } from "effect"
import type { Exporter } from "../plugins/Exporter.ts"
import { type RankingFields, rankingFields } from "../plugins/TopQuery.ts"
import { wireName } from "../plugins/Wire.ts"
import type { Measures } from "./IncreaseSql.ts"
import type { RankedRow, TopAnswer } from "./Rankings.ts"

/** Aggregates of one group, or of all others together, by the aliases of `TopSql`. */
export type Aggregates = Readonly<Record<string, number | string | boolean | null>>

/** Where the fields of an answer come from. */
export interface AnswerShape {
  readonly rankings: ReadonlyArray<{
    readonly key: string
    readonly by: "rate" | "peak"
    readonly share: "cpu" | "memory" | undefined
    /** The index of the counter or gauge among the measures. */
    readonly n: number
    readonly fields: RankingFields
  }>
  /** Gauges that no ranking ranks, by their names on the wire. */
  readonly unranked: ReadonlyArray<{ readonly field: string; readonly n: number }>
}

/** The fields of an exporter's top answer over these measures. */
export const answerShape = (exporter: Exporter, measures: Measures): AnswerShape => {
  const rankings = Object.entries(exporter.top?.rankings ?? {}).map(([key, ranking]) => ({
    key,
    by: ranking.by,
    share: ranking.share,
    n:
      ranking.by === "rate"
        ? measures.counters.findIndex(({ column }) => column === ranking.column)
        : measures.gauges.indexOf(ranking.column),
    fields: rankingFields(key, ranking.by, exporter.table.columns[ranking.column]!)
  }))
  const ranked = new Set<number>(rankings.flatMap(({ by, n }) => (by === "peak" ? [n] : [])))
  return {
    rankings,
    unranked: measures.gauges.flatMap((column, n) =>
      ranked.has(n) ? [] : [{ field: wireName(column, exporter.table.columns[column]!), n }]
    )
  }
}

/** The fields of one listed group. */
export const rowOf = (shape: AnswerShape, name: string, group: Aggregates, covered: number): RankedRow => {
  const fields: Record<string, string | number | null> = { name }
  const here = group.here === true
  for (const { by, fields: shown, n } of shape.rankings) {
    if (by === "rate") {
      const total = numberOf(group[`i${n}`])
      fields[shown.total!] = total * shown.totalScale
      fields[shown.average] = covered === 0 ? 0 : (total / covered) * shown.scale
      fields[shown.peak] = numberOf(group[`m${n}`]) * shown.scale
      fields[shown.now] = numberOf(group[`n${n}`]) * shown.scale
    } else {
      fields[shown.peak] = scaled(group[`x${n}`], shown.scale)
      fields[shown.average] = scaled(group[`a${n}`], shown.scale)
      fields[shown.now] = here ? scaled(group[`w${n}`], shown.scale) : 0
    }
  }
  for (const { field, n } of shape.unranked) fields[field] = here ? scaled(group[`w${n}`], 1) : 0
  return fields as RankedRow
}

/** The fields of all groups that are not listed. What does not add up (peaks) is left out. */
export const otherOf = (shape: AnswerShape, others: Aggregates | undefined, covered: number): TopAnswer["other"] => {
  const fields: Record<string, number> & { groups: number } = { groups: numberOf(others?.groups) }
  for (const { by, fields: shown, n } of shape.rankings) {
    if (by === "rate") {
      const total = numberOf(others?.[`i${n}`])
      fields[shown.total!] = total * shown.totalScale
      fields[shown.average] = covered === 0 ? 0 : (total / covered) * shown.scale
      fields[shown.now] = numberOf(others?.[`n${n}`]) * shown.scale
    } else {
      fields[shown.average] = numberOf(others?.[`a${n}`]) * shown.scale
      fields[shown.now] = numberOf(others?.[`w${n}`]) * shown.scale
    }
  }
  return fields
}

/** Whether the latest scrape is older than two and a half intervals: one that comes late is not yet news. */
export const isStale = (exporter: Exporter, lastSeen: number | null, at: number): boolean =>
  lastSeen === null || at - lastSeen > 2.5 * Duration.toMillis(exporter.scrape.interval) * 1_000

const scaled = (value: unknown, scale: number): number | null => (typeof value === "number" ? value * scale : null)

/** 0 where nothing was seen. */
export const numberOf = (value: unknown): number => (typeof value === "number" ? value : 0)
