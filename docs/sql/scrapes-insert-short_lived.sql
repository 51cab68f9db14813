insert into admiral."accounting_snapshots_scrapes" (server_id, "timestamp", counters_since, counters_since_of, "command", "parent", "runs_total", "cpu_seconds_total")
select scrape.server_id, scrape.at, scrape.since, case scrape.differ when 1 then ($7::timestamptz[])[scrape.first:scrape.last] end,
  ($8::integer[])[scrape.first:scrape.last],
  ($9::integer[])[scrape.first:scrape.last],
  ($10::bigint[])[scrape.first:scrape.last],
  ($11::double precision[])[scrape.first:scrape.last]
from unnest($1::integer[], $2::timestamptz[], $3::timestamptz[], $4::integer[], $5::integer[], $6::integer[])
  as scrape(server_id, at, since, first, last, differ)
on conflict do nothing
returning server_id, timestamptz_send("timestamp") as at;
