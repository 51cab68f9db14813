insert into admiral.previews (preview_id, server_id, target, author)
values ($1::text, (select server.id from admiral.servers server where server.server_id = $2::text), $3::json, $4::text);
