update admiral."accounting_snapshots_scrapes"
set packed_in = null, counters_since = $3, counters_since_of = $4, "command" = $5, "parent" = $6, "runs_total" = $7, "cpu_seconds_total" = $8
where server_id = $1 and "timestamp" = $2;
