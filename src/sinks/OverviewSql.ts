/**
 * SQL for what the page draws at a glance: all servers at once, some groups over time, one group on all servers.
 *
 * Every statement reads a bounded piece of each server's rows by the natural key: the latest two scrapes, one row per
 * step of a trend; series read what `HistorySql` reads. Pure: it makes text, it runs nothing.
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
  rowsTable,
  staleAfter
} from "./IncreaseSql.ts"
import { bucketAggregates } from "./RollupTables.ts"
import { boundRanges, bucketParts, bucketScrapes } from "./TopSql.ts"

/** Older rows say nothing about now. */
const NOW_WITHIN = "interval '1 day'"

/** The increase from row `p` to row `q`, a restarted counter counting from 0; null where either is. */
const increase = (column: string): string =>
  `case when q.${column} >= p.${column} then q.${column} - p.${column} else q.${column} end`

/** What the host's rows tell of each server. Bound: now, the trend's end and the width of its steps (epoch microseconds), the number of steps. */
export const fleetHostSql = (host: Exporter): string => {
  const facts = host.host!
  const busy = facts.cpuBusy.map(quoted)
  const optional = (column: string | undefined) => (column === undefined ? "null" : `q.${quoted(column)}`)
  const rows = rowsTable(host)
  const latest = (alias: string, condition: string) =>
    `lateral (select r.* from ${rows} r where r.server_id = v.id and ${condition} order by r."timestamp" desc limit 1) ${alias}`
  const trendRow = busy.map((column) => `r.${column}`).join(", ")
  return `select v.server_id, q.${quoted(facts.cores)}::float8 as cores, q.${quoted(facts.memoryTotal)}::float8 as memory,
  ${optional(facts.memoryAvailable)}::float8 as available, ${optional(facts.load)}::float8 as load, ${optional(facts.uptime)}::float8 as uptime,
  (100 * (${busy.map(increase).join(" + ")}) / date_part('epoch', q."timestamp" - p."timestamp"))::float8 as busy,
  t.values::float8[] as trend
from admiral.servers v
left join ${latest("q", `r."timestamp" > ${moment("$1::float8")} - ${NOW_WITHIN} and r."timestamp" <= ${moment("$1::float8")} + interval '10 minutes'`)} on true
left join ${latest("p", `r."timestamp" < q."timestamp" and r."timestamp" >= q."timestamp" - ${staleAfter(host)}`)} on true
left join lateral (
  select array_agg(round((100 * (${busy.map(increase).join(" + ")}) / date_part('epoch', q."timestamp" - p."timestamp"))::numeric, 1) order by q.n) as values
  from (
    select n, r.* from generate_series(1, $4::int) n
    left join lateral (
      select r."timestamp", ${trendRow} from ${rows} r where r.server_id = v.id
        and r."timestamp" <= ${moment("($2::float8 - ($4::int - n) * $3::float8)")}
        and r."timestamp" > ${moment("($2::float8 - ($4::int - n + 1) * $3::float8)")}
      order by r."timestamp" desc limit 1
    ) r on true
  ) q left join lateral (
    select r."timestamp", ${trendRow} from ${rows} r where r.server_id = v.id
      and r."timestamp" <= ${moment("($2::float8 - ($4::int - q.n + 1) * $3::float8)")}
      and r."timestamp" > ${moment("($2::float8 - ($4::int - q.n + 2) * $3::float8)")}
    order by r."timestamp" desc limit 1
  ) p on true
) t on q."timestamp" is not null
order by v.server_id`
}

/** The two latest scrapes of each server: `q_at` and `p_at`, of an exporter. `$1` is now. */
const latestTwo = (exporter: Exporter): string => `admiral.servers v
cross join lateral (select max(r."timestamp") as at from ${rowsTable(exporter)} r
  where r.server_id = v.id and r."timestamp" > ${moment("$1::float8")} - ${NOW_WITHIN} and r."timestamp" <= ${moment("$1::float8")} + interval '10 minutes') q_at
left join lateral (select max(r."timestamp") as at from ${rowsTable(exporter)} r
  where r.server_id = v.id and r."timestamp" < q_at.at and r."timestamp" >= q_at.at - ${staleAfter(exporter)}) p_at on true`

/** The group with the largest increase of a counter on each server. Bound: now, epoch microseconds. */
export const fleetBusiestSql = (exporter: Exporter, column: string): string => {
  const rows = rowsTable(exporter)
  const per = quoted(exporter.top!.per)
  return `select v.server_id, l.value as name, b.rate::float8 as rate from ${latestTwo(exporter)}
cross join lateral (
  select q.g, sum(${increase("c")}) / date_part('epoch', q_at.at - p_at.at) as rate
  from (select r.${per} as g, sum(r.${quoted(column)}) as c from ${rows} r where r.server_id = v.id and r."timestamp" = q_at.at group by 1) q
  join (select r.${per} as g, sum(r.${quoted(column)}) as c from ${rows} r where r.server_id = v.id and r."timestamp" = p_at.at group by 1) p on p.g = q.g
  group by q.g order by 2 desc, 1 limit 1
) b
join admiral.label_values l on l.id = b.g`
}

/** One group on every server, by the latest two scrapes. Bound: now, epoch microseconds; the group's id. */
export const acrossSql = (exporter: Exporter, measures: Measures): string => {
  const rows = rowsTable(exporter)
  const per = quoted(exporter.top!.per)
  const sums = [
    ...measures.counters.map(({ column }, n) => `sum(r.${quoted(column)}) as c${n}`),
    ...measures.gauges.map((column, n) => `sum(r.${quoted(column)}) as v${n}`)
  ].join(", ")
  const of = (at: string) =>
    `(select ${sums}, count(*) as rows from ${rows} r where r.server_id = v.id and r."timestamp" = ${at} and r.${per} = $2::int)`
  return `select v.server_id, ${micros("q_at.at")} as at${measures.counters
    .map((_, n) => `, ((${increase(`c${n}`)}) / date_part('epoch', q_at.at - p_at.at))::float8 as n${n}`)
    .join("")}${measures.gauges.map((_, n) => `, q.v${n}::float8 as w${n}`).join("")}
from ${latestTwo(exporter)}
cross join lateral ${of("q_at.at")} q
left join lateral ${of("p_at.at")} p on true
where q.rows > 0`
}

/**
 * Series of some groups (`$9`, ids), and of all others together as group 0; or of an exporter without groups. Bound, in
 * order: the server's id; the plan's parts as for `topSql`; the step's width (epoch microseconds); the ids.
 *
 * A row per step and group with sums, and one per step with `g` null that has `scrapes` and `covered`.
 */
export const seriesSql = (exporter: Exporter, host: Exporter | undefined, measures: Measures): string => {
  const grouped = exporter.top !== undefined
  const step = (at: string) => `ceil(${micros(at)} / $5::float8)`
  const group = (id: string) => (grouped ? `case when ${id} = any($6::int[]) then ${id} else 0 end` : "0")
  const presence = exporter.top?.presence
  const shown = presence === undefined ? -1 : measures.gauges.indexOf(presence)
  const rolled = bucketAggregates(exporter, measures).window
  const kinds: ReadonlyArray<readonly [string, string, string]> = [
    ["rows", "count(*)", "sum"],
    ["last", `max(m.at)${shown < 0 ? "" : ` filter (where m.v${shown} <> 0)`}`, "max"],
    ...measures.counters.flatMap((_, n) => [
      [`i${n}`, `sum(m.i${n})`, "sum"] as const,
      [`z${n}`, `sum(m.z${n})`, "sum"] as const
    ]),
    ...measures.gauges.flatMap((_, n) => [
      [`s${n}`, `sum(m.v${n})`, "sum"] as const,
      [`k${n}`, `count(m.v${n})`, "sum"] as const
    ])
  ]
  const ofBuckets = (alias: string) =>
    alias === "last"
      ? `max(b.last_at)${presence === undefined ? "" : ` filter (where b.${quoted(`${presence}_max`)} <> 0)`}`
      : rolled.get(alias)
  return `with recursive ${measuredCtes(exporter, host, boundRanges, measures)}, ${coveredCtes(exporter)}, server as (
  select p.step, sum(p.scrapes) as scrapes, sum(p.covered) as covered from (
    select ${step("c.at")} as step, 1 as scrapes, c.seconds as covered from covered c${bucketScrapes(exporter)
      .map((part) => `\n    union all select ${step("b.bucket")}, b.scrapes, b.covered from ${part} b`)
      .join("")}
  ) p group by p.step
), parts as (
  select ${step("m.at")} as step, ${group("m.g")} as g, ${kinds.map(([alias, expression]) => `${expression} as "${alias}"`).join(", ")}
  from measured m group by 1, 2${bucketParts(exporter)
    .map(
      (part) =>
        `\n  union all select ${step("b.bucket")}, ${group("b.group_id")}, ${kinds.map(([alias]) => ofBuckets(alias)).join(", ")} from ${part} b group by 1, 2`
    )
    .join("")}
)
select p.step, p.g::float8 as g, null::float8 as scrapes, null::float8 as covered, ${kinds
    .map(([alias, , merge]) =>
      alias === "last"
        ? `${micros(`${merge}(p."${alias}")`)} as "${alias}"`
        : `${merge}(p."${alias}")::float8 as "${alias}"`
    )
    .join(", ")}
from parts p group by p.step, p.g
union all
select s.step, null, s.scrapes::float8, s.covered::float8, ${kinds.map(() => "null").join(", ")} from server s`
}

/** The measures of one ranking, and the gauge that tells whether a group is there. */
export const rankingMeasures = (exporter: Exporter, metric: string): Measures => {
  const { presence, rankings } = exporter.top!
  const ranking = rankings[metric]!
  const gauges = ranking.by === "peak" ? [ranking.column] : []
  return {
    counters: ranking.by === "rate" ? [{ column: ranking.column, clamp: isHostCpu(exporter, ranking.column) }] : [],
    gauges: presence === undefined || gauges.includes(presence) ? gauges : [...gauges, presence]
  }
}
