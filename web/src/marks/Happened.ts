/**
 * Marks as they are kept, bundled and told: alerts, restarts, reboots, clocks that were set, exporters that said nothing, notes.
 * Pure.
 */
import { isOfActs } from "../../../src/alerts/Acts.ts"
import type { Answer } from "../ask/Api.ts"
import { duration, moment, window as windowText } from "../parts/Format.ts"
import { legible } from "../parts/Legible.ts"

type Marks = Answer<"marks.marks">
type Alert = Answer<"alerts.list">["alerts"][number]

/** An alert of the server, from when it fired until it was over. */
export interface AlertMark {
  readonly kind: "alert"
  readonly at: string
  /** Null: it still fires. */
  readonly until: string | null
  readonly alert_id: string
  readonly rule: string
  readonly sentence: string
  readonly severity: string
}

export type Mark = Marks["marks"][number] | AlertMark

const alertMark = ({ alert_id, fired_at, resolved_at, rule, sentence, severity }: Alert): AlertMark => ({
  kind: "alert",
  at: fired_at,
  until: resolved_at,
  alert_id,
  rule,
  sentence,
  severity
})

/** What happened and what fired, in order of time. That somebody acted is a mark already; that it was told is none. */
export const withAlerts = (marks: ReadonlyArray<Mark>, alerts: ReadonlyArray<Alert>): ReadonlyArray<Mark> => {
  const fired = alerts.filter(({ resource }) => !isOfActs(resource))
  return fired.length === 0
    ? marks
    : [...marks, ...fired.map(alertMark)].toSorted((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0))
}

/** Of a page that stays open for days, the latest ones. */
const HELD_MAX = 4_000

export const keyOf = (mark: Mark): string =>
  mark.kind === "note"
    ? `note ${mark.note_id}`
    : mark.kind === "alert"
      ? `alert ${mark.alert_id}`
      : mark.kind === "oom_kill" || mark.kind === "recording"
        ? `${mark.kind} ${mark.recording_id} ${mark.at}`
        : mark.kind === "act"
          ? `act ${mark.order_id}`
          : `${mark.kind} ${mark.exporter} ${mark.at}`

/** What is known after an answer: of its window that alone, of other times what was known before. In order of time. */
export const taken = (
  held: ReadonlyArray<Mark>,
  { marks, window }: Pick<Marks, "window"> & { readonly marks: ReadonlyArray<Mark> }
): ReadonlyArray<Mark> => {
  const told = new Set(marks.map(keyOf))
  const isKept = (mark: Mark) => !told.has(keyOf(mark)) && (mark.at <= window.from || mark.at > window.to)
  return [...held.filter(isKept), ...marks]
    .toSorted((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0))
    .slice(-HELD_MAX)
}

/** Marks that are too close to each other to be told apart. */
export interface Bundle {
  readonly key: string
  /** Where it is drawn, in pixels. */
  readonly place: number
  readonly marks: ReadonlyArray<Mark>
}

/** Those within `from` and `to` (epoch milliseconds), `apart` pixels or more from each other; `placeOf` is where a time is. */
export const bundlesOf = (
  marks: ReadonlyArray<Mark>,
  from: number,
  to: number,
  placeOf: (time: number) => number,
  apart: number
): ReadonlyArray<Bundle> => {
  const bundles: Array<{ readonly first: number; readonly marks: Array<Mark> }> = []
  for (const mark of marks) {
    const time = Math.max(Date.parse(mark.at), from)
    if (endOf(mark) < from || time > to) continue
    const place = placeOf(time)
    const last = bundles.at(-1)
    if (last === undefined || place - last.first >= apart) bundles.push({ first: place, marks: [mark] })
    else last.marks.push(mark)
  }
  return bundles.map(({ first, marks }) => ({ key: keyOf(marks[0]!), place: first, marks }))
}

/** An outage and an alert last; of the others the end is the moment itself. */
export const endOf = (mark: Mark): number =>
  mark.kind === "outage" || mark.kind === "alert"
    ? mark.until === null
      ? Number.POSITIVE_INFINITY
      : Date.parse(mark.until)
    : Date.parse(mark.at)

/** What happened, without when. */
export const whatOf = (mark: Mark): string => {
  switch (mark.kind) {
    case "restart":
      return `${mark.exporter} restarted`
    case "reboot":
      return "The machine started"
    case "clock":
      return `The clock was set ${mark.by_seconds < 0 ? "back" : "forward"} by ${duration(Math.abs(mark.by_seconds))}`
    case "outage":
      return mark.until === null
        ? `${mark.exporter} said nothing from then on`
        : `${mark.exporter} said nothing for ${duration((Date.parse(mark.until) - Date.parse(mark.at)) / 1000)}`
    case "alert":
      return mark.until === null
        ? `${legible(mark.rule, 100)} fires`
        : `${legible(mark.rule, 100)} fired for ${duration((Date.parse(mark.until) - Date.parse(mark.at)) / 1000)}`
    case "oom_kill":
      return `${legible(mark.name ?? "A process", 100)} was killed for want of memory${mark.unit === null || mark.unit === "" ? "" : ` (${legible(mark.unit, 100)})`}`
    case "act":
      return actText(mark)
    case "recording":
      return `${RECORDED[mark.reason]}: a recording of the 15 minutes before`
    default:
      return legible(mark.text, 500)
  }
}

export type ActMark = Extract<Mark, { readonly kind: "act" }>
type Act = Omit<ActMark, "kind">

const actText = ({ by, result, target, verb }: Act): string =>
  `${ACTED[verb]} ${legible(target, 100)}${signedText(by)}${ENDED[result]}`

/** "14:02:10: A CPU limit for nginx, signed by Ada; until 14:32". */
export const actSentence = (act: Act, now: number): string => {
  const ends = act.reverts_at === null ? Number.NaN : Date.parse(act.reverts_at)
  const held = Number.isNaN(ends) ? "" : `; ${ends > now ? "until" : "taken back"} ${moment(ends, now)}`
  return `${moment(Date.parse(act.at), now, true)}: ${actText(act)}${held}`
}

/** In a row, where there is little room. */
export const VERB_WORDS: Readonly<Record<ActMark["verb"], string>> = {
  nice: "lower priority",
  weight: "CPU weight",
  quota: "CPU limit",
  memory_high: "memory limit",
  terminate: "SIGTERM",
  restart: "restart",
  kill: "SIGKILL"
}

const ACTED: Readonly<Record<ActMark["verb"], string>> = {
  nice: "A lower priority for",
  weight: "A CPU weight for",
  quota: "A CPU limit for",
  memory_high: "A memory limit for",
  terminate: "SIGTERM to",
  restart: "Restart of",
  kill: "SIGKILL to"
}
const ENDED = { done: "", failed: ": it failed", interrupted: ": nobody knows whether it was done" } as const

const signedText = (by: ReadonlyArray<string>): string =>
  by.length === 0 ? "" : `, signed by ${by.map((name) => legible(name, 64)).join(" and ")}`

const RECORDED = { alert: "An alert fired", asked: "Somebody asked", oom_kill: "A process was killed" } as const

export const whenOf = (mark: Mark, now: number): string => moment(Date.parse(mark.at), now, true)

const COUNTED: Readonly<Record<Mark["kind"], readonly [string, string]>> = {
  act: ["act", "acts"],
  oom_kill: ["OOM kill", "OOM kills"],
  alert: ["alert", "alerts"],
  note: ["note", "notes"],
  reboot: ["reboot", "reboots"],
  restart: ["restart", "restarts"],
  clock: ["clock set", "clocks set"],
  outage: ["outage", "outages"],
  recording: ["recording", "recordings"]
}

/** "14:02:10: deploy 1.4", "12 restarts, 14:02 – 14:10". */
export const bundleText = ({ marks }: Bundle, now: number): string => {
  const [first] = marks
  if (first === undefined) return ""
  if (marks.length === 1) return `${whenOf(first, now)}: ${whatOf(first)}`
  const times = marks.map(({ at }) => Date.parse(at))
  const counts = countsOf(marks)
  // The number that is shown is a part of what is said.
  const isOfKinds = new Set(marks.map(({ kind }) => kind)).size > 1
  return `${isOfKinds ? `${marks.length} marks: ${counts}` : counts}, ${windowText(times[0]!, times.at(-1)!, now)}`
}

/** "12 restarts, 1 note". */
export const countsOf = (marks: ReadonlyArray<Mark>): string =>
  (Object.entries(COUNTED) as ReadonlyArray<[Mark["kind"], readonly [string, string]]>)
    .flatMap(([kind, [one, many]]) => {
      const count = marks.filter((mark) => mark.kind === kind).length
      return count === 0 ? [] : [`${count} ${count === 1 ? one : many}`]
    })
    .join(", ")

/** The kind that a bundle is drawn as: what matters most of what is in it. */
export const kindOf = ({ marks }: Bundle): Mark["kind"] =>
  (Object.keys(COUNTED) as ReadonlyArray<Mark["kind"]>).find((kind) => marks.some((mark) => mark.kind === kind)) ??
  "note"
