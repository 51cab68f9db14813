update admiral.notifications as waiting
set dead_at = timestamptz 'epoch' + $1::float8 * interval '1 microsecond', error = 'the message before it could not be sent'
where waiting.sent_at is null and waiting.dead_at is null
  and (waiting.due_at <= timestamptz 'epoch' + $1::float8 * interval '1 microsecond' or waiting.due_at > timestamptz 'epoch' + $1::float8 * interval '1 microsecond' + interval '2 hours')
  and coalesce(not (waiting.claimed_until >= clock_timestamp() and waiting.claimed_until < clock_timestamp() + interval '10 minutes'), true) and waiting.kind not in ('firing', 'repeated') and not exists (
  select from admiral.notifications as earlier
  where earlier.incident_id = waiting.incident_id and earlier.receiver = waiting.receiver and earlier.id < waiting.id
    and earlier.dead_at is null
);
