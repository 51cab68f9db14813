select pg_advisory_xact_lock($1::int4, (select server.id from admiral.servers server where server.server_id = $2::text));
