/**
 * Colours that belong to names: a name has the same colour on every view, after every refresh, whatever its rank.
 *
 * A name's own colour follows from the name alone. Where two names of one view would have the same, the one that had it
 * first keeps it, and the other one takes the next that is free; it keeps that one too, as long as the page is open.
 * Bound: the colours of `KEPT_MAX` names are remembered.
 */

/** How many colours there are for things that are told apart by colour. */
export const SLOTS = 20

const KEPT_MAX = 2_000
const kept = new Map<string, number>()

/** FNV-1a over UTF-16 units. */
const hashOf = (name: string): number => {
  let hash = 0x811c9dc5
  for (let index = 0; index < name.length; index++) hash = Math.imul(hash ^ name.charCodeAt(index), 0x01000193)
  return hash >>> 0
}

/** The first free colour from the name's own one on; its own one where none is free. */
const freeFrom = (own: number, taken: ReadonlySet<number>): number => {
  for (let step = 0; step < SLOTS; step++) {
    const slot = (own + step) % SLOTS
    if (!taken.has(slot)) return slot
  }
  return own
}

/** A colour for each name of a view: those that are known keep theirs, unless another one of the view has it already. */
export const slotsOf = (names: ReadonlyArray<string>): ReadonlyMap<string, number> => {
  const slots = new Map<string, number>()
  const taken = new Set<number>()
  const give = (name: string, slot: number) => {
    slots.set(name, slot)
    taken.add(slot)
    if (kept.size >= KEPT_MAX) kept.clear()
    if (!kept.has(name)) kept.set(name, slot)
  }
  const inOrder = names.toSorted()
  for (const name of inOrder) {
    const slot = kept.get(name)
    if (slot !== undefined && !taken.has(slot)) give(name, slot)
  }
  for (const name of inOrder) if (!slots.has(name)) give(name, freeFrom(hashOf(name) % SLOTS, taken))
  return slots
}
