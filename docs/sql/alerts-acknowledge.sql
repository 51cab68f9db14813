update admiral.alerts as alert
set acknowledged_at = timestamptz 'epoch' + $2::float8 * interval '1 microsecond', acknowledged_by = $3::text, acknowledged_note = $4::text
where alert.id = $1::int8 and alert.resolved_at is null returning alert.id::text as id;
