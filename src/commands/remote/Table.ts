/**
 * Tables and figures of `nodepulse top` and `diff`. Pure.
 *
 * Numbers stand right-aligned; the name comes last and is never padded, so that it is the one that is cut where the terminal is
 * narrow, and whole in a pipe.
 */
import { CliOutput } from "effect/cli"
import { printable } from "../../protocol/PrintableText.ts"
import type { Emphasis, Piece } from "../Terminal.ts"

export interface Cell {
  readonly text: string
  readonly emphasis?: Emphasis | undefined
}

/** The last cell is the name. */
export type Row = ReadonlyArray<Cell>

const GAP = "  "

/** The lines of a table, each at most so many columns wide where the name can be cut to it. */
export const table = (head: ReadonlyArray<string>, rows: ReadonlyArray<Row>, columns: number): Array<Array<Piece>> => {
  const all: ReadonlyArray<Row> = [head.map((text) => ({ text, emphasis: "faint" as const })), ...rows]
  const last = head.length - 1
  const widths = head.slice(0, last).map((_, n) => Math.max(...all.map((row) => widthOf(row[n]!.text))))
  const left = widths.reduce((sum, width) => sum + width + GAP.length, 0)
  return all.map((row) =>
    row.flatMap((cell, n): Array<Piece> => {
      const text =
        n === last
          ? cutTo(cell.text, columns - left)
          : `${" ".repeat(widths[n]! - widthOf(cell.text))}${cell.text}${GAP}`
      return [cell.emphasis === undefined ? { text } : { text, emphasis: cell.emphasis }]
    })
  )
}

/** As a terminal shows it: what is made printable first is wider than it was. */
const widthOf = (text: string): number => CliOutput.displayWidth(printable(text))

/** At most so many cells wide, cut between graphemes. */
const cutTo = (text: string, columns: number): string => {
  const shown = printable(text)
  if (columns >= CliOutput.displayWidth(shown)) return shown
  let cut = ""
  let width = 1
  for (const { segment } of new Intl.Segmenter().segment(shown)) {
    width += CliOutput.displayWidth(segment)
    if (width > Math.max(1, columns)) break
    cut += segment
  }
  return `${cut}…`
}

// -- figures

export const NONE = "–"

/** A value in the unit that the catalog names. */
export const figure = (value: unknown, unit: string): string => {
  if (typeof value !== "number") return NONE
  if (unit === "percent") return value.toFixed(1)
  if (unit === "mb" || unit === "mb_per_second") return megabytes(value)
  return Number.isInteger(value) ? String(value) : Math.abs(value) >= 100 ? value.toFixed(0) : value.toPrecision(3)
}

/** The same with its sign. */
export const signed = (value: number, unit: string): string => {
  const shown = figure(Math.abs(value), unit)
  return value < 0 ? `-${shown}` : `+${shown}`
}

/** Mebibytes, with the letter that `top` and `ps` give them. */
const megabytes = (value: number): string => {
  const size = Math.abs(value)
  if (size >= 1024 * 1024) return `${(value / 1024 / 1024).toFixed(1)}T`
  if (size >= 1024) return `${(value / 1024).toFixed(1)}G`
  return size >= 10 ? `${value.toFixed(0)}M` : `${value.toFixed(1)}M`
}

/** What stands over a column: the ranking's key with its unit. */
export const heading = (key: string, unit: string): string => {
  const units: Readonly<Record<string, string>> = { percent: "%", per_second: "/S", mb_per_second: "/S" }
  return `${key.replaceAll("_", " ").toUpperCase()}${units[unit] ?? ""}`
}

/** Whole percent of a part of 1; one digit where it is not whole and little is missing. */
export const share = (part: number): string => `${Number((100 * part).toFixed(part > 0.99 && part < 1 ? 1 : 0))} %`

// -- times

const two = (value: number): string => String(value).padStart(2, "0")

/** A moment in local time: of today without its day. */
export const moment = (iso: string, nowMillis: number): string => {
  const at = new Date(iso)
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`
  const today = new Date(nowMillis)
  const isToday = at.toDateString() === today.toDateString()
  const seconds = at.getSeconds() === 0 ? "" : `:${two(at.getSeconds())}`
  return `${isToday ? "" : `${day} `}${two(at.getHours())}:${two(at.getMinutes())}${seconds}`
}

/** From a moment to another. */
export const span = ({ from, to }: { readonly from: string; readonly to: string }, nowMillis: number): string =>
  `${moment(from, nowMillis)} to ${moment(to, nowMillis)}`

/** How long something lasted. */
export const duration = (seconds: number): string =>
  seconds < 120
    ? `${Math.round(seconds)} s`
    : seconds < 7_200
      ? `${Math.round(seconds / 60)} min`
      : `${Math.round(seconds / 360) / 10} h`
