update admiral.previews as preview set answered_at = now(), answer = $3::json
where preview.preview_id = $2::text and preview.server_id = (select server.id from admiral.servers server where server.server_id = $1::text) and preview.sent_at is not null and preview.answered_at is null
  and preview.asked_at > now() - interval '60 seconds';
