/** Colours that stay: a name keeps its colour as long as it is shown, whatever its place in the ranking. */
import { useRef } from "react"
import { SLOTS } from "./Theme.ts"

export const useSlots = (names: ReadonlyArray<string>): ReadonlyMap<string, number> => {
  const kept = useRef(new Map<string, number>())
  const here = new Set(names)
  const taken = new Set(names.flatMap((name) => kept.current.get(name) ?? []))
  for (const name of names) {
    if (kept.current.has(name)) continue
    const free = Array.from({ length: SLOTS }, (_, n) => n).find((n) => !taken.has(n)) ?? kept.current.size % SLOTS
    kept.current.set(name, free)
    taken.add(free)
  }
  for (const name of kept.current.keys()) if (kept.current.size > 40 && !here.has(name)) kept.current.delete(name)
  return kept.current
}
