with oldest as (
  select server.id as server_id, scrape.since
  from admiral.server_ids as server
  cross join lateral (
    select coalesce(kept.counters_since, (
      select min(known.counters_since) from admiral."accounting_snapshots_rows_apart" as known
      where known.server_id = kept.server_id and known."timestamp" = kept."timestamp"
    )) as since
    from admiral."accounting_snapshots_scrapes" as kept
    where kept.server_id = server.id and kept."timestamp" >= $1 and kept."timestamp" < $1 + interval '2 days'
    order by kept."timestamp" limit 1
  ) as scrape
)
delete from admiral."accounting_snapshots_first_seen" as entry
where entry.first_at < $1 and (
  exists (
    select from admiral."accounting_snapshots_first_seen" as later
    where later.server_id = entry.server_id and later."command" = entry."command" and later."parent" = entry."parent"
      and later.first_at > entry.first_at and later.first_at < $1
  )
  or entry.first_at < (select oldest.since - interval '1 day' from oldest where oldest.server_id = entry.server_id)
  or not exists (select from admiral.server_ids as server where server.id = entry.server_id)
)
returning 1 as pruned;
