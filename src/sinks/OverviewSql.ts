/**
 * SQL for what the page draws at a glance: all servers at once, some groups over time, one group on all servers.
 *
 * Increases are those of `IncreaseSql`, so that no page contradicts the top list. Every statement reads a bounded piece of
 * each server's rows by the natural key: the latest scrape and those it is compared with, two rows per step of a trend;
 * series read what `HistorySql` reads. Pure: it makes text, it runs nothing.
 */
import type { Exporter } from "../plugins/Exporter.ts"
import {
  coveredCtes,
  groupColumn,
  increaseOf,
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
import { boundRanges, bucketParts, bucketScrapes, present } from "./TopSql.ts"

/** Older rows say nothing about now. */
const NOW_WITHIN = "interval '1 day'"

/**
 * `measuredCtes` of the latest scrape of each server; a server without one is left out. Bound: now, epoch microseconds.
 *
 * Each server's range is that scrape alone. What it may be compared with is looked up from it backwards: the scrape before
 * and the one before that, which tells whether series are worth seeking further back.
 */
const latestCtes = (exporter: Exporter, host: Exporter | undefined, measures: Measures, condition = ""): string => {
  const rows = rowsTable(exporter)
  const latest = (alias: string, bounds: string) =>
    `cross join lateral (select max(r."timestamp") as at from ${rows} r where r.server_id = v.id and ${bounds}) ${alias}`
  const fresh = (alias: string) => `r."timestamp" < ${alias}.at and r."timestamp" >= l.at - ${staleAfter(exporter)}`
  const source = `(
      select v.id as no, v.id as server_id, l.at - interval '1 microsecond' as after, l.at as upto, array[o.at, p.at, l.at] as known
      from admiral.servers v
      ${latest("l", `r."timestamp" > ${moment("$1::float8")} - ${NOW_WITHIN} and r."timestamp" <= ${moment("$1::float8")} + interval '10 minutes'`)}
      ${latest("p", fresh("l"))}
      ${latest("o", fresh("p"))}
      where l.at is not null
    )`
  return measuredCtes(exporter, host, source, measures, { condition, known: "q.known" })
}

/** The sum of those that are known; null where none is. */
const knownSum = (parts: ReadonlyArray<string>): string =>
  `case when num_nonnulls(${parts.join(", ")}) > 0 then ${parts.map((part) => `coalesce(${part}, 0)`).join(" + ")} end`

/** What the host's rows tell of each server. Bound: now, the trend's end and the width of its steps (epoch microseconds), the number of steps. */
export const fleetHostSql = (host: Exporter): string => {
  const { cores, cpuBusy, load, memoryAvailable, memoryTotal, uptime } = host.host!
  const facts = { cores, memory: memoryTotal, available: memoryAvailable, load, uptime }
  const gauges = Object.values(facts).filter((column) => column !== undefined)
  const measures = { counters: cpuBusy.map((column) => ({ column, clamp: false })), gauges }
  const shown = Object.entries(facts).map(([alias, column]) =>
    column === undefined ? `null::float8 as ${alias}` : `m.v${gauges.indexOf(column)}::float8 as ${alias}`
  )
  return `with recursive ${latestCtes(host, undefined, measures)}
select v.server_id, ${shown.join(", ")},
  (100 * ${knownSum(cpuBusy.map((_, n) => `m.r${n}`))})::float8 as busy, t.values::float8[] as trend
from admiral.servers v
left join measured m on m.server_id = v.id
left join lateral ${trendSql(host)} t on m.server_id is not null
order by v.server_id`
}

/**
 * The trend of the server `v`: per step the rate from the last row before it to the last row in it. Where the former is
 * stale or not there, from the first row in the step; where that is the only one, nothing is known. To add up all rows of
 * the hour would take two to three times as long.
 */
const trendSql = (host: Exporter): string => {
  const busy = host.host!.cpuBusy
  const row = (condition: string, order: "asc" | "desc") => `(
      select r."timestamp" as at, r.counters_since as since, ${busy.map((column, n) => `r.${quoted(column)}::float8 as c${n}`).join(", ")}
      from ${rowsTable(host)} r where r.server_id = v.id and ${condition} order by r."timestamp" ${order} limit 1
    )`
  const fresh = `r."timestamp" >= q.at - ${staleAfter(host)}`
  const since = { value: "q.since", before: "p.since" }
  const increases = busy.map((_, n) => `(${increaseOf(`q.c${n}`, `p.c${n}`, since)})`)
  // The second look-up is made only where the first finds nothing: parts of UNION ALL are read in their order.
  return `(
  select array_agg(round((100 * ${knownSum(increases)} / date_part('epoch', q.at - p.at))::numeric, 1) order by e.n) as values
  from (
    select n, ${moment("($2::float8 - ($4::int - n + 1) * $3::float8)")} as after, ${moment("($2::float8 - ($4::int - n) * $3::float8)")} as upto
    from generate_series(1, $4::int) n
  ) e
  left join lateral ${row(`r."timestamp" > e.after and r."timestamp" <= e.upto`, "desc")} q on true
  left join lateral (
    ${row(`r."timestamp" <= e.after and ${fresh}`, "desc")}
    union all
    ${row(`r."timestamp" > e.after and ${fresh} and r."timestamp" < q.at`, "asc")}
    limit 1
  ) p on true
)`
}

/** The group with the highest rate in the latest scrape of each server, by a ranking of rates. Bound: now, epoch microseconds. */
export const fleetBusiestSql = (exporter: Exporter, host: Exporter | undefined, metric: string): string => {
  const measures = rankingMeasures(exporter, metric)
  return `with recursive ${latestCtes(exporter, host, measures)}
select v.server_id, min(l.value) as name, t.rate::float8 as rate
from (
  select m.server_id, m.g, m.r0 as rate, max(m.r0) over (partition by m.server_id) as highest
  from measured m where m.r0 is not null${present(exporter, measures, (n) => `m.v${n}`)}
) t
join admiral.servers v on v.id = t.server_id
join admiral.label_values l on l.id = t.g
where t.rate = t.highest
group by v.server_id, t.rate`
}

/** One group on every server whose latest scrape has it. Bound: now, epoch microseconds; the group's id. */
export const acrossSql = (exporter: Exporter, host: Exporter | undefined, measures: Measures): string => {
  const now = present(exporter, measures, (n) => `m.v${n}`)
  return `with recursive ${latestCtes(exporter, host, measures, ` and ${groupColumn(exporter)} = $2::int`)}
select v.server_id, ${micros("m.at")} as at${measures.counters
    .map((_, n) => `, (case when true${now} then m.r${n} else 0 end)::float8 as n${n}`)
    .join("")}${measures.gauges.map((_, n) => `, m.v${n}::float8 as w${n}`).join("")}
from measured m join admiral.servers v on v.id = m.server_id`
}

/**
 * Series of some groups (`$6`, ids), and of all others together as group 0; or of an exporter without groups. Bound, in
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
  return `with recursive ${measuredCtes(exporter, host, boundRanges, measures)}, ${coveredCtes}, server as (
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
