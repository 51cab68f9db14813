with ready as (
  select asked.order_id, asked.server_id, asked.content -> 'order' as "order", signed.approvals
  from admiral.orders as asked
  cross join lateral (
    select signed.content -> 'complete' -> 'approvals' as approvals from admiral.orders as signed
    where signed.order_id = asked.order_id and signed.event = 'approved'
      and (signed.content -> 'complete' ->> 'until')::float8 > extract(epoch from now())::float8
    order by signed.id desc limit 1
  ) as signed
  where asked.server_id = (select server.id from admiral.servers server where server.server_id = $1::text) and asked.event = 'asked' and asked.at > now() - interval '1 days'
  and not exists (
    select from admiral.orders as gone where gone.order_id = asked.order_id and gone.event in ('sent', 'expired')
  )
  order by asked.id limit 8
), handed as (
  insert into admiral.orders (order_id, server_id, event, author, content)
  select ready.order_id, ready.server_id, 'sent', $2::text, json_build_object('approvals', ready.approvals) from ready
  on conflict do nothing returning order_id
)
select ready."order", ready.approvals from ready join handed on handed.order_id = ready.order_id;
