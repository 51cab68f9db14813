select silence.id::text as id, silence.kind, silence.rule, silence.server, silence.alert_group, silence.severity,
  round(extract(epoch from silence.from_at) * 1000000)::float8 / 1000 as "from", round(extract(epoch from silence.until_at) * 1000000)::float8 / 1000 as "until", silence.author, silence.comment from admiral.silences silence where silence.id = $1::float8::int8 for update;
