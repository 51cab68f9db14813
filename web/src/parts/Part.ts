/** The part of a long list that is seen: asked for from the server, so that a thousand rows cost what fifty do. */
import { useCallback, useEffect, useState } from "react"

/** Rows are asked for in parts of this many, so that scrolling by one asks nothing new. */
const PART = 20
const PARTS_MAX = 100

interface Part {
  readonly offset: number
  readonly limit: number
}

/** Which part is to be asked for, and who is told which rows are in the page. */
export const usePart = (): { readonly part: Part; readonly onRange: (first: number, last: number) => void } => {
  const [part, setPart] = useState({ offset: 0, limit: 2 * PART })
  const onRange = useCallback((first: number, last: number) => {
    const offset = Math.floor(first / PART) * PART
    const limit = Math.min(PARTS_MAX, Math.max(2 * PART, Math.ceil((last - offset) / PART) * PART))
    setPart((now) => (now.offset === offset && now.limit === limit ? now : { offset, limit }))
  }, [])
  return { part, onRange }
}

const offsets = new WeakMap<object, number>()

/** Where the rows of an answer begin: those of the one before stay where they were, until those of this part are there. */
export const offsetIn = (answer: object | undefined, previous: boolean, offset: number): number => {
  if (answer === undefined) return offset
  if (!previous && !offsets.has(answer)) offsets.set(answer, offset)
  return offsets.get(answer) ?? offset
}

/** What is typed, once it has rested for a moment. */
export const useSettled = (text: string): string => {
  const [settled, setSettled] = useState(text)
  useEffect(() => {
    const timer = setTimeout(() => setSettled(text), 120)
    return () => clearTimeout(timer)
  }, [text])
  return text === "" ? "" : settled
}
