/**
 * From an aggregate to the fields of an answer: what `docs/numbers.md` says about ranking, averages, shares and units. Pure.
 */
import { type RankedBy, rankingsFor } from "../plugins/Catalog.ts"
import type { Exporter } from "../plugins/Exporter.ts"
import type { RankingFields } from "../plugins/TopQuery.ts"
import { wireName } from "../plugins/Wire.ts"
import type { Aggregate } from "./Aggregate.ts"
import type { Measures } from "./Increases.ts"
import type { RankedRow, TopAnswer } from "./Rankings.ts"

/** What an answer by a metric needs of the rows of its window: what its rankings rank, and whether a group is there. */
export const topMeasures = (exporter: Exporter, metric: string): Measures => {
  const ranked = rankingsFor(exporter, metric).map(({ ranking }) => ranking)
  const columnsBy = (by: "rate" | "peak") => new Set(ranked.flatMap((one) => (one.by === by ? [one.column] : [])))
  const [rates, peaks] = [columnsBy("rate"), columnsBy("peak")]
  if (exporter.top?.presence !== undefined) peaks.add(exporter.top.presence)
  // In the order of the table, whatever the metric: measures that are the same are read by the same statement.
  const inOrder = (names: ReadonlySet<string>) => Object.keys(exporter.table.columns).filter((name) => names.has(name))
  return { counters: inOrder(rates), gauges: inOrder(peaks) }
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
    /** Whether some rows lack the value: of a group of which nothing is known nothing is told, not 0. */
    readonly nullable: boolean
    /** The index of the counter or gauge among the measures. */
    readonly n: number
    readonly fields: RankingFields
  }>
  /** The gauge whose 0 says that a group is gone. */
  readonly presence: { readonly field: string; readonly n: number } | undefined
}

/** The fields of an exporter's answer by a metric over its {@link topMeasures}. */
export const answerShape = (exporter: Exporter, measures: Measures, metric: string): AnswerShape => {
  const presence = exporter.top?.presence
  return {
    rankings: rankingsFor(exporter, metric).map(({ column, fields, key, ranking }) => ({
      key,
      by: ranking.by,
      share: ranking.share,
      nullable: column.nullable,
      n: (ranking.by === "rate" ? measures.counters : measures.gauges).indexOf(ranking.column),
      fields
    })),
    presence:
      presence === undefined
        ? undefined
        : { field: wireName(presence, exporter.table.columns[presence]!), n: measures.gauges.indexOf(presence) }
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
  /** What the latest scrape says of a group beside what is ranked. */
  readonly details?: ((slot: number) => Readonly<Record<string, RankedRow[string]>>) | undefined
}

/** What a group is ranked by; NaN where it is not known, which comes last. */
export const rankedBy = ({ shape, sums }: Reading, metric: string, slot: number): number => {
  const { by, n, nullable } = shape.rankings.find(({ key }) => key === metric)!
  if (by === "peak") return sums.gauges[n]!.max[slot]!
  const increase = sums.counters[n]!.increase[slot]!
  return nullable ? increase : orZero(increase)
}

/** Whether the group is in the server's latest scrape. */
const isHere = ({ lastSeen, sums }: Reading, slot: number): boolean => sums.groupsLastAt[slot] === lastSeen

/** The rate of the latest scrape: 0 for a group that is not in it, or has no processes left. */
const rateNow = (reading: Reading, n: number, slot: number): number => {
  const { shape, sums } = reading
  if (!isHere(reading, slot)) return 0
  if (shape.presence !== undefined && sums.gauges[shape.presence.n]!.last[slot] === 0) return 0
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
  for (const { by, fields: shown, n, nullable } of shape.rankings) {
    if (by === "rate" && nullable && Number.isNaN(sums.counters[n]!.increase[slot]!)) {
      for (const field of [shown.total!, shown.average, shown.peak, shown.now]) fields[field] = null
    } else if (by === "rate") {
      const total = orZero(sums.counters[n]!.increase[slot]!)
      fields[shown.total!] = total * shown.totalScale
      fields[shown.average] = sums.covered === 0 ? 0 : (total / sums.covered) * shown.scale
      fields[shown.peak] = orZero(sums.counters[n]!.peak[slot]!) * shown.scale
      fields[shown.now] = rateNow(reading, n, slot) * shown.scale
    } else {
      fields[shown.peak] = scaled(sums.gauges[n]!.max[slot]!, shown.scale)
      fields[shown.average] = scaled(meanLevel(reading, n, slot), shown.scale)
      const gone = sums.gauges[n]!.count[slot] === 0 ? null : 0
      fields[shown.now] = isHere(reading, slot) ? scaled(sums.gauges[n]!.last[slot]!, shown.scale) : gone
    }
  }
  const { presence } = shape
  if (presence !== undefined) {
    const ranked = shape.rankings.some(({ by, n }) => by === "peak" && n === presence.n)
    if (!ranked) fields[presence.field] = isHere(reading, slot) ? scaled(sums.gauges[presence.n]!.last[slot]!, 1) : 0
  }
  if (reading.details !== undefined) Object.assign(fields, reading.details(slot))
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
