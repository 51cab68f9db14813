/** What stands above a ledger: how much of both windows was seen, before any number; the whole in a sentence; against what. */
import { useId, useState } from "react"
import type { Changes, Ranking } from "../ask/Api.ts"
import { ALONE } from "../ask/Choice.ts"
import { useAsk, useNow } from "../ask/Refresh.tsx"
import { type Comparison, iso } from "../ask/Spans.ts"
import { usePlace } from "../ask/Url.ts"
import { localTime } from "../frame/Toolbar.tsx"
import { percent, window as windowText, words } from "../parts/Format.ts"
import { legible } from "../parts/Legible.ts"
import type { Lines } from "./Lines.ts"

type Side = Changes["after"]

interface Props {
  readonly answer: Changes
  readonly lines: Lines
  readonly ranking: Ranking
  readonly compared: Comparison
  /** Whether there is anything to compare. */
  readonly seen: boolean
}

export const LedgerHead = ({ answer, compared, lines, ranking, seen }: Props) => {
  const { set } = usePlace()
  const { after, before, partial, total } = answer
  return (
    <header className="ledger-head">
      <button type="button" className="icon" onClick={() => set(ALONE)} aria-label="Back to the table" title="Esc">
        <svg viewBox="0 0 20 20" aria-hidden="true">
          <path d="m5.5 5.5 9 9m0-9-9 9" />
        </svg>
      </button>
      <dl className="ledger-spans">
        <Seen term="Before" side={before} elsewhere={before.server_id !== after.server_id} />
        <Seen term="After" side={after} elsewhere={false} />
      </dl>
      {seen && partial && (
        <p className="banner">
          <b>Only a part was seen</b>: {percent(before.coverage * 100)} % of the time before,{" "}
          {percent(after.coverage * 100)} % of the time after. The averages below are of what was seen.
        </p>
      )}
      <p className="ledger-said" role="status">
        {seen ? sentenceOf(answer, lines, ranking) : nothingSeen(answer)}
      </p>
      <Against compared={compared} answer={answer} />
      {seen && total.of === "groups" && ranking.share === "cpu" && (
        <p className="muted small">
          The host's own CPU is not known in both times: the sum of all groups stands in its place.
        </p>
      )}
    </header>
  )
}

const Seen = ({
  elsewhere,
  side,
  term
}: {
  readonly term: string
  readonly side: Side
  readonly elsewhere: boolean
}) => {
  const now = useNow()
  return (
    <div>
      <dt>{term}</dt>
      <dd>
        {windowText(Date.parse(side.window.from), Date.parse(side.window.to), now)}
        {elsewhere && ` on ${legible(side.server_id, 60)}`}
        <span className="muted">
          {" "}
          · coverage {percent(side.coverage * 100)} % · {side.scrapes} {side.scrapes === 1 ? "scrape" : "scrapes"}
        </span>
      </dd>
    </div>
  )
}

/** The whole in words: "CPU rose by 214 points (148 % → 362 %)". */
export const sentenceOf = ({ after, before }: Changes, { scale, total, verdict }: Lines, ranking: Ranking): string => {
  const what = words(ranking.key)
  const values = `${scale.value(total.before)} → ${scale.value(total.after)}`
  const here = before.server_id === after.server_id
  const size = scale.size(total.change)
  if (verdict === "quiet")
    return `Nothing worth telling ${here ? "changed" : "differs"}: ${what.replace(/^[A-Z](?=[a-z])/, (letter) => letter.toLowerCase())} ${values}`
  if (verdict === "level") return `${what} is about the same (${values}), but not what uses it`
  if (here) return `${what} ${verdict} by ${size} (${values})`
  return `${what} is ${size} ${verdict === "rose" ? "higher" : "lower"} than on ${legible(before.server_id, 60)} (${values})`
}

const nothingSeen = ({ after, before }: Changes): string => {
  const where = after.scrapes > 0 ? "before" : before.scrapes > 0 ? "after" : "before nor after"
  return `Nothing was seen ${where}: there is nothing to compare`
}

const NAMES = { previous: "the same length before", day: "the same time yesterday", week: "the same time last week" }

/** What it is compared with, to be chosen. */
const Against = ({ answer, compared }: { readonly answer: Changes; readonly compared: Comparison }) => {
  const { set } = usePlace()
  const [asksServer, setAsksServer] = useState(compared.server !== undefined)
  const { against, server } = compared
  const end = Date.parse(answer.before.window.to)
  const choose = (value: string) => set({ against: value === "moment" ? iso(end) : value }, true)
  return (
    <div className="ledger-against">
      <label>
        against{" "}
        <select
          value={typeof against === "number" ? "moment" : against}
          onChange={(event) => choose(event.target.value)}
        >
          {server !== undefined && <option value="same">the same time</option>}
          {Object.entries(NAMES).map(([key, name]) => (
            <option key={key} value={key}>
              {name}
            </option>
          ))}
          <option value="moment">a moment you pick</option>
        </select>
      </label>
      {typeof against === "number" && <MomentField at={against} />}
      {asksServer ? (
        <ServerField current={server} id={answer.after.server_id} onClose={() => setAsksServer(false)} />
      ) : (
        <button type="button" className="link" onClick={() => setAsksServer(true)}>
          another server…
        </button>
      )}
    </div>
  )
}

/** The end of the time before: typed here, or clicked in the chart. */
const MomentField = ({ at }: { readonly at: number }) => {
  const { set } = usePlace()
  return (
    <label title="Or click in the chart">
      up to{" "}
      <input
        type="datetime-local"
        value={localTime(at)}
        max={localTime(Date.now())}
        onChange={({ target }) => {
          const time = Date.parse(target.value)
          if (!Number.isNaN(time) && time <= Date.now()) set({ against: iso(time) }, true)
        }}
      />
    </label>
  )
}

const FOUND_MAX = 8

const ServerField = ({
  current,
  id,
  onClose
}: {
  readonly current: string | undefined
  readonly id: string
  readonly onClose: () => void
}) => {
  const { set } = usePlace()
  const [typed, setTyped] = useState(current ?? "")
  const list = useId()
  const found = useAsk(
    "overview.fleet",
    { search: typed === "" ? undefined : typed.slice(0, 200), limit: FOUND_MAX, sort: "name", dir: "up" },
    { everyBeats: Number.POSITIVE_INFINITY, aside: true }
  )
  const servers = (found.value?.servers ?? []).filter(({ server_id }) => server_id !== id)
  const choose = (text: string) => {
    setTyped(text)
    const chosen = servers.find(({ name, server_id }) => server_id === text || name === text)
    if (chosen !== undefined) set({ with: chosen.server_id, against: "same" }, true)
  }
  const leave = () => {
    if (current !== undefined) set({ with: undefined, against: "previous" }, true)
    onClose()
  }
  return (
    <span className="ledger-server">
      <label>
        on{" "}
        <input
          list={list}
          value={typed}
          placeholder="another server"
          aria-describedby={`${list}-said`}
          onChange={(event) => choose(event.target.value)}
        />
      </label>
      <datalist id={list}>
        {servers.map(({ name, server_id }) => (
          <option key={server_id} value={server_id}>
            {legible(name, 60)}
          </option>
        ))}
      </datalist>
      <span id={`${list}-said`} className="muted small" role="status">
        {typed !== "" && typed !== current && found.value !== undefined && servers.length === 0 ? "no such server" : ""}
      </span>
      <button type="button" className="link" onClick={leave}>
        {current === undefined ? "Cancel" : "this server"}
      </button>
    </span>
  )
}
