insert into admiral.incident_alerts as member (alert_id, incident_id, state)
select given.alert, given.incident, given.state
from json_to_recordset($1::json) as given(alert bigint, incident bigint, state text)
on conflict (alert_id, incident_id) do update set state = excluded.state where member.state <> excluded.state;
