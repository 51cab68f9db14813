select wanted.no::int4 as no, timestamptz_send(entry.first_at) as first_at, timestamptz_send(entry.counters_since) as since
from unnest($2::integer[], $3::integer[]) with ordinality as wanted("command", "parent", no)
cross join lateral (
  select entry.first_at, entry.counters_since from admiral."accounting_snapshots_first_seen" as entry
  where entry.server_id = $1 and entry."command" = wanted."command" and entry."parent" = wanted."parent"
  offset 0
) as entry;
