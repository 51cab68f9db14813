insert into admiral."process_snapshots_first_seen" (server_id, first_at, counters_since, "process_name", "unit")
select * from unnest($1::integer[], $2::timestamptz[], $3::timestamptz[], $4::integer[], $5::integer[])
  as entry(server_id, first_at, counters_since, "process_name", "unit")
order by server_id, "process_name", "unit", first_at
on conflict do nothing;
