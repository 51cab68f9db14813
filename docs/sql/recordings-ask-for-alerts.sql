insert into admiral.recording_requests (server_id, key, reason, asked_at, expires_at)
select fires.server_id, replace(gen_random_uuid()::text, '-', ''), 'alert', timestamptz 'epoch' + $2::float8 * interval '1 microsecond', timestamptz 'epoch' + $2::float8 * interval '1 microsecond' + interval '10 minutes'
from (
  select distinct turn.server_id from json_to_recordset($1::json) as turn(server_id int, at float8)
  where turn.server_id is not null and turn.at * 1000 > $2::float8 - 300e6
) as fires
where exists (select from admiral.servers server where server.id = fires.server_id) and not exists (
  select from admiral.recording_requests as request
  where request.server_id = fires.server_id and request.reason = 'alert'
    and request.asked_at > timestamptz 'epoch' + $2::float8 * interval '1 microsecond' - interval '10 minutes'
);
