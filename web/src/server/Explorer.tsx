/**
 * A ranking of one server: the choices, the stacked chart with the table beside it, and the group that is open. For every
 * exporter of the catalog that ranks something.
 */
import { type ReactNode, useCallback, useRef, useState } from "react"
import type { Exporter, Ranking, Top } from "../ask/Api.ts"
import { ALONE } from "../ask/Choice.ts"
import { useRange } from "../ask/Range.ts"
import { useNow } from "../ask/Refresh.tsx"
import { addressed, usePlace } from "../ask/Url.ts"
import { pictureOf } from "../charts/Picture.ts"
import { Stack, type Stacked, useStacked } from "../charts/Stack.tsx"
import { GroupedBy, GroupNames } from "../frame/GroupNames.tsx"
import { useKeys } from "../frame/Keys.ts"
import { useChartHeight, useSideBySide } from "../frame/Narrow.ts"
import { RangePicker, RankingPicker, SearchField, UnitPicker } from "../frame/Toolbar.tsx"
import { Failure, ShownAsOf } from "../parts/Failure.tsx"
import { duration, moment, percent, window as windowText, words } from "../parts/Format.ts"
import { late } from "../parts/Late.tsx"
import { legible } from "../parts/Legible.ts"
import { GroupPanel } from "./GroupPanel.tsx"
import { LISTED, type Ranked, useRanked } from "./Ranked.ts"
import { rankedSheet } from "./RankedSheet.ts"
import { RankedTable } from "./RankedTable.tsx"
import { Share } from "./Share.tsx"
import { SpanBar } from "./SpanBar.tsx"
import type { Sheet } from "./TakeAway.ts"

const Ledger = late(async () => (await import("../ledger/Ledger.tsx")).Ledger)

interface Props {
  readonly id: string
  readonly exporter: Exporter
  /** How far apart the server's scrapes are. */
  readonly pace: number
}

export const Explorer = ({ exporter, id, pace }: Props) => {
  const { query } = usePlace()
  const { top } = exporter
  const rankings = top?.rankings ?? []
  const ranking =
    rankings.find(({ key }) => key === query.get("metric")) ?? rankings.find(({ key }) => key === top?.default)
  return ranking === undefined ? null : <Workbench exporter={exporter} id={id} pace={pace} ranking={ranking} />
}

const Workbench = ({ exporter, id, pace, ranking }: Props & { readonly ranking: Ranking }) => {
  const range = useRange()
  const sideBySide = useSideBySide()
  const height = useChartHeight(sideBySide)
  const { query, set } = usePlace()
  const metric = ranking.key
  const search = query.get("q") ?? ""
  const all = query.get("all") !== null
  const { announced, setMetric } = useMetricChoice(exporter)
  const [step, setStep] = useState<number>()
  const [focus, setFocus] = useState<string>()
  const ranked = useRanked(id, exporter, ranking, range, { long: all || search !== "", pace })
  const { rows, table } = ranked
  const cores = table.value?.host?.cpu_cores ?? undefined
  const divisorOf = useDivisor(cores)
  const stacked = useStacked(ranked.chart.value, divisorOf(ranking))
  const { open, setOpen, wasOpen } = useOpen(rows)
  const compared = range.compared !== undefined
  const { ledger, onSheet } = useLedgerSheet()
  return (
    <section className="explorer" aria-label={exporter.title}>
      <Choices id={id} exporter={exporter} metric={metric} cores={cores} onChoose={setMetric}>
        <Share
          file={`${id}-${metric}`}
          sheetOf={() => (compared ? ledger.current : rankedSheet({ id, exporter, ranking, ranked, divisorOf }))}
          picture={(explorer, title) => stackPicture(explorer, `${words(metric)} of ${title}`, stacked)}
        />
      </Choices>
      <p className="visually-hidden" role="status">
        {announced}
      </p>
      <div className="workbench">
        <div className="card chart-card">
          <Stack
            ranking={ranking}
            asked={ranked.chart}
            stacked={stacked}
            legend={!sideBySide}
            height={height}
            limit={cores}
            focus={focus}
            onOpen={setOpen}
            onHover={setStep}
          />
          <SpanBar id={id} pace={pace} answer={table.value} />
        </div>
        {compared ? (
          <Ledger
            id={id}
            exporter={exporter}
            ranking={ranking}
            pace={pace}
            divisor={divisorOf(ranking)}
            colourOf={stacked?.colourOf}
            open={open}
            onOpen={setOpen}
            onSheet={onSheet}
          />
        ) : (
          <TableCard exporter={exporter} ranked={ranked}>
            {(answer) => (
              <RankedTable
                exporter={exporter}
                metric={metric}
                top={answer}
                ranked={ranked}
                stacked={stacked}
                step={step}
                search={search}
                divisorOf={divisorOf}
                open={open}
                onOpen={setOpen}
                onFocus={setFocus}
                onMore={all ? undefined : () => set({ all: "" }, true)}
              />
            )}
          </TableCard>
        )}
      </div>
      {open !== undefined && (
        <GroupPanel
          key={open}
          id={id}
          exporter={exporter}
          name={open}
          pace={pace}
          row={rows.find(({ name }) => name === open)}
          chart={ranked.chart}
          metric={metric}
          loading={table.loading}
          looked={ranked.looked}
          takesFocus={!wasOpen}
          divisorOf={divisorOf}
          onClose={() => setOpen(undefined)}
        />
      )}
    </section>
  )
}

/** Chooses what is ranked by, and what a screen reader says of it. */
const useMetricChoice = (exporter: Exporter) => {
  const { set } = usePlace()
  const [announced, setAnnounced] = useState("")
  const setMetric = useCallback(
    (key: string) => {
      set({ metric: key === exporter.top?.default ? undefined : key, sort: undefined, dir: undefined })
      setAnnounced(`Ranked by ${words(key)}`)
    },
    [set, exporter]
  )
  return { announced, setMetric }
}

/** The table with what is to be said about it; while it loads a space of its size. */
const TableCard = ({
  children,
  exporter,
  ranked
}: {
  readonly exporter: Exporter
  readonly ranked: Ranked
  readonly children: (answer: Top) => ReactNode
}) => {
  const { query } = usePlace()
  const { rows, table } = ranked
  const answer = table.value
  const search = query.get("q") ?? ""
  const missing = search !== "" && rows.length > 0 && !rows.some(({ name }) => includes(name, search))
  return (
    <div className={table.previous ? "card flush table-card previous" : "card flush table-card"}>
      {answer !== undefined && <TableHead answer={answer} ranked={ranked} all={query.get("all") !== null} />}
      {answer !== undefined && <ShownAsOf asked={table} />}
      {answer === undefined ? (
        table.failure === undefined ? (
          <div className="skeleton table-space" role="status" aria-label="Loading the table" />
        ) : (
          <Failure failure={table.failure} what={exporter.title} />
        )
      ) : rows.length === 0 ? (
        <NothingSeen exporter={exporter} lastSeen={answer.last_seen} />
      ) : (
        children(answer)
      )}
      {missing && <NoMatch />}
    </div>
  )
}

const includes = (name: string, search: string) => name.toLowerCase().includes(search.toLowerCase())

/** Which group is open, from the address; Esc closes it. */
const useOpen = (rows: Ranked["rows"]) => {
  useEscape()
  const { query, set } = usePlace()
  const text = query.get("open")
  const open =
    text === null ? undefined : text.startsWith("~") ? rows.find(({ name }) => addressed(name) === text)?.name : text
  const before = useRef<string>(undefined)
  const wasOpen = before.current !== undefined && before.current !== open
  before.current = open
  const setOpen = useCallback(
    (name: string | undefined) => {
      set({ open: name === undefined ? undefined : addressed(name) }, text !== null && name !== undefined)
    },
    [set, text]
  )
  return { open, setOpen, wasOpen }
}

/** What a ranking's values are divided by: the cores, where percent of the machine are shown. */
const useDivisor = (cores: number | undefined) => {
  const { query } = usePlace()
  const ofMachine = query.get("unit") === "machine" && cores !== undefined
  return useCallback(
    (which: Ranking) => (ofMachine && which.share === "cpu" && which.unit === "percent" ? (cores ?? 1) : 1),
    [ofMachine, cores]
  )
}

/** What can be chosen above chart and table. */
const Choices = ({
  children,
  cores,
  exporter,
  id,
  metric,
  onChoose
}: {
  readonly id: string
  readonly exporter: Exporter
  readonly metric: string
  readonly cores: number | undefined
  readonly onChoose: (key: string) => void
  readonly children: ReactNode
}) => {
  const rankings = exporter.top?.rankings ?? []
  return (
    <div className="toolbar">
      <h2>{exporter.title}</h2>
      <RankingPicker rankings={rankings} current={metric} onChoose={onChoose} />
      <RangePicker />
      {rankings.some(({ share, unit }) => share === "cpu" && unit === "percent") && <UnitPicker cores={cores} />}
      <span className="spring" />
      <GroupNames id={id} />
      <SearchField of={exporter.title} />
      {children}
    </div>
  )
}

/** The stacked chart under its title; null where there is none yet. */
const stackPicture = async (explorer: Element, title: string, stacked: Stacked | undefined) => {
  const canvas = explorer.querySelector<HTMLCanvasElement>(".stack canvas")
  return canvas === null || stacked === undefined ? null : pictureOf(canvas, title, stacked.lines)
}

/** What the ledger has to be taken away, whenever somebody asks. */
const useLedgerSheet = () => {
  const ledger = useRef<Sheet>(undefined)
  const onSheet = useCallback((sheet: Sheet | undefined) => {
    ledger.current = sheet
  }, [])
  return { ledger, onSheet }
}

/** Esc takes back one thing after the other, the latest first. */
const useEscape = () => {
  const { query, set } = usePlace()
  useKeys(
    useCallback(
      (key) => {
        if (key !== "Escape") return false
        const { activeElement } = document
        if (activeElement instanceof HTMLInputElement) activeElement.blur()
        const shown = ["open", "against", "moment", "brush", "q"].find((name) => query.get(name) !== null)
        if (shown === undefined) return false
        set(shown === "against" ? ALONE : { [shown]: undefined }, shown === "q")
        return true
      },
      [query, set]
    )
  )
}

/** A replica that follows is a second or two behind, which is no news. */
const LAG_TOLD_SECONDS = 5

/** What the table is about: when, how much of it was seen, and what is to be known about its numbers. */
const TableHead = ({
  all,
  answer,
  ranked
}: {
  readonly answer: Top
  readonly ranked: Ranked
  readonly all: boolean
}) => {
  const { set } = usePlace()
  const range = useRange()
  const now = useNow()
  const { clamped, coverage, scrapes, unknown } = answer
  const lag = answer.window.replica_lag_seconds ?? 0
  const steps = unknown === 1 ? "step" : "steps"
  return (
    <div className="table-head">
      <p>
        <b>
          {range.moment === undefined || ranked.table.previous
            ? windowText(Date.parse(answer.window.from), Date.parse(answer.window.to), now)
            : answer.last_seen === null
              ? moment(range.moment, now, true)
              : `Scrape of ${moment(Date.parse(answer.last_seen), now, true)}`}
        </b>
        <span className="muted">
          {lag >= LAG_TOLD_SECONDS ? ` · read from a replica, ${duration(lag)} behind` : ""} · coverage{" "}
          {percent(coverage * 100)} %{scrapes > 0 ? ` · ${scrapes} ${scrapes === 1 ? "scrape" : "scrapes"}` : ""}
          <Restarts count={answer.resets} of={ranked.restarts} />
          {clamped > 0 ? ` · ${clamped} clamped` : ""}
          {unknown > 0 ? ` · ${unknown} ${steps} unknown: CPUs, disks or interfaces changed` : ""}
        </span>
      </p>
      <GroupedBy grouping={answer.grouping} bound={ranked.rows.some((row) => Boolean(row.peak_is_bound))} />
      {answer.memory_overcounted && (
        <p className="muted" title="Processes of one program share pages, and each of them counts them.">
          Shared memory is counted more than once: the groups add up to more than the machine has.
        </p>
      )}
      {ranked.datedAt !== undefined && (
        <p className="muted">
          The first 100 rows are refreshed, the others are of {moment(ranked.datedAt, now, true)}.{" "}
          <button type="button" className="link" onClick={ranked.refreshDated}>
            Refresh them
          </button>
        </p>
      )}
      {all && (
        <button type="button" className="link" onClick={() => set({ all: undefined }, true)}>
          Only the top {LISTED}
        </button>
      )}
    </div>
  )
}

/** How many restarts, and of whom most. */
const Restarts = ({ count, of }: { readonly count: number; readonly of: ReadonlyMap<string, number> }) => {
  if (count === 0) return null
  const [most, ...others] = [...of]
  const title = [...of].map(([name, times]) => `${legible(name, 60)}: ${times}`).join("\n")
  return (
    <span title={title}>
      {" "}
      · {count} {count === 1 ? "restart" : "restarts"}
      {most === undefined
        ? ""
        : `${others.length === 0 && most[1] === count ? ", of" : ", most of"} ${legible(most[0], 40)}${most[1] === count ? "" : ` (${most[1]})`}`}
    </span>
  )
}

const NoMatch = () => {
  const { set } = usePlace()
  return (
    <p className="nothing">
      No match in this time range.{" "}
      <button type="button" className="link" onClick={() => set({ q: undefined }, true)}>
        Clear the search
      </button>
    </p>
  )
}

const NothingSeen = ({ exporter, lastSeen }: { readonly exporter: Exporter; readonly lastSeen: string | null }) => {
  const now = useNow()
  return (
    <div className="nothing">
      <p>
        <b>No data in this time range.</b>
      </p>
      <p className="muted">
        {lastSeen === null
          ? `${exporter.name} has never reported here. Does it answer on ${hostOf(exporter.endpoint)}, and is it enabled in the agent's configuration?`
          : `${exporter.name} was last seen at ${moment(Date.parse(lastSeen), now)}. Choose a longer range, or check the agent.`}
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
