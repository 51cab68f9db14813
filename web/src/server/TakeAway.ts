/**
 * What is shown, to be taken elsewhere: a table as Markdown or CSV. Pure.
 *
 * Names come from outside: in Markdown they are code or escaped, in CSV none of them is taken for a formula.
 */
import { legible } from "../parts/Legible.ts"

export interface Sheet {
  /** What the table is of: "web-1 · 14:00 – 15:00 · coverage 100 %". */
  readonly title: string
  readonly address: string
  readonly name: string
  /** Each column as a person reads it, and as the API calls it. */
  readonly columns: ReadonlyArray<{ readonly head: string; readonly field: string }>
  readonly rows: ReadonlyArray<SheetRow>
  /** The rows that make the sum whole, such as the total. */
  readonly rest: ReadonlyArray<SheetRow>
}

interface SheetRow {
  readonly name: string
  /** As it is shown, column by column. */
  readonly shown: ReadonlyArray<string>
  /** The values themselves, in the units of the API. */
  readonly values: ReadonlyArray<string | number | null | undefined>
}

/** A text in Markdown: itself, whatever is in it. */
export const escaped = (text: string): string => text.replace(/[\\`*_{}[\]<>|#~]/g, "\\$&")

/** A table for an issue, a chat or a post-mortem: as it is shown, with its title and the address that shows it again. */
export const markdownOf = ({ address, columns, name, rest, rows, title }: Sheet): string => {
  const line = (parts: ReadonlyArray<string>) => `| ${parts.join(" | ")} |`
  return [
    `**${escaped(title)}** · <${address}>`,
    "",
    line([name, ...columns.map(({ head }) => head)]),
    line(["---", ...columns.map(() => "---:")]),
    ...rows.map((row) => line([escaped(legible(row.name)), ...row.shown])),
    ...rest.map((row) => line([`*${row.name}*`, ...row.shown])),
    ""
  ].join("\n")
}

/** A text as a field of CSV (RFC 4180). What a spreadsheet would take for a formula is a text there, too. */
export const quoted = (text: string): string => {
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe
}

/** The numbers themselves, in the units of the API, under the names of its fields. */
export const csvOf = ({ columns, name, rest, rows }: Sheet): string =>
  [
    [quoted(name), ...columns.map(({ field }) => quoted(field))],
    ...[...rows, ...rest].map((row) => [quoted(row.name), ...row.values.map((value) => String(value ?? ""))])
  ]
    .map((fields) => `${fields.join(",")}\r\n`)
    .join("")
