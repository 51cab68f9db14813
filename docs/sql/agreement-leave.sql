delete from admiral.processes where name = $1::text;
