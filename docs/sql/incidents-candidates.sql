select alert.id::text as id, alert.rule, alert.sentence, alert.severity,
  coalesce(server.server_id, 'nodepulse') as server, coalesce(server.name, '') as server_name,
  alert.server_id is null as of_itself, alert.asked ->> 'resource' as resource, alert.alert_group, alert.value,
  round(extract(epoch from alert.fired_at) * 1000000)::float8 / 1000 as fired, round(extract(epoch from alert.resolved_at) * 1000000)::float8 / 1000 as resolved, alert.acknowledged_at is not null as acknowledged,
  alert.asked ->> 'order_id' as order_id
from admiral.alerts as alert
cross join admiral.delivery_progress as progress
left join admiral.servers as server on server.id = alert.server_id
where (alert.resolved_at is null
  or alert.resolved_at > greatest(least(progress.began_at, timestamptz 'epoch' + $1::float8 * interval '1 microsecond'), timestamptz 'epoch' + $1::float8 * interval '1 microsecond' - interval '7200000 milliseconds'))
  and not exists (select from admiral.incident_alerts as member where member.alert_id = alert.id)
order by alert.id desc limit 5000;
