select distinct on (request.server_id) request.key, request.reason, server.server_id
from admiral.recording_requests as request join admiral.servers as server on server.id = request.server_id
where request.answered_at is null and request.expires_at > timestamptz 'epoch' + $1::float8 * interval '1 microsecond'
order by request.server_id, request.asked_at;
