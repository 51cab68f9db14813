/**
 * Rows of one height, of which only those near the viewport are in the page: a thousand rows cost what thirty do.
 *
 * The window scrolls, not a box within it. What is above and below is one empty row each.
 */
import { type ReactNode, useCallback, useEffect, useRef, useState } from "react"

const AROUND = 12
const ALL_UP_TO = 60

interface Props {
  readonly count: number
  readonly rowHeight: number
  readonly columns: number
  readonly render: (index: number) => ReactNode
  /** A row that is to be seen, such as the one that arrows went to. */
  readonly reveal?: number | undefined
  /** Told which rows are in the page. */
  readonly onRange?: ((first: number, last: number) => void) | undefined
}

export const VirtualRows = ({ columns, count, onRange, render, reveal, rowHeight }: Props) => {
  const body = useRef<HTMLTableSectionElement>(null)
  const [shown, setShown] = useState({ first: 0, last: 40 })
  const all = count <= ALL_UP_TO

  const measure = useCallback(() => {
    const top = body.current?.getBoundingClientRect().top ?? 0
    const first = Math.max(0, Math.floor(-top / rowHeight) - AROUND)
    const last = Math.min(count, Math.ceil((window.innerHeight - top) / rowHeight) + AROUND)
    setShown((now) => (now.first === first && now.last === last ? now : { first, last }))
  }, [count, rowHeight])

  useEffect(() => {
    if (all) return
    let asked = 0
    const soon = () => {
      if (asked !== 0) return
      asked = requestAnimationFrame(() => {
        asked = 0
        measure()
      })
    }
    measure()
    window.addEventListener("scroll", soon, { passive: true })
    window.addEventListener("resize", soon)
    return () => {
      cancelAnimationFrame(asked)
      window.removeEventListener("scroll", soon)
      window.removeEventListener("resize", soon)
    }
  }, [all, measure])

  useEffect(() => {
    if (reveal === undefined || reveal < 0) return
    const top = (body.current?.getBoundingClientRect().top ?? 0) + reveal * rowHeight
    const head = 120
    if (top < head) window.scrollBy({ top: top - head })
    else if (top + rowHeight > window.innerHeight - 24)
      window.scrollBy({ top: top + rowHeight - window.innerHeight + 24 })
    measure()
  }, [reveal, rowHeight, measure])

  // The focus goes along with what arrows chose, once its row is there.
  const focused = useRef(reveal)
  useEffect(() => {
    if (focused.current === reveal) return
    const row = reveal === undefined ? null : body.current?.querySelector(`[data-index="${reveal}"]`)
    const target = row?.querySelector<HTMLElement>("th button, th a")
    if (reveal !== undefined && target == null) return
    focused.current = reveal
    target?.focus({ preventScroll: true })
  })

  const first = all ? 0 : Math.min(shown.first, count)
  const last = all ? count : Math.min(Math.max(shown.last, first), count)
  useEffect(() => onRange?.(first, last), [onRange, first, last])
  return (
    <tbody ref={body}>
      {first > 0 && <Space columns={columns} height={first * rowHeight} />}
      {Array.from({ length: last - first }, (_, n) => render(first + n))}
      {last < count && <Space columns={columns} height={(count - last) * rowHeight} />}
    </tbody>
  )
}

const Space = ({ columns, height }: { readonly columns: number; readonly height: number }) => (
  <tr className="space">
    <td colSpan={columns} style={{ height }} />
  </tr>
)
