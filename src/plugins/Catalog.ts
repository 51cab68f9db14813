/**
 * What the API tells of the exporters (`GET /api/exporters`): enough for a page to name, rank, draw and explain what it
 * shows without knowing a single exporter.
 *
 * Derived from the declarations and nothing else. Field names are those of the answers: `rankingFields` is where a page, a
 * query and this catalog agree on them.
 */
import { Duration, Schema } from "effect"
import { type Column, isMoment } from "./Column.ts"
import type { Exporter } from "./Exporter.ts"
import { type AnyRanking, rankingFields } from "./TopQuery.ts"
import { wireName } from "./Wire.ts"

const Nullable = Schema.NullOr(Schema.String)

const CatalogColumn = Schema.Struct({
  name: Schema.String,
  wire_name: Schema.String,
  kind: Schema.Literals(["label", "gauge", "counter", "fingerprint"]),
  type: Schema.Literals(["text", "double", "integer", "bigint"]),
  unit: Nullable,
  nullable: Schema.Boolean,
  optional: Schema.Boolean.annotateKey({ description: "Of a label: a row may lack it, and has the empty text then." }),
  doc: Schema.String
})

/** A field of an answer, and where its values come from. */
const CatalogField = Schema.Struct({
  field: Schema.String,
  column: Schema.String,
  /** As shown: `percent`, `mb`, `mb_per_second`, `per_second`, the column's own, or empty for a plain count. */
  unit: Schema.String,
  doc: Schema.String
})
export type CatalogField = typeof CatalogField.Type

/** A series of a history answer. `peak` names the series of its highest values, where there is one. */
const CatalogSeries = Schema.Struct({ ...CatalogField.fields, peak: Nullable })
export type CatalogSeries = typeof CatalogSeries.Type

const CatalogRanking = Schema.Struct({
  /** The value of `metric=`. */
  key: Schema.String,
  column: Schema.String,
  by: Schema.Literals(["rate", "peak"]),
  share: Schema.NullOr(Schema.Literals(["cpu", "memory"])),
  unit: Schema.String,
  /** The field that decides the order. */
  ranked_by: Schema.String,
  on_demand: Schema.Boolean.annotateKey({
    description: "Whether its fields are in an answer only where `metric=` names it."
  }),
  fields: Schema.Struct({ now: Schema.String, average: Schema.String, peak: Schema.String, total: Nullable })
})

const CatalogLabel = Schema.Struct({
  /** The parameter, and the field of a row on the wire. */
  name: Schema.String,
  /** The field of a ranked row that lists its values. */
  field: Schema.String,
  doc: Schema.String
})

/** One exporter of the catalog. */
export const CatalogEntry = Schema.Struct({
  name: Schema.String,
  title: Schema.String,
  resource: Schema.String,
  table: Schema.String,
  endpoint: Schema.String.annotateKey({ description: "Where agents look for it unless configured otherwise." }),
  interval_seconds: Schema.Finite,
  opt_in: Schema.Boolean.annotateKey({ description: "Whether an agent scrapes it only where it is asked to." }),
  retention_seconds: Schema.NullOr(Schema.Finite).annotateKey({ description: "Null: kept for ever." }),
  stale_after_seconds: Schema.Finite,
  columns: Schema.Array(CatalogColumn),
  top: Schema.NullOr(
    Schema.Struct({
      per: Schema.String,
      default: Schema.String,
      presence: Nullable.annotateKey({ description: "The field whose 0 says that a group is gone." }),
      rankings: Schema.Array(CatalogRanking),
      labels: Schema.Array(CatalogLabel).annotateKey({
        description:
          "Labels beside the ranked one: a parameter of their name asks for the groups of one of their values."
      }),
      proportional: Nullable.annotateKey({
        description:
          "The field of memory with shared pages counted once (PSS), where the ranking counts them in each process (RSS)."
      }),
      monitoring: Schema.Array(Schema.String).annotateKey({
        description: "Names of groups that are monitoring itself."
      }),
      also: Schema.Array(Schema.Struct({ ...CatalogField.fields, nullable: Schema.Boolean })).annotateKey({
        description:
          "Fields beside those of the rankings, of the latest scrape; `nullable` where not every sender tells it."
      })
    })
  ),
  history: Schema.Array(CatalogSeries).annotateKey({ description: "The series of the history answer." }),
  host: Schema.NullOr(
    Schema.Struct({
      cores: Schema.String,
      memory_total: Schema.String,
      memory_available: Nullable,
      cpu_busy: Schema.Array(Schema.String),
      cpu_idle: Nullable,
      load: Nullable,
      uptime: Nullable
    })
  ).annotateKey({ description: "Which series of the history tell the host's state; null where none do." })
}).annotate({ title: "Exporter" })
export type CatalogEntry = typeof CatalogEntry.Type

/** The catalog of all exporters, in the order of `plugins.config.ts`. */
export const Catalog = Schema.Struct({ exporters: Schema.Array(CatalogEntry) }).annotate({ title: "Catalog" })
export type Catalog = typeof Catalog.Type

export const catalog = (exporters: ReadonlyArray<Exporter>): Catalog => ({
  exporters: exporters.map((exporter) => catalogEntry(exporter, exporters))
})

/** A ranking of an exporter with its column and the fields that it adds to the answer. */
export interface RankedBy {
  readonly key: string
  readonly onDemand: boolean
  readonly ranking: AnyRanking
  readonly column: Exclude<Column, { readonly kind: "label" }>
  readonly fields: ReturnType<typeof rankingFields>
}

const ranked = (exporter: Exporter, rankings: Readonly<Record<string, AnyRanking>>, onDemand: boolean) =>
  Object.entries(rankings).flatMap(([key, ranking]): ReadonlyArray<RankedBy> => {
    const column = exporter.table.columns[ranking.column]
    if (column === undefined || column.kind === "label") return []
    return [{ key, onDemand, ranking, column, fields: rankingFields(key, ranking.by, column) }]
  })

/** The rankings of an exporter in the order of their declaration, those on demand last; none where it declares no top query. */
export const rankingsOf = (exporter: Exporter): ReadonlyArray<RankedBy> => [
  ...ranked(exporter, exporter.top?.rankings ?? {}, false),
  ...ranked(exporter, exporter.top?.onDemand ?? {}, true)
]

/** The ranking of a metric that the exporter has. */
export const rankingOf = (exporter: Exporter, metric: string): RankedBy => {
  const found = rankingsOf(exporter).find(({ key }) => key === metric)
  if (found === undefined) throw new Error(`${exporter.name} has no ranking "${metric}"`)
  return found
}

/** The rankings whose fields an answer by this metric has. */
export const rankingsFor = (exporter: Exporter, metric: string): ReadonlyArray<RankedBy> =>
  rankingsOf(exporter).filter(({ key, onDemand }) => !onDemand || key === metric)

/** The metric that stands for all whose answers have the same fields: itself where it is on demand, else the default. */
export const answeredAs = (exporter: Exporter, metric: string): string =>
  Object.hasOwn(exporter.top?.onDemand ?? {}, metric) ? metric : (exporter.top?.default ?? metric)

/** The metrics that stand for all. */
export const answers = ({ top }: Exporter): ReadonlyArray<string> =>
  top === undefined ? [] : [top.default, ...Object.keys(top.onDemand ?? {})]

/** The kernel keeps so much of the name of a command. */
const COMMAND_LENGTH = 15

/** Names of groups that are monitoring itself: what the exporter declares, and what all exporters are called. */
export const monitoringOf = ({ top }: Exporter, exporters: ReadonlyArray<Exporter>): ReadonlyArray<string> =>
  top?.monitoring === undefined
    ? []
    : [...new Set([...top.monitoring, ...exporters.map(({ name }) => name.slice(0, COMMAND_LENGTH))])]

/** The labels beside the ranked one, with the field of a ranked row that lists their values. */
export const otherLabels = (exporter: Exporter) =>
  Object.entries(exporter.table.columns).flatMap(([name, column]) => {
    if (column.kind !== "label" || exporter.top === undefined || name === exporter.top.per) return []
    const wire = wireName(name, column)
    return [{ label: name, name: wire, field: `${wire}s`, doc: column.doc }]
  })

/** Gauges that no ranking shows: they appear in the answer under their wire name, with the value of the latest scrape. */
export const answerFields = (exporter: Exporter): ReadonlyArray<CatalogField & { readonly nullable: boolean }> => {
  const ranked = new Set(rankingsOf(exporter).map(({ ranking }) => ranking.column))
  return Object.entries(exporter.table.columns).flatMap(([name, column]) =>
    column.kind !== "gauge" || ranked.has(name)
      ? []
      : [
          {
            field: wireName(name, column),
            column: name,
            unit: column.unit ?? "",
            doc: column.doc,
            nullable: column.nullable
          }
        ]
  )
}

/**
 * The series of the history answer: `now` of each ranking with its peak, then every other number of the table: a gauge
 * under its wire name, a counter as its increase per second (`cpu_user_seconds` becomes `cpu_user_seconds_per_second`).
 */
export const historyFields = (exporter: Exporter): ReadonlyArray<CatalogSeries> => {
  const rankings = rankingsOf(exporter)
  const ranked = new Set(rankings.map(({ ranking }) => ranking.column))
  const series = rankings.map(({ column, fields, ranking }) => ({
    field: fields.now,
    peak: fields.peak,
    column: ranking.column,
    unit: fields.unit,
    doc: column.doc
  }))
  const others = Object.entries(exporter.table.columns).flatMap(([name, column]) => {
    if (column.kind === "label" || column.kind === "fingerprint" || isMoment(column) || ranked.has(name)) return []
    const field = wireName(name, column)
    const about = { peak: null, column: name, doc: column.doc }
    if (column.kind === "gauge") return [{ ...about, field, unit: column.unit ?? "" }]
    const unit = column.unit === undefined ? "per_second" : `${column.unit}_per_second`
    return [{ ...about, field: `${field.replace(/_total$/, "")}_per_second`, unit }]
  })
  return [...series, ...others]
}

const catalogEntry = (exporter: Exporter, exporters: ReadonlyArray<Exporter>): CatalogEntry => ({
  name: exporter.name,
  title: exporter.title,
  resource: exporter.resource,
  table: exporter.table.name,
  endpoint: exporter.scrape.endpoint,
  interval_seconds: Duration.toSeconds(exporter.scrape.interval),
  opt_in: exporter.scrape.optIn,
  retention_seconds: Duration.isFinite(exporter.table.retention) ? Duration.toSeconds(exporter.table.retention) : null,
  stale_after_seconds: Duration.toSeconds(exporter.table.staleAfter),
  columns: Object.entries(exporter.table.columns).map(([name, column]) => ({
    name,
    wire_name: wireName(name, column),
    kind: column.kind,
    type: column.kind === "label" ? "text" : column.type,
    unit: column.kind === "label" ? null : (column.unit ?? null),
    nullable: column.kind !== "label" && column.nullable,
    optional: column.kind === "label" && column.optional,
    doc: column.doc
  })),
  top:
    exporter.top === undefined
      ? null
      : {
          per: exporter.top.per,
          default: exporter.top.default,
          presence: fieldOf(exporter, exporter.top.presence),
          labels: otherLabels(exporter).map(({ doc, field, name }) => ({ name, field, doc })),
          proportional: fieldOf(exporter, exporter.top.proportional),
          monitoring: monitoringOf(exporter, exporters),
          rankings: rankingsOf(exporter).map(({ fields, key, onDemand, ranking }) => ({
            key,
            on_demand: onDemand,
            column: ranking.column,
            by: ranking.by,
            share: ranking.share ?? null,
            unit: fields.unit,
            ranked_by: fields.total ?? fields.peak,
            fields: { now: fields.now, average: fields.average, peak: fields.peak, total: fields.total ?? null }
          })),
          also: answerFields(exporter)
        },
  history: historyFields(exporter),
  host:
    exporter.host === undefined
      ? null
      : {
          cores: fieldOf(exporter, exporter.host.cores) ?? exporter.host.cores,
          memory_total: fieldOf(exporter, exporter.host.memoryTotal) ?? exporter.host.memoryTotal,
          memory_available: fieldOf(exporter, exporter.host.memoryAvailable),
          cpu_busy: exporter.host.cpuBusy.flatMap((column) => fieldOf(exporter, column) ?? []),
          cpu_idle: fieldOf(exporter, exporter.host.cpuIdle),
          load: fieldOf(exporter, exporter.host.load),
          uptime: fieldOf(exporter, exporter.host.uptime)
        }
})

/** The series of the history answer that shows a column. */
const fieldOf = (exporter: Exporter, column: string | undefined): string | null =>
  historyFields(exporter).find((series) => series.column === column)?.field ?? null
