/**
 * What rules may ask of each resource, for whoever offers it to people: the page's form. Pure.
 *
 * Guarantee: it is what `RuleFile.ts` takes; a test asks each for a rule.
 */
import { historyFields, rankingsOf } from "../plugins/Catalog.ts"
import type { Exporter } from "../plugins/Exporter.ts"
import { installation } from "./installation/Installation.ts"
import { type Metric, metricsOf, unitText } from "./Rule.ts"
import { isLevelOfBytes, tellsMemory } from "./RuleFile.ts"

export interface RuleResource {
  readonly resource: string
  readonly title: string
  /** Whether its rows are of groups. */
  readonly grouped: boolean
  /** Whether it is what `only_while` asks beside. */
  readonly host: boolean
  /** Whether rules may ask when its memory is used up. */
  readonly exhausts: boolean
  readonly metrics: ReadonlyArray<RuleMetric>
}

interface RuleMetric {
  readonly key: string
  /** As people read it; empty where it is a plain number. */
  readonly unit: string
  /** In which it is drawn. */
  readonly drawn_unit: string
  /** Of the machine; null where it is no share of it. */
  readonly share: "cpu" | "memory" | null
  /** Whether rules may ask how fast it grows. */
  readonly grows: boolean
  /** How its values are made of the series of a history; null where they cannot be. */
  readonly drawn: Drawn | null
}

/** The sum of some series, less another one, as a part of a third one, times a number. */
interface Drawn {
  readonly fields: ReadonlyArray<string>
  readonly less: string | null
  readonly part_of: string | null
  readonly scale: number
  /** Its highest values. */
  readonly peak: string | null
}

export const ruleResources = (exporters: ReadonlyArray<Exporter>): ReadonlyArray<RuleResource> => {
  const host = exporters.find((exporter) => exporter.host !== undefined)
  return [...exporters, installation].map((exporter) => ({
    resource: exporter.resource,
    title: exporter.title,
    grouped: exporter.top !== undefined,
    host: exporter === host,
    exhausts: tellsMemory(exporter),
    metrics: [...metricsOf(exporter).values()].map((metric) => ({
      key: metric.key,
      unit: unitText(metric),
      drawn_unit: metric.unit,
      share: metric.share ?? null,
      grows: isLevelOfBytes(metric, exporter),
      drawn: exporter === installation ? null : drawnBy(metric, exporter)
    }))
  }))
}

const drawnBy = (metric: Metric, exporter: Exporter): Drawn | null => {
  const ranked = rankingsOf(exporter).find(({ key }) => key === metric.key)
  if (ranked !== undefined) {
    const { now, peak } = ranked.fields
    return { fields: [now], less: null, part_of: null, scale: 1, peak: peak ?? null }
  }
  const series = new Map(historyFields(exporter).map(({ column, field }) => [column, field]))
  const fields = metric.columns.flatMap((column) => series.get(column) ?? [])
  if (fields.length === 0 || fields.length < metric.columns.length) return null
  const other = (column: string | undefined) => (column === undefined ? null : (series.get(column) ?? null))
  return { fields, less: other(metric.less), part_of: other(metric.partOf), scale: metric.scale, peak: null }
}
