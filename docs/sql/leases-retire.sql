delete from admiral.streams where stream = $1::int4 and owner = $2::text and fence = $3::float8::int8
  and used_at < now() - $4::float8 * interval '1 millisecond';
