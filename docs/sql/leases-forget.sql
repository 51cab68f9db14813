delete from admiral.digests where name = $1::text;
