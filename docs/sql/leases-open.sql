insert into admiral.streams (stream) select generate_series(0, $1::int4)
on conflict (stream) do update set used_at = now();
