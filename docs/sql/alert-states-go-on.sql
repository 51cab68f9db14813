update admiral.alert_progress set asked_until = timestamptz 'epoch' + $1::float8 * interval '1 microsecond', holder = $2::text
where asked_until = timestamptz 'epoch' + $3::float8 * interval '1 microsecond' returning 1;
