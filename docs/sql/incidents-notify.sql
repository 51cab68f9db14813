insert into admiral.notifications (incident_id, kind, route, receiver, title, alerts, created_at, due_at)
select given.incident, given.kind, given.route, given.receiver, given.title, given.alerts, timestamptz 'epoch' + $2::float8 * interval '1 microsecond', timestamptz 'epoch' + $2::float8 * interval '1 microsecond'
from json_to_recordset($1::json) as given(incident bigint, kind text, route text, receiver text, title text, alerts bigint[]);
