select told.route, told.receiver,
  (count(*) filter (where told.sent_at is not null and told.sent_with is null))::int4 as "sent",
  (count(distinct told.claimed_by) filter (where told.sent_at is null and told.dead_at is null and told.claimed_until >= clock_timestamp() and told.claimed_until < clock_timestamp() + interval '10 minutes'))::int4 as "underWay"
from admiral.notifications as told
where (told.sent_at > timestamptz 'epoch' + $1::float8 * interval '1 microsecond' - interval '10 minutes' and told.sent_at < timestamptz 'epoch' + $1::float8 * interval '1 microsecond' + interval '10 minutes')
  or (told.sent_at is null and told.dead_at is null and told.claimed_until >= clock_timestamp() and told.claimed_until < clock_timestamp() + interval '10 minutes')
group by told.route, told.receiver;
