select 0 as span, server.id as server_id, scrape.*
from admiral.server_ids as server
cross join lateral (
  select timestamptz_send(scrape."timestamp") as at, timestamptz_send(scrape.counters_since) as since, timestamptz_send(scrape.packed_in) as packed_in, array_send(scrape.counters_since_of) as since_of, array_send(scrape."command") as l0, array_send(scrape."parent") as l1, array_send(scrape."runs_total") as n0, array_send(scrape."cpu_seconds_total") as n1
  from admiral."accounting_snapshots_scrapes" as scrape
  where scrape.server_id = server.id and scrape."timestamp" > $1 and scrape."timestamp" <= $2
  order by scrape."timestamp" desc limit $3
) as scrape;
