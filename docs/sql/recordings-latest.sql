select request.key, request.reason, request.author, round(extract(epoch from request.asked_at) * 1000000)::float8 / 1000 as asked,
  round(extract(epoch from request.expires_at) * 1000000)::float8 / 1000 as expires, round(extract(epoch from request.answered_at) * 1000000)::float8 / 1000 as answered from admiral.recording_requests as request
where request.server_id = (select server.id from admiral.servers server where server.server_id = $1::text) order by request.asked_at desc limit 1;
