/** What `query.ts` asks about: scrapes as the agents of some servers would have sent them, and copies of one of them. */
import { PgClient } from "@effect/sql-pg"
import { Effect } from "effect"
import { createPartitionSql, dayOf } from "../src/sinks/storage/Partitions.ts"

export const GROUPS = 150
/** Seconds. */
export const INTERVAL = 15
export const SECOND = 1_000_000

/** Rows up to now: of the first server so many days, of the others one. Gives the moment of the last ones, epoch microseconds. */
export const load = Effect.fnUntraced(function* (now: number, days: number, others: number) {
  const sql = yield* PgClient.PgClient
  const end = Math.floor(now / 1_000 / INTERVAL) * INTERVAL
  yield* sql.unsafe(PLAIN_TABLE).unprepared
  for (const table of ["process_snapshots_scrapes", "node_snapshots_scrapes", "plain_rows"]) {
    for (let day = dayOf((end - days * 86_400) * SECOND); day <= dayOf(end * SECOND) + 1; day++) {
      yield* sql.unsafe(createPartitionSql(table, day)).unprepared
    }
  }
  yield* sql`insert into admiral.servers (server_id, name) select 'server-' || n, 'server ' || n from generate_series(1, ${others + 1}::int) n`
  yield* sql`insert into admiral.label_values (value) select 'process-' || n from generate_series(1, 5000) n`
  for (let server = 1; server <= others + 1; server++) {
    const begin = end - (server === 1 ? days : 1) * 86_400
    for (let from = begin; from < end; from += 86_400) {
      // A third of the groups is busy; counters grow by what the group and the moment say.
      yield* sql`insert into admiral.process_snapshots_scrapes ("timestamp", server_id, process_name, num_procs, cpu_seconds_total, memory_bytes)
        select to_timestamp(t), ${server}, array_agg(g order by g), array_agg(1 + g % 4 order by g),
          array_agg((t - ${begin}) * (g % 50) / 400.0 + (hashint4(g + t) & 7) / 100.0 order by g),
          array_agg(g * 1000000 + (hashint4(g * 7 + t) & 1048575) order by g)
        from generate_series(${from + INTERVAL}::int, ${Math.min(from + 86_400, end)}::int, ${INTERVAL}::int) t, generate_series(1, ${GROUPS}::int) g
        group by t`
    }
    yield* sql`insert into admiral.node_snapshots_scrapes ("timestamp", server_id, cpu_cores, memory_total_bytes, cpu_user_seconds, cpu_system_seconds, cpu_idle_seconds, cpu_iowait_seconds, cpu_steal_seconds)
      select to_timestamp(t), ${server}, 8, 64000000000, (t - ${begin}) * 7, t - ${begin}, 0, 0, 0
      from generate_series(${begin + INTERVAL}::int, ${end}::int, ${INTERVAL}::int) t`
  }
  yield* sql`insert into admiral.plain_rows ("timestamp", cpu_seconds_total, memory_bytes, server_id, process_name, num_procs)
    select scrape."timestamp", row.cpu, row.memory, scrape.server_id, row.name, row.num from admiral.process_snapshots_scrapes as scrape
    cross join lateral unnest(scrape.process_name, scrape.num_procs, scrape.cpu_seconds_total, scrape.memory_bytes) as row(name, num, cpu, memory)
    where scrape.server_id = 1`
  yield* sql`vacuum analyze`.unprepared
  return end * SECOND
})

/**
 * A fleet of copies of the first server, with what an answer over the day until `end` reads: all hours, and what is finer at
 * both ends of the day.
 */
export const copyFleet = Effect.fnUntraced(function* (servers: number, end: number) {
  const sql = yield* PgClient.PgClient
  yield* sql`insert into admiral.servers (server_id, name) select 'fleet-' || n, 'fleet ' || n from generate_series(1, ${servers}::int) n`
  const copy = Effect.fnUntraced(function* (table: string, time: string, from: number, to: number) {
    const columns = yield* sql<{ readonly name: string }>`
      select quote_ident(attname) as name from pg_attribute
      where attrelid = ${`admiral.${table}`}::regclass and attnum > 0 and not attisdropped and attname <> 'server_id'`
    const names = columns.map(({ name }) => name)
    yield* sql.unsafe(
      `insert into admiral.${table} (server_id, ${names.join(", ")})
      select server.id, ${names.map((name) => `original.${name}`).join(", ")} from admiral.${table} original, admiral.servers server
      where original.server_id = 1 and server.server_id like 'fleet-%'
        and original."${time}" > to_timestamp(${from / SECOND}) and original."${time}" <= to_timestamp(${to / SECOND})`
    ).unprepared
  })
  const hour = 3_600 * SECOND
  const begin = end - 24 * hour
  for (const exporter of ["process_snapshots", "node_snapshots"]) {
    for (const edge of [begin, end]) {
      yield* copy(`${exporter}_scrapes`, "timestamp", edge - hour / 3, edge + hour / 6)
      yield* copy(`${exporter}_5m`, "bucket", edge - hour, edge + hour)
    }
    yield* copy(`${exporter}_1h`, "bucket", begin, end)
  }
  yield* sql`vacuum analyze`.unprepared
})

/** What one would make first: a row a process. The rows of the server that is asked about. */
const PLAIN_TABLE = `create table admiral.plain_rows (
  "timestamp" timestamptz not null,
  cpu_seconds_total double precision not null,
  memory_bytes bigint not null,
  server_id integer not null,
  process_name integer not null,
  num_procs integer not null,
  primary key (server_id, "timestamp", process_name)
) partition by range ("timestamp")`

/** What one would write first: no resets, no holes, no names apart, all rows. Bound: the window, epoch seconds. */
export const PLAIN_TOP = `select v.value as name, sum(x.cpu) as cpu, max(x.rate) as peak, max(x.memory) as memory
from (
  select s.process_name, s.memory_bytes as memory,
    s.cpu_seconds_total - lag(s.cpu_seconds_total) over w as cpu,
    (s.cpu_seconds_total - lag(s.cpu_seconds_total) over w) / extract(epoch from s."timestamp" - lag(s."timestamp") over w) as rate
  from admiral.plain_rows s
  where s.server_id = 1 and s."timestamp" > to_timestamp($1::float8) and s."timestamp" <= to_timestamp($2::float8)
  window w as (partition by s.process_name order by s."timestamp")
) x join admiral.label_values v on v.id = x.process_name
group by v.value order by cpu desc nulls last limit 10`
