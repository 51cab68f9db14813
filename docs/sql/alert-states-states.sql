select stored.rule, stored.server_id, stored.alert_group, stored.subject, stored.state,
  round(extract(epoch from stored.since) * 1000000)::float8 / 1000 as since, round(extract(epoch from stored.clear_since) * 1000000)::float8 / 1000 as clear
from admiral.alert_states as stored;
