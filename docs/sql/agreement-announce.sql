with forgotten as (
  delete from admiral.processes where seen_at < now() - $4::float8 * interval '1 millisecond'
)
insert into admiral.processes (name, roles, fingerprints) values ($1::text, $2::text, $3::jsonb)
on conflict (name) do update set fingerprints = excluded.fingerprints, seen_at = now();
