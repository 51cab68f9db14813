select event.order_id, server.name as server_name, event.event, round(extract(epoch from event.at) * 1000000)::float8 / 1000 as at, event.author, event.content
from admiral.orders as event join admiral.servers as server on server.id = event.server_id
where event.order_id in (select value from json_array_elements_text($1::json)) order by event.id;
