/**
 * What follows from the answers to a rule, one after the other: when it fires, and when it is over. Pure.
 *
 * ```
 *             holds                    held for `for`
 *  inactive ────────▶ pending ─────────────────────────▶ firing
 *     ▲                  │ does not hold                    │ did not hold for `keepFiringFor`
 *     └──────────────────┴──────────────────────────────────┘
 * ```
 *
 * Guarantee: the state depends on the answers and their moments only, so the past can be lived through again. Where nobody
 * knows, a rule neither fires nor resolves: both runs begin anew, and what fires goes on. That a quiet rule is not known is told
 * of the server (`ServerWatch.ts`): nobody knows of which groups it would be.
 */
import type { Rule } from "./Rule.ts"

/** Epoch milliseconds everywhere. */
export type AlertState =
  | { readonly is: "inactive" }
  | { readonly is: "pending"; readonly since: number }
  /** `since`: when it fired; `clear`: since when it does not hold any more. */
  | { readonly is: "firing"; readonly since: number; readonly clear: number | undefined }
  /** Not known; `firing` is since when it fires. */
  | { readonly is: "unknown"; readonly firing: number | undefined }

/** Whether a rule holds at a moment; undefined where nobody knows. */
export type Verdict = boolean | undefined

export const INACTIVE: AlertState = { is: "inactive" }

/** Since when an alert fires, seen or not; undefined where it does not. */
export const firesSince = (state: AlertState): number | undefined =>
  state.is === "firing" ? state.since : state.is === "unknown" ? state.firing : undefined

/** The state after another answer. */
export const step = (
  state: AlertState,
  verdict: Verdict,
  at: number,
  rule: Pick<Rule, "for" | "keepFiringFor">
): AlertState => {
  const since = firesSince(state)
  if (verdict === undefined) return state.is === "inactive" ? state : { is: "unknown", firing: since }
  if (since !== undefined) {
    if (verdict) return { is: "firing", since, clear: undefined }
    const clear = state.is === "firing" ? (state.clear ?? at) : at
    return at - clear >= rule.keepFiringFor ? INACTIVE : { is: "firing", since, clear }
  }
  if (!verdict) return INACTIVE
  const held = state.is === "pending" ? state.since : at
  return at - held >= rule.for ? { is: "firing", since: at, clear: undefined } : { is: "pending", since: held }
}
