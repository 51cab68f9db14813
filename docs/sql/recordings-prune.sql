delete from admiral.recordings as recording where recording.ends_at < timestamptz 'epoch' + $1::float8 * interval '1 microsecond';
