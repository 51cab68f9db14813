delete from admiral.recording_requests as request where request.expires_at < timestamptz 'epoch' + $1::float8 * interval '1 microsecond';
