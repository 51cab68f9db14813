select name, unreachable from admiral.digests where seen_at > now() - $1::float8 * interval '1 millisecond' order by name;
