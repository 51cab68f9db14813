/** What happened, in a few words: on this server or on all. It is under the axis at once, and can be taken back. */
import { type FormEvent, useState } from "react"
import { type Answer, AskFailed, ask } from "../ask/Api.ts"
import { useHeart, useNow } from "../ask/Refresh.tsx"
import { moment } from "../parts/Format.ts"
import { useMarks } from "./MarksOf.tsx"
import { RemoveNote } from "./Ticks.tsx"

const LENGTH_MAX = 500

interface Props {
  readonly id: string
  /** When it happened, RFC 3339; undefined: now. */
  readonly at: string | undefined
  readonly onClose: () => void
}

export const NoteForm = ({ at, id, onClose }: Props) => {
  const now = useNow()
  const { marks, noted } = useMarks()
  const { refresh } = useHeart()
  const [problem, setProblem] = useState("")
  const [made, setMade] = useState<Answer<"marks.addNote">>()
  const save = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const form = new FormData(event.currentTarget)
    try {
      const note = await ask(
        "marks.addNote",
        {},
        {
          body: {
            text: String(form.get("text") ?? "").trim(),
            ...(form.get("about") === "all" ? {} : { server_id: id }),
            ...(at === undefined ? {} : { at })
          }
        }
      )
      noted(note)
      // What happened just now is beyond the end of a chart that is a few seconds old.
      refresh()
      setMade(note)
    } catch (error) {
      setProblem(error instanceof AskFailed ? error.message || error.title : String(error))
    }
  }
  if (made !== undefined) {
    const isThere = marks.some((mark) => mark.kind === "note" && mark.note_id === made.note_id)
    return (
      <div className="span-bar marked">
        <span role="status">
          {isThere ? `Noted at ${moment(Date.parse(made.at), now, true)}, under the chart` : "Taken back"}
        </span>
        {isThere && <RemoveNote noteId={made.note_id} author={made.author} label="Undo" />}
        <button type="button" className="button small" onClick={onClose}>
          Done
        </button>
      </div>
    )
  }
  return (
    <form
      className="span-bar marked note-form"
      onSubmit={(event) => void save(event)}
      onKeyDown={(event) => {
        if (event.key !== "Escape") return
        event.preventDefault()
        onClose()
      }}
    >
      <label className="note-text">
        <span className="visually-hidden">Note</span>
        <input
          name="text"
          required
          maxLength={LENGTH_MAX}
          placeholder="What happened, such as deploy 1.4"
          autoComplete="off"
          ref={focused}
        />
      </label>
      <span className="muted">{at === undefined ? "now" : `at ${moment(Date.parse(at), now, true)}`}</span>
      <select name="about" aria-label="About">
        <option value="this">this server</option>
        <option value="all">all servers</option>
      </select>
      <button type="submit" className="button small primary">
        Save
      </button>
      <button type="button" className="button small" onClick={onClose}>
        Cancel
      </button>
      {problem !== "" && (
        <span className="problem" role="alert">
          {problem}
        </span>
      )}
    </form>
  )
}

/** Whoever asked for it wants to write. Once, when it appears. */
const focused = (element: HTMLInputElement | null) => element?.focus()
