/**
 * A ranking of one server: the choices, the stacked chart, the table, and the group that is open. For every exporter of
 * the catalog that ranks something.
 */
import { useCallback, useState } from "react"
import type { Exporter, Ranking } from "./Api.ts"
import { Failure } from "./Failure.tsx"
import { duration, moment, percent, window as windowText } from "./Format.ts"
import { GroupPanel } from "./GroupPanel.tsx"
import { useKeys } from "./Keys.ts"
import { useRange, windowQuery } from "./Range.ts"
import { groupsOf, RankedTable } from "./RankedTable.tsx"
import { useAsk, useNow } from "./Refresh.tsx"
import { Stack } from "./Stack.tsx"
import { RangePicker, RankingPicker } from "./Toolbar.tsx"
import { usePlace } from "./Url.ts"

const LISTED = 30
const ALL = 1_000
const NAME_IN_ADDRESS_MAX = 500

/** A name in an address: itself, or a mark of a very long one, which only the rows that are shown can tell. */
const addressed = (name: string): string => {
  if (name.length <= NAME_IN_ADDRESS_MAX && !name.startsWith("~")) return name
  let hash = 0
  for (let index = 0; index < name.length; index++) hash = (Math.imul(hash, 31) + name.charCodeAt(index)) | 0
  return `~${name.length}.${hash >>> 0}`
}

export const Explorer = ({ exporter, id }: { readonly id: string; readonly exporter: Exporter }) => {
  const range = useRange()
  const now = useNow()
  const { query, set } = usePlace()
  const { top } = exporter
  const rankings = top?.rankings ?? []
  const metric = rankings.find(({ key }) => key === query.get("metric"))?.key ?? top?.default ?? ""
  const ranking = rankings.find(({ key }) => key === metric)
  const search = query.get("q") ?? ""
  const all = query.get("all") !== null
  const [announced, setAnnounced] = useState("")

  const table = useAsk("rankings.top", {
    id,
    resource: exporter.resource,
    metric,
    limit: all || search !== "" ? ALL : LISTED,
    ...windowQuery(range, true)
  })
  const trends = useAsk(
    "overview.series",
    { id, resource: exporter.resource, metric, limit: all ? 100 : LISTED, points: 32, ...windowQuery(range) },
    { everyBeats: 4 }
  )
  const cores = table.value?.host?.cpu_cores ?? undefined
  const ofMachine = query.get("unit") === "machine" && cores !== undefined
  const divisorOf = useCallback(
    (which: Ranking) => (ofMachine && which.share === "cpu" && which.unit === "percent" ? (cores ?? 1) : 1),
    [ofMachine, cores]
  )

  const rows = table.value === undefined ? [] : groupsOf(table.value, exporter.resource)
  const openText = query.get("open")
  const open =
    openText === null
      ? undefined
      : openText.startsWith("~")
        ? rows.find(({ name }) => addressed(name) === openText)?.name
        : openText
  const setOpen = useCallback(
    (name: string | undefined) => {
      set({ open: name === undefined ? undefined : addressed(name) }, query.get("open") !== null && name !== undefined)
    },
    [set, query]
  )
  const setMetric = useCallback(
    (key: string) => {
      set({ metric: key === top?.default ? undefined : key, sort: undefined, dir: undefined })
      setAnnounced(`Ranked by ${key}`)
    },
    [set, top]
  )
  useKeys(
    useCallback(
      (key) => {
        if (key !== "Escape") return false
        const { activeElement } = document
        if (activeElement instanceof HTMLInputElement) activeElement.blur()
        if (query.get("open") !== null) set({ open: undefined })
        else if (query.get("brush") !== null) set({ brush: undefined })
        else if (query.get("q") !== null) set({ q: undefined }, true)
        else return false
        return true
      },
      [query, set]
    )
  )

  if (top === null || ranking === undefined) return null
  const answer = table.value
  const divisor = divisorOf(ranking)
  const windowed =
    answer === undefined ? undefined : { from: Date.parse(answer.window.from), to: Date.parse(answer.window.to) }
  return (
    <section className="explorer" aria-label={exporter.title}>
      <div className="toolbar">
        <h2>{exporter.title}</h2>
        <RankingPicker rankings={rankings} current={metric} onChoose={setMetric} />
        <RangePicker />
        {rankings.some(({ share, unit }) => share === "cpu" && unit === "percent") && cores !== undefined && (
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
              title={`100 % are all ${cores} cores`}
            >
              % of the machine
            </button>
          </fieldset>
        )}
        <span className="spring" />
        <label className="search">
          <span className="visually-hidden">Search {exporter.title}</span>
          <input
            type="search"
            placeholder={`Search ${exporter.title.toLowerCase()}`}
            value={search}
            onChange={(event) => set({ q: event.target.value || undefined }, true)}
          />
          <span className="key" aria-hidden="true">
            /
          </span>
        </label>
      </div>
      <p className="visually-hidden" role="status">
        {announced}
      </p>
      <div className="card">
        <Stack id={id} exporter={exporter} ranking={ranking} divisor={divisor} limit={cores} onOpen={setOpen} />
        <p className="chart-hint">
          {range.brush === undefined ? (
            <>Drag across the chart to look at a part of it in the table.</>
          ) : (
            <>
              <b>{windowText(range.brush.from, range.brush.to, now)}</b> (
              {duration((range.brush.to - range.brush.from) / 1000)}) is what the table shows.{" "}
              <button type="button" className="link" onClick={() => set({ brush: undefined })}>
                Whole range
              </button>
            </>
          )}
        </p>
      </div>
      <div className={table.previous ? "card flush previous" : "card flush"}>
        {answer !== undefined && windowed !== undefined && (
          <div className="table-head">
            <p>
              <b>{windowText(windowed.from, windowed.to, now)}</b>
              <span className="muted">
                {" "}
                · coverage {percent(answer.coverage * 100)} %{answer.scrapes > 0 ? ` · ${answer.scrapes} scrapes` : ""}
                {answer.resets > 0 ? ` · ${answer.resets} restarts` : ""}
                {answer.clamped > 0 ? ` · ${answer.clamped} clamped` : ""}
              </span>
            </p>
            {answer.memory_overcounted && (
              <p className="muted" title="Forks of one program share pages, and each counts them.">
                Memory is counted more than once: the sum of all groups exceeds the machine.
              </p>
            )}
            {all && (
              <button type="button" className="link" onClick={() => set({ all: undefined }, true)}>
                Only the top {LISTED}
              </button>
            )}
          </div>
        )}
        {table.failure !== undefined && answer !== undefined && table.at !== undefined && (
          <p className="banner" role="status">
            Shown as of {moment(table.at, now, true)}: {table.failure.message || table.failure.title}
          </p>
        )}
        {answer === undefined ? (
          table.failure === undefined ? (
            <div className="skeleton tall" role="status" aria-label="Loading the table" />
          ) : (
            <Failure failure={table.failure} what={exporter.title} />
          )
        ) : rows.length === 0 ? (
          <NothingSeen exporter={exporter} lastSeen={answer.last_seen} />
        ) : (
          <RankedTable
            exporter={exporter}
            metric={metric}
            top={answer}
            trends={trends.value}
            search={search}
            divisorOf={divisorOf}
            open={open}
            onOpen={setOpen}
            onMore={all ? undefined : () => set({ all: "" }, true)}
          />
        )}
        {search !== "" &&
          rows.length > 0 &&
          !rows.some(({ name }) => name.toLowerCase().includes(search.toLowerCase())) && (
            <p className="nothing">
              Nothing is called like that in this window.{" "}
              <button type="button" className="link" onClick={() => set({ q: undefined }, true)}>
                Clear the search
              </button>
            </p>
          )}
      </div>
      {open !== undefined && (
        <GroupPanel
          key={open}
          id={id}
          exporter={exporter}
          name={open}
          row={rows.find(({ name }) => name === open)}
          metric={metric}
          divisorOf={divisorOf}
          onClose={() => setOpen(undefined)}
        />
      )}
    </section>
  )
}

const NothingSeen = ({ exporter, lastSeen }: { readonly exporter: Exporter; readonly lastSeen: string | null }) => {
  const now = useNow()
  return (
    <div className="nothing">
      <p>
        <b>Nothing was seen in this window.</b>
      </p>
      <p className="muted">
        {lastSeen === null
          ? `${exporter.name} has never reported here. Does it answer on ${hostOf(exporter.endpoint)}, and is it enabled in the agent's configuration?`
          : `${exporter.name} was last seen at ${moment(Date.parse(lastSeen), now)}. Choose a longer range, or look at the agent.`}
      </p>
    </div>
  )
}

export const hostOf = (endpoint: string): string => {
  try {
    return new URL(endpoint).host
  } catch {
    return endpoint
  }
}
