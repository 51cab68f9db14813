/**
 * How many recordings an agent makes, whatever it is asked for: of each reason one in {@link REST_MILLIS}, and {@link PER_DAY} in any 24
 * hours. Pure. It is the agent's own bound: a server cannot raise it.
 */
import { REASONS, type RecordingReason } from "../../src/protocol/Recording.ts"

export const REST_MILLIS = 60_000
export const PER_DAY = 20
const DAY_MILLIS = 86_400_000

export class RecordingQuota {
  readonly #made = new Map<RecordingReason, Array<number>>(REASONS.map((reason) => [reason, []]))

  /** Takes one at `boot` (milliseconds since boot); false where there is none left. */
  take(reason: RecordingReason, boot: number): boolean {
    const made = this.#made.get(reason)!
    while (made.length > 0 && boot - made[0]! >= DAY_MILLIS) made.shift()
    const last = made.at(-1)
    if (made.length >= PER_DAY || (last !== undefined && boot - last < REST_MILLIS)) return false
    made.push(boot)
    return true
  }
}
