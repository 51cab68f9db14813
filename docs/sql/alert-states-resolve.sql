update admiral.alerts as alert set resolved_at = timestamptz 'epoch' + turn.at * 1000 * interval '1 microsecond'
from json_to_recordset($1::json) as turn(rule text, server_id int, alert_group text, at float8)
where alert.rule = turn.rule and coalesce(alert.server_id, 0) = coalesce(turn.server_id, 0)
  and alert.alert_group = turn.alert_group and alert.resolved_at is null;
