update admiral.notifications as waiting
set claimed_by = $2::text, claimed_until = clock_timestamp() + $3::float8 * interval '1 second', attempts = waiting.attempts + 1
from admiral.incidents as incident
where waiting.id in (select value::int8 from json_array_elements_text($1::json)) and incident.id = waiting.incident_id
returning waiting.id::text as id, waiting.incident_id::text as incident_id, waiting.kind, incident.server,
  round(extract(epoch from incident.opened_at) * 1000000)::float8 / 1000 as opened, waiting.attempts;
