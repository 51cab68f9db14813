/** Below the chart: what is marked in it, a span or a moment, and what can be done with it. Nothing until then. */
import { type ReactNode, useCallback, useState } from "react"
import type { Top } from "../ask/Api.ts"
import { ALONE, useBeforeAndAfter } from "../ask/Choice.ts"
import { formatWindow, useRange } from "../ask/Range.ts"
import { useNow } from "../ask/Refresh.tsx"
import { afterMoment, iso, type Window } from "../ask/Spans.ts"
import { linkWith, usePlace } from "../ask/Url.ts"
import { useMay } from "../ask/WhoContext.ts"
import { useKeys } from "../frame/Keys.ts"
import { NoteForm } from "../marks/NoteForm.tsx"
import { copyText } from "../parts/Clipboard.ts"
import { duration, moment as momentText, window as windowText } from "../parts/Format.ts"
import { useSaid } from "../parts/Said.ts"

interface Props {
  readonly id: string
  /** Seconds between two scrapes: what a step from one moment to the next is. */
  readonly pace: number
  readonly answer: Top | undefined
}

const ZOOMED = "zoomed"

export const SpanBar = ({ answer, id, pace }: Props) => {
  const range = useRange()
  const { set } = usePlace()
  const { brush, compared, fixed, moment } = range
  const { form, note } = useNoting(id, moment ?? brush?.from)
  const compare = useCallback(() => {
    set(compared === undefined ? { against: "previous", moment: undefined } : ALONE)
  }, [compared, set])
  const stepBy = useCallback(
    (count: number) => {
      if (moment !== undefined) set({ moment: iso(moment + count * pace * 1_000) }, true)
    },
    [moment, pace, set]
  )
  const zoom = useCallback(() => {
    if (brush !== undefined) set({ window: formatWindow(brush), brush: undefined, range: undefined }, false, ZOOMED)
  }, [brush, set])
  const out = useCallback(() => {
    if (window.history.state === ZOOMED) window.history.back()
    else set({ window: undefined })
  }, [set])
  useKeys(
    useCallback(
      (key) => {
        if (key === "z" && brush !== undefined) zoom()
        else if (key === "d" && moment === undefined) compare()
        else if (key === "Backspace" && fixed !== undefined) out()
        else if (key === "0" && (moment ?? brush ?? fixed) !== undefined)
          set({ moment: undefined, brush: undefined, window: undefined })
        else if ((key === "ArrowLeft" || key === "ArrowRight") && moment !== undefined)
          stepBy(key === "ArrowLeft" ? -1 : 1)
        else return false
        return true
      },
      [brush, fixed, moment, zoom, out, set, stepBy, compare]
    )
  )
  if (form !== undefined) return form
  if (moment !== undefined) return <MomentBar moment={moment} answer={answer} note={note} onStep={stepBy} />
  if (brush !== undefined) return <MarkedBar brush={brush} note={note} onZoom={zoom} onCompare={compare} />
  return (
    <div className="span-bar">
      <span className="muted">Drag to mark a span, click for a moment.</span>
      <WhatChanged onCompare={compare} />
      {note}
      {fixed !== undefined && (
        <>
          <button type="button" className="button small" onClick={out} title="Backspace">
            Zoom out
          </button>
          <button type="button" className="button small" onClick={() => set({ window: undefined })} title="0">
            Back to now
          </button>
        </>
      )}
    </div>
  )
}

/** A note of what is marked, of the moment, or of now: for who may. */
const useNoting = (id: string, time: number | undefined) => {
  const mayNote = useMay("operator")
  const [noting, setNoting] = useState<{ readonly at: string | undefined }>()
  if (!mayNote) return {}
  const at = time === undefined ? undefined : iso(time)
  return {
    note: (
      <button
        type="button"
        className="button small"
        onClick={() => setNoting({ at })}
        title={at === undefined ? "Say what happened just now" : "Say what happened then"}
      >
        Note
      </button>
    ),
    form: noting === undefined ? undefined : <NoteForm id={id} at={noting.at} onClose={() => setNoting(undefined)} />
  }
}

/** Turns the table into a ledger, and back. */
const WhatChanged = ({ onCompare }: { readonly onCompare: () => void }) => {
  const { compared } = useRange()
  return (
    <button
      type="button"
      className="button small"
      aria-pressed={compared !== undefined}
      onClick={onCompare}
      title="Compare it with another time (d)"
    >
      What changed
    </button>
  )
}

const MarkedBar = ({
  brush,
  note,
  onCompare,
  onZoom
}: {
  readonly brush: Window
  readonly note: ReactNode
  readonly onCompare: () => void
  readonly onZoom: () => void
}) => {
  const { set } = usePlace()
  const now = useNow()
  return (
    <div className="span-bar marked" role="status">
      <span>
        Marked: <b>{windowText(brush.from, brush.to, now)}</b>{" "}
        <span className="muted">({duration((brush.to - brush.from) / 1000)})</span>
      </span>
      <button type="button" className="button small primary" onClick={onZoom} title="z">
        Zoom
      </button>
      <WhatChanged onCompare={onCompare} />
      {note}
      <CopyLink />
      <button type="button" className="button small" onClick={() => set({ brush: undefined })} title="Esc">
        Whole range
      </button>
    </div>
  )
}

const MomentBar = ({
  answer,
  moment,
  note,
  onStep
}: {
  readonly moment: number
  readonly note: ReactNode
  readonly answer: Top | undefined
  readonly onStep: (count: number) => void
}) => {
  const { set } = usePlace()
  const now = useNow()
  const after = afterMoment(useRange(), moment)
  const compare = useBeforeAndAfter()
  return (
    <div className="span-bar past">
      <span role="status">
        You are looking at <b>{momentText(moment, now, true)}</b>
        {answer !== undefined && answer.scrapes === 0 ? ": nothing was seen then" : ""}
      </span>
      <span className="joined-buttons">
        <button type="button" className="button small" onClick={() => onStep(-1)} aria-label="Scrape before" title="←">
          ←
        </button>
        <button type="button" className="button small" onClick={() => onStep(1)} aria-label="Next scrape" title="→">
          →
        </button>
      </span>
      {after !== undefined && (
        <button type="button" className="button small" onClick={() => compare(after)}>
          Before and after
        </button>
      )}
      {note}
      <CopyLink />
      <button type="button" className="button small" onClick={() => set({ moment: undefined })} title="0 or Esc">
        Back to now
      </button>
    </div>
  )
}

/** Copies an address that shows the same times for ever, also where the range goes up to now. */
export const CopyLink = ({ className = "button small" }: { readonly className?: string }) => {
  const range = useRange()
  const [said, say] = useSaid()
  const copy = async () => {
    const to = Date.now()
    const pinned = range.fixed ?? { from: to - range.hours * 3_600_000, to }
    const worked = await copyText(linkWith({ window: formatWindow(pinned), range: undefined }))
    say(worked ? "Copied" : "Copy it from the address bar")
  }
  return (
    <button type="button" className={className} onClick={() => void copy()}>
      <span aria-live="polite">{said === "" ? "Link to this moment" : said}</span>
    </button>
  )
}
