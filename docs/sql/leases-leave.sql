update admiral.streams set owner = null, leased_until = null, owned_since = null where owner = $1::text;
