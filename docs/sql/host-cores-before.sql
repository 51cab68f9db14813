select server.id as server, (
  select scrape."cpu_cores"::float8 from admiral."node_snapshots_scrapes" scrape
  where scrape.server_id = server.id and scrape."timestamp" < ($2::timestamptz[])[array_position($1::int4[], server.id)]
    and scrape."cpu_cores" is not null
  order by scrape."timestamp" desc limit 1
) as cores
from admiral.server_ids as server
where server.id = any($1::int4[]);
