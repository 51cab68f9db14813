select name, roles, fingerprints from admiral.processes
where seen_at > now() - $1::float8 * interval '1 millisecond' order by name limit $2::int4;
