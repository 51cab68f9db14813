select 0 as span, server.id as server_id, scrape.*
from admiral.server_ids as server
cross join lateral (
  select timestamptz_send(scrape."timestamp") as at, timestamptz_send(scrape.counters_since) as since, timestamptz_send(scrape.packed_in) as packed_in, array_send(scrape.counters_since_of[found.first:found.last]) as since_of, array_send(scrape."process_name"[found.first:found.last]) as l0, array_send(scrape."unit"[found.first:found.last]) as l1, array_send(scrape."num_procs"[found.first:found.last]) as n0, array_send(scrape."cpu_seconds_total"[found.first:found.last]) as n1, array_send(scrape."memory_bytes"[found.first:found.last]) as n2, array_send(scrape."num_threads"[found.first:found.last]) as n3, array_send(scrape."open_filedesc"[found.first:found.last]) as n4, array_send(scrape."read_bytes_total"[found.first:found.last]) as n5, array_send(scrape."write_bytes_total"[found.first:found.last]) as n6, array_send(scrape."swapped_bytes"[found.first:found.last]) as n7, array_send(scrape."pss_bytes"[found.first:found.last]) as n8, array_send(scrape."major_page_faults_total"[found.first:found.last]) as n9, array_send(scrape."voluntary_context_switches_total"[found.first:found.last]) as n10, array_send(scrape."nonvoluntary_context_switches_total"[found.first:found.last]) as n11, array_send(scrape."oldest_start_time_seconds"[found.first:found.last]) as n12, array_send(scrape."states_running"[found.first:found.last]) as n13, array_send(scrape."states_sleeping"[found.first:found.last]) as n14, array_send(scrape."states_waiting"[found.first:found.last]) as n15, array_send(scrape."states_zombie"[found.first:found.last]) as n16, array_send(scrape."states_other"[found.first:found.last]) as n17, array_send(scrape."run_queue_wait_seconds_total"[found.first:found.last]) as n18
  from admiral."process_snapshots_scrapes" as scrape
cross join lateral (
  select coalesce(min(place), 1) as first, coalesce(max(place), 0) as last
  from unnest(array_positions(scrape."process_name", $5::integer)) as place
) as found
  where scrape.server_id = server.id and scrape."timestamp" <= $4 and scrape."timestamp" >= coalesce((
  select max(previous."timestamp") from admiral."process_snapshots_scrapes" as previous
  where previous.server_id = server.id and previous."timestamp" > $2 and previous."timestamp" <= $3
), $3)
  order by scrape."timestamp" offset 0
) as scrape
where server.id = any($1::integer[]);
