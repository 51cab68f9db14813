select (count(*) filter (where preview.server_id = (select server.id from admiral.servers server where server.server_id = $1::text)))::int4 as server,
  (count(*) filter (where preview.author = $2::text))::int4 as author
from admiral.previews as preview where preview.asked_at > now() - interval '60 minutes';
