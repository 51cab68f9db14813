select server.id as id, coalesce(
  (select array_agg(latest.at order by latest.at desc) from (
    select round(extract(epoch from scrape."timestamp") * 1000000)::float8 as at from admiral."cgroup_snapshots_scrapes" scrape
    where scrape.server_id = server.id order by scrape."timestamp" desc limit 8
  ) latest),
  (select array[round(extract(epoch from bucket.last_at) * 1000000)::float8] from admiral."cgroup_snapshots_1h" bucket
    where bucket.server_id = server.id and bucket.last_at is not null order by bucket.bucket desc limit 1)
) as scrapes
from admiral.server_ids as server;
