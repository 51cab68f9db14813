delete from admiral.silences as silence where silence.id = $1::float8::int8;
