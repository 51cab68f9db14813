select round(extract(epoch from hands.heard_at) * 1000000)::float8 / 1000 as heard, extract(epoch from now() - hands.heard_at)::float8 * 1000 as age, hands.said
from admiral.hands as hands where hands.server_id = (select server.id from admiral.servers server where server.server_id = $1::text);
