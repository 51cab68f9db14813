select round(extract(epoch from pair.at) * 1000000)::float8 as at, round(extract(epoch from pair.before) * 1000000)::float8 as before,
  round(extract(epoch from pair.since) * 1000000)::float8 as since, round(extract(epoch from pair.since_before) * 1000000)::float8 as since_before
from (
  select lead(scrape."timestamp") over following as at, scrape."timestamp" as before,
    lead(scrape.counters_since) over following as since, scrape.counters_since as since_before
  from (
    select latest."timestamp", latest.counters_since from (
      select "timestamp", counters_since from admiral."cgroup_snapshots_scrapes"
      where server_id = $1::int4 and "timestamp" <= timestamptz 'epoch' + $2::float8 * interval '1 microsecond' order by "timestamp" desc limit 1
    ) as latest
    union all
    select "timestamp", counters_since from admiral."cgroup_snapshots_scrapes"
    where server_id = $1::int4 and "timestamp" > timestamptz 'epoch' + $2::float8 * interval '1 microsecond' and "timestamp" <= timestamptz 'epoch' + $3::float8 * interval '1 microsecond'
  ) as scrape
  window following as (order by scrape."timestamp")
) as pair
where coalesce(pair.at, timestamptz 'epoch' + $3::float8 * interval '1 microsecond') - pair.before > $4::float8 * interval '1 second'
  or abs(extract(epoch from pair.since - pair.since_before)) > 2
order by pair.before desc limit 1000;
