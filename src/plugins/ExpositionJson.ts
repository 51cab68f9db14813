/**
 * What `nodepulse exposition` prints: an exposition as JSON.
 *
 * JSON has no NaN and no infinities: such a value is the text `"NaN"`, `"+Inf"` or `"-Inf"`. Every other value is a number.
 */
import type { Exposition, Sample, SkippedLine } from "./Exposition.ts"

export interface ExpositionJson {
  readonly samples: ReadonlyArray<
    Omit<Sample, "value"> & {
      readonly value: number | "NaN" | "+Inf" | "-Inf"
    }
  >
  readonly skipped: ReadonlyArray<SkippedLine>
  /** Lines whose sample was kept without its timestamp or exemplar, where there are any. */
  readonly notes?: ReadonlyArray<SkippedLine>
  /** How many lines were skipped, where they are more than `skipped` names. */
  readonly skipped_count?: number
}

/** A value for `JSON.stringify`. */
export const expositionToJson = (exposition: Exposition): ExpositionJson => {
  const samples = exposition.samples.map((sample) => ({ ...sample, value: jsonValue(sample.value) }))
  const { notes, skipped, skippedCount } = exposition
  return {
    samples,
    skipped,
    ...(notes === undefined ? {} : { notes }),
    ...(skippedCount > skipped.length ? { skipped_count: skippedCount } : {})
  }
}

const jsonValue = (value: number): number | "NaN" | "+Inf" | "-Inf" => {
  if (Number.isFinite(value)) return value
  if (Number.isNaN(value)) return "NaN"
  return value > 0 ? "+Inf" : "-Inf"
}
