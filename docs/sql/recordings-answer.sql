update admiral.recording_requests as request set answered_at = now()
where request.server_id = (select server.id from admiral.servers server where server.server_id = $1::text) and request.key = $2::text and request.answered_at is null;
