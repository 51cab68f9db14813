with over as (
  select asked.order_id, asked.server_id, asked.content -> 'order' as "order" from admiral.orders as asked
  where asked.event = 'asked' and asked.at > now() - interval '7 days'
  and not exists (
    select from admiral.orders as gone where gone.order_id = asked.order_id and gone.event in ('sent', 'expired')
  ) and coalesce((
    select max((signed.content -> 'complete' ->> 'until')::float8) from admiral.orders as signed
    where signed.order_id = asked.order_id and signed.event = 'approved'
  ), extract(epoch from asked.at)::float8 + 600) <= extract(epoch from now())::float8
  limit 1000
), noted as (
  insert into admiral.orders (order_id, server_id, event, author, content)
  select over.order_id, over.server_id, 'expired', 'nodepulse', '{}' from over
  on conflict do nothing returning order_id
)
select noted.order_id, over."order" from noted join over on over.order_id = noted.order_id;
