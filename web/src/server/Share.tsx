/** The ways out of the page: a link that stays, the table as Markdown or CSV, the chart as a picture, paper. */
import { useCallback, useEffect, useRef, useState } from "react"
import { download } from "../charts/Picture.ts"
import { copyText } from "../parts/Clipboard.ts"
import { useSaid } from "../parts/Said.ts"
import { csvOf, markdownOf, type Sheet } from "./TakeAway.ts"

interface Props {
  /** What a file is called, without its ending. */
  readonly file: string
  /** The table as it is shown just now; undefined where there is none yet. */
  readonly sheetOf: () => Sheet | undefined
  /** Draws the chart, which stands in `box`, under its title; resolves to null where there is none. */
  readonly picture: (box: Element, title: string) => Promise<Blob | null>
}

export const Share = ({ file: given, picture, sheetOf }: Props) => {
  const [open, setOpen] = useState(false)
  const [said, say] = useSaid()
  const box = useRef<HTMLDivElement>(null)
  const close = useCallback(() => setOpen(false), [])
  useClosing(box, open, close)
  const tell = (text: string) => {
    say(text)
    setOpen(false)
  }
  const copy = async (text: string, what: string) =>
    tell((await copyText(text)) ? `${what} copied` : "This browser does not let the page copy")
  const sheet = open ? sheetOf() : undefined
  const file = given.replace(/[^\w.-]+/g, "_")
  const save = async () => {
    const explorer = box.current?.closest(".explorer")
    const made = explorer == null || sheet === undefined ? null : await picture(explorer, sheet.title)
    if (made === null) return tell("There is no chart to save")
    download(`${file}.png`, made)
    tell("Picture saved")
  }
  return (
    <div className="share" ref={box}>
      <button type="button" className="button" aria-expanded={open} onClick={() => setOpen((now) => !now)}>
        Share
      </button>
      <span className="visually-hidden" role="status">
        {said}
      </span>
      {said !== "" && (
        <span className="share-said" aria-hidden="true">
          {said}
        </span>
      )}
      {sheet !== undefined && (
        <ul className="menu">
          <li>
            <button type="button" onClick={() => void copy(sheet.address, "Link")}>
              Copy a link to these times
            </button>
          </li>
          <li>
            <button type="button" onClick={() => void copy(markdownOf(sheet), "Table")}>
              Copy the table as Markdown
            </button>
          </li>
          <li>
            <button
              type="button"
              onClick={() => {
                download(`${file}.csv`, new Blob([csvOf(sheet)], { type: "text/csv;charset=utf-8" }))
                tell("Table saved")
              }}
            >
              Save the table as CSV
            </button>
          </li>
          <li>
            <button type="button" onClick={() => void save()}>
              Save the chart as a picture
            </button>
          </li>
          <li>
            <button
              type="button"
              onClick={() => {
                setOpen(false)
                setTimeout(() => window.print(), 50)
              }}
            >
              Print
            </button>
          </li>
        </ul>
      )}
    </div>
  )
}

/** A click elsewhere or Esc closes it. */
const useClosing = (box: React.RefObject<HTMLDivElement | null>, open: boolean, close: () => void) => {
  useEffect(() => {
    if (!open) return
    const elsewhere = (event: Event) => {
      if (event.target instanceof Node && box.current?.contains(event.target) !== true) close()
    }
    const escape = (event: KeyboardEvent) => {
      if (event.key !== "Escape") return
      event.preventDefault()
      close()
      box.current?.querySelector("button")?.focus()
    }
    document.addEventListener("pointerdown", elsewhere)
    document.addEventListener("keydown", escape, true)
    return () => {
      document.removeEventListener("pointerdown", elsewhere)
      document.removeEventListener("keydown", escape, true)
    }
  }, [box, open, close])
}
