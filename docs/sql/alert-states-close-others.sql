update admiral.alerts as alert set resolved_at = timestamptz 'epoch' + $1::float8 * interval '1 microsecond'
where alert.resolved_at is null and (alert.asked ->> 'resource') is distinct from 'signatures' and not exists (
  select from admiral.alert_states as stored
  where stored.rule = alert.rule and coalesce(stored.server_id, 0) = coalesce(alert.server_id, 0)
    and stored.alert_group = alert.alert_group and stored.since is not null and stored.state in ('firing', 'unknown')
);
