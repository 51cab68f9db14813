insert into admiral."process_snapshots_scrapes" (server_id, "timestamp", counters_since, counters_since_of, "process_name", "unit", "num_procs", "cpu_seconds_total", "memory_bytes", "num_threads", "open_filedesc", "read_bytes_total", "write_bytes_total", "swapped_bytes", "pss_bytes", "major_page_faults_total", "voluntary_context_switches_total", "nonvoluntary_context_switches_total", "oldest_start_time_seconds", "states_running", "states_sleeping", "states_waiting", "states_zombie", "states_other", "run_queue_wait_seconds_total")
select scrape.server_id, scrape.at, scrape.since, case scrape.differ when 1 then ($7::timestamptz[])[scrape.first:scrape.last] end,
  ($8::integer[])[scrape.first:scrape.last],
  ($9::integer[])[scrape.first:scrape.last],
  ($10::integer[])[scrape.first:scrape.last],
  ($11::double precision[])[scrape.first:scrape.last],
  ($12::bigint[])[scrape.first:scrape.last],
  ($13::integer[])[scrape.first:scrape.last],
  ($14::integer[])[scrape.first:scrape.last],
  ($15::bigint[])[scrape.first:scrape.last],
  ($16::bigint[])[scrape.first:scrape.last],
  ($17::bigint[])[scrape.first:scrape.last],
  ($18::bigint[])[scrape.first:scrape.last],
  ($19::bigint[])[scrape.first:scrape.last],
  ($20::bigint[])[scrape.first:scrape.last],
  ($21::bigint[])[scrape.first:scrape.last],
  ($22::double precision[])[scrape.first:scrape.last],
  ($23::integer[])[scrape.first:scrape.last],
  ($24::integer[])[scrape.first:scrape.last],
  ($25::integer[])[scrape.first:scrape.last],
  ($26::integer[])[scrape.first:scrape.last],
  ($27::integer[])[scrape.first:scrape.last],
  ($28::double precision[])[scrape.first:scrape.last]
from unnest($1::integer[], $2::timestamptz[], $3::timestamptz[], $4::integer[], $5::integer[], $6::integer[])
  as scrape(server_id, at, since, first, last, differ)
on conflict do nothing
returning server_id, timestamptz_send("timestamp") as at;
