/** Which ranking, which window, which measure of CPU: the few choices above charts and tables. */
import { type FormEvent, useCallback, useState } from "react"
import type { Ranking } from "./Api.ts"
import { window as windowText, words } from "./Format.ts"
import { useKeys } from "./Keys.ts"
import { formatWindow, RANGES, useRange } from "./Range.ts"
import { useNow } from "./Refresh.tsx"
import { usePlace } from "./Url.ts"

export const RangePicker = () => {
  const range = useRange()
  const { set } = usePlace()
  const now = useNow()
  const [custom, setCustom] = useState(false)
  useKeys(
    useCallback(
      (key) => {
        const known = RANGES[Number(key) - 1]
        if (known === undefined) return false
        set({ range: known.key === "1h" ? undefined : known.key, window: undefined, brush: undefined })
        return true
      },
      [set]
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
              set({ range: key === "1h" ? undefined : key, window: undefined, brush: undefined })
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
            set({ window: formatWindow({ from, to }), range: undefined, brush: undefined })
          }}
        />
      )}
    </div>
  )
}

const local = (time: number): string => {
  const at = new Date(time)
  return new Date(time - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 16)
}

const CustomRange = (props: {
  readonly from: number
  readonly to: number
  readonly onChoose: (from: number, to: number) => void
}) => {
  const [from, setFrom] = useState(local(props.from))
  const [to, setTo] = useState(local(props.to))
  const choose = (event: FormEvent) => {
    event.preventDefault()
    const left = Date.parse(from)
    const right = Math.min(Date.parse(to), Date.now())
    if (left < right) props.onChoose(left, right)
  }
  const wrong = !(Date.parse(from) < Date.parse(to)) || !(Date.parse(from) < Date.now())
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
      {wrong && <span className="problem">the beginning must lie before the end, and in the past</span>}
    </form>
  )
}

/** CPU | memory, from the catalog. The first letter of each is its key. */
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
        const ranking = rankings.find((candidate) => candidate.key.startsWith(key))
        if (ranking === undefined || key.length !== 1) return false
        onChoose(ranking.key)
        return true
      },
      [rankings, onChoose]
    )
  )
  return (
    <fieldset className="segments strong">
      <legend className="visually-hidden">Rank by</legend>
      {rankings.map(({ key }) => (
        <button key={key} type="button" aria-pressed={key === current} onClick={() => onChoose(key)}>
          {words(key)}
        </button>
      ))}
    </fieldset>
  )
}
