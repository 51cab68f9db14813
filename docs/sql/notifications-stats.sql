select count(*) filter (where told.dead_at is null)::int4 as waiting, count(told.dead_at)::int4 as dead,
  round(extract(epoch from min(told.created_at) filter (where told.dead_at is null)) * 1000000)::float8 / 1000 as oldest
from admiral.notifications as told where told.sent_at is null;
