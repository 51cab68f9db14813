update admiral.rules as rule
set version = default, document = $2::text::json, author = $3::text, saved_at = now() where rule.name = $1::text
returning rule.name, rule.version, rule.document::text as document, rule.author, round(extract(epoch from rule.saved_at) * 1000000)::float8 / 1000 as at;
