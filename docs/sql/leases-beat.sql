with alive as (
  insert into admiral.digests (name, unreachable) values ($1::text, $4::int4[])
  on conflict (name) do update set seen_at = now(), unreachable = excluded.unreachable
), forgotten as (
  delete from admiral.digests where seen_at < now() - $3::float8 * interval '1 millisecond'
), mine as (
  select stream from admiral.streams where owner = $1::text order by stream for no key update
)
update admiral.streams s set leased_until = now() + $2::float8 * interval '1 millisecond'
from mine where s.stream = mine.stream;
