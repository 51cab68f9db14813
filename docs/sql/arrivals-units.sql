select server.id as server,
  (select count(*)::int4 from admiral."cgroup_snapshots_scrapes" as scrape
    where scrape.server_id = server.id and scrape."timestamp" > timestamptz 'epoch' + $2::float8 * interval '1 microsecond' and scrape."timestamp" <= timestamptz 'epoch' + $3::float8 * interval '1 microsecond') as known,
  array(select round(extract(epoch from scrape."timestamp") * 1000000)::float8 from admiral."cgroup_snapshots_scrapes" as scrape
    where scrape.server_id = server.id and scrape."timestamp" > timestamptz 'epoch' + $4::float8 * interval '1 microsecond' and scrape."timestamp" <= timestamptz 'epoch' + $5::float8 * interval '1 microsecond' order by scrape."timestamp") as times,
  array(select coalesce(cardinality(scrape."unit"), 0) from admiral."cgroup_snapshots_scrapes" as scrape
    where scrape.server_id = server.id and scrape."timestamp" > timestamptz 'epoch' + $4::float8 * interval '1 microsecond' and scrape."timestamp" <= timestamptz 'epoch' + $5::float8 * interval '1 microsecond' order by scrape."timestamp") as rows
from admiral.server_ids as server
where server.id = any($1::int4[]);
