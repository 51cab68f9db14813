select entry.server_id, timestamptz_send(entry.first_at) as at, entry."unit" as l0, entry."slice" as l1
from unnest($2::timestamptz[], $3::timestamptz[]) as span(after, upto)
join admiral."cgroup_snapshots_first_seen" as entry on entry.first_at > span.after and entry.first_at <= span.upto
where entry.server_id = $1
  -- Rows that do not say when their counters began are entries too, of their own moment: they are seen, and nobody's first.
  and entry.counters_since < entry.first_at
  and not exists (
    select from admiral."cgroup_snapshots_first_seen" as earlier
    where earlier.server_id = $1 and earlier."unit" = entry."unit" and earlier."slice" = entry."slice"
      and earlier.first_at < entry.first_at and earlier.first_at >= entry.counters_since
  )
  -- A clock that is set moves beginnings past the entries of before: only then are the rows between looked at.
  and not (exists (
    select from admiral."cgroup_snapshots_first_seen" as former
    where former.server_id = $1 and former."unit" = entry."unit" and former."slice" = entry."slice" and former.first_at < entry.counters_since
  ) and exists (
    select from admiral."cgroup_snapshots_rows_apart" as known
    where known.server_id = $1 and known."timestamp" >= entry.counters_since and known."timestamp" < entry.first_at
      and known."unit" = entry."unit" and known."slice" = entry."slice"
  ))
order by entry.server_id, entry.first_at;
