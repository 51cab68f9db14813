delete from admiral.silences silence where silence.until_at < timestamptz 'epoch' + $1::float8 * interval '1 microsecond' - interval '30 days';
