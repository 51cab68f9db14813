update admiral.previews as preview set sent_at = now() where preview.preview_id in (
  select waiting.preview_id from admiral.previews as waiting
  where waiting.server_id = (select server.id from admiral.servers server where server.server_id = $1::text) and waiting.sent_at is null
    and waiting.asked_at > now() - interval '60 seconds'
  order by waiting.asked_at limit 4 for update skip locked
) and preview.sent_at is null returning preview.preview_id, preview.target;
