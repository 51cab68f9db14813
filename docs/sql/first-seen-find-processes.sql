select wanted.no::int4 as no, timestamptz_send(entry.first_at) as first_at, timestamptz_send(entry.counters_since) as since
from unnest($2::integer[], $3::integer[]) with ordinality as wanted("process_name", "unit", no)
cross join lateral (
  select entry.first_at, entry.counters_since from admiral."process_snapshots_first_seen" as entry
  where entry.server_id = $1 and entry."process_name" = wanted."process_name" and entry."unit" = wanted."unit"
  offset 0
) as entry;
