select distinct queued.server_id as server, queued.seconds, round(extract(epoch from queued.bucket) * 1000000)::float8 as bucket
from admiral.rollup_queue queued
where queued.server_id = $1::int4 and queued.bucket <= timestamptz 'epoch' + $3::float8 * interval '1 microsecond'
  and (queued.seconds = 0 or queued.bucket > timestamptz 'epoch' + $2::float8 * interval '1 microsecond');
