select told.id::text as notification, alert.id::text as id, alert.rule, alert.sentence, alert.severity,
  coalesce(server.server_id, 'nodepulse') as server, coalesce(server.name, '') as server_name,
  alert.server_id is null as of_itself, alert.asked ->> 'resource' as resource, alert.alert_group, alert.value,
  round(extract(epoch from alert.fired_at) * 1000000)::float8 / 1000 as fired, round(extract(epoch from alert.resolved_at) * 1000000)::float8 / 1000 as resolved, alert.acknowledged_at is not null as acknowledged,
  alert.asked ->> 'order_id' as order_id
from admiral.notifications as told
cross join lateral unnest(told.alerts) with ordinality as one(alert_id, place)
join admiral.alerts as alert on alert.id = one.alert_id
left join admiral.servers as server on server.id = alert.server_id
where told.id in (select value::int8 from json_array_elements_text($1::json)) order by told.id, one.place;
