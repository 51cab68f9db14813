insert into admiral.hands as hands (server_id, said) values ((select server.id from admiral.servers server where server.server_id = $1::text), $2::json)
on conflict (server_id) do update set heard_at = now(), said = excluded.said
where hands.heard_at < now() - interval '10 seconds' or hands.said::text <> excluded.said::text;
