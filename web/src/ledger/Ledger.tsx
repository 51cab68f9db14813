/**
 * What changed between two windows, in the place of the table: how much of both was seen, the whole in a sentence, and a
 * line for each group that adds up to it (`Lines.ts`). Live where its window is.
 */
import { useEffect, useMemo } from "react"
import type { Changes, Exporter, Ranking } from "../ask/Api.ts"
import { useGrouping } from "../ask/Grouping.ts"
import { formatWindow, useRange } from "../ask/Range.ts"
import { useAsk, useNow } from "../ask/Refresh.tsx"
import { type Comparison, isOver, iso, lookedAtQuery, type Range } from "../ask/Spans.ts"
import { linkWith } from "../ask/Url.ts"
import { Failure, ShownAsOf } from "../parts/Failure.tsx"
import { percent, window as windowText, words } from "../parts/Format.ts"
import { LISTED, OVER_EVERY } from "../server/Ranked.ts"
import type { Sheet } from "../server/TakeAway.ts"
import { LedgerHead, sentenceOf } from "./LedgerHead.tsx"
import { LedgerTable } from "./LedgerTable.tsx"
import { type Line, type Lines, lifeOf, linesOf } from "./Lines.ts"
import "./ledger.css"

interface Props {
  readonly id: string
  readonly exporter: Exporter
  readonly ranking: Ranking
  /** How far apart the server's scrapes are. */
  readonly pace: number
  readonly divisor: number
  /** The chart's colours of names. */
  readonly colourOf: ReadonlyMap<string, string> | undefined
  readonly open: string | undefined
  readonly onOpen: (name: string | undefined) => void
  /** Told what can be taken away. */
  readonly onSheet: (sheet: Sheet | undefined) => void
}

export const Ledger = (props: Props) => {
  const { colourOf, divisor, exporter, onOpen, onSheet, open, ranking } = props
  const range = useRange()
  const { asked, compared } = useChanges(props, range)
  const { failure, previous, value } = asked
  const lines = useMemo(
    () => (value === undefined ? undefined : linesOf(value, ranking, divisor)),
    [value, ranking, divisor]
  )
  useEffect(() => {
    onSheet(value === undefined || lines === undefined ? undefined : sheetOf(value, lines, ranking, exporter, range))
    return () => onSheet(undefined)
  }, [value, lines, ranking, exporter, range, onSheet])
  if (value === undefined || lines === undefined || compared === undefined) {
    return (
      <div className="card flush table-card">
        {failure === undefined ? (
          <div className="skeleton table-space" role="status" aria-label="Comparing" />
        ) : (
          <Failure failure={failure} what="What changed" />
        )}
      </div>
    )
  }
  const seen = value.before.scrapes > 0 && value.after.scrapes > 0
  return (
    <div className={`card flush table-card${previous ? " previous" : ""}`}>
      <LedgerHead answer={value} lines={lines} ranking={ranking} compared={compared} seen={seen} />
      <ShownAsOf asked={asked} />
      {seen && (
        <LedgerTable
          answer={value}
          lines={lines}
          name={words(exporter.top?.per ?? "name").replace(/ name$/, "")}
          divisor={divisor}
          colourOf={colourOf}
          open={open}
          onOpen={onOpen}
        />
      )}
    </div>
  )
}

const useChanges = ({ exporter, id, pace, ranking }: Props, range: Range) => {
  const now = useNow()
  const whole = { ...range, moment: undefined }
  const { compared } = range
  const grouping = useGrouping()
  const asked = useAsk(
    "changes.diff",
    {
      id,
      resource: exporter.resource,
      metric: ranking.key,
      grouping,
      limit: LISTED,
      ...lookedAtQuery(whole, pace),
      ...againstQuery(compared)
    },
    { off: compared === undefined, everyBeats: isOver(whole, pace, now) ? OVER_EVERY : 1 }
  )
  return { asked, compared }
}

const againstQuery = (compared: Comparison | undefined) =>
  compared === undefined
    ? {}
    : {
        against_server: compared.server,
        ...(typeof compared.against === "number"
          ? { against_at: iso(compared.against) }
          : { against: compared.against })
      }

/** The ledger as it is shown, with an address that shows the same times for ever. */
const sheetOf = (answer: Changes, lines: Lines, ranking: Ranking, exporter: Exporter, range: Range): Sheet => {
  const { after, before } = answer
  const spanOf = ({ window: { from, to } }: Changes["after"]) => ({ from: Date.parse(from), to: Date.parse(to) })
  const textOf = (side: Changes["after"]) =>
    `${windowText(spanOf(side).from, spanOf(side).to, Date.now())} (coverage ${percent(side.coverage * 100)} %)`
  const pinned = range.fixed ?? spanOf(after)
  const { scale } = lines
  const row = (name: string, { after, before, change, exact, share }: Line, what: ReadonlyArray<string> = []) => ({
    name,
    shown: [
      scale.value(before),
      scale.value(after),
      scale.change(change),
      share === null ? "–" : `${share} %`,
      what.join(", ")
    ],
    values: [exact.before, exact.after, exact.change, exact.share, what.join(" ")]
  })
  const elsewhere = before.server_id === after.server_id ? "" : ` on ${before.server_id}`
  return {
    title: `${after.server_id} · ${sentenceOf(answer, lines, ranking)} · ${textOf(after)} against ${textOf(before)}${elsewhere}`,
    address: linkWith({ window: formatWindow(pinned), range: undefined }),
    name: words(exporter.top?.per ?? "name"),
    columns: [
      { head: "Before", field: "before" },
      { head: "After", field: "after" },
      { head: "Change", field: "change" },
      { head: "Share", field: "share" },
      { head: "What", field: "what" }
    ],
    rows: [...lines.along, ...lines.against].map((line) => row(line.group.name, line, lifeOf(line.group))),
    rest: [
      ...(lines.other === undefined ? [] : [row(`${lines.other.groups} others`, lines.other)]),
      ...(lines.unaccounted === undefined ? [] : [row("Unaccounted", lines.unaccounted)]),
      row(totalName(answer), lines.total)
    ]
  }
}

const totalName = ({ total }: Changes): string => (total.of === "host" ? "The host" : "All groups")
