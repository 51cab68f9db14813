select member.incident_id::text as incident_id, member.state, alert.id::text as id, alert.rule, alert.sentence, alert.severity,
  coalesce(server.server_id, 'nodepulse') as server, coalesce(server.name, '') as server_name,
  alert.server_id is null as of_itself, alert.asked ->> 'resource' as resource, alert.alert_group, alert.value,
  round(extract(epoch from alert.fired_at) * 1000000)::float8 / 1000 as fired, round(extract(epoch from alert.resolved_at) * 1000000)::float8 / 1000 as resolved, alert.acknowledged_at is not null as acknowledged,
  alert.asked ->> 'order_id' as order_id
from admiral.incidents as incident
join admiral.incident_alerts as member on member.incident_id = incident.id
join admiral.alerts as alert on alert.id = member.alert_id
left join admiral.servers as server on server.id = alert.server_id
where incident.closed_at is null and member.state in ('untold', 'told') order by alert.id;
