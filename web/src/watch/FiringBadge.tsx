/** How many alerts fire, beside the word in the navigation: nothing where none does. */
import { useAsk } from "../ask/Refresh.tsx"
import { fires, severest } from "./AlertWords.ts"

/** Those that fire come first in the answer: of more than that it says "9+". */
const COUNTED_MAX = 10

export const FiringBadge = () => {
  const asked = useAsk("alerts.list", { limit: COUNTED_MAX }, { aside: true, everyBeats: 2 })
  const firing = asked.value?.alerts.filter(fires) ?? []
  if (firing.length === 0) return null
  const count = firing.length < COUNTED_MAX ? String(firing.length) : `${COUNTED_MAX - 1}+`
  return (
    <span className={`fires ${severest(firing) ?? "info"}`}>
      {count}
      <span className="visually-hidden"> firing</span>
    </span>
  )
}
