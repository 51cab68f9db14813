select chunk.*
from unnest($1::integer[], $2::timestamptz[]) as wanted(server_id, first)
cross join lateral (
select chunk.server_id, timestamptz_send(chunk."timestamp") as first, array_send(chunk.at) as at,
  array_send(chunk.labels) as labels, array_send(chunk.layout) as layout, array_send(chunk.units) as units,
  array_send(chunk.bases) as bases, chunk.planes, array_send(chunk.whole) as whole
from admiral."cgroup_snapshots_packed" as chunk
where chunk.server_id = wanted.server_id and chunk."timestamp" = wanted.first
offset 0
) as chunk;
