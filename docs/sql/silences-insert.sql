insert into admiral.silences as silence (kind, rule, server, alert_group, severity, from_at, until_at, author, comment)
values ($1::text, $2::text, $3::text, $4::text, $5::text, timestamptz 'epoch' + $6::float8 * interval '1 microsecond', timestamptz 'epoch' + $7::float8 * interval '1 microsecond', $8::text, $9::text)
returning silence.id::text as id, silence.kind, silence.rule, silence.server, silence.alert_group, silence.severity,
  round(extract(epoch from silence.from_at) * 1000000)::float8 / 1000 as "from", round(extract(epoch from silence.until_at) * 1000000)::float8 / 1000 as "until", silence.author, silence.comment;
