insert into admiral.orders (order_id, server_id, event, author, address, content)
values ($1::text, (select server.id from admiral.servers server where server.server_id = $2::text), $3::text, $4::text, $5::text, $6::json)
on conflict do nothing returning id::text as id;
