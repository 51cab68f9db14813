select 0 as span, server.id as server_id, scrape.*
from admiral.server_ids as server
cross join lateral (
  select timestamptz_send(scrape."timestamp") as at, timestamptz_send(scrape.counters_since) as since, timestamptz_send(scrape.packed_in) as packed_in, array_send(scrape.counters_since_of[found.first:found.last]) as since_of, array_send(scrape."command"[found.first:found.last]) as l0, array_send(scrape."parent"[found.first:found.last]) as l1, array_send(scrape."runs_total"[found.first:found.last]) as n0, array_send(scrape."cpu_seconds_total"[found.first:found.last]) as n1
  from admiral."accounting_snapshots_scrapes" as scrape
cross join lateral (
  select coalesce(min(place), 1) as first, coalesce(max(place), 0) as last
  from unnest(array_positions(scrape."command", $5::integer)) as place
) as found
  where scrape.server_id = server.id and scrape."timestamp" <= $4 and scrape."timestamp" >= coalesce((
  select max(previous."timestamp") from admiral."accounting_snapshots_scrapes" as previous
  where previous.server_id = server.id and previous."timestamp" > $2 and previous."timestamp" <= $3
), $3)
  order by scrape."timestamp" offset 0
) as scrape
where server.id = any($1::integer[]);
