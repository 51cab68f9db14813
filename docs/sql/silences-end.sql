update admiral.silences as silence set until_at = timestamptz 'epoch' + $2::float8 * interval '1 microsecond' where silence.id = $1::float8::int8;
