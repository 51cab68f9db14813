select told.id::text as id, told.kind, told.route, told.receiver, incident.server, told.title, told.attempts, told.error,
  coalesce(told.claimed_until >= clock_timestamp() and told.claimed_until < clock_timestamp() + interval '10 minutes', false) as sending,
  round(extract(epoch from told.created_at) * 1000000)::float8 / 1000 as created, round(extract(epoch from told.due_at) * 1000000)::float8 / 1000 as due,
  round(extract(epoch from told.sent_at) * 1000000)::float8 / 1000 as sent, round(extract(epoch from told.dead_at) * 1000000)::float8 / 1000 as dead
from admiral.notifications as told join admiral.incidents as incident on incident.id = told.incident_id
where told.id < $2::float8::int8 order by told.id desc limit $1::int4;
