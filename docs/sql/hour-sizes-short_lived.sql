select timestamptz_send(scrape."timestamp") as at, coalesce(cardinality(scrape."command"), 1000) as rows
from admiral."accounting_snapshots_scrapes" as scrape
where scrape.server_id = $1 and scrape."timestamp" >= $2 and scrape."timestamp" < $3
order by scrape."timestamp";
