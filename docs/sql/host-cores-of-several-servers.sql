select server.id as server, before.at as before_at, before.cores as before_cores,
  following.at as after_at, following.cores as after_cores
from admiral.server_ids as server
left join lateral (
  select round(extract(epoch from scrape."timestamp") * 1000000)::float8 as at, scrape."cpu_cores"::float8 as cores
  from admiral."node_snapshots_scrapes" scrape
  where scrape.server_id = server.id and scrape."timestamp" <= timestamptz 'epoch' + $2::float8 * interval '1 microsecond' and scrape."cpu_cores" is not null
  order by scrape."timestamp" desc limit 1
) before on true
left join lateral (
  select round(extract(epoch from scrape."timestamp") * 1000000)::float8 as at, scrape."cpu_cores"::float8 as cores
  from admiral."node_snapshots_scrapes" scrape
  where scrape.server_id = server.id and scrape."timestamp" > timestamptz 'epoch' + $3::float8 * interval '1 microsecond' and scrape."cpu_cores" is not null
  order by scrape."timestamp" asc limit 1
) following on true
where server.id = any($1::int4[]);
