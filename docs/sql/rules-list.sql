select rule.name, rule.version, rule.document::text as document, rule.author, round(extract(epoch from rule.saved_at) * 1000000)::float8 / 1000 as at from admiral.rules rule order by rule.name;
