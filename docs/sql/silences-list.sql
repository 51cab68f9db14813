select silence.id::text as id, silence.kind, silence.rule, silence.server, silence.alert_group, silence.severity,
  round(extract(epoch from silence.from_at) * 1000000)::float8 / 1000 as "from", round(extract(epoch from silence.until_at) * 1000000)::float8 / 1000 as "until", silence.author, silence.comment from admiral.silences silence
order by silence.until_at <= timestamptz 'epoch' + $1::float8 * interval '1 microsecond',
  case when silence.until_at > timestamptz 'epoch' + $1::float8 * interval '1 microsecond' then silence.until_at end, silence.until_at desc, silence.id desc
limit $2::int4;
