update admiral.notifications as waiting
set dead_at = timestamptz 'epoch' + $1::float8 * interval '1 microsecond', error = 'it was signed, or over, before this could be sent'
where waiting.sent_at is null and waiting.dead_at is null
  and (waiting.due_at <= timestamptz 'epoch' + $1::float8 * interval '1 microsecond' or waiting.due_at > timestamptz 'epoch' + $1::float8 * interval '1 microsecond' + interval '2 hours')
  and coalesce(not (waiting.claimed_until >= clock_timestamp() and waiting.claimed_until < clock_timestamp() + interval '10 minutes'), true) and waiting.kind = 'firing' and not exists (
  select from unnest(waiting.alerts) as one(alert_id)
  join admiral.alerts as alert on alert.id = one.alert_id
  where alert.resolved_at is null or (alert.asked ->> 'resource') is distinct from 'signatures'
);
