/** A long table of the fleet: its rows come in parts, only those that are seen are in the page, and arrows go through them. */
import { type ReactNode, useCallback, useState } from "react"
import { usePlace } from "../ask/Url.ts"
import { useKeys } from "../frame/Keys.ts"
import { useNarrow } from "../frame/Narrow.ts"
import { VirtualRows } from "../parts/Virtual.tsx"

/** As in the style sheet. */
const ROW = 49
const ROW_NARROW = 146

interface Props {
  readonly caption: string
  readonly count: number
  readonly columns: number
  readonly head: ReactNode
  /** What stands below an empty table. */
  readonly none: ReactNode
  readonly onRange: (first: number, last: number) => void
  /** Undefined where the row is not there yet. */
  readonly row: (index: number, chosen: boolean) => ReactNode | undefined
}

export const LongTable = ({ caption, columns, count, head, none, onRange, row }: Props) => {
  const narrow = useNarrow()
  const chosen = useChosen(count)
  return (
    <div className="card flush">
      <table className="fleet groups">
        <caption className="visually-hidden">{caption}</caption>
        <thead>
          <tr>{head}</tr>
        </thead>
        <VirtualRows
          count={count}
          rowHeight={narrow ? ROW_NARROW : ROW}
          columns={columns}
          reveal={chosen < 0 ? undefined : chosen}
          onRange={onRange}
          render={(index) =>
            row(index, index === chosen) ?? (
              <tr key={index} className="unloaded-row" data-index={index}>
                <td colSpan={columns} />
              </tr>
            )
          }
        />
      </table>
      {count === 0 && none}
    </div>
  )
}

/** The row that arrows went to, -1 before; Esc leaves it, and the search. */
const useChosen = (count: number): number => {
  const [chosen, setChosen] = useState(-1)
  const { query, set } = usePlace()
  useKeys(
    useCallback(
      (key) => {
        if (key === "ArrowDown" || key === "ArrowUp")
          setChosen((at) => Math.max(0, Math.min(count - 1, at + (key === "ArrowDown" ? 1 : -1))))
        else if (key === "Escape") {
          setChosen(-1)
          if (query.get("q") !== null) set({ q: undefined }, true)
          ;(document.activeElement as HTMLElement | null)?.blur()
        } else return false
        return true
      },
      [count, query, set]
    )
  )
  return chosen
}
