/** What was just done, said for a moment. What was said last is seen for all of it, however short before something else was said. */
import { useCallback, useEffect, useRef, useState } from "react"

const SEEN_MILLIS = 2_500

/** The words, empty where there are none now, and what says new ones. */
export const useSaid = (): readonly [said: string, tell: (words: string) => void] => {
  const [said, setSaid] = useState("")
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined)
  useEffect(() => () => clearTimeout(timer.current), [])
  const tell = useCallback((words: string) => {
    clearTimeout(timer.current)
    setSaid(words)
    timer.current = setTimeout(() => setSaid(""), SEEN_MILLIS)
  }, [])
  return [said, tell]
}
