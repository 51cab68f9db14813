/**
 * SQL that turns stored rows into what they say: per row and counter the increase since the row before, per row and
 * gauge its value. Top, history and roll-ups are all aggregates of it, so that each rule of `docs/numbers.md` about
 * increases, resets, holes and clamping is written once, here.
 *
 * It reads whatever *ranges* it is given, scrape by scrape along the natural key, from `staleAfter` before each for the
 * rows before the first ones. No text is joined: series are told apart by the ids of their labels.
 *
 * Identifiers come from declarations and are quoted; values are bound. Pure: it makes text, it runs nothing.
 */
import { Duration } from "effect"
import type { Exporter } from "../plugins/Exporter.ts"

/** Rates of CPU above this share of the host's cores are not believed (docs/numbers.md). */
export const CLAMP_SLACK = 1.05
/** Beginnings of counters that differ by more are a restart (docs/numbers.md). */
const SAME_SINCE_SECONDS = 2

/** What is asked of the rows, in the order of the aliases: counter n gives `i{n}`, `r{n}`, `z{n}`, `l{n}`; gauge n gives `v{n}`. */
export interface Measures {
  readonly counters: ReadonlyArray<MeasuredCounter>
  readonly gauges: ReadonlyArray<string>
}

export interface MeasuredCounter {
  readonly column: string
  /** Whether it is CPU time of the host, which cannot grow faster than the host's cores allow. */
  readonly clamp: boolean
}

/** An identifier in SQL text. */
export const quoted = (identifier: string): string => `"${identifier.replaceAll('"', '""')}"`

/** The table that holds an exporter's rows. */
export const rowsTable = (exporter: Exporter): string => `admiral.${quoted(`${exporter.table.name}_rows`)}`

export const labelColumns = (exporter: Exporter): ReadonlyArray<string> =>
  Object.entries(exporter.table.columns)
    .filter(([, column]) => column.kind === "label")
    .map(([name]) => name)

/** The SQL expression that tells the groups of an exporter apart: the id of the ranked label, else one group of all. */
export const groupColumn = (exporter: Exporter): string =>
  exporter.top === undefined ? "0" : `s.${quoted(exporter.top.per)}`

export const staleAfter = (exporter: Exporter): string =>
  `interval '${Math.round(Duration.toMillis(exporter.table.staleAfter))} milliseconds'`

/** A moment from epoch microseconds, exact. */
export const moment = (micros: string): string => `(timestamptz 'epoch' + ${micros} * interval '1 microsecond')`

/** Epoch microseconds of a moment, exact in a double until 2255. */
export const micros = (at: string): string => `round(date_part('epoch', ${at}) * 1000000)`

/** When a value began to count, and the one before. */
interface Beginnings {
  readonly value: string
  readonly before: string
}

/** The increase of a counter from the value before it; null where either is. */
export const increaseOf = (value: string, before: string, since: Beginnings): string =>
  `case when ${isReset(value, before, since)} then case when ${before} is not null then ${value} end else ${value} - ${before} end`

const isReset = (value: string, before: string, since: Beginnings): string =>
  `${value} < ${before} or (${since.value} <> ${since.before} and abs(date_part('epoch', ${since.value} - ${since.before})) > ${SAME_SINCE_SECONDS}) is true`

/** Every counter and gauge of an exporter; CPU time of the host is clamped. */
export const allMeasures = (exporter: Exporter): Measures => {
  const names = (kind: "counter" | "gauge") =>
    Object.entries(exporter.table.columns)
      .filter(([, column]) => column.kind === kind)
      .map(([name]) => name)
  return {
    counters: names("counter").map((column) => ({ column, clamp: isHostCpu(exporter, column) })),
    gauges: names("gauge")
  }
}

/** Whether a column is ranked as CPU time of the host. */
export const isHostCpu = (exporter: Exporter, column: string): boolean =>
  Object.values(exporter.top?.rankings ?? {}).some(
    (ranking) => ranking.by === "rate" && ranking.share === "cpu" && ranking.column === column
  )

/**
 * Adds to the ranges what the host's CPU is clamped to: `limits`, core-seconds per second, which change at the moments
 * `starts`. At any moment the cores are those of the latest host row until then, or else of the first one after.
 */
const limitsOf = (host: Exporter): string => {
  const cores = `h.${quoted(host.host!.cores)}`
  const rows = `from ${rowsTable(host)} h where h.server_id = r.server_id and ${cores} is not null`
  return `
  cross join lateral (
    select coalesce(array_agg(c.at order by c.at) filter (where not c.first), '{}') as starts,
      array_agg(c.cores * ${CLAMP_SLACK}::float8 order by c.at) as limits
    from (
      select d.at, d.cores::float8 as cores, row_number() over (order by d.at) = 1 as first
      from (
        select b.at, b.cores, lag(b.cores) over (order by b.at) as before
        from (
          (select h."timestamp" as at, ${cores} as cores ${rows} and h."timestamp" <= r.scan_from
            order by h."timestamp" desc limit 1)
          union all
          (select h."timestamp", ${cores} ${rows} and h."timestamp" > r.scan_from and h."timestamp" <= r.upto)
          union all
          (select h."timestamp", ${cores} ${rows} and h."timestamp" > r.upto
            and (select h."timestamp" ${rows} and h."timestamp" <= r.upto order by h."timestamp" desc limit 1) is null
            order by h."timestamp" limit 1)
        ) b
      ) d
      where d.before is distinct from d.cores
    ) c
  ) k`
}

/**
 * The CTEs `ranges`, `scrape` and `moments`, the scrapes of the ranges with those before them, found by skipping along the
 * natural key, and `measured`. The statement must be `with recursive`.
 *
 * `source` is a relation with `no, server_id, after, upto`: the rows wanted are those of (after, upto]. A server's ranges
 * must not overlap; a row before a range that another one reads is not read twice.
 * `measured` has `no, server_id, at, g`, `last` (whether it is the last scrape of its range) and, per scrape and group, the measures: `i` increase (null where there was
 * none), `r` rate per second, `z` resets, `l` clamped; `v` value of a gauge. Where an exporter has more labels than the
 * ranked one, the series of a group are added up, scrape by scrape.
 */
export const measuredCtes = (
  exporter: Exporter,
  host: Exporter | undefined,
  source: string,
  measures: Measures,
  options: {
    /** A further condition on the rows, of alias `s`. */
    readonly condition?: string
    /** An array of a range `q` of the source, where it knows its scrapes and up to two before them: no others are looked for. */
    readonly known?: string
  } = {}
): string => {
  const { condition = "", known } = options
  const labels = labelColumns(exporter)
  const stale = staleAfter(exporter)
  const rows = rowsTable(exporter)
  const clamps = host !== undefined && measures.counters.some((counter) => counter.clamp)
  const several = labels.length > 1 || (labels.length === 1 && exporter.top === undefined)
  const counters = measures.counters.map((counter, n) => ({ ...counter, n }))
  const gauges = measures.gauges.map((column, n) => ({ column, n }))
  const list = (parts: ReadonlyArray<string>) => parts.map((part) => `, ${part}`).join("")

  // Scrape by scrape, each beside the one before: nothing is sorted, and nothing is read but the scrapes wanted and those
  // just before them. OFFSET 0 keeps that look-ups in the key, one a scrape: else the planner may look up row by row.
  const scrapeOf = (at: string, more: ReadonlyArray<string>) => `(
        select 1 as here${list([
          ...labels.map((label, n) => `s.${quoted(label)} as s${n}`),
          ...(counters.length === 0 ? [] : ["s.counters_since as since"]),
          ...counters.map(({ column, n }) => `s.${quoted(column)}::float8 as c${n}`),
          ...more
        ])}
        from ${rows} s where s.server_id = o.server_id and s."timestamp" = ${at}${condition} offset 0
      )`
  const own = [
    `${groupColumn(exporter)} as g`,
    ...gauges.map(({ column, n }) => `s.${quoted(column)}::float8 as v${n}`)
  ]
  const paired =
    counters.length === 0
      ? scrapeOf("o.at", own)
      : `(
      select s.*, p.here as p_here, p.since as p_since${list(counters.map(({ n }) => `p.c${n} as p${n}`))}
      from ${scrapeOf("o.at", own)} s
      left join ${scrapeOf("o.before", [])} p on ${labels.length === 0 ? "true" : labels.map((_, n) => `p.s${n} = s.s${n}`).join(" and ")}
      offset 0
    )`
  // A series that was not in the scrape before is looked for in those before it, as long as they are not stale.
  const seeks = counters.length > 0 && labels.length > 0
  const earlier = `case when x.p_here is null and o.earlier then (
      select s from ${rows} s
      where s.server_id = o.server_id and s."timestamp" < o.before and s."timestamp" >= o.at - ${stale}
        ${labels.map((label, n) => `and s.${quoted(label)} = x.s${n}`).join(" ")}
      order by s."timestamp" desc limit 1
    ) end as f`
  const pairs = `
    select o.no, o.server_id, o.at, o.gap, o.last${list(clamps ? ["o.allowed"] : [])}, x.*${list(seeks ? [earlier] : [])}
    from moments o cross join lateral ${paired} x
    where o.wanted offset 0`

  // What was found earlier stands in where the scrape before has no row of the series.
  const previous = (n: number, column: string) =>
    seeks ? `coalesce(b.p${n}, (b.f).${quoted(column)}::float8)` : `b.p${n}`
  const previousSince = seeks ? "coalesce(b.p_since, (b.f).counters_since)" : "b.p_since"
  const gap = seeks
    ? `case when b.p_here is null then coalesce(date_part('epoch', b.at - (b.f)."timestamp"), b.gap) else b.gap end`
    : "b.gap"
  const since = { value: "b.since", before: previousSince }
  const raised = `
    select b.no, b.server_id, b.at, b.g, b.last${list(counters.length === 0 ? [] : [`${gap} as gap`])}${list(clamps ? [`b.allowed * ${gap} as allowed`] : [])}${list(
      counters.flatMap(({ column, n }) => {
        const p = previous(n, column)
        return [
          `${increaseOf(`b.c${n}`, p, since)} as i${n}`,
          `${p} is not null and (${isReset(`b.c${n}`, p, since)}) as z${n}`
        ]
      })
    )}${list(gauges.map(({ n }) => `b.v${n}`))}
    from (${pairs}) b offset 0`

  const clamped = `
    select u.no, u.server_id, u.at, u.g, u.last${list(
      counters.flatMap(({ clamp, n }) => {
        const increase = clamps && clamp ? `least(u.i${n}, u.allowed)` : `u.i${n}`
        return [
          // LEAST ignores null: a null increase must stay one.
          `${clamps && clamp ? `case when u.i${n} is not null then ${increase} end` : increase} as i${n}`,
          `${clamps && clamp ? `case when u.i${n} is not null then ${increase} / u.gap end` : `${increase} / u.gap`} as r${n}`,
          `u.z${n}::int as z${n}`,
          `${clamps && clamp ? `(u.i${n} > u.allowed)::int` : "0"} as l${n}`
        ]
      })
    )}${list(gauges.map(({ n }) => `u.v${n}`))}
    from (${raised}) u`

  const added = `
    select a.no, a.server_id, a.at, a.g, a.last${list(
      counters.flatMap(({ n }) => [
        `sum(a.i${n}) as i${n}`,
        `sum(a.r${n}) as r${n}`,
        `sum(a.z${n}) as z${n}`,
        `sum(a.l${n}) as l${n}`
      ])
    )}${list(gauges.map(({ n }) => `sum(a.v${n}) as v${n}`))}
    from (${clamped}) a group by a.no, a.server_id, a.at, a.g, a.last`

  const next = (after: string) =>
    `(select s."timestamp" from ${rowsTable(exporter)} s where s.server_id = r.server_id and s."timestamp" > ${after} and s."timestamp" <= r.upto order by s."timestamp" limit 1)`
  const sought = `
  select r.no, ${next("r.scan_from")} as at from ranges r
  union all
  select c.no, ${next("c.at")} from scrape c join ranges r on r.no = c.no where c.at is not null`
  return `ranges as materialized (
  select r.*${clamps ? ", k.starts, k.limits" : ""}
  from (
    select q.no, q.server_id, q.after, q.upto,
      ${known === undefined ? `greatest(q.after - ${stale}, lag(q.upto) over (partition by q.server_id order by q.after))` : `${known} as known, q.after`} as scan_from
    from ${source} q
  ) r${clamps ? limitsOf(host) : ""}
), scrape as (${known === undefined ? sought : "select r.no, unnest(r.known) as at from ranges r"}
), found as (
  select c.no, r.server_id, c.at, c.at > r.after as wanted, lag(c.at) over w as before, row_number() over w as seq, lag(c.at, 2) over w as second,
    lead(c.no) over w is distinct from c.no as last${
      clamps ? ", r.limits[width_bucket(c.at, r.starts) + 1] as allowed" : ""
    }
  from scrape c join ranges r on r.no = c.no where c.at is not null
  window w as (partition by r.server_id order by c.at)
), moments as materialized (
  select c.no, c.server_id, c.at, c.seq, c.wanted, c.last, case when c.before >= c.at - ${stale} then c.before end as before,
    c.second >= c.at - ${stale} as earlier, date_part('epoch', c.at - c.before) as gap${clamps ? ", c.allowed" : ""}
  from found c
), measured as (${several ? added : clamped}
)`
}

/** The CTE `covered`: for each wanted scrape of the ranges how many seconds it covers, 0 after a hole. Needs `moments`. */
export const coveredCtes = `covered as (
  select o.no, o.server_id, o.at, case when o.before is null then 0 else o.gap end as seconds from moments o where o.wanted
)`
