select alert.id::text as id, alert.rule, alert.sentence, alert.severity, server.server_id, server.name as server_name,
  alert.alert_group, alert.value, alert.asked,
  round(extract(epoch from alert.fired_at) * 1000000)::float8 / 1000 as fired, round(extract(epoch from alert.resolved_at) * 1000000)::float8 / 1000 as resolved,
  coalesce(stored.state = 'unknown', false) as is_unknown,
  round(extract(epoch from alert.acknowledged_at) * 1000000)::float8 / 1000 as acknowledged, alert.acknowledged_by, alert.acknowledged_note
from admiral.alerts as alert
left join admiral.servers as server on server.id = alert.server_id
left join admiral.alert_states as stored
  on alert.resolved_at is null and stored.rule = alert.rule and stored.alert_group = alert.alert_group
    and coalesce(stored.server_id, 0) = coalesce(alert.server_id, 0)
where ($2::int8 is null or alert.id = $2::int8)
  and ($3::float8 is null or alert.resolved_at is null or alert.resolved_at > timestamptz 'epoch' + $3::float8 * interval '1 microsecond')
  and ($4::float8 is null or alert.fired_at <= timestamptz 'epoch' + $4::float8 * interval '1 microsecond')
  and ($5::bool is null or (alert.resolved_at is null) = $5::bool)
  and ($6::text is null or server.server_id = $6::text)
  and ($7::text is null or alert.rule = $7::text)
order by alert.resolved_at is not null, alert.fired_at desc, alert.id desc limit $1::int4;
