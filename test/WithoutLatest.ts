/** An answer without what the latest scrape alone tells of a group: where its rows were dropped, nobody knows that any more. */
import { answerFields, otherLabels } from "../src/plugins/Catalog.ts"
import type { Exporter } from "../src/plugins/Exporter.ts"
import type { RankedRow } from "../src/query/Rankings.ts"

export const withoutLatest = <A extends { readonly rows: ReadonlyArray<RankedRow> }>(exporter: Exporter, answer: A) => {
  const fields = new Set([
    ...otherLabels(exporter).flatMap(({ field }) => [field, `${field}_total`]),
    ...answerFields(exporter).flatMap(({ column, field }) => (column === exporter.top?.presence ? [] : [field]))
  ])
  const rows = answer.rows.map((row) => Object.fromEntries(Object.entries(row).filter(([field]) => !fields.has(field))))
  return { ...answer, rows }
}
