select 0 as span, server.id as server_id, scrape.*
from admiral.server_ids as server
cross join lateral (
  select timestamptz_send(scrape."timestamp") as at, timestamptz_send(scrape.counters_since) as since, timestamptz_send(scrape.packed_in) as packed_in, array_send(scrape.counters_since_of) as since_of, array_send(scrape."process_name") as l0, array_send(scrape."unit") as l1, array_send(scrape."num_procs") as n0, array_send(scrape."cpu_seconds_total") as n1, array_send(scrape."memory_bytes") as n2, array_send(scrape."num_threads") as n3, array_send(scrape."open_filedesc") as n4, array_send(scrape."read_bytes_total") as n5, array_send(scrape."write_bytes_total") as n6, array_send(scrape."swapped_bytes") as n7, array_send(scrape."pss_bytes") as n8, array_send(scrape."major_page_faults_total") as n9, array_send(scrape."voluntary_context_switches_total") as n10, array_send(scrape."nonvoluntary_context_switches_total") as n11, array_send(scrape."oldest_start_time_seconds") as n12, array_send(scrape."states_running") as n13, array_send(scrape."states_sleeping") as n14, array_send(scrape."states_waiting") as n15, array_send(scrape."states_zombie") as n16, array_send(scrape."states_other") as n17, array_send(scrape."run_queue_wait_seconds_total") as n18
  from admiral."process_snapshots_scrapes" as scrape
  where scrape.server_id = server.id and scrape."timestamp" > $1 and scrape."timestamp" <= $2
  order by scrape."timestamp" desc limit $3
) as scrape
where server.id = any($4::integer[]);
