/**
 * SQL for the history of one group, or of an exporter without labels: aggregates per step.
 *
 * Steps are multiples of their width since 1970, so that a chart does not flicker as its window moves on. What is seen
 * at a moment belongs to the step that ends at it or after it: (from, to], as a window.
 */
import { Duration } from "effect"
import type { Exporter } from "../plugins/Exporter.ts"
import { rankingFields } from "../plugins/TopQuery.ts"
import { wireName } from "../plugins/Wire.ts"
import type { Aggregates } from "./AnswerFields.ts"
import { allMeasures, coveredCtes, groupColumn, measuredCtes, micros } from "./IncreaseSql.ts"
import type { HistoryAnswer, Window } from "./Rankings.ts"
import { bucketAggregates, FINE, LEVELS } from "./RollupTables.ts"
import { boundRanges, bucketParts, bucketScrapes } from "./TopSql.ts"

const SECOND = 1_000_000

/** Longer windows have steps that roll-ups can answer. */
const FINE_STEPS_MAX = 4 * 3_600 * SECOND

/** Widths of steps that people read well, in seconds; beyond them whole days. */
const WIDTHS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400]

/**
 * The width of a step in microseconds: the smallest one that gives at most `points` steps and holds two scrapes, so that
 * a scrape which comes a little late leaves no gap.
 */
export const stepMicros = (exporter: Exporter, window: Window, points: number): number => {
  const least = (2 * Duration.toMillis(exporter.scrape.interval)) / 1_000
  const fits = (seconds: number) => {
    const step = seconds * SECOND
    if (window.to - window.from > FINE_STEPS_MAX && seconds < FINE.seconds) return false
    return seconds >= least && Math.ceil(window.to / step) - Math.floor(window.from / step) <= Math.max(1, points)
  }
  const width = WIDTHS.find(fits)
  if (width !== undefined) return width * SECOND
  let days = Math.max(1, Math.floor((window.to - window.from) / (86_400 * SECOND) / Math.max(1, points)))
  while (!fits(days * 86_400) && days * 86_400 * SECOND < window.to - window.from) days++
  return days * 86_400 * SECOND
}

/** Which buckets lie within one step each. */
export const usableLevels = (step: number): ReadonlyArray<boolean> =>
  LEVELS.map(({ seconds }) => step % (seconds * SECOND) === 0)

/**
 * The statement: a row per step with data. Bound, in order: the server's id; the plan's parts as for `topSql`; the step's
 * width (epoch microseconds); the group's id where one is asked for. The history of all groups of a ranked exporter
 * together can only be told from rows: buckets do not know how high their sum was.
 */
export const historySql = (exporter: Exporter, host: Exporter | undefined, ofOne: boolean): string => {
  const measures = allMeasures(exporter)
  const step = (at: string) => `ceil(${micros(at)} / $5::float8)`
  const together = exporter.top !== undefined && !ofOne
  const one = ofOne && exporter.top !== undefined
  const kinds: ReadonlyArray<readonly [string, string, string]> = [
    ["rows", "count(*)", "sum"],
    ...measures.counters.flatMap((_, n) => [
      [`i${n}`, `sum(m.i${n})`, "sum"] as const,
      [`m${n}`, `max(m.r${n})`, "max"] as const
    ]),
    ...measures.gauges.flatMap((_, n) => [
      [`s${n}`, `sum(m.v${n})`, "sum"] as const,
      [`k${n}`, `count(m.v${n})`, "sum"] as const,
      [`x${n}`, `max(m.v${n})`, "max"] as const
    ])
  ]
  const rolled = bucketAggregates(exporter, measures).window
  const rows = together
    ? `(select m.at, ${[
        ...measures.counters.flatMap((_, n) => [`sum(m.i${n}) as i${n}`, `sum(m.r${n}) as r${n}`]),
        ...measures.gauges.map((_, n) => `sum(m.v${n}) as v${n}`)
      ].join(", ")} from measured m group by m.at)`
    : "measured"
  return `with recursive ${measuredCtes(
    exporter,
    host,
    boundRanges,
    measures,
    one ? { condition: ` and ${groupColumn(exporter)} = $6::int` } : {}
  )}, ${coveredCtes}, server as (
  select p.step, sum(p.scrapes) as scrapes, sum(p.covered) as covered from (
    select ${step("c.at")} as step, 1 as scrapes, c.seconds as covered from covered c${bucketScrapes(exporter)
      .map((part) => `\n    union all select ${step("b.bucket")}, b.scrapes, b.covered from ${part} b`)
      .join("")}
  ) p group by p.step
), parts as (
  select ${step("m.at")} as step, ${kinds.map(([alias, expression]) => `${expression} as ${alias}`).join(", ")}
  from ${rows} m group by 1${
    together
      ? ""
      : bucketParts(exporter, () => (one ? " and b.group_id = $6::int" : ""))
          .map(
            (part) =>
              `\n  union all\n  select ${step("b.bucket")}, ${kinds.map(([alias]) => rolled.get(alias)).join(", ")} from ${part} b group by 1`
          )
          .join("")
  }
), steps as (
  select p.step, ${kinds.map(([alias, , merge]) => `${merge}(p.${alias}) as ${alias}`).join(", ")} from parts p group by p.step
)
select s.step, s.scrapes::float8 as scrapes, s.covered::float8 as covered, coalesce(g.rows, 0)::float8 as rows, ${kinds
    .slice(1)
    .map(([alias]) => `g.${alias}::float8 as ${alias}`)
    .join(", ")}
from server s left join steps g on g.step = s.step order by s.step`
}

/** The answer: every step of the window, null where nothing was seen. */
export const historyOf = (
  exporter: Exporter,
  window: Window,
  step: number,
  rows: ReadonlyArray<Aggregates>
): HistoryAnswer => {
  const measures = allMeasures(exporter)
  const found = new Map(rows.map((row) => [row.step, row]))
  const steps: Array<number> = []
  for (let n = Math.floor(window.from / step) + 1; (n - 1) * step < window.to; n++) steps.push(n)
  const perStep = (value: (row: Aggregates) => number | null) =>
    steps.map((n) => {
      const row = found.get(n)
      return row === undefined ? null : value(row)
    })
  const number = (row: Aggregates, alias: string) => row[alias] as number | null

  const series: Record<string, ReadonlyArray<number | null>> = {}
  const rates = (n: number, scale: number, peak: string | undefined, average: string) => {
    const column = exporter.table.columns[measures.counters[n]!.column]!
    const unknown = (row: Aggregates) =>
      number(row, "covered") === 0 || (column.kind !== "label" && column.nullable && number(row, `i${n}`) === null)
    series[average] = perStep((row) =>
      unknown(row) ? null : ((number(row, `i${n}`) ?? 0) / number(row, "covered")!) * scale
    )
    if (peak !== undefined) series[peak] = perStep((row) => (unknown(row) ? null : (number(row, `m${n}`) ?? 0) * scale))
  }
  const levels = (n: number, scale: number, peak: string | undefined, average: string) => {
    // A scrape without the group counts 0, one where the group's value is not known does not count.
    const counted = (row: Aggregates) => number(row, "scrapes")! - (number(row, "rows")! - (number(row, `k${n}`) ?? 0))
    series[average] = perStep((row) =>
      counted(row) === 0 ? null : ((number(row, `s${n}`) ?? 0) / counted(row)) * scale
    )
    if (peak === undefined) return
    series[peak] = perStep((row) => {
      if (counted(row) === 0) return null
      const highest = number(row, `x${n}`)
      const absent = number(row, "scrapes")! > number(row, "rows")!
      return (absent ? Math.max(0, highest ?? 0) : highest!) * scale
    })
  }

  const ranked = new Set<string>()
  for (const [key, ranking] of Object.entries(exporter.top?.rankings ?? {})) {
    ranked.add(ranking.column)
    const shown = rankingFields(key, ranking.by, exporter.table.columns[ranking.column]!)
    if (ranking.by === "rate") {
      const n = measures.counters.findIndex(({ column }) => column === ranking.column)
      rates(n, shown.scale, shown.peak, shown.now)
    } else levels(measures.gauges.indexOf(ranking.column), shown.scale, shown.peak, shown.now)
  }
  for (const [name, column] of Object.entries(exporter.table.columns)) {
    if (ranked.has(name) || column.kind === "label") continue
    const wire = wireName(name, column)
    if (column.kind === "gauge") levels(measures.gauges.indexOf(name), 1, undefined, wire)
    else {
      const n = measures.counters.findIndex((counter) => counter.column === name)
      rates(n, 1, undefined, `${wire.replace(/_total$/, "")}_per_second`)
    }
  }

  const covered = rows.reduce((sum, row) => sum + (number(row, "covered") ?? 0), 0)
  return {
    window,
    stepSeconds: step / SECOND,
    coverage: window.to <= window.from ? 0 : Math.min(1, (covered * SECOND) / (window.to - window.from)),
    timestamps: steps.map((n) => Math.min(n * step, window.to)),
    series
  }
}
