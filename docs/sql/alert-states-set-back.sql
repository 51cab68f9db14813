update admiral.alerts as alert
set fired_at = least(alert.fired_at, timestamptz 'epoch' + $1::float8 * interval '1 microsecond'), resolved_at = least(alert.resolved_at, timestamptz 'epoch' + $1::float8 * interval '1 microsecond')
where alert.fired_at > timestamptz 'epoch' + $1::float8 * interval '1 microsecond' or alert.resolved_at > timestamptz 'epoch' + $1::float8 * interval '1 microsecond';
