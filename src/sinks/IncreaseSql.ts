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

const staleMicros = (exporter: Exporter): number => Math.round(Duration.toMillis(exporter.table.staleAfter) * 1_000)

/** Separates groups in a sort key: more than there are scrapes, and ids of groups times it fit 63 bits. */
const GROUP = 4_294_967_296
/** Separates servers in time, microseconds: 35 years. */
const SERVER = 1_125_899_906_842_624

const SECONDS = (micros: string): string => `${micros}::float8 / 1000000`

/** A moment from epoch microseconds, exact. */
export const moment = (micros: string): string => `(timestamptz 'epoch' + ${micros} * interval '1 microsecond')`

/** Epoch microseconds of a moment, exact in a double until 2255. */
export const micros = (at: string): string => `round(date_part('epoch', ${at}) * 1000000)`

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
            and not exists (select ${rows} and h."timestamp" <= r.upto)
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
 * `measured` has `no, server_id, at, g` and, per scrape and group, the measures: `i` increase (null where there was
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
    /** Whether `measured` says with `last` which row is the last one of its range and group. */
    readonly last?: boolean
  } = {}
): string => {
  const { condition = "", last = false } = options
  const labels = labelColumns(exporter)
  const stale = staleAfter(exporter)
  const clamps = host !== undefined && measures.counters.some((counter) => counter.clamp)
  const several = labels.length > 1 || (labels.length === 1 && exporter.top === undefined)
  const series = labels.map((label) => `s.${quoted(label)}`)
  const counters = measures.counters.map((counter, n) => ({ ...counter, n }))
  const gauges = measures.gauges.map((column, n) => ({ column, n }))
  const list = (parts: ReadonlyArray<string>) => parts.map((part) => `, ${part}`).join("")

  // Scrape by scrape, so that what belongs to the scrape (its time, the host's limit) is computed once and not for each row.
  // OFFSET 0 keeps that a look-up in the key: else the planner may join all rows of a server with all scrapes.
  const read = `
    select o.no, o.server_id, o.at, o.t, o.wanted${list(clamps ? ["o.allowed"] : [])}, ${groupColumn(exporter)} as g${list(
      several
        ? series.map((column, n) => `${column} as s${n}`)
        : [
            `${groupColumn(exporter)}::int8 * ${GROUP} + o.seq as k`,
            `${groupColumn(exporter)}::int8 * ${GROUP} + o.no as u`
          ]
    )}${list(counters.length === 0 ? [] : ["s.counters_since as since"])}${list(
      counters.map(({ column, n }) => `s.${quoted(column)}::float8 as c${n}`)
    )}${list(gauges.map(({ column, n }) => `s.${quoted(column)}::float8 as v${n}`))}
    from moments o cross join lateral (
      select s.* from ${rowsTable(exporter)} s
      where s.server_id = o.server_id and s."timestamp" = o.at${condition} offset 0
    ) s`

  // One key to sort by, of group and scrape, instead of two: comparing second keys costs more than all else together. A
  // row before of another group is then told by the key, one of another server by the time.
  const same = several ? "" : `case when s.k - lag(s.k) over w < ${GROUP / 2} then `
  const before = `
    select s.*, ${same}s.t - lag(s.t) over w${several ? "" : " end"} as gap${list(
      counters.length === 0 ? [] : ["lag(s.since) over w as p_since"]
    )}${list(counters.map(({ n }) => `lag(s.c${n}) over w as p${n}`))}${list(
      last && !several ? ["lead(s.u) over w is distinct from s.u as last"] : []
    )}
    from (${read}) s
    window w as (${several ? `partition by s.server_id, ${series.map((_, n) => `s.s${n}`).join(", ")} order by s.at` : "order by s.k"})`

  const restarted = `(b.since <> b.p_since and abs(date_part('epoch', b.since - b.p_since)) > ${SAME_SINCE_SECONDS}) is true`
  const raised = `
    select b.no, b.server_id, b.at, b.g, ${SECONDS("b.gap")} as gap${list(last && !several ? ["b.last"] : [])}${list(clamps ? [`b.allowed * (${SECONDS("b.gap")}) as allowed`] : [])}${list(
      counters.flatMap(({ n }) => [
        `case when b.gap <= ${staleMicros(exporter)} then case when b.c${n} < b.p${n} or ${restarted} then b.c${n} else b.c${n} - b.p${n} end end as i${n}`,
        `b.gap <= ${staleMicros(exporter)} and b.p${n} is not null and (b.c${n} < b.p${n} or ${restarted}) as z${n}`
      ])
    )}${list(gauges.map(({ n }) => `b.v${n}`))}
    from (${before}) b where b.wanted offset 0`

  const clamped = `
    select u.no, u.server_id, u.at, u.g${list(last && !several ? ["u.last"] : [])}${list(
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
    select a.no, a.server_id, a.at, a.g${list(
      counters.flatMap(({ n }) => [
        `sum(a.i${n}) as i${n}`,
        `sum(a.r${n}) as r${n}`,
        `sum(a.z${n}) as z${n}`,
        `sum(a.l${n}) as l${n}`
      ])
    )}${list(gauges.map(({ n }) => `sum(a.v${n}) as v${n}`))}
    from (${clamped}) a group by a.no, a.server_id, a.at, a.g`

  const next = (after: string) =>
    `(select s."timestamp" from ${rowsTable(exporter)} s where s.server_id = r.server_id and s."timestamp" > ${after} and s."timestamp" <= r.upto order by s."timestamp" limit 1)`
  return `ranges as materialized (
  select r.*${clamps ? ", k.starts, k.limits" : ""}
  from (
    select q.no, q.server_id, q.after, q.upto, min(q.after) over (partition by q.server_id) as origin,
      greatest(q.after - ${stale}, lag(q.upto) over (partition by q.server_id order by q.after)) as scan_from
    from ${source} q
  ) r${clamps ? limitsOf(host) : ""}
), scrape as (
  select r.no, ${next("r.scan_from")} as at from ranges r
  union all
  select c.no, ${next("c.at")} from scrape c join ranges r on r.no = c.no where c.at is not null
), moments as materialized (
  select c.no, r.server_id, c.at, c.at > r.after as wanted, row_number() over (order by r.server_id, c.at) as seq,
    (date_part('epoch', c.at - r.origin) * 1000000)::int8 + dense_rank() over (order by r.server_id) * ${SERVER} as t${
      clamps ? ", r.limits[width_bucket(c.at, r.starts) + 1] as allowed" : ""
    }
  from scrape c join ranges r on r.no = c.no where c.at is not null
), measured as (${several ? (last ? `select e.*, e.at = max(e.at) over (partition by e.no, e.g) as last from (${added}) e` : added) : clamped}
)`
}

/** The CTE `covered`: for each wanted scrape of the ranges how many seconds it covers, 0 after a hole. Needs `moments`. */
export const coveredCtes = (exporter: Exporter): string => `covered as (
  select c.no, c.server_id, c.at, case when c.gap <= ${staleMicros(exporter)} then ${SECONDS("c.gap")} else 0 end as seconds
  from (
    select o.no, o.server_id, o.at, o.wanted, o.t - lag(o.t) over (partition by o.server_id order by o.at) as gap from moments o
  ) c
  where c.wanted
)`
