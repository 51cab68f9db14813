select timestamptz_send(scrape."timestamp") as at, 1 as rows
from admiral."node_snapshots_scrapes" as scrape
where scrape.server_id = $1 and scrape."timestamp" >= $2 and scrape."timestamp" < $3
order by scrape."timestamp";
