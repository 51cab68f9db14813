select count(*)::int4 as told,
  (count(*) filter (where event.order_id like 'unknown %'))::int4 as strange,
  exists (
    select from admiral.orders as known
    where known.server_id = (select server.id from admiral.servers server where server.server_id = $1::text) and known.content ->> 'id' = $2::text and known.event in ('done', 'failed', 'refused', 'interrupted')
  ) as known
from admiral.orders as event
where event.server_id = (select server.id from admiral.servers server where server.server_id = $1::text) and event.at > now() - interval '1 day' and event.event in ('done', 'failed', 'refused', 'interrupted');
