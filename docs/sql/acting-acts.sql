select told.order_id from admiral.orders as told
where told.server_id = (select server.id from admiral.servers server where server.server_id = $1::text) and told.event in ('done', 'failed', 'interrupted')
  and told.at > timestamptz 'epoch' + $2::float8 * interval '1 microsecond' and told.at <= timestamptz 'epoch' + $3::float8 * interval '1 microsecond' + interval '7 days'
  and exists (select from admiral.orders as asked where asked.order_id = told.order_id and asked.event = 'asked')
group by told.order_id order by max(told.at) desc limit 1000;
