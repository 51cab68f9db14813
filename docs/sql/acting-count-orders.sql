select (count(*) filter (where asked.server_id = (select server.id from admiral.servers server where server.server_id = $1::text)))::int4 as server,
  (count(*) filter (where asked.author = $2::text))::int4 as author
from admiral.orders as asked where asked.event = 'asked' and asked.at > now() - interval '1 day';
