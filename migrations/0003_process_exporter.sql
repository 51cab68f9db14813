-- process_exporter: one row per scrape and process_name; one partition per UTC day.
create table admiral.process_snapshots_rows (
  "timestamp" timestamptz not null,
  counters_since timestamptz,
  created_at timestamptz not null default now(),
  "cpu_seconds_total" double precision not null,
  "memory_bytes" bigint not null,
  server_id integer not null,
  "process_name" integer not null,
  "num_procs" integer not null,
  primary key ("server_id", "timestamp", "process_name")
) partition by range ("timestamp");
create view admiral.process_snapshots as
select
  s.server_id,
  r."timestamp",
  "process_name_".value as "process_name",
  r."num_procs",
  r."cpu_seconds_total",
  r."memory_bytes",
  r.created_at,
  r.counters_since
from admiral.process_snapshots_rows r
  left join admiral.servers s on s.id = r.server_id
  left join admiral.label_values "process_name_" on "process_name_".id = r."process_name";
comment on column admiral.process_snapshots."process_name" is 'Command name of the group.';
comment on column admiral.process_snapshots."num_procs" is 'Processes in the group.';
comment on column admiral.process_snapshots."cpu_seconds_total" is 'CPU time used since the exporter started, all modes. In seconds.';
comment on column admiral.process_snapshots."memory_bytes" is 'Resident memory. In bytes.';
comment on column admiral.process_snapshots_rows."process_name" is 'Command name of the group.';
comment on column admiral.process_snapshots_rows."num_procs" is 'Processes in the group.';
comment on column admiral.process_snapshots_rows."cpu_seconds_total" is 'CPU time used since the exporter started, all modes. In seconds.';
comment on column admiral.process_snapshots_rows."memory_bytes" is 'Resident memory. In bytes.';
-- process_exporter: roll-ups, called by the end of their bucket, and the queue of buckets whose rows have changed.
create table admiral.process_snapshots_5m (
  bucket timestamptz not null,
  last_at timestamptz not null,
  "num_procs_sum" double precision,
  "num_procs_max" double precision,
  "num_procs_last" double precision,
  "cpu_seconds_total_increase" double precision,
  "cpu_seconds_total_peak" double precision,
  "cpu_seconds_total_now" double precision,
  "memory_bytes_sum" double precision,
  "memory_bytes_max" double precision,
  "memory_bytes_last" double precision,
  server_id integer not null,
  group_id integer not null,
  rows integer not null,
  "cpu_seconds_total_resets" integer,
  "cpu_seconds_total_clamped" integer,
  primary key (server_id, bucket, group_id)
) partition by range (bucket);
create table admiral.process_snapshots_5m_scrapes (
  bucket timestamptz not null,
  last_at timestamptz not null,
  covered double precision not null,
  server_id integer not null,
  scrapes integer not null,
  primary key (server_id, bucket)
);
create table admiral.process_snapshots_1h (
  bucket timestamptz not null,
  last_at timestamptz not null,
  "num_procs_sum" double precision,
  "num_procs_max" double precision,
  "num_procs_last" double precision,
  "cpu_seconds_total_increase" double precision,
  "cpu_seconds_total_peak" double precision,
  "cpu_seconds_total_now" double precision,
  "memory_bytes_sum" double precision,
  "memory_bytes_max" double precision,
  "memory_bytes_last" double precision,
  server_id integer not null,
  group_id integer not null,
  rows integer not null,
  "cpu_seconds_total_resets" integer,
  "cpu_seconds_total_clamped" integer,
  primary key (server_id, bucket, group_id)
);
create table admiral.process_snapshots_1h_scrapes (
  bucket timestamptz not null,
  last_at timestamptz not null,
  covered double precision not null,
  server_id integer not null,
  scrapes integer not null,
  primary key (server_id, bucket)
);
create table admiral.process_snapshots_1d (
  bucket timestamptz not null,
  last_at timestamptz not null,
  "num_procs_sum" double precision,
  "num_procs_max" double precision,
  "num_procs_last" double precision,
  "cpu_seconds_total_increase" double precision,
  "cpu_seconds_total_peak" double precision,
  "cpu_seconds_total_now" double precision,
  "memory_bytes_sum" double precision,
  "memory_bytes_max" double precision,
  "memory_bytes_last" double precision,
  server_id integer not null,
  group_id integer not null,
  rows integer not null,
  "cpu_seconds_total_resets" integer,
  "cpu_seconds_total_clamped" integer,
  primary key (server_id, bucket, group_id)
);
create table admiral.process_snapshots_1d_scrapes (
  bucket timestamptz not null,
  last_at timestamptz not null,
  covered double precision not null,
  server_id integer not null,
  scrapes integer not null,
  primary key (server_id, bucket)
);
create table admiral.process_snapshots_dirty (
  bucket timestamptz not null,
  server_id integer not null,
  seconds integer not null
);
create index process_snapshots_dirty_server on admiral.process_snapshots_dirty (server_id, bucket);
