select * from (
select 0 as level, bucket.server_id as server, timestamptz_send(bucket.bucket) as bucket, timestamptz_send(bucket.last_at) as last_at,
  bucket.scrapes, bucket.covered, bucket.host_busy, bucket.host_seconds, bucket.host_unknown, bucket.groups
from admiral.server_ids as server
cross join lateral (
  select * from admiral."process_snapshots_5m" bucket
  where bucket.server_id = server.id and bucket.bucket > $2::timestamptz and bucket.bucket <= $3::timestamptz
  offset 0
) bucket
where server.id = any($1::int4[])
union all
select 1 as level, bucket.server_id as server, timestamptz_send(bucket.bucket) as bucket, timestamptz_send(bucket.last_at) as last_at,
  bucket.scrapes, bucket.covered, bucket.host_busy, bucket.host_seconds, bucket.host_unknown, bucket.groups
from admiral.server_ids as server
cross join lateral (
  select * from admiral."process_snapshots_1h" bucket
  where bucket.server_id = server.id and bucket.bucket > $4::timestamptz and bucket.bucket <= $5::timestamptz
  offset 0
) bucket
where server.id = any($1::int4[])
) as part;
