select chunk.*
from admiral.server_ids as server
cross join lateral (
select chunk.server_id, timestamptz_send(chunk."timestamp") as first, array_send(chunk.at) as at,
  array_send(chunk.labels) as labels, array_send(chunk.layout) as layout, array_send(chunk.units) as units,
  array_send(chunk.bases) as bases, chunk.planes, array_send(chunk.whole) as whole
from admiral."node_snapshots_packed" as chunk
where chunk.server_id = server.id and chunk."timestamp" = any($2::timestamptz[])
offset 0
) as chunk
where server.id = any($1::integer[]);
