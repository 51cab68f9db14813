/**
 * A name that somebody else chose: shown as what it is, whatever it is.
 *
 * Guarantee: text only, on one line, in its own direction, at most `SHOWN_MAX` characters of it in the page; characters
 * that cannot be seen, or that turn others around, are shown as visible marks. An empty name says so.
 */
import type { ReactNode } from "react"
import { cutAt, legible, markOf, oddOnesOf, SHOWN_MAX, TITLE_MAX, UNSEEN } from "./Legible.ts"

/** The text in parts: what cannot be seen as marks, and what pretends to be another letter marked. */
const partsOf = (text: string, odd: ReadonlyMap<number, string>): ReadonlyArray<ReactNode> => {
  const marks = [...text.matchAll(UNSEEN)].map((match) => ({ at: match.index, of: match[0], odd: false }))
  for (const [at, of] of odd) marks.push({ at, of, odd: true })
  const parts: Array<ReactNode> = []
  let from = 0
  for (const mark of marks.sort((a, b) => a.at - b.at)) {
    if (mark.at > from) parts.push(text.slice(from, mark.at))
    parts.push(
      <span key={mark.at} className={mark.odd ? "name-odd" : "name-mark"}>
        {mark.odd ? mark.of : markOf(mark.of)}
      </span>
    )
    from = mark.at + mark.of.length
  }
  parts.push(text.slice(from))
  return parts
}

export const Name = ({ query = "", value }: { readonly value: string; readonly query?: string }) => {
  if (value === "") return <span className="name name-mark">(no name)</span>
  const cut = cutAt(value, SHOWN_MAX)
  const odd = oddOnesOf(cut)
  const parts = partsOf(cut, odd)
  const found = parts.length === 1 && query !== "" ? cut.toLowerCase().indexOf(query.toLowerCase()) : -1
  return (
    <span className="name" title={legible(value, TITLE_MAX)}>
      <bdi>
        {found < 0 ? (
          parts
        ) : (
          <>
            {cut.slice(0, found)}
            <mark>{cut.slice(found, found + query.length)}</mark>
            {cut.slice(found + query.length)}
          </>
        )}
      </bdi>
      {odd.size > 0 && <span className="name-warning">look-alike letters</span>}
      {value.length > SHOWN_MAX && <span className="name-mark">… {value.length} characters</span>}
    </span>
  )
}
