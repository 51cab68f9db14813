/**
 * How much each of many may take in a time: what is not used adds up to `most`, and comes back at `perSecond`.
 *
 * Bound: {@link KEYS_MAX} of them are remembered. Those with a full allowance need not be; where too many are short of theirs,
 * all begin anew.
 */
export interface Allowance {
  /** Takes `amount` for `key`, or says how many seconds it has to wait. `now` is monotonic, in milliseconds. */
  readonly take: (key: string, amount: number, now: number) => number | undefined
}

export const KEYS_MAX = 20_000

export const makeAllowance = (most: number, perSecond: number): Allowance => {
  const taken = new Map<string, { amount: number; at: number }>()
  const still = ({ amount, at }: { readonly amount: number; readonly at: number }, now: number) =>
    Math.max(0, amount - ((now - at) / 1_000) * perSecond)
  const forget = (now: number) => {
    for (const [key, one] of taken) if (still(one, now) === 0) taken.delete(key)
    if (taken.size >= KEYS_MAX) taken.clear()
  }
  return {
    take: (key, amount, now) => {
      const known = taken.get(key)
      const before = known === undefined ? 0 : still(known, now)
      const excess = before + amount - most
      if (excess > 0) return excess / perSecond
      if (known !== undefined) {
        known.amount = before + amount
        known.at = now
      } else {
        if (taken.size >= KEYS_MAX) forget(now)
        taken.set(key, { amount, at: now })
      }
      return undefined
    }
  }
}
