delete from admiral.alert_states as stored
using json_to_recordset($1::json) as gone(rule text, server_id int, alert_group text)
where stored.rule = gone.rule and coalesce(stored.server_id, 0) = coalesce(gone.server_id, 0) and stored.alert_group = gone.alert_group;
