insert into admiral.alert_states (rule, server_id, alert_group, subject, state, since, clear_since)
select found.rule, found.server_id, found.alert_group, found.subject, found.state, timestamptz 'epoch' + found.since * 1000 * interval '1 microsecond', timestamptz 'epoch' + found.clear * 1000 * interval '1 microsecond'
from json_to_recordset($1::json) as found(rule text, server_id int, alert_group text, subject text, state text, since float8, clear float8)
where found.server_id is null or exists (select from admiral.servers server where server.id = found.server_id)
on conflict (rule, server_id, alert_group)
do update set subject = excluded.subject, state = excluded.state, since = excluded.since, clear_since = excluded.clear_since;
