select ranked.id::text as id, ranked.route, ranked.receiver from (
  select waiting.id, waiting.route, waiting.receiver, row_number() over (partition by waiting.receiver order by waiting.id) as place
  from admiral.notifications as waiting
  where waiting.sent_at is null and waiting.dead_at is null
  and (waiting.due_at <= timestamptz 'epoch' + $1::float8 * interval '1 microsecond' or waiting.due_at > timestamptz 'epoch' + $1::float8 * interval '1 microsecond' + interval '2 hours')
  and coalesce(not (waiting.claimed_until >= clock_timestamp() and waiting.claimed_until < clock_timestamp() + interval '10 minutes'), true) and not exists (
    select from admiral.notifications as earlier
    where earlier.incident_id = waiting.incident_id and earlier.receiver = waiting.receiver and earlier.id < waiting.id
      and earlier.sent_at is null and earlier.dead_at is null
  )
) as ranked where ranked.place <= 100 order by ranked.id;
