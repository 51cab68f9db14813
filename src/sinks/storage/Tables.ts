/**
 * The tables of the schema `admiral`, as SQL made from declarations. Pure: it is text in, text out.
 *
 * An exporter's scrapes are stored in `<table>_scrapes`, partitioned by UTC day: a row a scrape, with an array per column and
 * an element per row of the scrape (`docs/adr/0007-the-scrape-is-the-unit.md`). An exporter without labels has one row a scrape, and
 * plain columns. Servers and labels are integers (`docs/adr/0002-dictionary-ids.md`). The rows of scrapes that are packed lie in
 * chunks, in `<table>_packed` (`PackedChunk.ts`); of the scrape its key and moments stay.
 *
 * All are read through the view `<table>`, a row a snapshot with the names and types that were asked for, or through the function
 * `<table>_between`; `<table>_rows` is the same with ids.
 */
import { moment } from "../postgres/Moments.ts"
import type { DeclaredColumn, DeclaredTable } from "./Declared.ts"
import { FIRST_NUMBER, LAYOUT } from "./PackedChunk.ts"

/** Where an exporter's scrapes are: `admiral.<name>`. */
export const scrapesTable = (table: string): string => `${table}_scrapes`

/** Where the chunks of an exporter are: `admiral.<name>`. */
export const packedTable = (table: string): string => `${table}_packed`

/** The rows of an exporter, one per snapshot, with ids: `admiral.<name>`. */
const rowsView = (table: string): string => `${table}_rows`

/** The same, told apart by where they lie: `admiral.<name>`. */
export const rowsApartView = (table: string): string => `${table}_rows_apart`

/** When each series of an exporter was first seen: `admiral.<name>`. */
export const firstSeenTable = (table: string): string => `${table}_first_seen`

const SQL_TYPE = { text: "text", double: "double precision", integer: "integer", bigint: "bigint" } as const

/** 2^53 takes seven bytes. */
const PLANES_MAX = 7

/** The number that the bytes of a cell are: how many planes it has, and where its least significant byte is. */
const bytesSql = (count: string, low: string, weight = 0): string => {
  const byte = `get_byte(planes, ${low}${weight === 0 ? "" : ` - ${weight} * cells`} + shift)${weight === 0 ? "" : ` * ${256 ** weight}::double precision`}`
  const more = weight + 1 === PLANES_MAX ? "" : ` + ${bytesSql(count, low, weight + 1)}`
  return `case when ${count} > ${weight} then ${byte}${more} else 0 end`
}

/** What is read of a column for all rows of a scrape: the last parameters of `packed_number`, with their types. */
const PACKED_COLUMN = {
  unit: "double precision",
  times: "double precision",
  per: "double precision",
  count: "integer",
  low: "integer",
  base: "integer",
  slope: "integer",
  nudge_count: "integer",
  nudge_low: "integer",
  nudge_base: "integer",
  nulls: "integer"
}

const scaledSql = `(bases[base + series] + ${bytesSql("count", "low")}
    + coalesce(floor(bases[slope + series] * place), 0)) * times / per`
const nudgeSql = `(bases[nudge_base + series] + ${bytesSql("nudge_count", "nudge_low")}) * 1.1102230246251565e-16::double precision`

const packedNumberSql = `-- The value of a column in a cell of a chunk: what PackedChunk.ts does. PostgreSQL puts its text in place of the call.
create function admiral.packed_number(
  planes bytea, bases double precision[], whole double precision[], cells integer, place integer, series integer, shift integer,
  ${Object.entries(PACKED_COLUMN)
    .map(([name, type]) => `${name} ${type}`)
    .join(", ")}
) returns double precision
language sql immutable parallel safe as $function$
select case
  when unit is null then null
  when get_byte(planes, nulls + shift) = 1 then null
  when unit = 0 then whole[low + shift + 1]
  when nudge_count is null then ${scaledSql}
  when ${nudgeSql} < 0 then ${scaledSql} * (1 + ${nudgeSql})
  else ${scaledSql} / (1 - ${nudgeSql})
end
$function$;
comment on function admiral.packed_number is 'The value of a column in a cell of a chunk.';
`

/** Tables that do not depend on any exporter. */
export const coreSql = `-- Servers, label values, tokens, dead letters, and what all exporters share. Tables of exporters follow in migrations of their own.
create table admiral.servers (
  id integer generated always as identity primary key,
  server_id text collate "C" not null unique,
  name text not null,
  created_at timestamptz not null default now()
);
comment on table admiral.servers is 'The servers that report. Scrapes refer to them by id.';

create view admiral.server_ids as select id from admiral.servers;
comment on view admiral.server_ids is 'What questions about many servers begin with. Where rows are distributed by server, a table beside them (Distribution.ts).';

-- Names can be longer than a btree takes (2.7 kB): the hash index keeps them unique whatever their length.
create table admiral.label_values (
  id integer generated always as identity primary key,
  value text collate "C" not null,
  used_until date not null default current_date,
  constraint label_values_value_unique exclude using hash (value with =)
);
comment on table admiral.label_values is 'The values of all labels, such as names of processes. Scrapes refer to them by id.';
comment on column admiral.label_values.used_until is 'No scrape of a later day has the value. It is deleted when nothing of that day is kept any more.';

create table admiral.tokens (
  id integer generated always as identity primary key,
  sha256 bytea not null unique,
  prefix text not null,
  kind text not null check (kind in ('agent', 'enrolment', 'read', 'operator', 'admin')),
  server_id integer references admiral.servers (id),
  note text not null default '',
  created_by text not null,
  created_at timestamptz not null default now(),
  expires_at timestamptz,
  used_at timestamptz,
  revoked_at timestamptz,
  uses_left integer check (uses_left >= 0),
  networks text not null default '',
  constraint tokens_agent_has_server check (kind <> 'agent' or server_id is not null),
  constraint tokens_enrolment_ends check ((kind = 'enrolment') = (uses_left is not null) and (kind <> 'enrolment' or expires_at is not null))
);
comment on column admiral.tokens.sha256 is 'The token itself is stored nowhere.';
comment on column admiral.tokens.prefix is 'Its first characters, to tell it by.';
comment on column admiral.tokens.created_by is 'As the audit calls whoever made it.';
comment on column admiral.tokens.used_at is 'To within some minutes.';
comment on column admiral.tokens.uses_left is 'How many machines an enrolment token still takes in.';
comment on column admiral.tokens.networks is 'Where they may come from, separated by blanks; anywhere where it is empty.';

create table admiral.sessions (
  id integer generated always as identity primary key,
  sha256 bytea not null unique,
  role text not null check (role in ('read', 'operator', 'admin')),
  principal text collate "C" not null,
  name text not null default '',
  token_id integer references admiral.tokens (id),
  proof bytea,
  via text not null check (via in ('link', 'token', 'provider')),
  address text,
  browser text not null default '',
  created_at timestamptz not null default now(),
  used_at timestamptz not null default now(),
  expires_at timestamptz not null
);
create index sessions_principal on admiral.sessions (principal, id);
comment on table admiral.sessions is 'Who is signed in on the page, on every process. Bounded per principal.';
comment on column admiral.sessions.sha256 is 'Of the cookie, which is stored nowhere.';
comment on column admiral.sessions.proof is 'Of a session of the configured admin token: a MAC of that token with the cookie as key. It ends with the token.';

create table admiral.sign_in_links (
  sha256 bytea primary key,
  role text not null check (role in ('read', 'operator', 'admin')),
  principal text collate "C" not null,
  name text not null default '',
  token_id integer references admiral.tokens (id),
  created_at timestamptz not null default now(),
  expires_at timestamptz not null
);
create index sign_in_links_principal on admiral.sign_in_links (principal, created_at);
comment on table admiral.sign_in_links is 'One-time links that nobody has opened yet. Bounded per principal.';

create table admiral.stream_keys (
  id integer generated always as identity primary key,
  secret bytea not null check (length(secret) = 32),
  begins_at timestamptz not null
);
comment on table admiral.stream_keys is 'What entries of the stream are sealed with: the newest that has begun seals, all are accepted.';

create table admiral.streams (
  stream integer primary key check (stream between 0 and 255),
  fence bigint not null default 0,
  owner text collate "C",
  leased_until timestamptz,
  owned_since timestamptz,
  used_at timestamptz not null default now(),
  constraint streams_owner_has_lease check ((owner is null) = (leased_until is null))
);
comment on table admiral.streams is 'The streams that rows wait in, and which digest reads each.';
comment on column admiral.streams.fence is 'Grows whenever the stream changes hands. Rows read under a lower one are not stored.';
comment on column admiral.streams.used_at is 'When an ingest last said that it publishes to it.';

create table admiral.digests (
  name text collate "C" primary key,
  seen_at timestamptz not null default now(),
  unreachable integer[] not null default '{}'
);
comment on table admiral.digests is 'The digests, and when each was last heard of.';
comment on column admiral.digests.unreachable is 'Streams whose server does not answer it.';

create table admiral.processes (
  name text collate "C" primary key,
  roles text not null,
  fingerprints jsonb not null,
  seen_at timestamptz not null default now()
);
comment on table admiral.processes is 'The processes, and hashes of what has to be the same on all of them.';

create table admiral.audit (
  id bigint generated always as identity primary key,
  at timestamptz not null default now(),
  author text not null,
  address text,
  action text not null,
  subject text not null,
  detail text not null default ''
);
comment on table admiral.audit is 'Who changed what. Only ever added to.';
create function admiral.is_append_only() returns trigger language plpgsql set search_path = '' as $$
begin
  raise exception '% is only ever added to', tg_table_name;
end $$;
create trigger audit_append_only before update or delete or truncate on admiral.audit
  for each statement execute function admiral.is_append_only();

create table admiral.notes (
  id bigint generated always as identity primary key,
  server_id integer references admiral.servers (id) on delete cascade,
  at timestamptz not null,
  text text not null,
  author text not null,
  created_at timestamptz not null default now()
);
create index notes_at on admiral.notes (at);
comment on table admiral.notes is 'What people say happened, such as a deploy.';
comment on column admiral.notes.server_id is 'NULL: on all servers.';

create table admiral.groupings (
  name text collate "C" not null,
  version integer not null check (version > 0),
  rules jsonb not null,
  retired boolean not null default false,
  comment text not null default '',
  author text not null,
  saved_at timestamptz not null default now(),
  primary key (name, version)
);
comment on table admiral.groupings is 'Rules that put names together, a row for each version that was saved. Only ever added to.';
comment on column admiral.groupings.retired is 'The set is not offered any more; links to earlier versions go on.';
create trigger groupings_append_only before update or delete or truncate on admiral.groupings
  for each statement execute function admiral.is_append_only();

-- What agents tell about themselves: identity, clock, what the server does not know.
create table admiral.agents (
  server_id integer primary key references admiral.servers (id) on delete cascade,
  version bigint not null default 1,
  state text not null
);
comment on table admiral.agents is 'What the agent of a server tells about itself. Hashes only: nothing in it opens anything.';

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

create table admiral.exporters (
  name text collate "C" primary key,
  declared text not null,
  changed_at timestamptz not null default now()
);
comment on table admiral.exporters is 'What the stored rows and roll-ups of each exporter mean: what was declared when they were stored.';

create table admiral.rollup_queue (
  bucket timestamptz not null,
  server_id integer not null,
  seconds integer not null
);
create index rollup_queue_server on admiral.rollup_queue (server_id, bucket);
comment on table admiral.rollup_queue is 'Buckets whose scrapes have changed since they were rolled up. Only ever appended to, in the transaction of the scrapes.';
comment on column admiral.rollup_queue.bucket is 'The end of the bucket.';
comment on column admiral.rollup_queue.seconds is 'How long the bucket is.';

create table admiral.packing_queue (
  exporter text collate "C" not null,
  hour timestamptz not null,
  server_id integer not null
);
create index packing_queue_hour on admiral.packing_queue (exporter, hour);
comment on table admiral.packing_queue is 'Hours in which scrapes were stored when their day was packed already, or being packed. Only ever appended to, in the transaction of the scrapes.';

create table admiral.packed_days (
  exporter text collate "C" not null,
  day date not null,
  packed_at timestamptz not null default now(),
  scrapes bigint not null,
  bytes bigint not null,
  primary key (exporter, day)
);
comment on table admiral.packed_days is 'Days whose scrapes are packed: how many they were, and what they take.';

create table admiral.alert_states (
  rule text collate "C" not null,
  server_id integer references admiral.servers (id) on delete cascade,
  alert_group text collate "C" not null,
  subject text not null,
  state text not null check (state in ('pending', 'firing', 'unknown')),
  since timestamptz,
  clear_since timestamptz,
  unique nulls not distinct (rule, server_id, alert_group)
);
comment on table admiral.alert_states is 'What the rules found when they were asked last: all that is not inactive.';
comment on column admiral.alert_states.server_id is 'NULL: of NodePulse itself.';
comment on column admiral.alert_states.subject is 'What the rule was about: where that changes, its alerts are others.';
comment on column admiral.alert_states.since is 'Since when it is pending, or fires, also while nobody knows whether it still does.';
comment on column admiral.alert_states.clear_since is 'Of what fires: since when the rule does not hold any more.';

create table admiral.alerts (
  id bigint generated always as identity primary key,
  rule text collate "C" not null,
  sentence text not null,
  severity text not null check (severity in ('info', 'warning', 'critical')),
  server_id integer references admiral.servers (id) on delete cascade,
  alert_group text collate "C" not null,
  value double precision,
  asked jsonb not null,
  story jsonb,
  fired_at timestamptz not null,
  resolved_at timestamptz,
  acknowledged_at timestamptz,
  acknowledged_by text,
  acknowledged_note text,
  constraint alerts_acknowledged_by_somebody
    check ((acknowledged_at is null) = (acknowledged_by is null) and (acknowledged_at is null) = (acknowledged_note is null))
);
create unique index alerts_firing on admiral.alerts (rule, server_id, alert_group) nulls not distinct where resolved_at is null;
create index alerts_fired_at on admiral.alerts (fired_at);
create index alerts_untold on admiral.alerts (id) where story is null;
create index alerts_resolved_at on admiral.alerts (resolved_at);
comment on table admiral.alerts is 'Alerts that fired. Kept for a year.';
comment on column admiral.alerts.sentence is 'What the rule asked when it fired.';
comment on column admiral.alerts.server_id is 'NULL: it is about NodePulse itself.';
comment on column admiral.alerts.value is 'What made it fire, in the unit of the metric.';
comment on column admiral.alerts.asked is 'What the rule asked when it fired: resource, metric, unit, and milliseconds of over and for.';
comment on column admiral.alerts.story is 'What is told of it (GET /api/alerts/{id}), once that is complete: rows do not stay as long.';
comment on column admiral.alerts.acknowledged_by is 'As the audit calls whoever knows of it.';

create table admiral.alert_progress (
  single boolean primary key default true check (single),
  asked_until timestamptz not null,
  holder text,
  passing_until timestamptz
);
comment on table admiral.alert_progress is 'Until when the rules were asked: one row, where there are rules.';
comment on column admiral.alert_progress.holder is 'The process that asked them, and goes on to as long as it does so in time.';
comment on column admiral.alert_progress.passing_until is 'Until when the holder counts as asking, where one pass takes long.';

create table admiral.incidents (
  id bigint generated always as identity primary key,
  route text collate "C" not null,
  server text collate "C" not null,
  receivers text[] not null,
  opened_at timestamptz not null,
  due_at timestamptz,
  closing_at timestamptz,
  told_at timestamptz,
  owes_resolve boolean not null default false,
  took_note boolean not null default false,
  closed_at timestamptz
);
create unique index incidents_open on admiral.incidents (route, server) where closed_at is null;
comment on table admiral.incidents is 'What is told in one message: alerts of one server by one route. Kept for 30 days after it is closed.';
comment on column admiral.incidents.due_at is 'When alerts that nobody was told of are told; null where there are none.';
comment on column admiral.incidents.closing_at is 'When it is over, unless an alert joins it before.';
comment on column admiral.incidents.owes_resolve is 'Whether somebody was told that something fires, and not yet that it is over.';
comment on column admiral.incidents.took_note is 'Whether it was told that somebody acknowledged it.';

create table admiral.incident_alerts (
  alert_id bigint not null references admiral.alerts (id) on delete cascade,
  incident_id bigint references admiral.incidents (id) on delete cascade,
  state text not null check (state in ('untold', 'told', 'followed', 'passed-over'))
);
create unique index incident_alerts_key on admiral.incident_alerts (alert_id, incident_id) nulls not distinct;
create index incident_alerts_incident on admiral.incident_alerts (incident_id, state);
comment on table admiral.incident_alerts is 'Which alerts are told with which incident. Without an incident: nobody is told of the alert.';

create table admiral.notifications (
  id bigint generated always as identity primary key,
  incident_id bigint not null references admiral.incidents (id) on delete cascade,
  kind text not null check (kind in ('firing', 'resolved', 'repeated', 'acknowledged')),
  route text collate "C" not null,
  receiver text collate "C" not null,
  title text not null,
  alerts bigint[] not null,
  created_at timestamptz not null,
  due_at timestamptz not null,
  attempts integer not null default 0,
  claimed_until timestamptz,
  claimed_by text,
  sent_at timestamptz,
  sent_with bigint,
  dead_at timestamptz,
  error text
);
create index notifications_waiting on admiral.notifications (due_at) where sent_at is null and dead_at is null;
create index notifications_sent on admiral.notifications (sent_at) where sent_at is not null;
create index notifications_incident on admiral.notifications (incident_id, receiver);
comment on table admiral.notifications is 'The outbox: messages to receivers, sent at least once. Kept for 30 days.';
comment on column admiral.notifications.claimed_until is 'Until when whoever took it may be sending it, by the clock of the database.';
comment on column admiral.notifications.sent_with is 'The message that this one was a part of, where it was not sent by itself.';
comment on column admiral.notifications.dead_at is 'When it was given up.';
comment on column admiral.notifications.error is 'Why it could not be sent the last time.';

create table admiral.delivery_progress (
  single boolean primary key default true check (single),
  began_at timestamptz not null,
  heartbeat_at timestamptz
);
comment on table admiral.delivery_progress is 'Since when alerts are told, and when the last heartbeat was sent: one row.';

create table admiral.rules (
  name text collate "C" primary key,
  version integer generated always as identity,
  document json not null,
  author text not null,
  saved_at timestamptz not null default now()
);
comment on table admiral.rules is 'Rules that were saved from the page or over the API. Those in files, and those that are shipped, are not here.';
comment on column admiral.rules.version is 'Grows with each save, of any rule: no number comes again.';
comment on column admiral.rules.document is 'As a file of rules holds it, and as it was written.';

create table admiral.silences (
  id bigint generated always as identity primary key,
  kind text not null check (kind in ('silence', 'maintenance')),
  rule text not null,
  server text not null,
  alert_group text not null,
  severity text check (severity in ('info', 'warning', 'critical')),
  from_at timestamptz not null,
  until_at timestamptz not null,
  author text not null,
  comment text not null,
  created_at timestamptz not null default now(),
  constraint silences_end check (until_at >= from_at)
);
create index silences_until_at on admiral.silences (until_at);
comment on table admiral.silences is 'Which alerts nobody is told of, until when. Those that are over are kept for 30 days.';
comment on column admiral.silences.rule is 'A pattern, as those of server and group: * stands for any characters.';

create table admiral.recordings (
  id bigint generated always as identity primary key,
  server_id integer not null references admiral.servers (id) on delete cascade,
  key text collate "C" not null,
  reason text not null check (reason in ('alert', 'asked', 'oom_kill')),
  begins_at timestamptz not null,
  ends_at timestamptz not null,
  received_at timestamptz not null default now(),
  kills json not null,
  packed bytea not null,
  unique (server_id, key)
);
alter table admiral.recordings alter column packed set storage external;
create index recordings_ends_at on admiral.recordings (server_id, ends_at);
comment on table admiral.recordings is 'What the flight recorders of agents have sent. Bounded per server and in age.';
comment on column admiral.recordings.key is 'What the agent calls it: the key of the request that it answers, else of its own.';
comment on column admiral.recordings.kills is 'Processes that were killed for want of memory, as they are in the recording.';
comment on column admiral.recordings.packed is 'The recording: gzip of JSON.';

create table admiral.recording_requests (
  key text collate "C" primary key,
  server_id integer not null references admiral.servers (id) on delete cascade,
  reason text not null check (reason in ('alert', 'asked')),
  author text,
  asked_at timestamptz not null,
  expires_at timestamptz not null,
  answered_at timestamptz
);
create index recording_requests_server on admiral.recording_requests (server_id, asked_at);
create index recording_requests_waiting on admiral.recording_requests (expires_at) where answered_at is null;
comment on table admiral.recording_requests is 'Recordings that are wanted of agents. Those that are over are kept for a day.';
comment on column admiral.recording_requests.author is 'As the audit calls whoever asked; NULL: alerts that fired.';

create table admiral.hands (
  server_id integer primary key references admiral.servers (id) on delete cascade,
  heard_at timestamptz not null default now(),
  said json not null
);
comment on table admiral.hands is 'What the program that acts on a server says of itself, and when it was last heard.';

create table admiral.previews (
  preview_id text collate "C" primary key,
  server_id integer not null references admiral.servers (id) on delete cascade,
  target json not null,
  author text collate "C" not null,
  asked_at timestamptz not null default now(),
  sent_at timestamptz,
  answered_at timestamptz,
  answer json
);
create index previews_server on admiral.previews (server_id, asked_at) where sent_at is null;
create index previews_asked_at on admiral.previews (asked_at);
comment on table admiral.previews is 'What a host says would happen, as people asked it. Nothing is done of it; kept for an hour.';

create table admiral.orders (
  id bigint generated always as identity primary key,
  order_id text collate "C" not null,
  server_id integer not null references admiral.servers (id),
  at timestamptz not null default now(),
  event text not null check (event in ('asked', 'approved', 'sent', 'done', 'failed', 'refused', 'interrupted', 'expired')),
  author text collate "C" not null,
  address text,
  content json not null
);
create unique index orders_asked_once on admiral.orders (order_id) where event = 'asked';
create unique index orders_sent_once on admiral.orders (order_id) where event in ('sent', 'expired');
create unique index orders_told_once on admiral.orders (server_id, (content ->> 'id')) where event in ('done', 'failed', 'refused', 'interrupted');
create index orders_order on admiral.orders (order_id, id);
create index orders_server on admiral.orders (server_id, at);
create index orders_asked_at on admiral.orders (at) where event = 'asked';
create trigger orders_append_only before update or delete or truncate on admiral.orders
  for each statement execute function admiral.is_append_only();
comment on table admiral.orders is 'What becomes of each order, as events. Only ever added to: an order is sent once or expires; what its host tells is here once.';

${packedNumberSql}`

/** The tables, the view and the function of an exporter that has none yet. */
export const createTableSql = (declared: DeclaredTable): string => {
  const labels = labelsOf(declared)
  const scrapes = `admiral.${scrapesTable(declared.table)}`
  const rows =
    labels.length === 0 ? "" : `, an element per ${labels.map(({ name }) => name).join(" and ")} in each array`
  return `-- ${declared.exporter}: one row per scrape${rows}; one partition per UTC day.
create table ${scrapes} (
${storedColumns(declared)
  .map((line) => `  ${line},`)
  .join("\n")}
  primary key (server_id, "timestamp")
) partition by range ("timestamp");
comment on table ${scrapes} is ${literal(
    labels.length === 0
      ? "One row per scrape."
      : "One row per scrape. The arrays are as long as the scrape has rows: elements at one place belong together."
  )};
comment on column ${scrapes}.packed_in is 'The first moment of the chunk that holds its rows; NULL where they are here.';
comment on column ${scrapes}.counters_since is 'When the counters of the scrape began; NULL where unknown${labels.length === 0 ? "" : ", or where they differ"}.';
${labels.length === 0 ? "" : `comment on column ${scrapes}.counters_since_of is 'Per row, where they differ within the scrape.';\n`}${declared.columns.map((column) => commentSql(scrapes, column)).join("")}${createPackedSql(declared)}${createViewSql(declared)}${firstSeenSql(declared)}`
}

/** Chunks, a row each. The arrays and bytes are what `PackedChunk.ts` says. */
const createPackedSql = (declared: DeclaredTable): string => {
  const packed = `admiral.${packedTable(declared.table)}`
  return `create table ${packed} (
  "timestamp" timestamptz not null,
  server_id integer not null,
  at timestamptz[] not null,
  labels integer[] not null,
  layout integer[] not null,
  units double precision[] not null,
  bases double precision[] compression pglz not null,
  planes bytea compression pglz not null,
  whole double precision[] compression pglz not null,
  primary key (server_id, "timestamp")
) partition by range ("timestamp");
comment on table ${packed} is 'One row per server and hour of days that are over: the rows of some scrapes, packed. Read them through the view.';
comment on column ${packed}."timestamp" is 'The first of its scrapes.';
`
}

/** Columns that were added to a declaration since, in a table that may hold scrapes: they are NULL there. */
export const addColumnsSql = (declared: DeclaredTable, added: ReadonlyArray<DeclaredColumn>): string => {
  const scrapes = `admiral.${scrapesTable(declared.table)}`
  // A view's columns can only be appended to in place, and ours end with created_at: drop and make it again.
  return `-- ${declared.exporter}: ${added.map((column) => column.name).join(", ")}
${added.map((column) => `alter table ${scrapes} add column ${quoted(column.name)} ${storedType(declared, column)};\n`).join("")}${added
  .map((column) => commentSql(scrapes, column))
  .join("")}drop function admiral.${declared.table}_between(text, timestamptz, timestamptz);
drop view admiral.${declared.table};
drop view admiral.${rowsView(declared.table)};
drop view admiral.${rowsApartView(declared.table)};
${createViewSql(declared)}`
}

const labelsOf = (declared: DeclaredTable) => declared.columns.filter((column) => column.kind === "label")

const storedType = (declared: DeclaredTable, column: DeclaredColumn): string =>
  column.kind === "label" ? "integer[]" : `${SQL_TYPE[column.type]}${labelsOf(declared).length === 0 ? "" : "[]"}`

/** The columns of the stored table, 8-byte values first: PostgreSQL would fill the gaps before them otherwise. */
const storedColumns = (declared: DeclaredTable): ReadonlyArray<string> => {
  const labels = labelsOf(declared)
  const begin = [
    '"timestamp" timestamptz not null',
    "created_at timestamptz not null default now()",
    "counters_since timestamptz",
    "packed_in timestamptz"
  ]
  if (labels.length > 0) {
    const arrays = declared.columns.map((column) => `${quoted(column.name)} ${storedType(declared, column)}`)
    return [...begin, "server_id integer not null", "counters_since_of timestamptz[]", ...arrays]
  }
  const plain = (column: DeclaredColumn) => `${quoted(column.name)} ${storedType(declared, column)}`
  return [
    ...begin,
    ...declared.columns.filter(({ type }) => type !== "integer").map(plain),
    "server_id integer not null",
    ...declared.columns.filter(({ type }) => type === "integer").map(plain)
  ]
}

/**
 * The views and the function. Left joins: PostgreSQL leaves out those that a query does not look at. The function is one
 * plain SELECT, which PostgreSQL puts in place of its call; the server is looked up first, so that scrapes are found by
 * their key whatever the planner thinks of the view.
 */
const createViewSql = (declared: DeclaredTable): string => {
  const view = `admiral.${declared.table}`
  const labels = labelsOf(declared)
  const value = (column: DeclaredColumn) => quoted(`${column.name}_value`)
  const selected = [
    "server.server_id",
    'snapshot."timestamp"',
    ...declared.columns.map((column) =>
      column.kind === "label" ? `${value(column)}.value as ${quoted(column.name)}` : `snapshot.${quoted(column.name)}`
    ),
    "snapshot.created_at",
    "snapshot.counters_since"
  ]
  const from = `select
  ${selected.join(",\n  ")}
from admiral.${rowsView(declared.table)} as snapshot
  left join admiral.servers as server on server.id = snapshot.server_id${labels
    .map(
      (column) =>
        `\n  left join admiral.label_values as ${value(column)} on ${value(column)}.id = snapshot.${quoted(column.name)}`
    )
    .join("")}`
  const between = `${view}_between`
  return `${rowsViewSql(declared)}${rowsApartViewSql(declared)}create view ${view} as
${from};
comment on view ${view} is 'One row per ${["scrape", ...labels.map(({ name }) => name)].join(" and ")}.';
${declared.columns.map((column) => commentSql(view, column)).join("")}create function ${between}(server text, "from" timestamptz, "to" timestamptz) returns setof ${view}
language sql stable parallel safe as $function$
${from}
where snapshot.server_id = ${SERVER_ASKED}
  and snapshot."timestamp" >= $2 and snapshot."timestamp" <= $3
$function$;
comment on function ${between}(text, timestamptz, timestamptz) is 'The rows of ${declared.table} of one server between two moments, both included: found by the key of the scrapes.';
`
}

/** The id of the server that `<table>_between` is asked of. */
export const SERVER_ASKED = "(select known.id from admiral.servers as known where known.server_id = $1)"

/** The rows of a scrape, from where they lie: in the scrape itself, or in its chunk. */
const rowsViewSql = (declared: DeclaredTable): string => {
  const labels = labelsOf(declared)
  const names = declared.columns.map(({ name }) => quoted(name))
  const hot =
    labels.length === 0
      ? `select ${[...names.map((name) => `scrape.${name}`), "scrape.counters_since"].join(", ")} where scrape.packed_in is null`
      : `select ${names.map((name) => `hot.${name}`).join(", ")},
      case when scrape.counters_since_of is null then scrape.counters_since else hot.counters_since end
    from unnest(${[...names.map((name) => `scrape.${name}`), "scrape.counters_since_of"].join(", ")})
      as hot(${[...names, "counters_since"].join(", ")})`
  return `create view admiral.${rowsView(declared.table)} as
select scrape.server_id, scrape."timestamp", ${names.map((name) => `snapshot.${name}`).join(", ")}, scrape.created_at, snapshot.counters_since
from admiral.${scrapesTable(declared.table)} as scrape
  cross join lateral (
    ${hot}
    union all
    ${packedRowsSql(
      declared,
      `from admiral.${packedTable(declared.table)} as packed
        where scrape.packed_in is not null and packed.server_id = scrape.server_id and packed."timestamp" = scrape.packed_in
        `
    )}
  ) as snapshot(${[...names, "counters_since"].join(", ")});
comment on view admiral.${rowsView(declared.table)} is 'As ${declared.table}, with the ids of servers and label values.';
`
}

/**
 * The rows of one scrape in its chunk, which is looked up, or there already. Bytes and arrays are taken out once (a single element would unpack all of them), and so is
 * where each column lies.
 */
const packedRowsSql = (declared: DeclaredTable, lookUp = ""): string => {
  const labels = labelsOf(declared)
  const numbers = declared.columns.filter(({ kind }) => kind !== "label")
  const number = (column: number) =>
    `admiral.packed_number(chunk.planes, chunk.bases, chunk.whole, chunk.cells, chunk.place, series.no, series.no * chunk.size, ${Object.keys(
      PACKED_COLUMN
    )
      .map((part) => `chunk.${part}_${column}`)
      .join(", ")})`
  const columns = declared.columns.map((column) =>
    column.kind === "label"
      ? `chunk.labels[${labels.indexOf(column)} * chunk.series + series.no + 1]`
      : `${number(FIRST_NUMBER + numbers.indexOf(column))}::${SQL_TYPE[column.type]}`
  )
  return `select ${columns.join(",\n      ")},
      case when chunk.unit_0 is null then scrape.counters_since else ${moment(number(0))} end
    from (
      select opened.planes, opened.bases, opened.whole, opened.labels, opened.size, opened.place, opened.series, opened.cells,
        ${[...Array(numbers.length + FIRST_NUMBER).keys()].map(packedColumnSql).join(",\n        ")},
        ${planeSql("opened.layout[1]")} as present
      from (
        select packed.planes || ''::bytea as planes, packed.bases || '{}' as bases, packed.whole || '{}' as whole,
          packed.labels || '{}' as labels, packed.units || '{}' as units, packed.layout || '{}' as layout,
          cardinality(packed.at) as size, array_position(packed.at, scrape."timestamp") - 1 as place,
          ${labels.length === 0 ? "1" : `cardinality(packed.labels) / ${labels.length}`} as series,
          cardinality(packed.at) * ${labels.length === 0 ? "1" : `cardinality(packed.labels) / ${labels.length}`} as cells
        ${lookUp}offset 0
      ) as opened
      offset 0
    ) as chunk
      cross join lateral generate_series(0, chunk.series - 1) as series(no)
    where chunk.present is null or get_byte(chunk.planes, chunk.present + series.no * chunk.size) = 1`
}

/**
 * The same, as a union of two whole questions, each by the server: a distributed PostgreSQL asks both where the server's rows are.
 * On one machine it is the slower one where the server is not known when it is planned.
 */
const rowsApartViewSql = (declared: DeclaredTable): string => {
  const labels = labelsOf(declared)
  const scrapes = `admiral.${scrapesTable(declared.table)} as scrape`
  const names = declared.columns.map(({ name }) => quoted(name))
  const selected = (of: string, since: string) =>
    `select scrape.server_id, scrape."timestamp", ${names.map((name) => `${of}.${name}`).join(", ")}, scrape.created_at, ${since} as counters_since`
  const hot =
    labels.length === 0
      ? `${selected("scrape", "scrape.counters_since")}
from ${scrapes}
where scrape.packed_in is null`
      : `${selected("hot", "case when scrape.counters_since_of is null then scrape.counters_since else hot.counters_since end")}
from ${scrapes}
  cross join lateral unnest(${[...names.map((name) => `scrape.${name}`), "scrape.counters_since_of"].join(", ")})
    as hot(${[...names, "counters_since"].join(", ")})`
  return `create view admiral.${rowsApartView(declared.table)} as
${hot}
union all
${selected("snapshot", "snapshot.counters_since")}
from ${scrapes}
  join admiral.${packedTable(declared.table)} as packed on packed.server_id = scrape.server_id and packed."timestamp" = scrape.packed_in
  cross join lateral (
    ${packedRowsSql(declared)}
  ) as snapshot(${[...names, "counters_since"].join(", ")});
comment on view admiral.${rowsApartView(declared.table)} is 'As ${rowsView(declared.table)}: for questions that name the server, also of a distributed PostgreSQL.';
`
}

/** Where the byte of a scrape's first series is in a plane; NULL where there is no plane. */
const planeSql = (plane: string): string => `case when ${plane} >= 0 then ${plane} * opened.cells + opened.place end`

/** Where a column lies, as {@link PACKED_COLUMN}. */
const packedColumnSql = (column: number): string => {
  const layout = (n: number) => `opened.layout[${1 + column * LAYOUT + n}]`
  const grid = (n: number) => `case when ${layout(n)} >= 0 then ${layout(n)} * opened.series + 1 end`
  const low = (first: number) => `(${layout(first)} + ${layout(first + 1)} - 1) * opened.cells + opened.place`
  const parts: Record<keyof typeof PACKED_COLUMN, string> = {
    unit: `opened.units[${column + 1}]`,
    times: `greatest(opened.units[${column + 1}], 1)`,
    per: `greatest(-opened.units[${column + 1}], 1)`,
    count: layout(2),
    low: `case when opened.units[${column + 1}] = 0 then ${layout(1)} * opened.cells + opened.place else ${low(1)} end`,
    base: grid(6),
    slope: grid(8),
    nudge_count: `case when ${layout(4)} >= 0 then ${layout(4)} end`,
    nudge_low: low(3),
    nudge_base: grid(7),
    nulls: planeSql(layout(5))
  }
  return Object.entries(parts)
    .map(([part, text]) => `${text} as ${part}_${column}`)
    .join(", ")
}

const firstSeenSql = (declared: DeclaredTable): string => {
  const labels = labelsOf(declared).map(({ name }) => quoted(name))
  const table = firstSeenTable(declared.table)
  if (!declared.beginsAtZero) return ""
  return `-- ${declared.exporter}: when each series was first seen since its counters began.
create table admiral.${table} (
  first_at timestamptz not null,
  counters_since timestamptz not null,
  server_id integer not null,
${labels.map((name) => `  ${name} integer not null,\n`).join("")}  primary key (${["server_id", ...labels, "first_at"].join(", ")})
);
create index ${table}_server_at on admiral.${table} (server_id, first_at);
comment on table admiral.${table} is 'Rows before which none of their series is known since its counters began. An entry does not count where an earlier one of its series lies at or after its counters_since.';
`
}

const commentSql = (table: string, column: DeclaredColumn): string =>
  `comment on column ${table}.${quoted(column.name)} is ${literal(column.unit === null ? column.doc : `${column.doc} In ${column.unit}.`)};\n`

/** Always quoted: a plain name can be a word of SQL, such as `user`. */
const quoted = (name: string): string => `"${name}"`

const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`
