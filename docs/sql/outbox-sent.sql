update admiral.notifications as told set sent_at = timestamptz 'epoch' + $2::float8 * interval '1 microsecond', claimed_until = null, error = null,
  sent_with = nullif($3::text::int8, told.id)
where told.id in (select value::int8 from json_array_elements_text($1::json)) and told.sent_at is null;
