insert into admiral.alerts (rule, server_id, alert_group, fired_at, sentence, severity, value, asked)
select turn.rule, turn.server_id, turn.alert_group, timestamptz 'epoch' + turn.at * 1000 * interval '1 microsecond', turn.sentence, turn.severity, turn.value, turn.asked
from json_to_recordset($1::json) as turn(
  rule text, server_id int, alert_group text, at float8, sentence text, severity text, value float8, asked jsonb
)
where turn.server_id is null or exists (select from admiral.servers server where server.id = turn.server_id)
on conflict (rule, server_id, alert_group) where resolved_at is null do nothing;
