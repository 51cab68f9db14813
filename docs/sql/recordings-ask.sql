insert into admiral.recording_requests as request (server_id, key, reason, author, asked_at, expires_at)
values ((select server.id from admiral.servers server where server.server_id = $1::text), $2::text, 'asked', $3::text, timestamptz 'epoch' + $4::float8 * interval '1 microsecond', timestamptz 'epoch' + $4::float8 * interval '1 microsecond' + interval '10 minutes')
returning request.key, request.reason, request.author, round(extract(epoch from request.asked_at) * 1000000)::float8 / 1000 as asked,
  round(extract(epoch from request.expires_at) * 1000000)::float8 / 1000 as expires, round(extract(epoch from request.answered_at) * 1000000)::float8 / 1000 as answered;
