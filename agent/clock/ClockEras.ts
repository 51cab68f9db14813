/**
 * Which time a record was really taken at, where the wall clock was wrong or was set. Pure.
 *
 * An *era* is a stretch of records between two steps of the clock: within it the difference between wall clock and boot clock
 * (`offset`) stays the same. What the answer of the server tells of the clock now (`skew`) holds for every era of this boot,
 * by the difference of their offsets. An era of an earlier boot keeps what was last known of it.
 *
 * A record is corrected only if the server has refused one of its era for its time, and always by the same amount from then
 * on: a record that is sent twice has to have one time. Bound: `ERAS_MAX` eras; the oldest are forgotten.
 */

/** Times in milliseconds. */
export interface Era {
  /** The last record's id; null: the era that goes on. */
  readonly untilId: number | null
  readonly boot: string
  /** Wall clock less boot clock. */
  readonly offset: number
  /** How far the wall clock is ahead of the server's; null: not known. */
  readonly skew: number | null
  /** What is added to the times of its records; null: nothing was refused. */
  readonly correction: number | null
}

/** Never empty: the last is the present. */
export type Eras = readonly [...ReadonlyArray<Era>, Era]

/** A clock that is disciplined is moved by milliseconds; reading both clocks takes some as well. */
const STEP_MILLIS = 1_000
/** A smaller skew is no reason for a refusal. */
const CORRECTED_FROM_MILLIS = 30_000
const ERAS_MAX = 32

const present = (boot: string, offset: number): Era => ({
  untilId: null,
  boot,
  offset,
  skew: null,
  correction: null
})

/** The eras of a process that begins, after those of an earlier one: by how much the clock was set in between, if it was. */
export const resumed = (
  before: ReadonlyArray<Era>,
  boot: string,
  offset: number,
  lastId: number
): { readonly eras: Eras; readonly stepMillis: number } => {
  const last = before.at(-1)
  if (last === undefined) return { eras: [present(boot, offset)], stepMillis: 0 }
  const eras: Eras = [...before.slice(0, -1), { ...last, untilId: null }]
  if (last.boot === boot) return moved(eras, offset, lastId)
  return { eras: [...closed(eras, lastId), present(boot, offset)], stepMillis: 0 }
}

/** The eras after a look at the clocks: a new one where the wall clock was set. */
export const moved = (
  eras: Eras,
  offset: number,
  lastId: number
): { readonly eras: Eras; readonly stepMillis: number } => {
  const last = lastOf(eras)
  const stepMillis = offset - last.offset
  if (Math.abs(stepMillis) < STEP_MILLIS) {
    // Follows a clock that is slewed, so that small changes never add up to a step.
    return { eras: [...eras.slice(0, -1), { ...last, offset }], stepMillis: 0 }
  }
  const skew = last.skew === null ? null : last.skew + stepMillis
  return { eras: [...closed(eras, lastId), { ...present(last.boot, offset), skew }], stepMillis }
}

/** The eras once the server's answer has told how far the clock is ahead now. */
export const measured = (eras: Eras, skew: number): Eras => {
  const { boot, offset } = lastOf(eras)
  return mapped(eras, (era) => (era.boot === boot ? { ...era, skew: skew + (era.offset - offset) } : era))
}

/** The eras once the server has refused a record for its time. */
export const refused = (eras: Eras, id: number): Eras => {
  const wrong = eraOf(eras, id)
  return mapped(eras, (era) => {
    if (era !== wrong || era.skew === null || Math.abs(era.skew) < CORRECTED_FROM_MILLIS) return era
    const agrees = era.correction !== null && Math.abs(era.correction + era.skew) < CORRECTED_FROM_MILLIS
    return agrees ? era : { ...era, correction: -Math.round(era.skew) }
  })
}

/** What is added to the times of a record. */
export const correctionOf = (eras: Eras, id: number): number => eraOf(eras, id).correction ?? 0

const lastOf = (eras: Eras): Era => eras.at(-1)!

const eraOf = (eras: Eras, id: number): Era =>
  eras.find(({ untilId }) => untilId === null || id <= untilId) ?? lastOf(eras)

const closed = (eras: Eras, lastId: number): ReadonlyArray<Era> =>
  [...eras.slice(0, -1), { ...lastOf(eras), untilId: lastId }].slice(1 - ERAS_MAX)

const mapped = (eras: Eras, change: (era: Era) => Era): Eras => eras.map(change) as unknown as Eras
