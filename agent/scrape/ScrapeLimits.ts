/**
 * How much one scrape may be: the one table of its limits, their settings in `nodepulse.yml` and their defaults.
 *
 * With all of them at their defaults the agent stays below its unit's memory, whatever an exporter serves
 * (`packaging/systemd/nodepulse-agent.service`; `test/security/agent-scrape.test.ts`).
 *
 * | setting | limits | beyond it |
 * |---|---|---|
 * | `body_limit` | bytes of the body, unpacked | the scrape is refused |
 * | `series_limit` | lines of the body that are no comment | the scrape is refused |
 * | `line_limit` | bytes of one line | the line is left out, and counted |
 * | `label_limit` | bytes of one label's value | the line is left out, and counted |
 */
import type { Family } from "../collector/ExpositionText.ts"

const KIBI = 1024
const MEBI = KIBI * KIBI

export interface ScrapeLimits {
  readonly body: number
  readonly series: number
  readonly line: number
  readonly label: number
}

/** Some three times what a machine with 1 000 process groups serves: 12 500 groups in the fewest words. */
export const SCRAPE_LIMITS: ScrapeLimits = { body: 4 * MEBI, series: 50_000, line: 16 * KIBI, label: 4 * KIBI }

/** What each may be set to. */
export const SCRAPE_LIMITS_RANGE = {
  body: [64 * KIBI, 64 * MEBI],
  series: [1_000, 1_000_000],
  line: [256, 64 * KIBI],
  label: [64, 16 * KIBI]
} as const

const LF = 10
const HASH = 35

/** Whether the body has more series than that. Stops as soon as it knows. */
export const hasMoreSeries = (body: string | Uint8Array, limit: number): boolean => {
  const [feed, comment] = typeof body === "string" ? ["\n", "#"] : [LF, HASH]
  let series = 0
  for (let at = 0; at < body.length; series++) {
    while (body[at] === comment) {
      const end = body.indexOf(feed as never, at)
      if (end === -1) return false
      at = end + 1
    }
    if (at >= body.length) return false
    if (series === limit) return true
    const end = body.indexOf(feed as never, at)
    at = end === -1 ? body.length : end + 1
  }
  return false
}

/**
 * Whether families are surely within the limits, were they text. Of a character, 3 bytes are counted: none takes more in UTF-8, nor
 * escaped.
 */
export const isSmall = (families: ReadonlyArray<Family>, limits: Omit<ScrapeLimits, "body">): boolean => {
  const most = (Math.min(limits.label, limits.line) - LINE_REST_BYTES) / BYTES_A_CHARACTER
  let series = 0
  for (const { name, samples } of families) {
    series += samples.length
    for (const { labels } of samples) {
      let length = name.length
      for (const label in labels) length += label.length + labels[label]!.length
      if (length > most) return false
    }
  }
  return series <= limits.series
}

const BYTES_A_CHARACTER = 3
/** A value and the marks around a handful of labels. */
const LINE_REST_BYTES = 64
