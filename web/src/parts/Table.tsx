/** A table under a head of words. It scrolls by itself where it is wider than the page. */
import type { ReactNode } from "react"
import { Scroller } from "./Scroller.tsx"

export const Table = (props: {
  readonly label: string
  readonly className?: string
  /** The words of the head, from left to right, and what stands below each. */
  readonly columns: Readonly<Record<string, "text" | "num" | "wide">>
  /** The rows. */
  readonly children: ReactNode
}) => (
  <Scroller label={props.label}>
    <table className={props.className}>
      <thead>
        <tr>
          {Object.entries(props.columns).map(([word, holds]) => (
            <th key={word} scope="col" className={holds === "text" ? undefined : holds}>
              {word}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>{props.children}</tbody>
    </table>
  </Scroller>
)
