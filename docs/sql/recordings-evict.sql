delete from admiral.recordings as recording where recording.id in (
  select kept.id from admiral.recordings as kept where kept.server_id = (select server.id from admiral.servers server where server.server_id = $1::text)
  order by kept.id = $2::int8 desc, kept.reason = 'asked', kept.ends_at desc, kept.id desc offset $3::int4
);
