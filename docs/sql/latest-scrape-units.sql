select server.id as server, round(extract(epoch from coalesce(
  (select scrape."timestamp" from admiral."cgroup_snapshots_scrapes" scrape
    where scrape.server_id = server.id and scrape."timestamp" <= timestamptz 'epoch' + $2::float8 * interval '1 microsecond' order by scrape."timestamp" desc limit 1),
  (select bucket.last_at from admiral."cgroup_snapshots_1h" bucket
    where bucket.server_id = server.id and bucket.last_at <= timestamptz 'epoch' + $2::float8 * interval '1 microsecond' order by bucket.bucket desc limit 1)
)) * 1000000)::float8 as at
from admiral.server_ids as server
where server.id = any($1::int4[]);
