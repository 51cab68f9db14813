/**
 * What happened to a server, for all of its charts: asked once for what is shown, then once a minute for the last quarter
 * of an hour alone, so that a refresh stays small however much happened.
 *
 * What the agent of a server sends later than that is seen when the range changes, or when the page is opened.
 */
import { createContext, type ReactNode, useContext, useEffect, useMemo, useRef, useState } from "react"
import { useRange } from "../ask/Range.ts"
import { seldom, useAsk } from "../ask/Refresh.tsx"
import { windowQuery } from "../ask/Spans.ts"
import { type Mark, taken, withAlerts } from "./Happened.ts"

const RECENT_HOURS = 0.25
/** Between two answers about the last quarter of an hour: beyond it something could lie between them. */
const APART_MAX = 10 * 60_000

/** A quarter of an hour: so long it is the same question about what fired. */
const QUARTER = 15 * 60_000
const ALERTS_MAX = 200

/** What fired in the range that is shown. */
const useAlerts = (id: string) => {
  const { fixed, hours } = useRange()
  const from = fixed?.from ?? Math.floor((Date.now() - hours * 3_600_000) / QUARTER) * QUARTER
  const to = fixed === undefined ? undefined : new Date(fixed.to).toISOString()
  const question = { server: id, from: new Date(from).toISOString(), to, limit: ALERTS_MAX }
  return useAsk("alerts.list", question, { aside: true, ...seldom(1) }).value?.alerts
}

interface Happened {
  readonly marks: ReadonlyArray<Mark>
  /** A note that was just made is there at once, one that was removed is not. */
  readonly noted: (note: Omit<Extract<Mark, { kind: "note" }>, "kind">) => void
  readonly removed: (noteId: string) => void
}

const MarksContext = createContext<Happened>({ marks: [], noted: () => {}, removed: () => {} })
export const useMarks = (): Happened => useContext(MarksContext)

export const MarksOf = ({ children, id }: { readonly id: string; readonly children: ReactNode }) => {
  const range = useRange()
  const [held, setHeld] = useState<ReadonlyArray<Mark>>([])
  const alerts = useAlerts(id)
  const [again, setAgain] = useState(0)
  const whole = useAsk(
    "marks.marks",
    { id, ...windowQuery(range) },
    { everyBeats: Number.POSITIVE_INFINITY, again, aside: true }
  )
  const recent = useAsk(
    "marks.marks",
    { id, hours: RECENT_HOURS },
    { off: range.fixed !== undefined, aside: true, ...seldom(3) }
  )
  const answeredAt = useRef(recent.at)
  const known = whole.value
  useEffect(() => {
    if (known !== undefined) setHeld((before) => taken(before, known))
  }, [known])
  const { at, value: latest } = recent
  useEffect(() => {
    if (latest === undefined || at === undefined) return
    setHeld((before) => taken(before, latest))
    if (answeredAt.current !== undefined && at - answeredAt.current > APART_MAX) setAgain((count) => count + 1)
    answeredAt.current = at
  }, [latest, at])
  const happened = useMemo<Happened>(
    () => ({
      marks: withAlerts(held, alerts ?? []),
      noted: (note) => setHeld((known) => taken(known, { marks: [{ kind: "note", ...note }], window: NO_TIME })),
      removed: (noteId) => setHeld((known) => known.filter((mark) => mark.kind !== "note" || mark.note_id !== noteId))
    }),
    [held, alerts]
  )
  return <MarksContext value={happened}>{children}</MarksContext>
}

const NO_TIME = { from: "9", to: "0" }
