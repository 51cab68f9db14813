select alert.rule, count(*)::int4 as count from admiral.alerts as alert where alert.resolved_at is null group by alert.rule;
