select recording.id::text as id, server.server_id, server.name as server_name, recording.reason,
  round(extract(epoch from recording.begins_at) * 1000000)::float8 / 1000 as from, round(extract(epoch from recording.ends_at) * 1000000)::float8 / 1000 as to,
  round(extract(epoch from recording.received_at) * 1000000)::float8 / 1000 as received, recording.kills from admiral.recordings as recording join admiral.servers as server on server.id = recording.server_id where server.server_id = $1::text order by recording.ends_at desc, recording.id desc;
