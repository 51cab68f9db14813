insert into admiral.rules as rule (name, document, author) values ($1::text, $2::text::json, $3::text)
returning rule.name, rule.version, rule.document::text as document, rule.author, round(extract(epoch from rule.saved_at) * 1000000)::float8 / 1000 as at;
