select preview.preview_id, server.server_id, preview.target, preview.author, round(extract(epoch from preview.asked_at) * 1000000)::float8 / 1000 as asked,
  extract(epoch from now() - preview.asked_at)::float8 * 1000 as age, preview.sent_at is not null as is_sent, preview.answer from admiral.previews as preview
join admiral.servers as server on server.id = preview.server_id where preview.preview_id = $1::text;
