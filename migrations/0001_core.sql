-- Servers, label values, tokens and dead letters. Tables of exporters follow in migrations of their own.
create table admiral.servers (
  id integer generated always as identity primary key,
  server_id text collate "C" not null unique,
  name text not null,
  created_at timestamptz not null default now()
);
comment on table admiral.servers is 'The servers that report. Rows refer to them by id.';

-- Names can be longer than a btree takes (2.7 kB): the hash index keeps them unique whatever their length.
create table admiral.label_values (
  id integer generated always as identity primary key,
  value text collate "C" not null,
  constraint label_values_value_unique exclude using hash (value with =)
);
comment on table admiral.label_values is 'The values of all labels, such as names of processes. Rows refer to them by id.';

create table admiral.tokens (
  id integer generated always as identity primary key,
  sha256 bytea not null unique,
  kind text not null check (kind in ('agent', 'read', 'admin')),
  server_id integer references admiral.servers (id),
  note text not null default '',
  created_at timestamptz not null default now(),
  revoked_at timestamptz,
  constraint tokens_agent_has_server check ((kind = 'agent') = (server_id is not null))
);
comment on column admiral.tokens.sha256 is 'The token itself is stored nowhere.';

create table admiral.dead_letters (
  id bigint generated always as identity primary key,
  key text collate "C" not null unique,
  exporter text not null,
  server_id text collate "C" not null,
  reason text not null,
  payload text not null,
  created_at timestamptz not null default now()
);
comment on table admiral.dead_letters is 'What could not be stored, with its reason. Bounded in number and age.';
create index dead_letters_created_at on admiral.dead_letters (created_at);
