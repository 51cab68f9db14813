/**
 * From a body to an exporter's rows: the parser, then the plugin. What both left out is one list of notes; where nothing
 * came of the body at all, the reason names its cause as far as the body tells it.
 *
 * Pure and total. Notes and reasons quote the body: whoever shows them makes them printable.
 */
import { Result } from "effect"
import type { Columns, Row } from "./Column.ts"
import type { Exporter, ParsedScrape, Skipped } from "./Exporter.ts"
import { type Exposition, type ExpositionOptions, parseExposition } from "./Exposition.ts"
import type { ExpositionFormat, Sample } from "./ExpositionSample.ts"

export interface Reading {
  readonly rows: ParsedScrape<Row<Columns>>["rows"]
  readonly countersSince: number | null
  /** What was left out and why, lines of the body first. Fewer than `skippedCount` where a list reached its bound. */
  readonly skipped: ReadonlyArray<Skipped>
  readonly skippedCount: number
}

/** Reads a body as the exporter's. A failure is the reason, without the exporter's name. */
export const readBody = (
  exporter: Exporter,
  body: string | Uint8Array,
  format: ExpositionFormat,
  scrapedAt: Date,
  bounds: Pick<ExpositionOptions, "lineBytes" | "labelBytes"> = {}
): Result.Result<Reading, string> => {
  const { families } = exporter.scrape
  const exposition = parseExposition(body, { ...bounds, format, ...(families === undefined ? {} : { families }) })
  if (Result.isFailure(exposition)) return Result.fail(exposition.failure.message)
  const parsed = exporter.parse(exposition.success.samples, scrapedAt)
  if (Result.isFailure(parsed)) {
    return Result.fail(`${parsed.failure.reason}${causeIn(exposition.success, body, format)}`)
  }
  const { notes = [], skipped, skippedCount } = exposition.success
  const { countersSince, rows } = parsed.success
  const lines = [...skipped, ...notes].sort((one, other) => one.line - other.line)
  return Result.succeed({
    rows,
    countersSince,
    skipped: [...lines, ...parsed.success.skipped],
    skippedCount: skippedCount + notes.length + parsed.success.skipped.length
  })
}

/** Reads samples that need no parser: of a text, those that {@link readBody} gets from it without a note. */
export const readSamples = (
  exporter: Exporter,
  samples: ReadonlyArray<Sample>,
  scrapedAt: Date
): Result.Result<Reading, string> => {
  const parsed = exporter.parse(samples, scrapedAt)
  if (Result.isFailure(parsed)) return Result.fail(parsed.failure.reason)
  return Result.succeed({ ...parsed.success, skippedCount: parsed.success.skipped.length })
}

/** Why a plugin found nothing of its own: lines that could not be read, or another program's metrics. */
const causeIn = ({ skipped }: Exposition, body: string | Uint8Array, format: ExpositionFormat): string => {
  const first = skipped[0]
  if (first !== undefined) return `; line ${first.line} of what it serves: ${first.reason}`
  const all = parseExposition(body, { format })
  const samples = Result.isSuccess(all) ? all.success.samples : []
  if (samples.length === 0) return "; there is no metric at all in what it serves"
  const counts = new Map<string, number>()
  for (const { name } of samples) {
    const prefix = /^[^_:.]+[_:.]?/.exec(name)?.[0] ?? name
    if (!EVERYBODYS.has(prefix)) counts.set(prefix, (counts.get(prefix) ?? 0) + 1)
  }
  const [leading] = [...counts].sort(([a, one], [b, other]) => other - one || (a < b ? -1 : 1))
  if (leading === undefined) return "; there is nothing but metrics of the program itself in what it serves"
  return `; what it serves are metrics ${leading[0]}…: is that another exporter's port?`
}

/** What any exporter says of itself and of its language. */
const EVERYBODYS: ReadonlySet<string> = new Set(["go_", "process_", "promhttp_", "python_", "jvm_", "scrape_", "up"])
