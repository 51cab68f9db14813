delete from admiral.rules as rule where rule.name = $1::text;
