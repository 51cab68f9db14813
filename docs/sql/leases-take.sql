with free as (
  select stream from admiral.streams
  where stream = any($1::int4[]) and (owner is null or leased_until < now())
  order by stream for update skip locked
)
update admiral.streams s
set owner = $2::text, fence = s.fence + 1, leased_until = now() + $3::float8 * interval '1 millisecond', owned_since = now()
from free where s.stream = free.stream returning s.stream, s.fence::text;
