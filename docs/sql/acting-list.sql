select asked.id::text as id, asked.order_id from admiral.orders as asked
where asked.event = 'asked' and ($1::text is null or asked.server_id = (select server.id from admiral.servers server where server.server_id = $1::text)) and asked.id < $2::float8::int8
order by asked.id desc limit $3::int4;
