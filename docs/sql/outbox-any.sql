select true as found from admiral.notifications as waiting where waiting.sent_at is null and waiting.dead_at is null
  and (waiting.due_at <= timestamptz 'epoch' + $1::float8 * interval '1 microsecond' or waiting.due_at > timestamptz 'epoch' + $1::float8 * interval '1 microsecond' + interval '2 hours')
  and coalesce(not (waiting.claimed_until >= clock_timestamp() and waiting.claimed_until < clock_timestamp() + interval '10 minutes'), true) limit 1;
