select scrape.server_id, timestamptz_send(scrape."timestamp") as at, timestamptz_send(scrape.counters_since) as since, timestamptz_send(scrape.packed_in) as packed_in, array_send(scrape.counters_since_of) as since_of, array_send(scrape."command") as l0, array_send(scrape."parent") as l1, array_send(scrape."runs_total") as n0, array_send(scrape."cpu_seconds_total") as n1
from admiral."accounting_snapshots_scrapes" as scrape
where scrape.server_id = $1 and scrape."timestamp" >= $2 and scrape."timestamp" <= $3
order by scrape."timestamp";
