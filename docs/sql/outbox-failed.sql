update admiral.notifications as told set claimed_until = null, error = $5::text, due_at = timestamptz 'epoch' + $4::float8 * interval '1 microsecond',
  dead_at = case when told.created_at <= timestamptz 'epoch' + $2::float8 * interval '1 microsecond' - interval '24 hours' then timestamptz 'epoch' + $2::float8 * interval '1 microsecond' end
where told.id in (select value::int8 from json_array_elements_text($1::json)) and told.claimed_by = $3::text and told.sent_at is null and told.dead_at is null returning told.dead_at is not null as dead;
