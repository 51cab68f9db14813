/**
 * How many reads of one reader are under way: so many at a time, others of it wait their turn, and beyond that are told to come
 * back. One reader with many questions then takes neither the database's connections nor the time of the others.
 *
 * Bound: by reader, and nobody is remembered who asks nothing.
 */
import { Effect, Semaphore } from "effect"

export interface Reads {
  /** Answers in its turn; `tooMany` instead where too many wait already. */
  readonly inTurn: <A, E, R>(
    reader: string,
    answer: Effect.Effect<A, E, R>,
    tooMany: Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E, R>
}

export const makeReads = (atOnceMax: number, waitingMax: number): Reads => {
  const readers = new Map<string, { readonly turns: Semaphore.Semaphore; asked: number }>()
  return {
    inTurn: (reader, answer, tooMany) =>
      Effect.suspend(() => {
        const known = readers.get(reader) ?? { turns: Semaphore.makeUnsafe(atOnceMax), asked: 0 }
        if (known.asked >= atOnceMax + waitingMax) return tooMany
        known.asked++
        readers.set(reader, known)
        return Effect.ensuring(
          known.turns.withPermit(answer),
          Effect.sync(() => {
            if (--known.asked === 0) readers.delete(reader)
          })
        )
      })
  }
}
