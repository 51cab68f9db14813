update admiral.alert_progress set holder = $1::text, passing_until = now() + interval '30 seconds'
where asked_until = timestamptz 'epoch' + $2::float8 * interval '1 microsecond';
