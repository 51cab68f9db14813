insert into admiral."accounting_snapshots_first_seen" (server_id, first_at, counters_since, "command", "parent")
select * from unnest($1::integer[], $2::timestamptz[], $3::timestamptz[], $4::integer[], $5::integer[])
  as entry(server_id, first_at, counters_since, "command", "parent")
order by server_id, "command", "parent", first_at
on conflict do nothing;
