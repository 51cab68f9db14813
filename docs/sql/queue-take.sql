with chosen as (
  select queued.bucket, queued.server_id from admiral.rollup_queue queued
  where queued.seconds = $1::int4 and queued.bucket <= timestamptz 'epoch' + $2::float8 * interval '1 microsecond'
  group by queued.bucket, queued.server_id
  order by ceil(extract(epoch from queued.bucket) / 3600), queued.server_id, queued.bucket
  limit $3::int4
), taken as (
  delete from admiral.rollup_queue queued using chosen
  where queued.seconds = $1::int4 and queued.bucket = chosen.bucket and queued.server_id = chosen.server_id
  returning queued.server_id, queued.bucket
)
select distinct taken.server_id as server, round(extract(epoch from taken.bucket) * 1000000)::float8 as bucket from taken;
