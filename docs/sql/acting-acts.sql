select distinct told.order_id from admiral.orders as told
where told.server_id = (select server.id from admiral.servers server where server.server_id = $1::text) and told.event in ('done', 'failed', 'interrupted')
  and told.at > timestamptz 'epoch' + $2::float8 * interval '1 microsecond' and told.at <= timestamptz 'epoch' + $3::float8 * interval '1 microsecond' + interval '7 days'
limit 1000;
