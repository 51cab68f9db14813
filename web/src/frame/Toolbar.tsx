/** Which ranking, which window, which measure of CPU: the few choices above charts and tables. */
import { type FormEvent, useCallback, useState } from "react"
import type { Ranking } from "../ask/Api.ts"
import { formatWindow, RANGES, USUAL, useRange } from "../ask/Range.ts"
import { useNow } from "../ask/Refresh.tsx"
import { usePlace } from "../ask/Url.ts"
import { window as windowText, words } from "../parts/Format.ts"
import { useKeys } from "./Keys.ts"

/** `usual` is the range where the address names none. */
export const RangePicker = ({ usual = USUAL }: { readonly usual?: string }) => {
  const range = useRange(usual)
  const { set } = usePlace()
  const now = useNow()
  const [custom, setCustom] = useState(false)
  useKeys(
    useCallback(
      (key) => {
        const known = RANGES[Number(key) - 1]
        if (known === undefined) return false
        set({
          range: known.key === usual ? undefined : known.key,
          window: undefined,
          brush: undefined,
          moment: undefined
        })
        return true
      },
      [set, usual]
    )
  )
  return (
    <div className="range">
      <fieldset className="segments">
        <legend className="visually-hidden">Range</legend>
        {RANGES.map(({ key, label, title }) => (
          <button
            key={key}
            type="button"
            aria-pressed={range.key === key}
            title={title}
            onClick={() => {
              setCustom(false)
              set({ range: key === usual ? undefined : key, window: undefined, brush: undefined, moment: undefined })
            }}
          >
            {label}
          </button>
        ))}
        <button
          type="button"
          aria-pressed={range.key === "custom"}
          aria-expanded={custom}
          onClick={() => setCustom((open) => !open)}
        >
          {range.fixed === undefined ? "Custom" : windowText(range.fixed.from, range.fixed.to, now)}
        </button>
      </fieldset>
      {custom && (
        <CustomRange
          from={range.fixed?.from ?? now - range.hours * 3_600_000}
          to={range.fixed?.to ?? now}
          onChoose={(from, to) => {
            setCustom(false)
            set({ window: formatWindow({ from, to }), range: undefined, brush: undefined, moment: undefined })
          }}
        />
      )}
    </div>
  )
}

/** A moment as a field of a form takes it, in the time of whoever looks. */
export const localTime = (time: number): string => {
  const at = new Date(time)
  return new Date(time - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 16)
}

const CustomRange = (props: {
  readonly from: number
  readonly to: number
  readonly onChoose: (from: number, to: number) => void
}) => {
  const [opened] = useState({ from: props.from, to: props.to })
  const [from, setFrom] = useState(localTime(opened.from))
  const [to, setTo] = useState(localTime(opened.to))
  // An hour that a day has twice cannot be told apart by its text: what was not touched stays what it was.
  const left = from === localTime(opened.from) ? opened.from : Date.parse(from)
  const right = to === localTime(opened.to) ? opened.to : Date.parse(to)
  const wrong = !(left < right) || !(left < Date.now())
  const choose = (event: FormEvent) => {
    event.preventDefault()
    if (!wrong) props.onChoose(left, Math.min(right, Date.now()))
  }
  return (
    <form className="custom-range" onSubmit={choose}>
      <label>
        From <input type="datetime-local" required value={from} onChange={(event) => setFrom(event.target.value)} />
      </label>
      <label>
        to <input type="datetime-local" required value={to} onChange={(event) => setTo(event.target.value)} />
      </label>
      <button type="submit" className="button primary small" disabled={wrong}>
        Show
      </button>
      {wrong && <span className="problem">The start must be before the end, and in the past.</span>}
    </form>
  )
}

/** CPU | memory | …, from the catalog. The first letter is the key of those that every answer has. */
export const RankingPicker = ({
  current,
  onChoose,
  rankings
}: {
  readonly rankings: ReadonlyArray<Ranking>
  readonly current: string
  readonly onChoose: (key: string) => void
}) => {
  useKeys(
    useCallback(
      (key) => {
        const ranking = rankings.find(({ key: name, on_demand }) => !on_demand && name.startsWith(key))
        if (ranking === undefined || key.length !== 1) return false
        onChoose(ranking.key)
        return true
      },
      [rankings, onChoose]
    )
  )
  const more = rankings.filter(({ on_demand }) => on_demand)
  const chosen = more.find(({ key }) => key === current)
  return (
    <fieldset className="segments strong">
      <legend className="visually-hidden">Rank by</legend>
      {rankings
        .filter(({ on_demand }) => !on_demand)
        .map(({ key }) => (
          <button key={key} type="button" aria-pressed={key === current} onClick={() => onChoose(key)}>
            {words(key)}
          </button>
        ))}
      {more.length > 0 && (
        <select
          aria-label="Rank by more"
          className={chosen === undefined ? "" : "chosen"}
          value={chosen?.key ?? ""}
          onChange={(event) => event.target.value !== "" && onChoose(event.target.value)}
        >
          <option value="" disabled hidden>
            More
          </option>
          {more.map(({ key }) => (
            <option key={key} value={key}>
              {words(key)}
            </option>
          ))}
        </select>
      )}
    </fieldset>
  )
}

/** What 100 % of CPU are. Its place is kept until the cores are known. */
export const UnitPicker = ({ cores }: { readonly cores: number | undefined }) => {
  const { query, set } = usePlace()
  const ofMachine = query.get("unit") === "machine"
  const off = cores === undefined
  return (
    <fieldset className="segments">
      <legend className="visually-hidden">CPU as percent of</legend>
      <button
        type="button"
        aria-pressed={!ofMachine}
        onClick={() => set({ unit: undefined }, true)}
        title="100 % is one core kept busy"
      >
        % of a core
      </button>
      <button
        type="button"
        aria-pressed={ofMachine}
        onClick={() => set({ unit: "machine" }, true)}
        title={off ? "How many cores the machine has is not known" : `100 % is all ${cores} cores`}
      >
        % of the machine
      </button>
    </fieldset>
  )
}

export const SearchField = ({ of }: { readonly of: string }) => {
  const { query, set } = usePlace()
  return (
    <label className="search">
      <span className="visually-hidden">Search {of}</span>
      <input
        type="search"
        placeholder={`Search ${of.toLowerCase()}`}
        value={query.get("q") ?? ""}
        onChange={(event) => set({ q: event.target.value || undefined }, true)}
      />
      <span className="key" aria-hidden="true">
        /
      </span>
    </label>
  )
}
