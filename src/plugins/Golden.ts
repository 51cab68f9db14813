/**
 * What a golden file (`fixtures/<case>/expected.json`) holds of a parsed scrape: the rows as on the wire without their
 * times, what was skipped and why, and since when the counters count; or the reason of the `ParseError`.
 */
import { Result } from "effect"
import type { Exporter } from "./Exporter.ts"
import { formatTimestamp } from "./Timestamp.ts"
import { makeWire } from "./Wire.ts"

export const golden = (
  exporter: Exporter,
  parsed: ReturnType<Exporter["parse"]>
): Readonly<Record<string, unknown>> => {
  if (Result.isFailure(parsed)) return { skipped: [], counters_since: null, error: parsed.failure.reason }
  const { countersSince, rows, skipped } = parsed.success
  const wire = makeWire(exporter)
  return {
    rows: rows.map(wire.encodeFields),
    skipped,
    counters_since: countersSince === null ? null : formatTimestamp(Math.round(countersSince * 1_000))
  }
}
