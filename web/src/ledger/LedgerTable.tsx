/** The lines of a ledger: before, after, the change with its share and a signed bar. The last one is what they add up to. */
import { type ReactNode, type RefObject, useCallback, useRef, useState } from "react"
import type { Changes } from "../ask/Api.ts"
import { Swatch } from "../charts/Stack.tsx"
import { useKeys } from "../frame/Keys.ts"
import { coloursOf, useDark } from "../frame/Theme.ts"
import { inUnit, words } from "../parts/Format.ts"
import { Name } from "../parts/Name.tsx"
import { type GroupLine, type Line, type Lines, lifeOf } from "./Lines.ts"

interface Props {
  readonly answer: Changes
  readonly lines: Lines
  /** What a group is called: "Process". */
  readonly name: string
  readonly divisor: number
  readonly colourOf: ReadonlyMap<string, string> | undefined
  readonly open: string | undefined
  readonly onOpen: (name: string | undefined) => void
}

export const LedgerTable = (props: Props) => {
  const { answer, lines } = props
  const { muted } = coloursOf(useDark())
  const [quietShown, setQuietShown] = useState(false)
  const { against, along, other, total, unaccounted, verdict } = lines
  const table = useRef<HTMLTableElement>(null)
  useArrows(table)
  if (verdict === "quiet" && !quietShown) {
    return (
      <p className="nothing">
        <button type="button" className="link" onClick={() => setQuietShown(true)}>
          Show the small differences
        </button>
      </p>
    )
  }
  const cells = (line: Line, bare = false) => <Cells line={line} lines={lines} bare={bare} />
  return (
    <>
      <table className="ledger" ref={table}>
        <caption className="visually-hidden">What changed</caption>
        <thead>
          <tr>
            <th scope="col" className="wide">
              {props.name}
            </th>
            <th scope="col" className="num side">
              Before
            </th>
            <th scope="col" className="num side">
              After
            </th>
            <th scope="col" className="num change">
              Change
            </th>
            <th scope="col" className="num share-of">
              Share
            </th>
            <th scope="col" className="signed">
              <span className="visually-hidden">Change as a bar</span>
            </th>
          </tr>
        </thead>
        <Part title={verdict === "level" ? "What rose" : undefined} groups={along} {...props} />
        <Part title={verdict === "level" ? "What fell" : "And against it"} groups={against} {...props} />
        <tfoot>
          {other !== undefined && (
            <Rest line={other} lines={lines} name={`${other.groups} ${other.groups === 1 ? "other" : "others"}`}>
              {cells(other)}
            </Rest>
          )}
          {unaccounted !== undefined && (
            <Rest
              line={unaccounted}
              lines={lines}
              name="Unaccounted"
              sign={<Swatch colour={muted} hatched />}
              title="The host's busy CPU minus all groups: short-lived processes and the kernel itself"
            >
              {cells(unaccounted)}
            </Rest>
          )}
          <Rest line={total} lines={lines} name={answer.total.of === "host" ? "The host" : "All groups"} strong>
            {cells(total, true)}
          </Rest>
        </tfoot>
      </table>
      <Waiting answer={answer} divisor={props.divisor} />
    </>
  )
}

/** Arrows go from line to line and take the focus along, so that what is on is read out, and Enter opens it. */
const useArrows = (table: RefObject<HTMLTableElement | null>) =>
  useKeys(
    useCallback(
      (key) => {
        if (key !== "ArrowDown" && key !== "ArrowUp") return false
        const buttons = [...(table.current?.querySelectorAll<HTMLElement>("tbody .row-button") ?? [])]
        const at = buttons.findIndex((button) => button.closest("tr")?.contains(document.activeElement))
        const next = at + (key === "ArrowDown" ? 1 : -1)
        buttons[Math.max(0, Math.min(buttons.length - 1, next))]?.focus()
        return buttons.length > 0
      },
      [table]
    )
  )

const Part = ({
  colourOf,
  groups,
  lines,
  onOpen,
  open,
  title
}: Props & { readonly title: string | undefined; readonly groups: ReadonlyArray<GroupLine> }) =>
  groups.length === 0 ? null : (
    <tbody>
      {title !== undefined && (
        <tr className="ledger-part">
          <th scope="rowgroup" colSpan={4}>
            {title}
          </th>
        </tr>
      )}
      {groups.map((line) => {
        const { group } = line
        const isOpen = group.name === open
        return (
          // biome-ignore lint/a11y/useKeyWithClickEvents: the button in the row is for the keyboard.
          <tr key={line.key} className={isOpen ? "open" : ""} onClick={() => onOpen(isOpen ? undefined : group.name)}>
            <th scope="row" className="wide">
              <span className="row-name">
                <Swatch colour={colourOf?.get(group.name) ?? "transparent"} />
                <button
                  type="button"
                  className="row-button"
                  aria-expanded={isOpen}
                  onClick={(event) => {
                    event.stopPropagation()
                    onOpen(isOpen ? undefined : group.name)
                  }}
                >
                  <Name value={group.name} />
                </button>
                <Life group={group} />
              </span>
              <Sides line={line} lines={lines} />
            </th>
            <Cells line={line} lines={lines} />
          </tr>
        )
      })}
    </tbody>
  )

/** That it is new, gone or restarted; else how many there were and are, where that changed. */
const Life = ({ group }: { readonly group: GroupLine["group"] }) => {
  const life = lifeOf(group)
  const { count_after, count_before } = group
  const counted = count_before !== null && count_after !== null && count_before !== count_after
  return (
    <>
      {life.map((what) => (
        <span key={what} className={`life ${what}`}>
          {what}
        </span>
      ))}
      {counted && !group.appeared && !group.gone && (
        <span className="count-change" title="How many there were at the end of each time">
          ×{count_before} → ×{count_after}
        </span>
      )}
    </>
  )
}

const Rest = ({
  children,
  line,
  lines,
  name,
  sign,
  strong = false,
  title
}: {
  readonly line: Line
  readonly lines: Lines
  readonly name: string
  readonly sign?: ReactNode
  readonly title?: string
  readonly strong?: boolean
  readonly children: ReactNode
}) => (
  <tr className={strong ? "total" : "rest"} title={title}>
    <th scope="row" className="wide">
      <span className="row-name">
        {sign ?? <Swatch colour="transparent" />}
        {name}
      </span>
      <Sides line={line} lines={lines} />
    </th>
    {children}
  </tr>
)

/** Before and after in one line, where there is no room for columns. */
const Sides = ({ line, lines: { scale } }: { readonly line: Line; readonly lines: Lines }) => (
  <span className="sides muted" aria-hidden="true">
    {scale.value(line.before)} → {scale.value(line.after)}
  </span>
)

const Cells = ({
  bare = false,
  line: { after, before, change, share },
  lines
}: {
  readonly line: Line
  readonly lines: Lines
  /** Without a bar. */
  readonly bare?: boolean
}) => (
  <>
    <td className="num side">{lines.scale.value(before)}</td>
    <td className="num side">{lines.scale.value(after)}</td>
    <td className="num change">{lines.scale.change(change)}</td>
    <td className="num share-of">{share === null ? "–" : `${share < 0 ? "\u2212" : ""}${Math.abs(share)}\u202f%`}</td>
    <td className="signed">{bare ? null : <SignedBar change={change} lines={lines} />}</td>
  </>
)

/** From where zero is to the right for more, to the left for less; zero is where all bars have room. */
const SignedBar = ({ change, lines }: { readonly change: number; readonly lines: Lines }) => {
  const { against, along, other, unaccounted } = lines
  const changes = [...along, ...against, other, unaccounted].map((line) => line?.change ?? 0)
  const [low, high] = [Math.min(0, ...changes), Math.max(0, ...changes)]
  const place = (value: number) => (100 * (value - low)) / Math.max(1, high - low)
  const [from, to] = [place(Math.min(0, change)), place(Math.max(0, change))]
  return (
    <svg className="signed-bar" aria-hidden="true" preserveAspectRatio="none" viewBox="0 0 100 10">
      <rect className={change < 0 ? "less" : "more"} x={from} y="1" width={Math.max(0.6, to - from)} height="8" />
      <path d={`M${place(0)} 0v10`} vectorEffect="non-scaling-stroke" />
    </svg>
  )
}

/** What the host waited for: told beside the ledger, and blamed on no group. */
const Waiting = ({ answer, divisor }: { readonly answer: Changes; readonly divisor: number }) => {
  const known = answer.waiting.filter(({ after, before }) => after !== null && before !== null)
  if (known.length === 0) return null
  const shown = (value: number | null) => inUnit(value === null ? null : value / divisor, "percent")
  return (
    <p className="ledger-waiting muted small">
      Beside it, and no group's doing:{" "}
      {known
        .map(
          ({ after, before, field }) =>
            `${words(field.replace(/_seconds(_total)?$/, ""))} ${shown(before)} → ${shown(after)}`
        )
        .join(", ")}
    </p>
  )
}
