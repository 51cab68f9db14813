/**
 * Marks under a time axis. Hovering, focusing or tapping one tells what happened and when; a click keeps it open, with what
 * can be done about it. Those of a page's leading chart are a list for the keyboard and for who listens; arrows go from one
 * to the next.
 */
import { type KeyboardEvent, useEffect, useMemo, useRef, useState } from "react"
import { ask } from "../ask/Api.ts"
import { useCatalog } from "../ask/CatalogContext.ts"
import { useBeforeAndAfter } from "../ask/Choice.ts"
import { useRange } from "../ask/Range.ts"
import { useNow } from "../ask/Refresh.tsx"
import { afterMoment } from "../ask/Spans.ts"
import { usePlace } from "../ask/Url.ts"
import { useMay, useWho } from "../ask/WhoContext.ts"
import { legible } from "../parts/Legible.ts"
import { Link } from "../parts/Link.tsx"
import { recordingPath } from "../recordings/RecordingWords.ts"
import { WatchThis } from "../watch/WatchThis.tsx"
import {
  type AlertMark,
  type Bundle,
  bundlesOf,
  bundleText,
  countsOf,
  endOf,
  keyOf,
  kindOf,
  type Mark,
  whatOf,
  whenOf
} from "./Happened.ts"
import { useMarks } from "./MarksOf.tsx"

/** In pixels: what is closer than that is one tick, and as wide as a finger needs. */
const APART = 24
/** Between a card and the edge of the page, in pixels. */
const CARD_EDGE = 8
const LISTED_MAX = 8

interface Props {
  /** Of the plot within its chart, in pixels. */
  readonly left: number
  readonly width: number
  /** Epoch seconds. */
  readonly from: number
  readonly to: number
  readonly lead: boolean
}

export const Ticks = ({ from, lead, left, to, width }: Props) => {
  const { marks } = useMarks()
  const now = useNow()
  const [open, setOpen] = useState<{ readonly key: string; readonly kept: boolean }>()
  const [stop, setStop] = useState<string>()
  const list = useRef<HTMLUListElement>(null)
  useKeptOpen(list, open?.kept === true, () => setOpen(undefined))
  const bundles = useMemo(
    () => bundlesOf(marks, from * 1000, to * 1000, (time) => ((time / 1000 - from) / (to - from)) * width, APART),
    [marks, from, to, width]
  )
  if (bundles.length === 0 || width < APART) return null
  const reachable = bundles.some(({ key }) => key === stop) ? stop : bundles.at(-1)?.key
  const onKeyDown = (event: KeyboardEvent) => {
    const step = event.key === "ArrowLeft" ? -1 : event.key === "ArrowRight" ? 1 : 0
    const at = bundles.findIndex(({ key }) => key === reachable) + step
    if (step === 0 || bundles[at] === undefined) return
    event.preventDefault()
    list.current?.querySelectorAll<HTMLElement>(".tick")[at]?.focus()
  }
  const leave = () => setOpen((now) => (now?.kept === true ? now : undefined))
  return (
    // biome-ignore lint/a11y/noNoninteractiveElementInteractions: arrows go from one button of the list to the next.
    <ul
      className="ticks"
      ref={list}
      aria-label="What happened"
      aria-hidden={lead ? undefined : true}
      onKeyDown={onKeyDown}
    >
      {marks.map((mark) =>
        mark.kind === "alert" ? (
          <AlertSpan key={mark.alert_id} mark={mark} from={from} to={to} left={left} width={width} />
        ) : null
      )}
      {bundles.map((bundle) => {
        const { key, marks, place } = bundle
        const shown = open?.key === key ? open : undefined
        const show = () => setOpen((now) => (now?.kept === true ? now : { key, kept: false }))
        return (
          <li key={key} ref={placedAt(left + place)} onMouseEnter={show} onMouseLeave={leave}>
            <button
              type="button"
              className={`tick ${kindOf(bundle)}`}
              aria-label={bundleText(bundle, now)}
              aria-expanded={shown?.kept === true}
              tabIndex={lead && key === reachable ? 0 : -1}
              onFocus={() => {
                setStop(key)
                show()
              }}
              onBlur={leave}
              onClick={() => setOpen(shown?.kept === true ? undefined : { key, kept: true })}
            >
              <Sign kind={kindOf(bundle)} />
              {marks.length > 1 && <span className="tick-count">{marks.length}</span>}
            </button>
            {shown !== undefined && <Card bundle={bundle} acts={lead && shown.kept} />}
          </li>
        )
      })}
    </ul>
  )
}

/** A place that the style sheet cannot know; the page's policy allows no style attribute. */
const placedAt = (pixels: number) => (element: HTMLElement | null) => {
  if (element !== null) element.style.left = `${Math.round(pixels)}px`
}

/** From when an alert fired until it was over, as a line on the axis. */
const AlertSpan = ({ from, left, mark, to, width }: Omit<Props, "lead"> & { readonly mark: AlertMark }) => {
  const first = Math.max(from, Date.parse(mark.at) / 1000)
  const last = Math.min(to, endOf(mark) / 1000)
  if (last <= first) return null
  const scale = width / (to - from)
  const place = (element: HTMLElement | null) => {
    placedAt(left + (first - from) * scale)(element)
    if (element !== null) element.style.width = `${Math.max(2, Math.round((last - first) * scale))}px`
  }
  return <li className={`alert-span ${mark.severity}`} aria-hidden="true" ref={place} />
}

/** In the middle above its tick, or as far from there as it takes to be seen whole. */
const keptOnThePage = (card: HTMLElement | null) => {
  const tick = card?.parentElement
  if (card === null || tick == null) return
  const at = tick.getBoundingClientRect().left
  const right = document.documentElement.clientWidth - CARD_EDGE - card.offsetWidth
  const left = Math.max(CARD_EDGE, Math.min(at - card.offsetWidth / 2, right))
  placedAt(left - at)(card)
}

/** Esc, and a press elsewhere, close what was kept open. */
const useKeptOpen = (list: React.RefObject<HTMLElement | null>, kept: boolean, close: () => void) => {
  const latest = useRef(close)
  latest.current = close
  useEffect(() => {
    if (!kept) return
    const press = (event: Event) => {
      if (event.target instanceof Node && list.current?.contains(event.target) !== true) latest.current()
    }
    const escape = (event: globalThis.KeyboardEvent) => {
      if (event.key !== "Escape") return
      event.preventDefault()
      latest.current()
    }
    document.addEventListener("pointerdown", press)
    document.addEventListener("keydown", escape, true)
    return () => {
      document.removeEventListener("pointerdown", press)
      document.removeEventListener("keydown", escape, true)
    }
  }, [kept, list])
}

const Card = ({ acts, bundle: { marks } }: { readonly bundle: Bundle; readonly acts: boolean }) => (
  <div className="mark-card" ref={keptOnThePage}>
    {marks.length > 1 && <p className="muted small">{countsOf(marks)}</p>}
    {marks.slice(0, LISTED_MAX).map((mark) => (
      <Told key={keyOf(mark)} mark={mark} acts={acts} />
    ))}
    {marks.length > LISTED_MAX && (
      <p className="muted small">and {marks.length - LISTED_MAX} more: zoom in to see them</p>
    )}
  </div>
)

const Told = ({ acts, mark }: { readonly mark: Mark; readonly acts: boolean }) => {
  const now = useNow()
  const range = useRange()
  const compare = useBeforeAndAfter()
  const after = afterMoment(range, Date.parse(mark.at))
  return (
    <div className="told">
      <p>
        <span className="muted">{whenOf(mark, now)}</span> {whatOf(mark)}
        {mark.kind === "note" && (
          <span className="muted">
            {" "}
            · {mark.author}
            {mark.server_id === null ? ", all servers" : ""}
          </span>
        )}
      </p>
      {mark.kind === "alert" && <p className="muted small">{legible(mark.sentence, 300)}</p>}
      {acts && (
        <p className="told-acts">
          {after === undefined ? (
            <span className="muted small">Nothing came after it yet.</span>
          ) : (
            <button type="button" className="button small" onClick={() => compare(after)}>
              Before and after
            </button>
          )}
          {mark.kind === "alert" ? (
            <Link className="button small" href={`/watch/alerts/${encodeURIComponent(mark.alert_id)}`}>
              The alert
            </Link>
          ) : mark.kind === "oom_kill" || mark.kind === "recording" ? (
            <Link className="button small" href={recordingPath(mark.recording_id)}>
              The recording
            </Link>
          ) : mark.kind === "act" ? (
            <TheAct id={mark.order_id} />
          ) : (
            <WatchMark mark={mark} />
          )}
          {mark.kind === "note" && <RemoveNote noteId={mark.note_id} author={mark.author} />}
        </p>
      )}
    </div>
  )
}

/** For those who may see orders. */
const TheAct = ({ id }: { readonly id: string }) =>
  useMay("operator") ? (
    <Link className="button small" href={`/acts/${encodeURIComponent(id)}`}>
      The order
    </Link>
  ) : null

/** A rule about the server whose marks these are: that it is silent, or what is looked at. */
const WatchMark = ({ mark }: { readonly mark: Mark }) => {
  const { path, query } = usePlace()
  const { exporters } = useCatalog()
  const [, server, resource] = path
  const exporter = exporters.find((one) => one.resource === resource) ?? exporters.find(({ top }) => top !== null)
  if (exporter === undefined || server === undefined) return null
  const group = query.get("open") ?? undefined
  return (
    <WatchThis
      className="button small"
      resource={exporter.resource}
      server={server}
      {...(mark.kind === "outage" ? { asks: "silent" } : { metric: query.get("metric") ?? undefined, group })}
    />
  )
}

/** For whoever wrote it, and administrators; the audit has it. */
export const RemoveNote = ({
  author,
  label = "Remove",
  noteId
}: {
  readonly author: string
  readonly noteId: string
  readonly label?: string
}) => {
  const { kind, principal } = useWho()
  const { removed } = useMarks()
  const [problem, setProblem] = useState("")
  if (kind !== "admin" && principal !== author) return null
  const remove = async () => {
    try {
      await ask("marks.removeNote", { id: noteId })
      removed(noteId)
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error))
    }
  }
  return (
    <>
      <button type="button" className="button small" onClick={() => void remove()}>
        {label}
      </button>
      {problem !== "" && <span className="problem">{problem}</span>}
    </>
  )
}

/** By shape as well as by colour. */
export const Sign = ({ kind }: { readonly kind: Mark["kind"] }) => (
  <svg viewBox="0 0 12 12" aria-hidden="true">
    {kind === "alert" ? (
      <path d="M6 .8a3.6 3.6 0 0 1 3.6 3.6V7l1.2 2H1.2l1.2-2V4.4A3.6 3.6 0 0 1 6 .8zM4.8 10h2.4a1.2 1.2 0 0 1-2.4 0" />
    ) : kind === "act" ? (
      <path d="M7.2.5 2 7h3.2L4.6 11.5 10 5H6.6z" />
    ) : kind === "note" ? (
      <path d="M3 11V1h7L8 4l2 3H4v4z" />
    ) : kind === "reboot" ? (
      <rect x="2" y="2" width="8" height="8" rx="1" />
    ) : kind === "restart" ? (
      <path d="M6 1.5 11 10H1z" />
    ) : kind === "oom_kill" ? (
      <path d="M2.4 1 6 4.6 9.6 1 11 2.4 7.4 6 11 9.6 9.6 11 6 7.4 2.4 11 1 9.6 4.6 6 1 2.4z" />
    ) : kind === "recording" ? (
      <circle cx="6" cy="6" r="3.5" />
    ) : kind === "clock" ? (
      <circle className="hollow" cx="6" cy="6" r="4" />
    ) : (
      <path d="M1 4.5h10v3H1z" />
    )}
  </svg>
)
