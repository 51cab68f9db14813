/** Makes a silence, or a maintenance: of what, until when, why; and says which alerts that fire now it would be about. */
import { useState } from "react"
import { Choice, FormEnd, TextField, useSending } from "../access/Field.tsx"
import { ask } from "../ask/Api.ts"
import { useAsk, useHeart, useNow } from "../ask/Refresh.tsx"
import { localTime } from "../frame/Toolbar.tsx"
import { Dialog } from "../parts/Dialog.tsx"
import { moment } from "../parts/Format.ts"
import { Name } from "../parts/Name.tsx"
import { fires } from "./AlertWords.ts"
import { type Matchers, wouldSilence } from "./Silencing.ts"

const SHOWN_MAX = 5
const LISTED_MAX = 200
const OTHER = "other"
const LENGTHS = [
  ["1", "1 hour"],
  ["4", "4 hours"],
  ["12", "12 hours"],
  ["24", "1 day"],
  ["72", "3 days"],
  ["168", "7 days"],
  [OTHER, "Until…"]
] as const

interface Wanted extends Matchers {
  readonly kind: "silence" | "maintenance"
  readonly hours: string
  /** As the field of a form has them; empty: now. */
  readonly from: string
  readonly until: string
  readonly comment: string
}

const patternOf = (text: string) => (text.trim() === "" ? undefined : text.trim())

/** What the API is asked for: a maintenance is of servers only. */
const bodyOf = ({ comment, from, group, hours, kind, rule, server, severity, until }: Wanted) => {
  const begins = from === "" ? Date.now() : Date.parse(from)
  const ends = hours === OTHER ? Date.parse(until) : begins + Number(hours) * 3_600_000
  const isSilence = kind === "silence"
  return {
    kind,
    server: patternOf(server),
    rule: isSilence ? patternOf(rule) : undefined,
    group: isSilence ? patternOf(group) : undefined,
    severity: isSilence && severity !== "" ? severity : undefined,
    from: from === "" ? undefined : new Date(begins).toISOString(),
    until: Number.isNaN(ends) ? until : new Date(ends).toISOString(),
    comment: comment.trim()
  }
}

export const SilenceForm = ({
  from = {},
  onClose,
  onMade
}: {
  readonly from?: Partial<Matchers>
  readonly onClose: () => void
  readonly onMade: () => void
}) => {
  const { refresh } = useHeart()
  const [wanted, setWanted] = useState<Wanted>({
    kind: "silence",
    rule: "",
    server: "",
    group: "",
    severity: "",
    hours: "4",
    from: "",
    until: localTime(Date.now() + 86_400_000),
    comment: "",
    ...from
  })
  const change = (changed: Partial<Wanted>) => setWanted((now) => ({ ...now, ...changed }))
  const { busy, failure, onSubmit } = useSending(async () => {
    await ask("silences.add", {}, { body: bodyOf(wanted) })
    refresh()
    onMade()
    onClose()
  })
  return (
    <Dialog title={wanted.kind === "silence" ? "Silence alerts" : "Announce a maintenance"} onClose={onClose}>
      <form className="fields" onSubmit={onSubmit}>
        <Fields wanted={wanted} change={change} />
        <Preview wanted={wanted} />
        <FormEnd failure={failure} disabled={busy} onCancel={onClose}>
          {wanted.kind === "silence" ? "Silence" : "Announce"}
        </FormEnd>
      </form>
    </Dialog>
  )
}

const Fields = ({
  change,
  wanted
}: {
  readonly wanted: Wanted
  readonly change: (changed: Partial<Wanted>) => void
}) => (
  <>
    <Choice
      label="What is it?"
      hint={
        wanted.kind === "silence"
          ? "Alerts fire and are listed; nobody is told of them until it is over."
          : "Whole servers, announced before it begins."
      }
      value={wanted.kind}
      options={[
        ["silence", "A silence"],
        ["maintenance", "A maintenance"]
      ]}
      onChange={(kind) => change({ kind: kind as Wanted["kind"] })}
    />
    <TextField
      label="Server"
      hint="* stands for any characters. Empty: any."
      value={wanted.server}
      placeholder="db-*"
      onChange={(server) => change({ server })}
    />
    {wanted.kind === "silence" && (
      <>
        <TextField label="Rule" value={wanted.rule} placeholder="any" onChange={(rule) => change({ rule })} />
        <TextField label="Group" value={wanted.group} placeholder="any" onChange={(group) => change({ group })} />
        <Choice
          label="Severity"
          value={wanted.severity}
          options={[
            ["", "any"],
            ["info", "info"],
            ["warning", "warning"],
            ["critical", "critical"]
          ]}
          onChange={(severity) => change({ severity })}
        />
      </>
    )}
    {wanted.kind === "maintenance" && <Moment label="From" value={wanted.from} onChange={(from) => change({ from })} />}
    <Choice label="How long" value={wanted.hours} options={LENGTHS} onChange={(hours) => change({ hours })} />
    {wanted.hours === OTHER && <Moment label="Until" value={wanted.until} onChange={(until) => change({ until })} />}
    <TextField
      label="Why"
      required
      value={wanted.comment}
      placeholder="Moving to NVMe"
      maxLength={500}
      onChange={(comment) => change({ comment })}
    />
  </>
)

const Moment = (props: {
  readonly label: string
  readonly value: string
  readonly onChange: (value: string) => void
}) => (
  <div className="field">
    <label>
      {props.label}{" "}
      <input type="datetime-local" value={props.value} onChange={(event) => props.onChange(event.target.value)} />
    </label>
  </div>
)

/** Which alerts of those that fire now. */
const Preview = ({ wanted }: { readonly wanted: Wanted }) => {
  const now = useNow()
  const { value } = useAsk("alerts.list", { limit: LISTED_MAX })
  const matchers = wanted.kind === "silence" ? wanted : { ...wanted, rule: "", group: "", severity: "" }
  const firing = (value?.alerts ?? []).filter(fires)
  const about = firing.filter((alert) => wouldSilence(matchers, alert))
  return (
    <section className="silence-preview" aria-label="What it would silence now">
      <p role="status">
        {value === undefined
          ? "…"
          : firing.length === 0
            ? "Nothing fires now."
            : about.length === 0
              ? `None of the ${firing.length} alerts that fire now.`
              : `${about.length} of the ${firing.length} alerts that fire now:`}
      </p>
      <ul>
        {about.slice(0, SHOWN_MAX).map((alert) => (
          <li key={alert.alert_id}>
            <Name value={alert.rule} />
            <span className="sub">
              {alert.group === "" ? "" : `${alert.group} · `}
              {alert.server_name ?? alert.server_id ?? "NodePulse"}, since {moment(Date.parse(alert.fired_at), now)}
            </span>
          </li>
        ))}
      </ul>
      {about.length > SHOWN_MAX && <p className="muted small">and {about.length - SHOWN_MAX} more</p>}
    </section>
  )
}
