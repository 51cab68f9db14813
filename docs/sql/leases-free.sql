update admiral.streams set owner = null, leased_until = null, owned_since = null
where stream = any($1::int4[]) and owner = $2::text;
