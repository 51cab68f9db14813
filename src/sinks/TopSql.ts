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
import { bucketAggregates, COARSE, LEVELS, type Level, rollupTable, scrapesTable } from "./RollupTables.ts"

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

/** The parts of a plan that are read from rows, as ranges of them. Binds `$1`, the server's id, and the plan: `$2`, `$3`, `$4`. */
export const boundRanges = `(select row_number() over (order by u.after)::int as no, $1::int as server_id, ${moment("u.after")} as after, ${moment("u.upto")} as upto
      from unnest($2::int4[], $3::float8[], $4::float8[]) as u(level, after, upto) where u.level = 0)`

/** The buckets `b` of a level that the plan reads, as a relation. One scan of the key per part. */
const bucketsOf = (table: string, n: number, condition: string): string =>
  `(select b.* from unnest($2::int4[], $3::float8[], $4::float8[]) as u(level, after, upto)
    cross join lateral (
      select b.* from admiral.${quoted(table)} b
      where b.server_id = $1::int and b.bucket > ${moment("u.after")} and b.bucket <= ${moment("u.upto")}${condition} offset 0
    ) b where u.level = ${n + 1})`

/** The buckets of each level that the plan reads. `condition` is of a level's buckets `b`. */
export const bucketParts = (
  exporter: Exporter,
  condition: (level: Level) => string = () => ""
): ReadonlyArray<string> =>
  LEVELS.map((level, n) => bucketsOf(rollupTable(exporter.table.name, level), n, condition(level)))

export const bucketScrapes = (exporter: Exporter): ReadonlyArray<string> =>
  LEVELS.map((level, n) => bucketsOf(scrapesTable(exporter.table.name, level), n, ""))

/** The CTE `server`: scrapes and covered seconds of the plan's parts. Needs `covered`. */
const serverCte = (exporter: Exporter): string => `server as (
  select sum(p.scrapes) as scrapes, sum(p.covered) as covered from (
    select count(*) as scrapes, coalesce(sum(c.seconds), 0) as covered from covered c${bucketScrapes(exporter)
      .map(
        (part) => `
    union all
    select coalesce(sum(b.scrapes), 0), coalesce(sum(b.covered), 0) from ${part} b`
      )
      .join("")}
  ) p
)`

/** How the aggregates of a plan's parts become one. */
const mergeOf = (alias: string): string =>
  alias === "here" ? "coalesce(bool_or(p.here), false)" : /^[mnwx]/.test(alias) ? `max(p.${alias})` : `sum(p.${alias})`

/**
 * The statement. Bound, in order: the server's id; the plan's parts as three arrays of their levels, left and right ends
 * (epoch microseconds); the moment of the latest scrape (epoch microseconds); the limit.
 *
 * Rows come in the order of time and are grouped by hashing (`Database.ts`), so each group's terms are added in that order:
 * equal groups have equal sums, to the last bit.
 * What the latest scrape says is looked up in the one bucket that holds it, if a bucket does: most of a long window's cost
 * is in what is aggregated over all buckets (`bench/query.ts`).
 */
export const topSql = (exporter: Exporter, host: Exporter | undefined, metric: string): string => {
  const measures = topMeasures(exporter)
  const ranking = exporter.top!.rankings[metric]!
  const key =
    ranking.by === "rate"
      ? `coalesce(p.i${measures.counters.findIndex(({ column }) => column === ranking.column)}, 0)`
      : `p.x${measures.gauges.indexOf(ranking.column)}`
  const latest = moment("$5::float8")
  const counters = measures.counters.map((_, n) => n)
  const ranked = rankedGauges(exporter, measures)
  const gauges = measures.gauges.map((column, n) => ({ n, nullable: isNullable(exporter, column) }))
  const now = present(exporter, measures, (n) => `m.v${n}`)
  const grouped = new Map<string, string>([
    ["here", `bool_or(m.at = ${latest})`],
    ["rows", "count(*)"]
  ])
  for (const n of counters) {
    grouped.set(`i${n}`, `sum(m.i${n})`)
    grouped.set(`m${n}`, `max(m.r${n})`)
    grouped.set(`n${n}`, `max(m.r${n}) filter (where m.at = ${latest}${now})`)
    grouped.set(`z${n}`, `sum(m.z${n})`)
    grouped.set(`l${n}`, `sum(m.l${n})`)
  }
  for (const { n, nullable } of gauges) {
    if (ranked.includes(n)) {
      grouped.set(`s${n}`, `sum(m.v${n})`)
      grouped.set(`k${n}`, nullable ? `count(m.v${n})` : "count(*)")
      grouped.set(`x${n}`, `max(m.v${n})`)
    }
    grouped.set(`w${n}`, `max(m.v${n}) filter (where m.at = ${latest})`)
  }
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
  const aliases = [...grouped.keys()]
  const { latest: said, window: rolled } = bucketAggregates(exporter, measures)
  const union = (part: string, of: ReadonlyMap<string, string>, by: string) => `
  union all
  select b.group_id, ${aliases.map((alias) => of.get(alias) ?? "null").join(", ")} from ${part} b${by}`
  const holdsLatest = (level: Level) =>
    ` and b.bucket = to_timestamp(ceil($5::float8 / ${level.seconds * 1_000_000}) * ${level.seconds}) and b.last_at = ${latest}`
  return `with recursive ${measuredCtes(exporter, host, boundRanges, measures)}, ${coveredCtes}, ${serverCte(exporter)}, parts as (
  select m.g, ${[...grouped].map(([alias, expression]) => `${expression} as ${alias}`).join(",\n    ")}
  from measured m group by m.g${bucketParts(exporter)
    .map((part) => union(part, rolled, " group by b.group_id"))
    .join("")}${bucketParts(exporter, holdsLatest)
    .map((part) => union(part, said, ""))
    .join("")}
), groups as (
  select p.g, ${aliases.map((alias) => `${mergeOf(alias)} as ${alias}`).join(", ")} from parts p group by p.g
), ranked as (
  select p.*, rank() over (order by ${key} desc nulls last) as rank from groups p
), named as (
  select p.*, case when p.rank <= $6::int then (select v.value from admiral.label_values v where v.id = p.g) end as name from ranked p
), placed as (
  select p.*, least(row_number() over (order by p.rank, p.name collate "C"), $6::int + 1) as place from named p
), together as (
  select t.place, min(t.name) as name, count(*) as groups, bool_or(t.here) as here,
    ${summed.join(", ")}
  from placed t cross join server s group by t.place
)
select t.place::float8 as place, case when t.place <= $6::int then t.name end as name, t.groups::float8 as groups, t.here,
  ${columns.map((column) => `t.${column}::float8 as ${column}`).join(", ")},
  s.scrapes::float8 as scrapes, s.covered::float8 as covered
from server s left join together t on true
order by t.place`
}

/**
 * The moment of a server's latest scrape, epoch microseconds, until a moment where one is given: by its rows, or by its
 * roll-ups where retention has taken the rows.
 */
export const latestScrapeSql = (exporter: Exporter, server: string, upto: string | undefined): string => {
  const until = (column: string) => (upto === undefined ? "" : ` and ${column} <= ${moment(`${upto}::float8`)}`)
  const rolled = `admiral.${quoted(scrapesTable(exporter.table.name, COARSE))}`
  return `select ${micros(`coalesce(
    (select max(s."timestamp") from ${rowsTable(exporter)} s where s.server_id = ${server}${until('s."timestamp"')}),
    (select b.last_at from ${rolled} b where b.server_id = ${server}${until("b.last_at")} order by b.bucket desc limit 1))`)} as at`
}

/** The host's facts by its latest row until a moment. Bound: the server's id, epoch microseconds. */
export const hostSql = (host: Exporter): string =>
  `select h.${quoted(host.host!.cores)}::float8 as cores, h.${quoted(host.host!.memoryTotal)}::float8 as memory
from ${rowsTable(host)} h where h.server_id = $1 and h."timestamp" <= ${moment("$2::float8")} order by h."timestamp" desc limit 1`

/** The host's busy CPU in core-seconds; null where no increase was seen. Bound: the server's id, the plan's parts as for `topSql`. */
export const hostBusySql = (host: Exporter): string => {
  const counters = host.host!.cpuBusy.map((column) => ({ column, clamp: false }))
  const total = (alias: (n: number) => string) =>
    `sum(${counters.map((_, n) => `coalesce(${alias(n)}, 0)`).join(" + ")}) filter (where ${counters
      .map((_, n) => `${alias(n)} is not null`)
      .join(" or ")})`
  return `with recursive ${measuredCtes(host, undefined, boundRanges, { counters, gauges: [] })}
select sum(p.busy)::float8 as busy from (
  select ${total((n) => `m.i${n}`)} as busy from measured m${bucketParts(host)
    .map(
      (part) => `
  union all
  select ${total((n) => `b.${quoted(`${counters[n]!.column}_increase`)}`)} from ${part} b`
    )
    .join("")}
) p`
}

const isNullable = (exporter: Exporter, name: string): boolean => {
  const column = exporter.table.columns[name]
  return column !== undefined && column.kind !== "label" && column.nullable
}
