#!/bin/sh
# Run once, by PostgreSQL's image, when the database is made: the role that owns the schema, and the one that reads and writes.
set -eu
psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --set=owner="$NODEPULSE_OWNER_PASSWORD" --set=runtime="$NODEPULSE_PASSWORD" \
  --username "$POSTGRES_USER" --dbname postgres <<'SQL'
create role nodepulse_owner login password :'owner';
create role nodepulse login password :'runtime';
create database nodepulse owner nodepulse_owner encoding 'UTF8' template template0 lc_collate 'C' lc_ctype 'C';
SQL
