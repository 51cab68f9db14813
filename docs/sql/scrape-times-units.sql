select span.number::int4 as span, scrape.server_id as server, round(extract(epoch from scrape."timestamp") * 1000000)::float8 as at
from unnest($2::float8[], $3::float8[]) with ordinality as span(after, upto, number)
join admiral."cgroup_snapshots_scrapes" scrape
  on scrape."timestamp" > timestamptz 'epoch' + span.after * interval '1 microsecond' and scrape."timestamp" <= timestamptz 'epoch' + span.upto * interval '1 microsecond'
where scrape.server_id = $1::int4
order by scrape.server_id, scrape."timestamp";
