insert into admiral."cgroup_snapshots_first_seen" (server_id, first_at, counters_since, "unit", "slice")
select * from unnest($1::integer[], $2::timestamptz[], $3::timestamptz[], $4::integer[], $5::integer[])
  as entry(server_id, first_at, counters_since, "unit", "slice")
order by server_id, "unit", "slice", first_at
on conflict do nothing;
