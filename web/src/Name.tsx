/**
 * A name that somebody else chose: shown as what it is, whatever it is.
 *
 * Guarantee: text only, on one line, in its own direction, at most `SHOWN_MAX` characters of it in the page; characters
 * that cannot be seen, or that turn others around, are shown as visible marks. An empty name says so.
 */
import type { ReactNode } from "react"

const SHOWN_MAX = 200
const TITLE_MAX = 1_000

const CONTROL: Readonly<Record<string, string>> = {
  "\n": "␊",
  "\r": "␍",
  "\t": "␉",
  "\u001b": "␛",
  "\u007f": "␡",
  "\u2028": "⏎",
  "\u2029": "⏎"
}
/** Controls, what separates lines, what turns directions around, what has no width, and lone surrogates. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
const UNSEEN =
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g

const markOf = (character: string): string => {
  const code = character.charCodeAt(0)
  return (
    CONTROL[character] ?? (code < 0x20 ? String.fromCharCode(0x2400 + code) : `‹${code.toString(16).padStart(4, "0")}›`)
  )
}

/** The name with marks for what cannot be seen, as plain text. */
export const legible = (name: string, max = SHOWN_MAX): string => {
  if (name === "") return "(no name)"
  const cut = name.length > max ? name.slice(0, max) : name
  const shown = cut.replace(UNSEEN, markOf)
  return name.length > max ? `${shown}… (${name.length} characters)` : shown
}

export const Name = ({ query = "", value }: { readonly value: string; readonly query?: string }) => {
  if (value === "") return <span className="name name-mark">(no name)</span>
  const cut = value.length > SHOWN_MAX ? value.slice(0, SHOWN_MAX) : value
  const parts: Array<ReactNode> = []
  let from = 0
  for (const match of cut.matchAll(UNSEEN)) {
    if (match.index > from) parts.push(cut.slice(from, match.index))
    parts.push(
      <span key={match.index} className="name-mark">
        {markOf(match[0])}
      </span>
    )
    from = match.index + match[0].length
  }
  parts.push(cut.slice(from))
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
      {value.length > SHOWN_MAX && <span className="name-mark">… {value.length} characters</span>}
    </span>
  )
}
