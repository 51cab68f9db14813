select stream, owner, fence::text, owner is null or leased_until < now() as free,
  used_at < now() - $1::float8 * interval '1 millisecond' as unused
from admiral.streams order by stream;
