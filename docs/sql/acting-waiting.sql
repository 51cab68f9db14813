select server.server_id from admiral.servers as server where server.id in (
  select preview.server_id from admiral.previews as preview
  where preview.sent_at is null and preview.asked_at > now() - interval '60 seconds'
  union all
  select asked.server_id from admiral.orders as asked where asked.event = 'asked' and asked.at > now() - interval '1 days'
  and not exists (
    select from admiral.orders as gone where gone.order_id = asked.order_id and gone.event in ('sent', 'expired')
  ) and (
    select max((signed.content -> 'complete' ->> 'until')::float8) from admiral.orders as signed
    where signed.order_id = asked.order_id and signed.event = 'approved'
  ) > extract(epoch from now())::float8
);
