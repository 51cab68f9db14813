/** How many alerts fire, beside the word in the navigation: nothing where none does. */
import { useAsk } from "../ask/Refresh.tsx"
import { severest } from "./AlertWords.ts"

/** Of more it says "9+". */
const COUNTED_MAX = 10

export const FiringBadge = () => {
  const asked = useAsk("alerts.list", { state: "firing", limit: COUNTED_MAX }, { aside: true, everyBeats: 2 })
  const firing = asked.value?.alerts ?? []
  if (firing.length === 0) return null
  const count = firing.length < COUNTED_MAX ? String(firing.length) : `${COUNTED_MAX - 1}+`
  return (
    <span className={`fires ${severest(firing) ?? "info"}`}>
      {count}
      <span className="visually-hidden"> firing</span>
    </span>
  )
}
