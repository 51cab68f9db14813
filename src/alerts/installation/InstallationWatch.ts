/** A rule about the installation, asked at one moment after the other by the same machine as all rules (`AlertState.ts`). Pure. */
import { type AlertState, firesSince, step } from "../AlertState.ts"
import { EVERY_MILLIS, type Rule } from "../Rule.ts"
import { holds } from "../ServerWatch.ts"

/** What a rule's answers lead to over the moments in (from, to], epoch milliseconds. */
export const liveThroughValues = (
  rule: Rule,
  before: AlertState,
  { from, to }: { readonly from: number; readonly to: number },
  valueAt: (at: number) => number | undefined
) => {
  const turns: Array<{ readonly at: number; readonly to: "firing" | "resolved"; readonly value: number | null }> = []
  let state = before
  for (let at = (Math.floor(from / EVERY_MILLIS) + 1) * EVERY_MILLIS; at <= to; at += EVERY_MILLIS) {
    const since = firesSince(state)
    const value = valueAt(at)
    state = step(state, value === undefined ? undefined : holds(rule.condition, value, since !== undefined), at, rule)
    const is = firesSince(state)
    if (is !== since) turns.push({ at, to: is === undefined ? "resolved" : "firing", value: value ?? null })
  }
  return { state, turns }
}

/** How many letters there were in the time before a moment; `letters` are moments in order, epoch milliseconds. */
export const countUntil = (letters: ReadonlyArray<number>, at: number, over: number): number =>
  placeAfter(letters, at) - placeAfter(letters, at - over)

/** How many are not later than a moment. */
const placeAfter = (letters: ReadonlyArray<number>, at: number): number => {
  let [low, high] = [0, letters.length]
  while (low < high) {
    const middle = (low + high) >>> 1
    if (letters[middle]! <= at) low = middle + 1
    else high = middle
  }
  return low
}
