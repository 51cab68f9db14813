with onward as (
  delete from admiral.rollup_queue queued where queued.seconds = 0 returning queued.server_id, queued.bucket
), span as (
  select onward.server_id, onward.bucket as first, (
    select scrape."timestamp" from admiral."node_snapshots_scrapes" scrape
    where scrape.server_id = onward.server_id and scrape."timestamp" > onward.bucket and scrape."cpu_cores" is not null
    order by scrape."timestamp" limit 1
  ) as next
  from onward
)
insert into admiral.rollup_queue (bucket, server_id, seconds)
select bucket.bucket, bucket.server_id, 300
from span join admiral."node_snapshots_5m" bucket on bucket.server_id = span.server_id
  and bucket.bucket >= span.first
  and (span.next is null or bucket.bucket <= to_timestamp(ceil(extract(epoch from span.next) / 300) * 300))
union
select bucket.bucket, bucket.server_id, 300
from span join admiral."process_snapshots_5m" bucket on bucket.server_id = span.server_id
  and bucket.bucket >= span.first
  and (span.next is null or bucket.bucket <= to_timestamp(ceil(extract(epoch from span.next) / 300) * 300))
union
select bucket.bucket, bucket.server_id, 300
from span join admiral."accounting_snapshots_5m" bucket on bucket.server_id = span.server_id
  and bucket.bucket >= span.first
  and (span.next is null or bucket.bucket <= to_timestamp(ceil(extract(epoch from span.next) / 300) * 300))
union
select bucket.bucket, bucket.server_id, 300
from span join admiral."cgroup_snapshots_5m" bucket on bucket.server_id = span.server_id
  and bucket.bucket >= span.first
  and (span.next is null or bucket.bucket <= to_timestamp(ceil(extract(epoch from span.next) / 300) * 300));
