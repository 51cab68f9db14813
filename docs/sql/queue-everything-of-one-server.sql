insert into admiral.rollup_queue (bucket, server_id, seconds)
select held.bucket, held.server_id, 300 from (
  select to_timestamp(ceil(extract(epoch from scrape."timestamp") / 300) * 300) as bucket, scrape.server_id from admiral."node_snapshots_scrapes" scrape where scrape.server_id = $1::int4
  union
  select to_timestamp(ceil(extract(epoch from scrape."timestamp") / 300) * 300) as bucket, scrape.server_id from admiral."process_snapshots_scrapes" scrape where scrape.server_id = $1::int4
  union
  select to_timestamp(ceil(extract(epoch from scrape."timestamp") / 300) * 300) as bucket, scrape.server_id from admiral."accounting_snapshots_scrapes" scrape where scrape.server_id = $1::int4
  union
  select to_timestamp(ceil(extract(epoch from scrape."timestamp") / 300) * 300) as bucket, scrape.server_id from admiral."cgroup_snapshots_scrapes" scrape where scrape.server_id = $1::int4
) held;
