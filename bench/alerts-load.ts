/** What `alerts.ts` asks about: a fleet's latest scrapes, and the CPU that asking takes. */
import { readdirSync, readFileSync } from "node:fs"
import { PgClient } from "@effect/sql-pg"
import { Effect } from "effect"
import { createPartitionSql, dayOf } from "../src/sinks/storage/Partitions.ts"

export const GROUPS = 150
const INTERVAL = 15

/** CPU so far, ms: of this process, and of PostgreSQL's processes. */
export const cpuMillis = () => {
  const { system, user } = process.cpuUsage()
  let postgres = 0
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, "utf8")
      const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
      // Ticks of 10 ms.
      if (stat.includes("(postgres)")) postgres += (Number(fields[11]) + Number(fields[12])) * 10
    } catch {
      // It has ended meanwhile.
    }
  }
  return { node: (user + system) / 1_000, postgres }
}

/** Scrapes of some minutes until now, of each server; gives the moment of the last ones, epoch milliseconds. */
export const fill = Effect.fnUntraced(function* (servers: number, minutes: number) {
  const sql = yield* PgClient.PgClient
  const end = Math.floor(Date.now() / 1_000 / INTERVAL) * INTERVAL
  for (const table of ["process_snapshots_scrapes", "node_snapshots_scrapes"]) {
    for (let day = dayOf((end - 86_400) * 1e6); day <= dayOf(end * 1e6) + 1; day++) {
      yield* sql.unsafe(createPartitionSql(table, day)).unprepared
    }
  }
  yield* sql`insert into admiral.servers (server_id, name) select 'server-' || n, 'server ' || n from generate_series(1, ${servers}::int) n`
  yield* sql`insert into admiral.label_values (value) select 'process-' || n from generate_series(1, ${GROUPS}::int) n`
  for (let t = end - minutes * 60; t <= end; t += INTERVAL) yield* scrapeAt(servers, t * 1_000)
  yield* sql`vacuum analyze`.unprepared
  return end * 1_000
})

/** One scrape of each server, a third of whose groups is busy. Epoch milliseconds. */
export const scrapeAt = Effect.fnUntraced(function* (servers: number, at: number) {
  const sql = yield* PgClient.PgClient
  const t = Math.round(at / 1_000)
  // Copies of a few: what is counted is how much is read, not what it says.
  yield* sql`with original as (
      select array_agg(g order by g) as names, array_agg(1 + g % 4 order by g) as counts,
        array_agg(case when g % 3 = 0 then (${t}::int % 1000000) * (g % 50) / 400.0 + (hashint4(g + ${t}::int) & 7) / 100.0 else g / 100.0 end order by g) as cpu,
        array_agg((g * 1000 + (hashint4(g * 7 + ${t}::int) & 255)) * 4096::int8 order by g) as memory
      from generate_series(1, ${GROUPS}::int) g
    )
    insert into admiral.process_snapshots_scrapes ("timestamp", server_id, process_name, num_procs, cpu_seconds_total, memory_bytes)
    select to_timestamp(${t}::float8) - server.id % 10 * interval '1 second', server.id, original.names, original.counts, original.cpu, original.memory
    from original, admiral.servers server where server.id <= ${servers}::int`
  yield* sql`insert into admiral.node_snapshots_scrapes ("timestamp", server_id, cpu_cores, memory_total_bytes, cpu_user_seconds, cpu_system_seconds, cpu_idle_seconds, cpu_iowait_seconds, cpu_steal_seconds, load_1min)
    select to_timestamp(${t}::float8) - server.id % 10 * interval '1 second', server.id, 8, 64000000000, ${t}::float8 * 7, ${t}::float8, 0, 0, 0, 3
    from admiral.servers server where server.id <= ${servers}::int`
})
