select recording.id::text as id, server.server_id, server.name as server_name, recording.reason,
  round(extract(epoch from recording.begins_at) * 1000000)::float8 / 1000 as from, round(extract(epoch from recording.ends_at) * 1000000)::float8 / 1000 as to,
  round(extract(epoch from recording.received_at) * 1000000)::float8 / 1000 as received, recording.kills from admiral.recordings as recording join admiral.servers as server on server.id = recording.server_id where server.server_id = $1::text
  and recording.ends_at > timestamptz 'epoch' + $2::float8 * interval '1 microsecond' and recording.begins_at <= timestamptz 'epoch' + $3::float8 * interval '1 microsecond'
order by recording.ends_at, recording.id;
