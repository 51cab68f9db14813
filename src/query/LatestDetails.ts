/**
 * What the latest scrape of a server says of each group beside what is ranked: the gauges that no ranking shows, and the values
 * of the labels beside the ranked one. It is one scrape, so that all of it costs next to nothing whatever the window.
 *
 * Guarantee: nothing is told of a group that is not in that scrape, and no sum over its rows where one of them does not tell its part.
 * Bound: one scrape of each server; {@link VALUES_MAX} values of a label are named, and how many there are is told.
 */
import { Effect } from "effect"
import { answerFields, otherLabels } from "../plugins/Catalog.ts"
import { isMoment } from "../plugins/Column.ts"
import type { Exporter } from "../plugins/Exporter.ts"
import type { RowFilter } from "../sinks/storage/Scrape.ts"
import { rowsIn, type Scrape } from "../sinks/storage/Scrape.ts"
import type { Scrapes } from "../sinks/storage/Scrapes.ts"
import { compareBytes } from "./ByteOrder.ts"
import type { RankedRow, Window } from "./Rankings.ts"

/** So many values of a label are named. */
const VALUES_MAX = 3

type Fields = Readonly<Record<string, RankedRow[string]>>

/** What is told of the groups of a server, by their ids; of one that is not in the scrape, that it is not. */
export type Details = (group: number) => Fields

export interface DetailsReader {
  /** `groupOf`: which group a value of the ranked label is shown as. */
  readonly read: (
    servers: ReadonlyArray<number>,
    window: Window,
    groupOf: (id: number) => number,
    only: RowFilter | undefined
  ) => ReturnType<typeof readDetails>
}

/** Undefined where the exporter has nothing beside what is ranked. */
export const makeDetailsReader = (exporter: Exporter, scrapes: Scrapes["Service"]): DetailsReader | undefined => {
  const shape = shapeOf(exporter)
  if (shape.gauges.length === 0 && shape.others.length === 0) return undefined
  return {
    read: (servers, window, groupOf, only) => readDetails(exporter, scrapes, shape, { servers, window, groupOf, only })
  }
}

interface Shape {
  readonly gauges: ReadonlyArray<{
    readonly field: string
    readonly column: string
    readonly kind: "sum" | "nullable" | "earliest"
  }>
  readonly others: ReadonlyArray<{ readonly field: string; readonly place: number }>
  /** The gauge whose 0 says that what a row counted is gone. */
  readonly presence: string | undefined
  /** Where the ranked label is among the labels. */
  readonly per: number
  /** All labels, in the order of the table. */
  readonly labels: ReadonlyArray<string>
}

const shapeOf = (exporter: Exporter): Shape => {
  const labels = Object.entries(exporter.table.columns).flatMap(([name, { kind }]) => (kind === "label" ? [name] : []))
  return {
    gauges: answerFields(exporter).flatMap(({ column, field }) => {
      const declared = exporter.table.columns[column]!
      // Whether a group is there is told of windows that are gone as rows, too (`AnswerFields.ts`).
      if (declared.kind === "label" || column === exporter.top?.presence) return []
      return [{ field, column, kind: isMoment(declared) ? "earliest" : declared.nullable ? "nullable" : "sum" }]
    }),
    others: otherLabels(exporter).map(({ field, label }) => ({ field, place: labels.indexOf(label) })),
    presence: exporter.top?.presence,
    per: labels.indexOf(exporter.top?.per ?? ""),
    labels
  }
}

const readDetails = Effect.fnUntraced(function* (
  exporter: Exporter,
  scrapes: Scrapes["Service"],
  shape: Shape,
  asked: {
    readonly servers: ReadonlyArray<number>
    readonly window: Window
    readonly groupOf: (id: number) => number
    readonly only: RowFilter | undefined
  }
) {
  const { from, to } = asked.window
  const columns = [
    ...shape.gauges.map(({ column }) => column),
    ...(shape.presence === undefined ? [] : [shape.presence])
  ]
  const found = yield* scrapes.latest(exporter.name, asked.servers, 1, from, to, columns)
  const latest = new Map(
    [...found].flatMap(([server, own]) => (own[0] === undefined ? [] : [[server, own[0]] as const]))
  )
  const ids = new Set(
    [...latest.values()].flatMap(({ labels }) => shape.others.flatMap(({ place }) => [...labels[place]!]))
  )
  const names = yield* scrapes.names([...ids])
  return (server: number): Details => {
    const scrape = latest.get(server)
    return scrape === undefined ? () => unseen(shape) : ofScrape(shape, scrape, names, asked)
  }
})

const ofScrape = (
  shape: Shape,
  scrape: Scrape,
  names: ReadonlyMap<number, string>,
  { groupOf, only }: { readonly groupOf: (id: number) => number; readonly only: RowFilter | undefined }
): Details => {
  const filter = only === undefined ? undefined : scrape.labels[shape.labels.indexOf(only.label)]!
  const rowsOf = new Map<number, Array<number>>()
  for (let row = 0; row < rowsIn(scrape); row++) {
    if (filter !== undefined && filter[row] !== only!.id) continue
    const group = groupOf(scrape.labels[shape.per]![row]!)
    const rows = rowsOf.get(group)
    if (rows === undefined) rowsOf.set(group, [row])
    else rows.push(row)
  }
  return (group) => {
    return detailsOf(shape, scrape, rowsOf.get(group) ?? [], names)
  }
}

/** Of a window whose rows are gone nothing is known. */
const unseen = ({ gauges, others }: Shape): Fields =>
  Object.fromEntries([
    ...gauges.map(({ field }) => [field, null]),
    ...others.flatMap(({ field }) => [
      [field, null],
      [`${field}_total`, null]
    ])
  ])

/** The fields of one group, of its rows in the scrape. One that is not in it has 0 of what every row tells, as of any level. */
const detailsOf = (
  { gauges, others, presence }: Shape,
  scrape: Scrape,
  rows: ReadonlyArray<number>,
  names: ReadonlyMap<number, string>
): Fields => {
  const fields: Record<string, RankedRow[string]> = {}
  const counts = presence === undefined ? undefined : scrape.values[gauges.length]!
  for (const [n, { field, kind }] of gauges.entries()) {
    const values = scrape.values[n]!
    const known = rows.filter((row) => !Number.isNaN(values[row]!))
    // What is gone has nothing to tell. Of what is there and does not tell, such as a unit whose files cannot be read, the rest
    // is a part that would pass for the whole.
    const isPart = kind !== "earliest" && rows.some((row) => Number.isNaN(values[row]!) && counts?.[row] !== 0)
    if (isPart || known.length === 0) fields[field] = kind === "sum" && !isPart ? 0 : null
    else
      fields[field] = known.map((row) => values[row]!).reduce((a, b) => (kind === "earliest" ? Math.min(a, b) : a + b))
  }
  for (const { field, place } of others) {
    const values = new Set(rows.map((row) => names.get(scrape.labels[place]![row]!) ?? ""))
    values.delete("")
    fields[field] = [...values].sort(compareBytes).slice(0, VALUES_MAX)
    fields[`${field}_total`] = values.size
  }
  return fields
}
