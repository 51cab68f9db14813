select 0 as span, server.id as server_id, scrape.*
from admiral.server_ids as server
cross join lateral (
  select timestamptz_send(scrape."timestamp") as at, timestamptz_send(scrape.counters_since) as since, timestamptz_send(scrape.packed_in) as packed_in, array_send(scrape.counters_since_of) as since_of, array_send(scrape."unit") as l0, array_send(scrape."slice") as l1, array_send(scrape."cpu_seconds_total") as n0, array_send(scrape."memory_bytes") as n1, array_send(scrape."memory_anon_bytes") as n2, array_send(scrape."memory_peak_bytes") as n3, array_send(scrape."memory_limit_bytes") as n4, array_send(scrape."oom_kills_total") as n5, array_send(scrape."read_bytes_total") as n6, array_send(scrape."write_bytes_total") as n7, array_send(scrape."num_procs") as n8, array_send(scrape."num_threads") as n9, array_send(scrape."cpu_limit_cores") as n10, array_send(scrape."cpu_periods_total") as n11, array_send(scrape."cpu_throttled_periods_total") as n12, array_send(scrape."throttled_seconds_total") as n13, array_send(scrape."cpu_pressure_seconds_total") as n14, array_send(scrape."memory_pressure_seconds_total") as n15, array_send(scrape."memory_stalled_seconds_total") as n16, array_send(scrape."io_pressure_seconds_total") as n17, array_send(scrape."io_stalled_seconds_total") as n18, array_send(scrape."members") as n19
  from admiral."cgroup_snapshots_scrapes" as scrape
  where scrape.server_id = server.id and scrape."timestamp" > $1 and scrape."timestamp" <= $2
  order by scrape."timestamp" desc limit $3
) as scrape;
