/** Takes one more server into the comparison: found by its name, chosen by a click or with the arrows. */
import { useRef, useState } from "react"
import { COMPARED_MAX } from "../ask/Compared.ts"
import { useAsk } from "../ask/Refresh.tsx"
import { Name } from "../parts/Name.tsx"
import { State } from "../parts/State.tsx"

const FOUND_MAX = 12

export const AddOne = ({
  ids,
  isFull,
  onAdd,
  open: opened
}: {
  readonly ids: ReadonlyArray<string>
  readonly isFull: boolean
  readonly onAdd: (id: string) => void
  /** Whether it is open from the start: there is nothing to compare yet. */
  readonly open: boolean
}) => {
  const [open, setOpen] = useState(opened)
  const [text, setText] = useState("")
  const list = useRef<HTMLUListElement>(null)
  const found = useAsk(
    "overview.fleet",
    { search: text === "" ? undefined : text.slice(0, 200), sort: "name", dir: "up", limit: FOUND_MAX + ids.length },
    { off: !open, everyBeats: Number.POSITIVE_INFINITY }
  )
  if (isFull) return <span className="muted">{COMPARED_MAX} is the most that fits side by side</span>
  if (!open) {
    return (
      <button type="button" className="button small" onClick={() => setOpen(true)}>
        Add a server
      </button>
    )
  }
  const shown = (found.value?.servers ?? []).filter(({ server_id }) => !ids.includes(server_id)).slice(0, FOUND_MAX)
  const move = (by: number) => {
    const buttons = [...(list.current?.querySelectorAll("button") ?? [])]
    const at = buttons.indexOf(document.activeElement as HTMLButtonElement)
    buttons[Math.max(0, Math.min(buttons.length - 1, at + by))]?.focus()
  }
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: arrows and Escape on what is in it.
    <div
      className="add-one"
      onKeyDown={(event) => {
        if (event.key === "Escape") setOpen(false)
        else if (event.key === "ArrowDown") move(1)
        else if (event.key === "ArrowUp") move(-1)
        else return
        event.preventDefault()
        event.stopPropagation()
      }}
    >
      <input
        type="search"
        aria-label="Find a server to compare"
        placeholder="Find a server"
        value={text}
        ref={(input) => input?.focus()}
        onChange={(event) => setText(event.target.value)}
        onKeyDown={(event) => {
          const [first] = shown
          if (event.key === "Enter" && first !== undefined) onAdd(first.server_id)
        }}
      />
      <ul ref={list} className="menu">
        {shown.map(({ name, server_id, state }) => (
          <li key={server_id}>
            <button type="button" onClick={() => onAdd(server_id)}>
              <State state={state} /> <Name value={name} query={text} />
            </button>
          </li>
        ))}
        {found.value !== undefined && shown.length === 0 && <li className="muted">No other server matches.</li>}
      </ul>
    </div>
  )
}
