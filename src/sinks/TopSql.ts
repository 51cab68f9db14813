/**
 * SQL for the top groups of one server. All groups are summed up by id; only those that can be among the top ones get
 * their names, since ties are ordered by name.
 *
 * The result has a row for each listed group (`place` from 1) and one for all others together (`place` after the last
 * one), or a single row with `place` null where the window holds nothing. Every row also has the server's `scrapes` and
 * `covered`. `AnswerFields` turns it into an answer.
 */
import type { Exporter } from "../plugins/Exporter.ts"
import {
  coveredCtes,
  isHostCpu,
  type Measures,
  measuredCtes,
  micros,
  moment,
  quoted,
  rowsTable
} from "./IncreaseSql.ts"

/** What the top answer needs of the rows: every ranked counter, every gauge. */
export const topMeasures = (exporter: Exporter): Measures => {
  const ranked = Object.values(exporter.top?.rankings ?? {})
  const counters = Object.keys(exporter.table.columns).filter((column) =>
    ranked.some((ranking) => ranking.by === "rate" && ranking.column === column)
  )
  return {
    counters: counters.map((column) => ({ column, clamp: isHostCpu(exporter, column) })),
    gauges: Object.entries(exporter.table.columns)
      .filter(([, column]) => column.kind === "gauge")
      .map(([name]) => name)
  }
}

/** Which of the measures an aggregate needs, so that SQL computes no more. */
const rankedGauges = (exporter: Exporter, measures: Measures): ReadonlyArray<number> =>
  measures.gauges.flatMap((column, n) =>
    Object.values(exporter.top?.rankings ?? {}).some((ranking) => ranking.by === "peak" && ranking.column === column)
      ? [n]
      : []
  )

/**
 * The condition under which a rate of the latest scrape counts: the group has not gone.
 * `value` gives the expression of gauge n.
 */
export const present = (exporter: Exporter, measures: Measures, value: (n: number) => string): string =>
  exporter.top?.presence === undefined ? "" : ` and ${value(measures.gauges.indexOf(exporter.top.presence))} <> 0`

/** The ranges that are bound as two arrays of epoch microseconds, for one server. */
export const boundRanges = (server: string, after: string, upto: string): string =>
  `(select u.no::int as no, ${server}::int as server_id, ${moment("u.after")} as after, ${moment("u.upto")} as upto
      from unnest(${after}::float8[], ${upto}::float8[]) with ordinality as u(after, upto, no))`

/**
 * The statement. Bound, in order: the server's id; the ranges' left and right ends and the moment of the latest scrape
 * (epoch microseconds); the limit.
 */
export const topSql = (exporter: Exporter, host: Exporter | undefined, metric: string): string => {
  const measures = topMeasures(exporter)
  const ranking = exporter.top!.rankings[metric]!
  const key =
    ranking.by === "rate"
      ? `coalesce(p.i${measures.counters.findIndex(({ column }) => column === ranking.column)}, 0)`
      : `p.x${measures.gauges.indexOf(ranking.column)}`
  const latest = moment("$4::float8")
  const counters = measures.counters.map((_, n) => n)
  const ranked = rankedGauges(exporter, measures)
  const gauges = measures.gauges.map((column, n) => ({ n, nullable: isNullable(exporter, column) }))
  const now = present(exporter, measures, (n) => `m.v${n}`)
  const grouped = [
    "bool_or(m.at = " + latest + ") as here",
    "count(*) as rows",
    ...counters.flatMap((n) => [
      `sum(m.i${n}) as i${n}`,
      `max(m.r${n}) as m${n}`,
      `max(m.r${n}) filter (where m.at = ${latest}${now}) as n${n}`,
      `sum(m.z${n}) as z${n}`,
      `sum(m.l${n}) as l${n}`
    ]),
    ...gauges.flatMap(({ n, nullable }) => [
      ...(ranked.includes(n)
        ? [`sum(m.v${n}) as s${n}`, `${nullable ? `count(m.v${n})` : "count(*)"} as k${n}`, `max(m.v${n}) as x${n}`]
        : []),
      `max(m.v${n}) filter (where m.at = ${latest}) as w${n}`
    ])
  ]
  const summed = [
    ...counters.flatMap((n) => [
      `sum(t.i${n}) as i${n}`,
      `max(t.m${n}) as m${n}`,
      `sum(t.n${n}) as n${n}`,
      `sum(t.z${n}) as z${n}`,
      `sum(t.l${n}) as l${n}`
    ]),
    ...gauges.flatMap(({ n }) => [
      ...(ranked.includes(n)
        ? [`sum(t.s${n} / nullif(s.scrapes - (t.rows - t.k${n}), 0)) as a${n}`, `max(t.x${n}) as x${n}`]
        : []),
      `sum(t.w${n}) as w${n}`
    ])
  ]
  const columns = summed.map((expression) => expression.slice(expression.lastIndexOf(" ") + 1))
  return `with recursive ${measuredCtes(exporter, host, boundRanges("$1", "$2", "$3"), measures)}, ${coveredCtes(exporter)}, server as (
  select count(*) as scrapes, coalesce(sum(c.seconds), 0) as covered from covered c
), groups as (
  select m.g, ${grouped.join(",\n    ")}
  from measured m group by m.g
), ranked as (
  select p.*, rank() over (order by ${key} desc nulls last) as rank from groups p
), named as (
  select p.*, case when p.rank <= $5::int then (select v.value from admiral.label_values v where v.id = p.g) end as name from ranked p
), placed as (
  select p.*, least(row_number() over (order by p.rank, p.name collate "C"), $5::int + 1) as place from named p
), together as (
  select t.place, min(t.name) as name, count(*) as groups, bool_or(t.here) as here,
    ${summed.join(", ")}
  from placed t cross join server s group by t.place
)
select t.place::float8 as place, case when t.place <= $5::int then t.name end as name, t.groups::float8 as groups, t.here,
  ${columns.map((column) => `t.${column}::float8 as ${column}`).join(", ")},
  s.scrapes::float8 as scrapes, s.covered::float8 as covered
from server s left join together t on true
order by t.place`
}

/** The moment of a server's latest scrape, epoch microseconds, until a moment where one is given. */
export const latestScrapeSql = (exporter: Exporter, server: string, upto: string | undefined): string =>
  `select ${micros('max(s."timestamp")')} as at from ${rowsTable(exporter)} s where s.server_id = ${server}${
    upto === undefined ? "" : ` and s."timestamp" <= ${moment(`${upto}::float8`)}`
  }`

/** The host's facts by its latest row until a moment. Bound: the server's id, epoch microseconds. */
export const hostSql = (host: Exporter): string =>
  `select h.${quoted(host.host!.cores)}::float8 as cores, h.${quoted(host.host!.memoryTotal)}::float8 as memory
from ${rowsTable(host)} h where h.server_id = $1 and h."timestamp" <= ${moment("$2::float8")} order by h."timestamp" desc limit 1`

/** The host's busy CPU in core-seconds; null where no increase was seen. Bound: the server's id, the ranges' ends. */
export const hostBusySql = (host: Exporter): string => {
  const counters = host.host!.cpuBusy.map((column) => ({ column, clamp: false }))
  return `with ${measuredCtes(host, undefined, boundRanges("$1", "$2", "$3"), { counters, gauges: [] })}
select sum(${counters.map((_, n) => `coalesce(m.i${n}, 0)`).join(" + ")}) filter (where ${counters
    .map((_, n) => `m.i${n} is not null`)
    .join(" or ")})::float8 as busy from measured m`
}

const isNullable = (exporter: Exporter, name: string): boolean => {
  const column = exporter.table.columns[name]
  return column !== undefined && column.kind !== "label" && column.nullable
}
