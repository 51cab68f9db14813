/** How wide the page is, where that is more than a look. The style sheet has the same bounds. */
import { useSyncExternalStore } from "react"

const watch = (media: string) => {
  const query = window.matchMedia(media)
  const subscribe = (listener: () => void) => {
    query.addEventListener("change", listener)
    return () => query.removeEventListener("change", listener)
  }
  return () => useSyncExternalStore(subscribe, () => query.matches)
}

/** As narrow as a phone: tables become lists of cards there. */
export const useNarrow = watch("(max-width: 720px)")
/** Chart and table stand side by side, and the table is the chart's legend. */
export const useSideBySide = watch("(min-width: 1280px)")

const onResize = (listener: () => void) => {
  window.addEventListener("resize", listener)
  return () => window.removeEventListener("resize", listener)
}
/** How high the main chart is: side by side with its table as high as the window allows, in steps. */
export const useChartHeight = (sideBySide: boolean): number => {
  const room = useSyncExternalStore(onResize, () => Math.round((window.innerHeight - 330) / 20) * 20)
  return sideBySide ? Math.max(300, Math.min(640, room)) : 280
}
