/**
 * The statements that keep roll-ups. All work on lists of buckets, each of one server, and compute a bucket anew from its
 * rows: to do it again, in any order, changes nothing.
 */
import { Duration } from "effect"
import type { Exporter } from "../plugins/Exporter.ts"
import { allMeasures, coveredCtes, isHostCpu, measuredCtes, moment, quoted, rowsTable } from "./IncreaseSql.ts"
import {
  COARSE,
  dirtyTable,
  FINE,
  keptFor,
  LEVELS,
  type Level,
  rollupColumnsOf,
  rollupTable,
  scrapesTable
} from "./RollupTables.ts"
import { present } from "./TopSql.ts"
import { successors } from "./WindowPlan.ts"

const table = (name: string): string => `admiral.${quoted(name)}`
const seconds = (n: number): string => `interval '${n} seconds'`

/**
 * Takes buckets off the queue: at most so many of those that have ended, the oldest hour first, and in it a server's
 * buckets together, since neighbours share the rows before them. Bound: width in seconds, the moment
 * until which buckets are taken, how many. Entries that come in meanwhile stay.
 */
export const takeSql = (exporter: Exporter): string => {
  const dirty = table(dirtyTable(exporter.table.name))
  return `with taken as (
  delete from ${dirty} d using (
    select q.bucket, q.server_id from ${dirty} q
    where q.seconds = $1 and q.bucket <= ${moment("$2::float8")} group by q.bucket, q.server_id
    order by ceil(date_part('epoch', q.bucket) / ${COARSE.seconds}), q.server_id, q.bucket limit $3
  ) t where d.seconds = $1 and d.bucket = t.bucket and d.server_id = t.server_id
  returning d.server_id, d.bucket
)
select distinct t.server_id::float8 as server, round(date_part('epoch', t.bucket) * 1000000) as bucket from taken t`
}

/** Buckets that are bound as two arrays, servers and ends, as ranges of their rows. */
const bound = (width: number): string =>
  `(select row_number() over ()::int as no, u.server_id, ${moment("u.bucket")} - ${seconds(width)} as after, ${moment("u.bucket")} as upto
      from unnest($1::int4[], $2::float8[]) as u(server_id, bucket))`

/** A CTE that queues the buckets of a level that hold the `ranges`. */
const queued = (name: string, level: Level): string => `, queued as (
  insert into ${table(dirtyTable(name))} (server_id, bucket, seconds)
  select distinct r.server_id, to_timestamp(ceil(date_part('epoch', r.upto) / ${level.seconds}) * ${level.seconds}), ${level.seconds} from ranges r
)`

/** Rolls up five-minute buckets from rows, and queues their hours. Bound: servers, ends. */
export const fineSql = (exporter: Exporter, host: Exporter | undefined): string => {
  const measures = allMeasures(exporter)
  const name = exporter.table.name
  const columns = rollupColumnsOf(exporter)
  const now = present(exporter, measures, (n) => `m.v${n}`)
  return `with recursive ${measuredCtes(exporter, host, bound(FINE.seconds), measures)}, ${coveredCtes}, scrapes as (
  insert into ${table(scrapesTable(name, FINE))} (server_id, bucket, scrapes, covered, last_at)
  select r.server_id, r.upto, count(*), sum(c.seconds), max(c.at) from covered c join ranges r on r.no = c.no group by r.server_id, r.upto
  ${upsert(["scrapes", "covered", "last_at"], "server_id, bucket")}
)${queued(name, COARSE)}
insert into ${table(rollupTable(name, FINE))} (server_id, bucket, group_id, rows, last_at${columns.map((column) => `, ${column.name}`).join("")})
select r.server_id, r.upto, b.g, b.rows, b.last_at${columns.map((column) => `, b.${column.name}`).join("")}
from (
  select m.no, m.g, count(*) as rows, max(m.at) as last_at${columns.map((column) => `, ${column.build(now)} as ${column.name}`).join("")}
  from measured m group by m.no, m.g
) b join ranges r on r.no = b.no
${upsert(["rows", "last_at", ...columns.map((column) => column.name)], "server_id, bucket, group_id")}`
}

/** Merges the buckets of a level into those of the next, and queues those of the one after it. Bound: servers, ends. */
export const mergeSql = (exporter: Exporter, finerLevel: Level, level: Level): string => {
  const name = exporter.table.name
  const wider = LEVELS[LEVELS.indexOf(level) + 1]
  const columns = rollupColumnsOf(exporter)
  const finer = (from: string) => `select r.upto, r.latest, b.* from ranges r cross join lateral (
    select b.* from ${table(from)} b where b.server_id = r.server_id and b.bucket > r.after and b.bucket <= r.upto offset 0
  ) b`
  return `with ranges as materialized (
  select r.*, (
    select max(s.last_at) from ${table(scrapesTable(name, finerLevel))} s
    where s.server_id = r.server_id and s.bucket > r.after and s.bucket <= r.upto
  ) as latest from ${bound(level.seconds)} r
), scrapes as (
  insert into ${table(scrapesTable(name, level))} (server_id, bucket, scrapes, covered, last_at)
  select b.server_id, b.upto, sum(b.scrapes), sum(b.covered), max(b.last_at) from (${finer(scrapesTable(name, finerLevel))}) b group by b.server_id, b.upto
  ${upsert(["scrapes", "covered", "last_at"], "server_id, bucket")}
)${wider === undefined ? "" : queued(name, wider)}
insert into ${table(rollupTable(name, level))} (server_id, bucket, group_id, rows, last_at${columns.map((column) => `, ${column.name}`).join("")})
select b.server_id, b.upto, b.group_id, sum(b.rows), max(b.last_at)${columns.map((column) => `, ${column.merge}`).join("")}
from (
  select b.*, b.last_at = b.latest as last from (${finer(rollupTable(name, finerLevel))}) b
) b group by b.server_id, b.upto, b.group_id
${upsert(["rows", "last_at", ...columns.map((column) => column.name)], "server_id, bucket, group_id")}`
}

/**
 * The buckets of `exporter` that may have been rolled up with other cores than the host's rows now say, of which those in
 * `ranges` have changed. Only where the cores in a range are not those from before it can anything change, and then only
 * until the next row of the host; before the first row of all, everything.
 */
const recored = (exporter: Exporter, host: Exporter, ranges: string): string => {
  const cores = `h.${quoted(host.host!.cores)}`
  const rows = `from ${rowsTable(host)} h where h.server_id = r.server_id and ${cores} is not null`
  return `select distinct b.server_id, b.bucket
from ${ranges} r
cross join lateral (select (select ${cores} ${rows} and h."timestamp" <= r.after order by h."timestamp" desc limit 1) as cores) before
cross join lateral (
  select bool_or(${cores} is distinct from before.cores) as differ ${rows} and h."timestamp" > r.after and h."timestamp" <= r.upto
) inside
cross join lateral (select (select h."timestamp" ${rows} and h."timestamp" > r.upto order by h."timestamp" limit 1) as at) following
cross join lateral (
  select b.server_id, b.bucket from ${table(scrapesTable(exporter.table.name, FINE))} b
  where inside.differ and b.server_id = r.server_id
    and b.bucket > case when before.cores is null then '-infinity' else r.after end
    and b.bucket < coalesce(following.at + ${seconds(FINE.seconds)}, 'infinity')
  offset 0
) b`
}

/** Queues those buckets. Bound: the host's buckets that have changed, servers and ends. */
export const recoresSql = (exporter: Exporter, host: Exporter): string =>
  `insert into ${table(dirtyTable(exporter.table.name))} (server_id, bucket, seconds)
select c.server_id, c.bucket, ${FINE.seconds} from (${recored(exporter, host, bound(FINE.seconds))}) c`

/**
 * A server's buckets whose rows have changed, or the cores that they are clamped to. Bound: the server's id; the window's
 * ends, epoch microseconds.
 */
export const dirtySql = (exporter: Exporter, host: Exporter | undefined): string => {
  const reach = (1 + successors(Duration.toMillis(exporter.table.staleAfter))) * FINE.seconds
  const widest = LEVELS.at(-1)!.seconds
  const queue = (of: Exporter) => table(dirtyTable(of.table.name))
  const cores =
    host === undefined || !isClamped(exporter)
      ? ""
      : `
  union all
  select ${FINE.seconds}, c.bucket from (${recored(
    exporter,
    host,
    `(select d.server_id, d.bucket - ${seconds(FINE.seconds)} as after, d.bucket as upto
      from ${queue(host)} d where d.server_id = $1 and d.seconds = ${FINE.seconds} and d.bucket <= ${moment("$3::float8")} + ${seconds(widest)})`
  )}) c`
  return `select distinct d.seconds, round(date_part('epoch', d.bucket) * 1000000) as bucket from (
  select d.seconds, d.bucket from ${queue(exporter)} d where d.server_id = $1${cores}
) d
where d.bucket > ${moment("$2::float8")} - ${seconds(reach)} and d.bucket <= ${moment("$3::float8")} + ${seconds(widest)}`
}

/** Queues every bucket that holds rows of a server. Bound: the server's id. */
export const requeueSql = (exporter: Exporter): string =>
  `insert into ${table(dirtyTable(exporter.table.name))} (server_id, bucket, seconds)
select distinct $1::int, to_timestamp(ceil(date_part('epoch', s."timestamp") / ${FINE.seconds}) * ${FINE.seconds}), ${FINE.seconds}
from ${rowsTable(exporter)} s where s.server_id = $1::int`

/** How many buckets wait that could be rolled up, and since when. Bound: the moment until which buckets have ended. */
export const backlogSql = (exporter: Exporter): string =>
  `select count(distinct (d.server_id, d.bucket, d.seconds))::float8 as buckets, round(date_part('epoch', min(d.bucket)) * 1000000) as oldest
from ${table(dirtyTable(exporter.table.name))} d where d.bucket <= ${moment("$1::float8")}`

/** Deletes a server's buckets before a moment, of tables that are not partitioned. Bound: the server's id, epoch microseconds. */
export const pruneSql = (
  exporter: Exporter
): ReadonlyArray<{ readonly kept: Duration.Duration; readonly statement: string }> =>
  [
    ...LEVELS.map((level) => ({ level, name: scrapesTable(exporter.table.name, level) })),
    ...LEVELS.filter((level) => level !== FINE).map((level) => ({
      level,
      name: rollupTable(exporter.table.name, level)
    }))
  ].map(({ level, name }) => ({
    kept: keptFor(level, exporter.table),
    statement: `delete from ${table(name)} b where b.server_id = $1 and b.bucket < ${moment("$2::float8")}`
  }))

/** Whether an exporter's roll-ups depend on the host's cores. */
export const isClamped = (exporter: Exporter): boolean =>
  Object.keys(exporter.table.columns).some((column) => isHostCpu(exporter, column))

/** How far after a changed row's bucket others change with it, in microseconds. */
export const reachMicros = (exporter: Exporter): number =>
  successors(Duration.toMillis(exporter.table.staleAfter)) * FINE.seconds * 1_000_000

const upsert = (columns: ReadonlyArray<string>, key: string): string =>
  `on conflict (${key}) do update set ${columns.map((column) => `${column} = excluded.${column}`).join(", ")}`
