select true as held from admiral.notifications as told
where told.claimed_by = $1::text and told.sent_at is null and told.dead_at is null
  and told.claimed_until > clock_timestamp() + $2::float8 * interval '1 second' limit 1;
