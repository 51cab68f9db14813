insert into admiral."cgroup_snapshots_scrapes" (server_id, "timestamp", counters_since, counters_since_of, "unit", "slice", "cpu_seconds_total", "memory_bytes", "memory_anon_bytes", "memory_peak_bytes", "memory_limit_bytes", "oom_kills_total", "read_bytes_total", "write_bytes_total", "num_procs", "num_threads", "cpu_limit_cores", "cpu_periods_total", "cpu_throttled_periods_total", "throttled_seconds_total", "cpu_pressure_seconds_total", "memory_pressure_seconds_total", "memory_stalled_seconds_total", "io_pressure_seconds_total", "io_stalled_seconds_total", "members")
select scrape.server_id, scrape.at, scrape.since, case scrape.differ when 1 then ($7::timestamptz[])[scrape.first:scrape.last] end,
  ($8::integer[])[scrape.first:scrape.last],
  ($9::integer[])[scrape.first:scrape.last],
  ($10::double precision[])[scrape.first:scrape.last],
  ($11::bigint[])[scrape.first:scrape.last],
  ($12::bigint[])[scrape.first:scrape.last],
  ($13::bigint[])[scrape.first:scrape.last],
  ($14::bigint[])[scrape.first:scrape.last],
  ($15::bigint[])[scrape.first:scrape.last],
  ($16::double precision[])[scrape.first:scrape.last],
  ($17::double precision[])[scrape.first:scrape.last],
  ($18::integer[])[scrape.first:scrape.last],
  ($19::integer[])[scrape.first:scrape.last],
  ($20::double precision[])[scrape.first:scrape.last],
  ($21::bigint[])[scrape.first:scrape.last],
  ($22::bigint[])[scrape.first:scrape.last],
  ($23::double precision[])[scrape.first:scrape.last],
  ($24::double precision[])[scrape.first:scrape.last],
  ($25::double precision[])[scrape.first:scrape.last],
  ($26::double precision[])[scrape.first:scrape.last],
  ($27::double precision[])[scrape.first:scrape.last],
  ($28::double precision[])[scrape.first:scrape.last],
  ($29::bigint[])[scrape.first:scrape.last]
from unnest($1::integer[], $2::timestamptz[], $3::timestamptz[], $4::integer[], $5::integer[], $6::integer[])
  as scrape(server_id, at, since, first, last, differ)
on conflict do nothing
returning server_id, timestamptz_send("timestamp") as at;
