/**
 * From an aggregate to the fields of an answer: what `docs/numbers.md` says about ranking, averages, shares and units. Pure.
 */
import type { RankedBy } from "../plugins/Catalog.ts"
import type { Exporter } from "../plugins/Exporter.ts"
import { type RankingFields, rankingFields } from "../plugins/TopQuery.ts"
import { wireName } from "../plugins/Wire.ts"
import type { Aggregate } from "./Aggregate.ts"
import type { Measures } from "./Increases.ts"
import type { RankedRow, TopAnswer } from "./Rankings.ts"

/** What the top answer needs of the rows: every ranked counter, every gauge. */
export const topMeasures = (exporter: Exporter): Measures => {
  const ranked = Object.values(exporter.top?.rankings ?? {})
  const columns = Object.entries(exporter.table.columns)
  return {
    counters: columns.flatMap(([name]) =>
      ranked.some((ranking) => ranking.by === "rate" && ranking.column === name) ? [name] : []
    ),
    gauges: columns.flatMap(([name, column]) => (column.kind === "gauge" ? [name] : []))
  }
}

/** The measures of one ranking, and the gauge that tells whether a group is there. */
export const rankingMeasures = (exporter: Exporter, { ranking }: RankedBy): Measures => {
  const presence = exporter.top?.presence
  const gauges = ranking.by === "peak" ? [ranking.column] : []
  return {
    counters: ranking.by === "rate" ? [ranking.column] : [],
    gauges: presence === undefined || gauges.includes(presence) ? gauges : [...gauges, presence]
  }
}

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
  /** The gauge whose 0 says that a group is gone. */
  readonly presence: number | undefined
}

/** The fields of an exporter's top answer over these measures. */
export const answerShape = (exporter: Exporter, measures: Measures): AnswerShape => {
  const rankings = Object.entries(exporter.top?.rankings ?? {}).map(([key, ranking]) => ({
    key,
    by: ranking.by,
    share: ranking.share,
    n: (ranking.by === "rate" ? measures.counters : measures.gauges).indexOf(ranking.column),
    fields: rankingFields(key, ranking.by, exporter.table.columns[ranking.column]!)
  }))
  const ranked = new Set<number>(rankings.flatMap(({ by, n }) => (by === "peak" ? [n] : [])))
  const presence = exporter.top?.presence
  return {
    rankings,
    unranked: measures.gauges.flatMap((column, n) =>
      ranked.has(n) ? [] : [{ field: wireName(column, exporter.table.columns[column]!), n }]
    ),
    presence: presence === undefined ? undefined : measures.gauges.indexOf(presence)
  }
}

/** What is read off the aggregate of a window. */
export interface Reading {
  readonly shape: AnswerShape
  readonly sums: Aggregate
  /** The server's latest scrape until the window's end, epoch microseconds. */
  readonly lastSeen: number | null
  /** Of regrouped names: whether a peak of a group is the sum of peaks that need not have been at the same time. */
  readonly peakIsBound?: ((slot: number) => boolean) | undefined
}

/** What a group is ranked by; NaN where it is not known, which comes last. */
export const rankedBy = ({ shape, sums }: Reading, metric: string, slot: number): number => {
  const { by, n } = shape.rankings.find(({ key }) => key === metric)!
  return by === "rate" ? orZero(sums.counters[n]!.increase[slot]!) : sums.gauges[n]!.max[slot]!
}

/** Whether the group is in the server's latest scrape. */
const isHere = ({ lastSeen, sums }: Reading, slot: number): boolean => sums.groupsLastAt[slot] === lastSeen

/** The rate of the latest scrape: 0 for a group that is not in it, or has no processes left. */
const rateNow = (reading: Reading, n: number, slot: number): number => {
  const { shape, sums } = reading
  if (!isHere(reading, slot)) return 0
  if (shape.presence !== undefined && sums.gauges[shape.presence]!.last[slot] === 0) return 0
  return orZero(sums.counters[n]!.now[slot]!)
}

/** The mean over the scrapes in which the value was known, those without the group counting 0; NaN where it never was. */
const meanLevel = ({ sums }: Reading, n: number, slot: number): number => {
  const gauge = sums.gauges[n]!
  const scrapes = sums.scrapes - (sums.rows[slot]! - gauge.count[slot]!)
  return scrapes === 0 ? Number.NaN : orZero(gauge.sum[slot]!) / scrapes
}

/** The average over the window of what a ranking ranks by, in its stored unit; NaN where it is not known. */
export const averageOf = (reading: Reading, { by, n }: AnswerShape["rankings"][number], slot: number): number => {
  if (by === "peak") return meanLevel(reading, n, slot)
  const { counters, covered } = reading.sums
  return covered === 0 ? 0 : orZero(counters[n]!.increase[slot]!) / covered
}

/** The fields of one listed group. */
export const rowOf = (reading: Reading, name: string, slot: number): RankedRow => {
  const { shape, sums } = reading
  const fields: Record<string, RankedRow[string]> = { name }
  for (const { by, fields: shown, n } of shape.rankings) {
    if (by === "rate") {
      const total = orZero(sums.counters[n]!.increase[slot]!)
      fields[shown.total!] = total * shown.totalScale
      fields[shown.average] = sums.covered === 0 ? 0 : (total / sums.covered) * shown.scale
      fields[shown.peak] = orZero(sums.counters[n]!.peak[slot]!) * shown.scale
      fields[shown.now] = rateNow(reading, n, slot) * shown.scale
    } else {
      fields[shown.peak] = scaled(sums.gauges[n]!.max[slot]!, shown.scale)
      fields[shown.average] = scaled(meanLevel(reading, n, slot), shown.scale)
      fields[shown.now] = isHere(reading, slot) ? scaled(sums.gauges[n]!.last[slot]!, shown.scale) : 0
    }
  }
  for (const { field, n } of shape.unranked) {
    fields[field] = isHere(reading, slot) ? scaled(sums.gauges[n]!.last[slot]!, 1) : 0
  }
  if (reading.peakIsBound !== undefined) fields.peak_is_bound = reading.peakIsBound(slot)
  return fields as RankedRow
}

/** The fields of the groups that are not listed, together. What does not add up (peaks) is left out. */
export const otherOf = (reading: Reading, slots: ReadonlyArray<number>): TopAnswer["other"] => {
  const { shape, sums } = reading
  const fields: Record<string, number> & { groups: number } = { groups: slots.length }
  const sum = (value: (slot: number) => number) => slots.reduce((total, slot) => total + orZero(value(slot)), 0)
  for (const { by, fields: shown, n } of shape.rankings) {
    if (by === "rate") {
      const total = sum((slot) => sums.counters[n]!.increase[slot]!)
      fields[shown.total!] = total * shown.totalScale
      fields[shown.average] = sums.covered === 0 ? 0 : (total / sums.covered) * shown.scale
      fields[shown.now] = sum((slot) => rateNow(reading, n, slot)) * shown.scale
    } else {
      fields[shown.average] = sum((slot) => meanLevel(reading, n, slot)) * shown.scale
      fields[shown.now] = sum((slot) => levelNow(reading, n, slot)) * shown.scale
    }
  }
  return fields
}

/** The value in the latest scrape: 0 for a group that is not in it. */
export const levelNow = (reading: Reading, n: number, slot: number): number =>
  isHere(reading, slot) ? orZero(reading.sums.gauges[n]!.last[slot]!) : 0

const scaled = (value: number, scale: number): number | null => (Number.isNaN(value) ? null : value * scale)

/** 0 where nothing was seen. */
export const orZero = (value: number): number => (Number.isNaN(value) ? 0 : value)
