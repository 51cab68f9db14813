insert into admiral.rollup_queue (bucket, server_id, seconds)
select held.bucket, held.server_id, 300 from (
  select bucket.bucket, bucket.server_id from admiral."node_snapshots_5m" bucket
  where bucket.server_id = $1::int4 and bucket.bucket >= timestamptz 'epoch' + $2::float8 * interval '1 microsecond'
    and bucket.bucket <= coalesce(to_timestamp(ceil(extract(epoch from (
    select scrape."timestamp" from admiral."node_snapshots_scrapes" scrape
    where scrape.server_id = $1::int4 and scrape."timestamp" > timestamptz 'epoch' + $2::float8 * interval '1 microsecond' and scrape."cpu_cores" is not null
    order by scrape."timestamp" limit 1
  )) / 300) * 300), 'infinity')
  union
  select bucket.bucket, bucket.server_id from admiral."process_snapshots_5m" bucket
  where bucket.server_id = $1::int4 and bucket.bucket >= timestamptz 'epoch' + $2::float8 * interval '1 microsecond'
    and bucket.bucket <= coalesce(to_timestamp(ceil(extract(epoch from (
    select scrape."timestamp" from admiral."node_snapshots_scrapes" scrape
    where scrape.server_id = $1::int4 and scrape."timestamp" > timestamptz 'epoch' + $2::float8 * interval '1 microsecond' and scrape."cpu_cores" is not null
    order by scrape."timestamp" limit 1
  )) / 300) * 300), 'infinity')
  union
  select bucket.bucket, bucket.server_id from admiral."accounting_snapshots_5m" bucket
  where bucket.server_id = $1::int4 and bucket.bucket >= timestamptz 'epoch' + $2::float8 * interval '1 microsecond'
    and bucket.bucket <= coalesce(to_timestamp(ceil(extract(epoch from (
    select scrape."timestamp" from admiral."node_snapshots_scrapes" scrape
    where scrape.server_id = $1::int4 and scrape."timestamp" > timestamptz 'epoch' + $2::float8 * interval '1 microsecond' and scrape."cpu_cores" is not null
    order by scrape."timestamp" limit 1
  )) / 300) * 300), 'infinity')
  union
  select bucket.bucket, bucket.server_id from admiral."cgroup_snapshots_5m" bucket
  where bucket.server_id = $1::int4 and bucket.bucket >= timestamptz 'epoch' + $2::float8 * interval '1 microsecond'
    and bucket.bucket <= coalesce(to_timestamp(ceil(extract(epoch from (
    select scrape."timestamp" from admiral."node_snapshots_scrapes" scrape
    where scrape.server_id = $1::int4 and scrape."timestamp" > timestamptz 'epoch' + $2::float8 * interval '1 microsecond' and scrape."cpu_cores" is not null
    order by scrape."timestamp" limit 1
  )) / 300) * 300), 'infinity')
) held;
