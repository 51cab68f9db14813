select incident.id::text as id, incident.route, incident.server, to_json(incident.receivers)::text as receivers,
  round(extract(epoch from incident.opened_at) * 1000000)::float8 / 1000 as opened, round(extract(epoch from incident.due_at) * 1000000)::float8 / 1000 as due,
  round(extract(epoch from incident.closing_at) * 1000000)::float8 / 1000 as closing, round(extract(epoch from incident.told_at) * 1000000)::float8 / 1000 as told,
  incident.owes_resolve, incident.took_note
from admiral.incidents as incident where incident.closed_at is null order by incident.id;
