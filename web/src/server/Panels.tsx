/**
 * Charts of an exporter that has no groups, from the catalog alone: series that begin with the same word and have the
 * same unit share a chart. Where the catalog says which series tell the host's state, CPU is stacked and memory shown as
 * used of total.
 */
import { useMemo } from "react"
import type { Exporter, HistorySeries, Series } from "../ask/Api.ts"
import { useChoice } from "../ask/Choice.ts"
import { useRange } from "../ask/Range.ts"
import { useAsk } from "../ask/Refresh.tsx"
import { shadedOf, windowQuery } from "../ask/Spans.ts"
import { Chart, type Line } from "../charts/Chart.tsx"
import { Swatch } from "../charts/Stack.tsx"
import { coloursOf, useDark } from "../frame/Theme.ts"
import { Failure } from "../parts/Failure.tsx"
import { inUnit, words } from "../parts/Format.ts"

export interface Panel {
  readonly key: string
  readonly title: string
  readonly unit: string
  readonly doc: string
  readonly stacked: boolean
  /** Of things that there is no half of. */
  readonly whole: boolean
  readonly series: ReadonlyArray<{
    readonly field: string
    readonly label: string
    /** Shown is this series less the other: memory that is used is all less what is available. */
    readonly less?: string
    readonly dashed?: boolean
    readonly doc: string
  }>
}

const firstWord = (name: string) => name.split("_")[0] ?? name

/** Every chart of an exporter, in the order of its columns. */
export const panelsOf = (exporter: Exporter): ReadonlyArray<Panel> => {
  const { host } = exporter
  const groups = new Map<string, Array<HistorySeries>>()
  for (const series of exporter.history) {
    const key = `${firstWord(series.column)} ${series.unit}`
    groups.set(key, [...(groups.get(key) ?? []), series])
  }
  return [...groups].map(([key, members]): Panel => {
    const [first, unit = ""] = key.split(" ")
    const word = first ?? ""
    const stacked = host !== null && members.some(({ field }) => host.cpu_busy.includes(field))
    const used =
      host !== null && host.memory_available !== null && members.some(({ field }) => field === host.memory_total)
    // What is used lies at the bottom, in the order in which the host's facts name it.
    const rank = ({ field }: HistorySeries) => (host?.cpu_busy.indexOf(field) ?? -1) >>> 0
    const shown = stacked
      ? members.filter(({ field }) => field !== host?.cpu_idle).toSorted((a, b) => rank(a) - rank(b))
      : members
    const others = members.length === 1 ? [] : shown
    const series =
      used && host?.memory_available != null
        ? [
            {
              field: host.memory_total,
              less: host.memory_available,
              label: "used",
              doc: "All memory less what programs can still get."
            },
            {
              field: host.memory_total,
              label: "total",
              dashed: true,
              doc: members.find(({ field }) => field === host.memory_total)?.doc ?? ""
            }
          ]
        : (others.length === 0 ? members : shown).map(({ column, doc, field }) => ({
            field,
            doc,
            label: labelOf(column, word, unit),
            ...(/_(total|size|limit|max)(_|$)/.test(column) && unit === "bytes" ? { dashed: true } : {})
          }))
    const unitWords = TITLE_OF[unit]
    const alone = members.length === 1 && members[0] !== undefined
    return {
      key,
      unit,
      stacked,
      whole: unit === "" && members.every(({ column }) => typeOf(exporter, column) === "integer"),
      series,
      title: alone
        ? words(members[0]?.column.replace(/_(total|bytes|seconds)$/, "") ?? word)
        : `${words(word)}${unitWords === undefined || stacked || used ? "" : ` ${unitWords}`}`,
      doc: series.map(({ doc, label }) => `${label}: ${doc}`).join("\n")
    }
  })
}

export const typeOf = (exporter: Exporter, column: string): string | undefined =>
  exporter.columns.find(({ name }) => name === column)?.type

const TITLE_OF: Readonly<Record<string, string>> = {
  bytes_per_second: "throughput",
  per_second: "operations",
  bytes: "space",
  seconds_per_second: "time"
}

/** What is left of a column's name without what its chart says already. */
const labelOf = (column: string, word: string, unit: string): string => {
  const stem = unit.replace(/_per_second$/, "")
  const parts = column.split("_").filter((part, index) => !(index === 0 && part === word))
  while (parts.length > 1 && (parts.at(-1) === "total" || parts.at(-1) === stem)) parts.pop()
  if (parts.length === 1 && (parts[0] === stem || parts[0] === "total") && column.split("_").length <= 2)
    return parts[0] ?? word
  return parts.join(" ").replace(/(\d+)min$/, "$1 min") || word
}

/** One chart for each first word, the most telling one: what the top of a server's page shows. */
export const stripOf = (exporter: Exporter, max: number): ReadonlyArray<Panel> => {
  const best = new Map<string, Panel>()
  const rank = (panel: Panel) =>
    (panel.stacked ? 8 : 0) +
    (panel.unit === "bytes_per_second" ? 4 : 0) +
    (panel.unit === "bytes" ? 2 : 0) +
    (panel.series.length > 1 ? 1 : 0)
  for (const panel of panelsOf(exporter)) {
    const word = panel.key.split(" ")[0] ?? ""
    const before = best.get(word)
    if (before === undefined || rank(panel) > rank(before)) best.set(word, panel)
  }
  return [...best.values()]
    .filter(({ series }) => series.length > 1)
    .slice(0, max)
    .map((panel) => {
      // Of a whole that is used in part, the part and the whole are enough at a glance.
      const used = panel.series.find(({ label }) => label === "used")
      const total = panel.series.find(({ dashed }) => dashed === true)
      return {
        ...panel,
        title: words(panel.key.split(" ")[0] ?? ""),
        series: used !== undefined && total !== undefined ? [used, total] : panel.series
      }
    })
}

interface GridProps {
  readonly id: string
  readonly exporter: Exporter
  readonly panels: ReadonlyArray<Panel>
  readonly compact?: boolean
  /** The machine's cores, where a stack of CPU is to end there. */
  readonly cores: number | undefined
  readonly onAnswer?: (value: Series | undefined) => void
  readonly extra?: ReadonlyArray<string>
}

/** All fields of the panels in one question. */
export const usePanels = (
  id: string,
  exporter: Exporter,
  panels: ReadonlyArray<Panel>,
  points: number,
  extra: ReadonlyArray<string> = [],
  off = false
) => {
  const range = useRange()
  const fields = [
    ...new Set([
      ...panels.flatMap(({ series }) =>
        series.flatMap(({ field, less }) => (less === undefined ? [field] : [field, less]))
      ),
      ...extra
    ])
  ]
  return useAsk(
    "overview.series",
    { id, resource: exporter.resource, fields: fields.join(","), points, ...windowQuery(range) },
    { off: off || fields.length === 0 }
  )
}

export const PanelGrid = ({
  answer,
  compact = false,
  cores,
  panels
}: Omit<GridProps, "id" | "exporter"> & { readonly answer: ReturnType<typeof usePanels> }) => {
  const { failure, previous, value } = answer
  if (value === undefined && failure !== undefined) return <Failure failure={failure} what="The charts" />
  return (
    <div className={`panels${compact ? " compact" : ""}${previous ? " previous" : ""}`}>
      {panels.map((panel, n) => (
        <PanelChart
          key={panel.key}
          panel={panel}
          value={value}
          compact={compact}
          cores={cores}
          lead={n === 0 && !compact}
        />
      ))}
    </div>
  )
}

interface PanelProps {
  readonly panel: Panel
  readonly value: Series | undefined
  readonly compact: boolean
  readonly cores: number | undefined
  readonly lead: boolean
}

const PanelChart = ({ compact, cores, lead, panel, value }: PanelProps) => {
  const range = useRange()
  const { onMoment } = useChoice()
  const colours = coloursOf(useDark())
  // Shares of time are shown as percent of the machine, where its cores are known.
  const divisor = panel.stacked && cores !== undefined ? cores : 1
  const lines = useMemo(() => {
    const valuesOf = (field: string) => value?.series.find(({ name }) => name === field)?.values ?? []
    return panel.series.map(({ dashed, field, label, less }, n): Line => {
      const all = valuesOf(field)
      const lessValues = less === undefined ? undefined : valuesOf(less)
      return {
        key: `${field} ${less ?? ""}`,
        label,
        colour: dashed === true ? colours.muted : (colours.slots[n % colours.slots.length] ?? colours.accent),
        dashed: dashed === true,
        values: all.map((amount, at) => {
          if (amount === null) return null
          const other = lessValues?.[at]
          return (amount - (other ?? 0)) / divisor
        })
      }
    })
  }, [panel, value, colours, divisor])
  const times = useMemo(
    () =>
      value === undefined ? [] : Array.from({ length: value.steps }, (_, n) => value.first + n * value.step_seconds),
    [value]
  )
  const latest = (values: ReadonlyArray<number | null>) => values.findLast((amount) => amount !== null)
  const known = lines.filter(({ values }) => values.some((amount) => amount !== null))
  const unseen = value !== undefined && known.length === 0
  // What is not known yet takes the room that it will have.
  const legend = value === undefined ? lines : known
  const sum =
    panel.stacked && !unseen ? known.reduce((total, { values }) => total + (latest(values) ?? 0), 0) : undefined
  // A headline is of what is used, never of the whole that it is a part of; of several it says which.
  const leading = known.find(({ dashed }) => dashed !== true) ?? known[0]
  const several = sum === undefined && known.filter(({ dashed }) => dashed !== true).length > 1
  const showBytes = panel.unit === "bytes" || panel.unit === "bytes_per_second"
  return (
    <section className="panel card" title={compact ? panel.doc : undefined}>
      <header>
        <h3>{panel.title}</h3>
        <p className="panel-now">
          {several && <span className="panel-of">{leading?.label} </span>}
          {inUnit(sum ?? latest(leading?.values ?? []) ?? null, panel.unit)}
        </p>
      </header>
      {value === undefined ? (
        <div className={compact ? "chart-space compact" : "chart-space panel-space"} />
      ) : (
        <Chart
          label={`${panel.title}: ${known.map(({ label, values }) => `${label} ${inUnit(latest(values) ?? null, panel.unit)}`).join(", ")}`}
          times={times}
          stepSeconds={value.step_seconds}
          from={Date.parse(value.window.from) / 1000}
          to={Date.parse(value.window.to) / 1000}
          lines={unseen ? lines : known}
          stacked={panel.stacked}
          filled={panel.series.length <= 2}
          height={compact ? 104 : 170}
          compact={compact}
          binary={showBytes}
          whole={panel.whole}
          format={(amount) => inUnit(amount, panel.unit)}
          moment={range.moment}
          spans={shadedOf(range, Date.parse(value.window.to))}
          onMoment={onMoment}
          lead={lead}
          {...(panel.stacked && cores !== undefined ? { top: 0.1 } : {})}
        />
      )}
      <ul className="panel-legend">
        {legend.map(({ colour, dashed, key, label }) => (
          <li key={key}>
            <Swatch colour={colour} line={dashed === true} />
            {label}
          </li>
        ))}
        {unseen && <li className="muted">not reported</li>}
      </ul>
    </section>
  )
}
