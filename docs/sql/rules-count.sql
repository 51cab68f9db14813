select count(*)::int4 as count from admiral.rules;
