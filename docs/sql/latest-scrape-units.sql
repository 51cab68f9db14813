select server.id as server, round(extract(epoch from coalesce(
  (select scrape."timestamp" from admiral."cgroup_snapshots_scrapes" scrape
    where scrape.server_id = server.id and scrape."timestamp" <= until.moment order by scrape."timestamp" desc limit 1),
  (select bucket.last_at from admiral."cgroup_snapshots_1h" bucket
    where bucket.server_id = server.id and bucket.last_at <= until.moment order by bucket.bucket desc limit 1)
)) * 1000000)::float8 as at
from unnest($1::int4[]) as server(id)
cross join (select timestamptz 'epoch' + $2::float8 * interval '1 microsecond' as moment) until;
