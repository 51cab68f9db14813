select 0 as span, server.id as server_id, scrape.*
from admiral.server_ids as server
cross join lateral (
  select timestamptz_send(scrape."timestamp") as at, timestamptz_send(scrape.counters_since) as since, timestamptz_send(scrape.packed_in) as packed_in, array_send(scrape.counters_since_of) as since_of, array_send(scrape."command") as l0, array_send(scrape."parent") as l1, array_send(scrape."runs_total") as n0, array_send(scrape."cpu_seconds_total") as n1
  from admiral."accounting_snapshots_scrapes" as scrape
  where scrape.server_id = server.id and scrape."timestamp" <= $4 and scrape."timestamp" >= coalesce((
  select max(previous."timestamp") from admiral."accounting_snapshots_scrapes" as previous
  where previous.server_id = server.id and previous."timestamp" > $2 and previous."timestamp" <= $3
), $3)
  order by scrape."timestamp" offset 0
) as scrape
where server.id = any($1::integer[]);
