/**
 * A map of texts that forgets what was not used lately, so that it stays below its bound whatever it is fed.
 *
 * Two generations: entries are looked up in both and move to the young one; when that holds half the bound, the old one
 * is forgotten. A look-up costs one or two `Map.get`; what was used within the last half bound of additions is there.
 *
 * The bound counts characters and a fixed cost per entry, since names can be 16 kB long.
 */
export interface RecentMap<V> {
  readonly get: (key: string) => V | undefined
  readonly set: (key: string, value: V) => void
  readonly size: () => number
}

/** What an entry costs beside its characters: both maps' slots and the string's header, roughly. */
const ENTRY_COST = 64

/** `costMax` in characters; an entry costs its key's length, what its value costs, and 64. */
export const makeRecentMap = <V>(costMax: number, costOf: (value: V) => number = () => 0): RecentMap<V> => {
  let young = new Map<string, V>()
  let old = new Map<string, V>()
  let cost = 0
  const set = (key: string, value: V) => {
    if (!young.has(key)) cost += key.length + costOf(value) + ENTRY_COST
    young.set(key, value)
    if (cost > costMax / 2) {
      old = young
      young = new Map()
      cost = 0
    }
  }
  return {
    get: (key) => {
      const value = young.get(key)
      if (value !== undefined) return value
      const older = old.get(key)
      if (older !== undefined) set(key, older)
      return older
    },
    set,
    size: () => young.size + old.size
  }
}
