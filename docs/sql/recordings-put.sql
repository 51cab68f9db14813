insert into admiral.recordings (server_id, key, reason, begins_at, ends_at, kills, packed)
values ((select server.id from admiral.servers server where server.server_id = $1::text), $2::text, $3::text, timestamptz 'epoch' + $4::float8 * interval '1 microsecond', timestamptz 'epoch' + $5::float8 * interval '1 microsecond', $6::json, $7::bytea)
on conflict (server_id, key) do nothing returning id::text as id;
