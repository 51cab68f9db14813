/** Whether the page is as narrow as a phone: tables become lists of cards there. The style sheet has the same bound. */
import { useSyncExternalStore } from "react"

const query = window.matchMedia("(max-width: 720px)")
const subscribe = (listener: () => void) => {
  query.addEventListener("change", listener)
  return () => query.removeEventListener("change", listener)
}
export const useNarrow = (): boolean => useSyncExternalStore(subscribe, () => query.matches)
