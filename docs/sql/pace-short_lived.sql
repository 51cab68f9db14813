select round(extract(epoch from scrape."timestamp") * 1000000)::float8 as at from admiral."accounting_snapshots_scrapes" scrape
where scrape.server_id = $1::int4
  and scrape."timestamp" > timestamptz 'epoch' + $2::float8 * interval '1 microsecond' and scrape."timestamp" <= timestamptz 'epoch' + $3::float8 * interval '1 microsecond'
order by scrape."timestamp" desc limit 1000;
