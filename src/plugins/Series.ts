/**
 * Which samples are one series: those with the same name and the same labels.
 *
 * Labels are a set. Their order does not matter, and a label with an empty value is as good as none, as in Prometheus.
 * A series that a scrape holds twice is the same measurement, told twice: the first counts. Series of one thing under
 * different labels (`job`, `instance`, `user` of a federation or a fork) are different measurements: a plugin sums them.
 *
 * Linear in the samples, but for the sorting of a sample's labels.
 */
import type { Skipped } from "./Exporter.ts"
import type { Sample } from "./Exposition.ts"

/** A text that two label sets share where they are the same set, and only there. */
export const seriesOf = (labels: Sample["labels"], except?: string): string => {
  let text = ""
  for (const name of Object.keys(labels).sort()) {
    const value = labels[name]!
    // Lengths, since names and values may hold any character.
    if (value !== "" && name !== except) text += `${name.length}:${name}${value.length}:${value}`
  }
  return text
}

/** The samples of each name, in order, each series once; `skipped` names those that are repeated. */
export const distinctSeries = (
  samples: ReadonlyArray<Sample>
): { readonly byName: ReadonlyMap<string, ReadonlyArray<Sample>>; readonly skipped: ReadonlyArray<Skipped> } => {
  const byName = new Map<string, Array<Sample>>()
  const seen = new Set<string>()
  const skipped: Array<Skipped> = []
  for (const sample of samples) {
    const series = `${sample.name.length}:${sample.name}${seriesOf(sample.labels)}`
    if (seen.has(series)) {
      skipped.push({ reason: `${described(sample)} is there more than once; the first counts` })
      continue
    }
    seen.add(series)
    const group = byName.get(sample.name)
    if (group === undefined) byName.set(sample.name, [sample])
    else group.push(sample)
  }
  return { byName, skipped }
}

const described = ({ labels, name }: Sample): string => {
  const set = Object.entries(labels).map(
    ([label, value]) => `${label.slice(0, 40)}=${JSON.stringify(value.slice(0, 40))}`
  )
  return `${name.slice(0, 120)}{${set.slice(0, 6).join(",")}${set.length > 6 ? ",…" : ""}}`
}

/**
 * When counters began, in epoch milliseconds, of the samples of a metric that says so in epoch seconds. Null where it is
 * not known: no sample, two that disagree, no positive number, or a time after the scrape.
 */
export const beginning = (samples: ReadonlyArray<Sample> = [], scrapedAt: Date): number | null => {
  const seconds = samples[0]?.value
  if (seconds === undefined || !(seconds > 0) || samples.some(({ value }) => value !== seconds)) return null
  const millis = seconds * 1_000
  return millis <= scrapedAt.getTime() + CLOCK_TOLERANCE_MILLIS ? millis : null
}

/** Scrape and beginning are told by two clocks where an exporter is on another machine, or read one at two moments. */
const CLOCK_TOLERANCE_MILLIS = 60_000
