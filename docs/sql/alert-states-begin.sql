insert into admiral.alert_progress (asked_until, holder) values (timestamptz 'epoch' + $1::float8 * interval '1 microsecond', $2::text)
on conflict (single) do nothing returning 1;
