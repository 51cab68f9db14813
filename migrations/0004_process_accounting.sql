-- process_accounting: one row per scrape, an element per command and parent in each array; one partition per UTC day.
create table admiral.accounting_snapshots_scrapes (
  "timestamp" timestamptz not null,
  created_at timestamptz not null default now(),
  counters_since timestamptz,
  packed_in timestamptz,
  server_id integer not null,
  counters_since_of timestamptz[],
  "command" integer[],
  "parent" integer[],
  "runs_total" bigint[],
  "cpu_seconds_total" double precision[],
  primary key (server_id, "timestamp")
) partition by range ("timestamp");
comment on table admiral.accounting_snapshots_scrapes is 'One row per scrape. The arrays are as long as the scrape has rows: elements at one place belong together.';
comment on column admiral.accounting_snapshots_scrapes.packed_in is 'The first moment of the chunk that holds its rows; NULL where they are here.';
comment on column admiral.accounting_snapshots_scrapes.counters_since is 'When the counters of the scrape began; NULL where unknown, or where they differ.';
comment on column admiral.accounting_snapshots_scrapes.counters_since_of is 'Per row, where they differ within the scrape.';
comment on column admiral.accounting_snapshots_scrapes."command" is 'Command name of the process, at most 15 characters.';
comment on column admiral.accounting_snapshots_scrapes."parent" is 'Process group, or command, that started it.';
comment on column admiral.accounting_snapshots_scrapes."runs_total" is 'Processes that ended and that no scrape of the processes saw.';
comment on column admiral.accounting_snapshots_scrapes."cpu_seconds_total" is 'CPU time that they used. In seconds.';
create table admiral.accounting_snapshots_packed (
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
comment on table admiral.accounting_snapshots_packed is 'One row per server and hour of days that are over: the rows of some scrapes, packed. Read them through the view.';
comment on column admiral.accounting_snapshots_packed."timestamp" is 'The first of its scrapes.';
create view admiral.accounting_snapshots_rows as
select scrape.server_id, scrape."timestamp", snapshot."command", snapshot."parent", snapshot."runs_total", snapshot."cpu_seconds_total", scrape.created_at, snapshot.counters_since
from admiral.accounting_snapshots_scrapes as scrape
  cross join lateral (
    select hot."command", hot."parent", hot."runs_total", hot."cpu_seconds_total",
      case when scrape.counters_since_of is null then scrape.counters_since else hot.counters_since end
    from unnest(scrape."command", scrape."parent", scrape."runs_total", scrape."cpu_seconds_total", scrape.counters_since_of)
      as hot("command", "parent", "runs_total", "cpu_seconds_total", counters_since)
    union all
    select chunk.labels[0 * chunk.series + series.no + 1],
      chunk.labels[1 * chunk.series + series.no + 1],
      admiral.packed_number(chunk.planes, chunk.bases, chunk.whole, chunk.cells, chunk.place, series.no, series.no * chunk.size, chunk.unit_1, chunk.times_1, chunk.per_1, chunk.count_1, chunk.low_1, chunk.base_1, chunk.slope_1, chunk.nudge_count_1, chunk.nudge_low_1, chunk.nudge_base_1, chunk.nulls_1)::bigint,
      admiral.packed_number(chunk.planes, chunk.bases, chunk.whole, chunk.cells, chunk.place, series.no, series.no * chunk.size, chunk.unit_2, chunk.times_2, chunk.per_2, chunk.count_2, chunk.low_2, chunk.base_2, chunk.slope_2, chunk.nudge_count_2, chunk.nudge_low_2, chunk.nudge_base_2, chunk.nulls_2)::double precision,
      case when chunk.unit_0 is null then scrape.counters_since else timestamptz 'epoch' + admiral.packed_number(chunk.planes, chunk.bases, chunk.whole, chunk.cells, chunk.place, series.no, series.no * chunk.size, chunk.unit_0, chunk.times_0, chunk.per_0, chunk.count_0, chunk.low_0, chunk.base_0, chunk.slope_0, chunk.nudge_count_0, chunk.nudge_low_0, chunk.nudge_base_0, chunk.nulls_0) * interval '1 microsecond' end
    from (
      select opened.planes, opened.bases, opened.whole, opened.labels, opened.size, opened.place, opened.series, opened.cells,
        opened.units[1] as unit_0, greatest(opened.units[1], 1) as times_0, greatest(-opened.units[1], 1) as per_0, opened.layout[3] as count_0, case when opened.units[1] = 0 then opened.layout[2] * opened.cells + opened.place else (opened.layout[2] + opened.layout[3] - 1) * opened.cells + opened.place end as low_0, case when opened.layout[7] >= 0 then opened.layout[7] * opened.series + 1 end as base_0, case when opened.layout[9] >= 0 then opened.layout[9] * opened.series + 1 end as slope_0, case when opened.layout[5] >= 0 then opened.layout[5] end as nudge_count_0, (opened.layout[4] + opened.layout[5] - 1) * opened.cells + opened.place as nudge_low_0, case when opened.layout[8] >= 0 then opened.layout[8] * opened.series + 1 end as nudge_base_0, case when opened.layout[6] >= 0 then opened.layout[6] * opened.cells + opened.place end as nulls_0,
        opened.units[2] as unit_1, greatest(opened.units[2], 1) as times_1, greatest(-opened.units[2], 1) as per_1, opened.layout[11] as count_1, case when opened.units[2] = 0 then opened.layout[10] * opened.cells + opened.place else (opened.layout[10] + opened.layout[11] - 1) * opened.cells + opened.place end as low_1, case when opened.layout[15] >= 0 then opened.layout[15] * opened.series + 1 end as base_1, case when opened.layout[17] >= 0 then opened.layout[17] * opened.series + 1 end as slope_1, case when opened.layout[13] >= 0 then opened.layout[13] end as nudge_count_1, (opened.layout[12] + opened.layout[13] - 1) * opened.cells + opened.place as nudge_low_1, case when opened.layout[16] >= 0 then opened.layout[16] * opened.series + 1 end as nudge_base_1, case when opened.layout[14] >= 0 then opened.layout[14] * opened.cells + opened.place end as nulls_1,
        opened.units[3] as unit_2, greatest(opened.units[3], 1) as times_2, greatest(-opened.units[3], 1) as per_2, opened.layout[19] as count_2, case when opened.units[3] = 0 then opened.layout[18] * opened.cells + opened.place else (opened.layout[18] + opened.layout[19] - 1) * opened.cells + opened.place end as low_2, case when opened.layout[23] >= 0 then opened.layout[23] * opened.series + 1 end as base_2, case when opened.layout[25] >= 0 then opened.layout[25] * opened.series + 1 end as slope_2, case when opened.layout[21] >= 0 then opened.layout[21] end as nudge_count_2, (opened.layout[20] + opened.layout[21] - 1) * opened.cells + opened.place as nudge_low_2, case when opened.layout[24] >= 0 then opened.layout[24] * opened.series + 1 end as nudge_base_2, case when opened.layout[22] >= 0 then opened.layout[22] * opened.cells + opened.place end as nulls_2,
        case when opened.layout[1] >= 0 then opened.layout[1] * opened.cells + opened.place end as present
      from (
        select packed.planes || ''::bytea as planes, packed.bases || '{}' as bases, packed.whole || '{}' as whole,
          packed.labels || '{}' as labels, packed.units || '{}' as units, packed.layout || '{}' as layout,
          cardinality(packed.at) as size, array_position(packed.at, scrape."timestamp") - 1 as place,
          cardinality(packed.labels) / 2 as series,
          cardinality(packed.at) * cardinality(packed.labels) / 2 as cells
        from admiral.accounting_snapshots_packed as packed
        where scrape.packed_in is not null and packed.server_id = scrape.server_id and packed."timestamp" = scrape.packed_in
        offset 0
      ) as opened
      offset 0
    ) as chunk
      cross join lateral generate_series(0, chunk.series - 1) as series(no)
    where chunk.present is null or get_byte(chunk.planes, chunk.present + series.no * chunk.size) = 1
  ) as snapshot("command", "parent", "runs_total", "cpu_seconds_total", counters_since);
comment on view admiral.accounting_snapshots_rows is 'As accounting_snapshots, with the ids of servers and label values.';
create view admiral.accounting_snapshots_rows_apart as
select scrape.server_id, scrape."timestamp", hot."command", hot."parent", hot."runs_total", hot."cpu_seconds_total", scrape.created_at, case when scrape.counters_since_of is null then scrape.counters_since else hot.counters_since end as counters_since
from admiral.accounting_snapshots_scrapes as scrape
  cross join lateral unnest(scrape."command", scrape."parent", scrape."runs_total", scrape."cpu_seconds_total", scrape.counters_since_of)
    as hot("command", "parent", "runs_total", "cpu_seconds_total", counters_since)
union all
select scrape.server_id, scrape."timestamp", snapshot."command", snapshot."parent", snapshot."runs_total", snapshot."cpu_seconds_total", scrape.created_at, snapshot.counters_since as counters_since
from admiral.accounting_snapshots_scrapes as scrape
  join admiral.accounting_snapshots_packed as packed on packed.server_id = scrape.server_id and packed."timestamp" = scrape.packed_in
  cross join lateral (
    select chunk.labels[0 * chunk.series + series.no + 1],
      chunk.labels[1 * chunk.series + series.no + 1],
      admiral.packed_number(chunk.planes, chunk.bases, chunk.whole, chunk.cells, chunk.place, series.no, series.no * chunk.size, chunk.unit_1, chunk.times_1, chunk.per_1, chunk.count_1, chunk.low_1, chunk.base_1, chunk.slope_1, chunk.nudge_count_1, chunk.nudge_low_1, chunk.nudge_base_1, chunk.nulls_1)::bigint,
      admiral.packed_number(chunk.planes, chunk.bases, chunk.whole, chunk.cells, chunk.place, series.no, series.no * chunk.size, chunk.unit_2, chunk.times_2, chunk.per_2, chunk.count_2, chunk.low_2, chunk.base_2, chunk.slope_2, chunk.nudge_count_2, chunk.nudge_low_2, chunk.nudge_base_2, chunk.nulls_2)::double precision,
      case when chunk.unit_0 is null then scrape.counters_since else timestamptz 'epoch' + admiral.packed_number(chunk.planes, chunk.bases, chunk.whole, chunk.cells, chunk.place, series.no, series.no * chunk.size, chunk.unit_0, chunk.times_0, chunk.per_0, chunk.count_0, chunk.low_0, chunk.base_0, chunk.slope_0, chunk.nudge_count_0, chunk.nudge_low_0, chunk.nudge_base_0, chunk.nulls_0) * interval '1 microsecond' end
    from (
      select opened.planes, opened.bases, opened.whole, opened.labels, opened.size, opened.place, opened.series, opened.cells,
        opened.units[1] as unit_0, greatest(opened.units[1], 1) as times_0, greatest(-opened.units[1], 1) as per_0, opened.layout[3] as count_0, case when opened.units[1] = 0 then opened.layout[2] * opened.cells + opened.place else (opened.layout[2] + opened.layout[3] - 1) * opened.cells + opened.place end as low_0, case when opened.layout[7] >= 0 then opened.layout[7] * opened.series + 1 end as base_0, case when opened.layout[9] >= 0 then opened.layout[9] * opened.series + 1 end as slope_0, case when opened.layout[5] >= 0 then opened.layout[5] end as nudge_count_0, (opened.layout[4] + opened.layout[5] - 1) * opened.cells + opened.place as nudge_low_0, case when opened.layout[8] >= 0 then opened.layout[8] * opened.series + 1 end as nudge_base_0, case when opened.layout[6] >= 0 then opened.layout[6] * opened.cells + opened.place end as nulls_0,
        opened.units[2] as unit_1, greatest(opened.units[2], 1) as times_1, greatest(-opened.units[2], 1) as per_1, opened.layout[11] as count_1, case when opened.units[2] = 0 then opened.layout[10] * opened.cells + opened.place else (opened.layout[10] + opened.layout[11] - 1) * opened.cells + opened.place end as low_1, case when opened.layout[15] >= 0 then opened.layout[15] * opened.series + 1 end as base_1, case when opened.layout[17] >= 0 then opened.layout[17] * opened.series + 1 end as slope_1, case when opened.layout[13] >= 0 then opened.layout[13] end as nudge_count_1, (opened.layout[12] + opened.layout[13] - 1) * opened.cells + opened.place as nudge_low_1, case when opened.layout[16] >= 0 then opened.layout[16] * opened.series + 1 end as nudge_base_1, case when opened.layout[14] >= 0 then opened.layout[14] * opened.cells + opened.place end as nulls_1,
        opened.units[3] as unit_2, greatest(opened.units[3], 1) as times_2, greatest(-opened.units[3], 1) as per_2, opened.layout[19] as count_2, case when opened.units[3] = 0 then opened.layout[18] * opened.cells + opened.place else (opened.layout[18] + opened.layout[19] - 1) * opened.cells + opened.place end as low_2, case when opened.layout[23] >= 0 then opened.layout[23] * opened.series + 1 end as base_2, case when opened.layout[25] >= 0 then opened.layout[25] * opened.series + 1 end as slope_2, case when opened.layout[21] >= 0 then opened.layout[21] end as nudge_count_2, (opened.layout[20] + opened.layout[21] - 1) * opened.cells + opened.place as nudge_low_2, case when opened.layout[24] >= 0 then opened.layout[24] * opened.series + 1 end as nudge_base_2, case when opened.layout[22] >= 0 then opened.layout[22] * opened.cells + opened.place end as nulls_2,
        case when opened.layout[1] >= 0 then opened.layout[1] * opened.cells + opened.place end as present
      from (
        select packed.planes || ''::bytea as planes, packed.bases || '{}' as bases, packed.whole || '{}' as whole,
          packed.labels || '{}' as labels, packed.units || '{}' as units, packed.layout || '{}' as layout,
          cardinality(packed.at) as size, array_position(packed.at, scrape."timestamp") - 1 as place,
          cardinality(packed.labels) / 2 as series,
          cardinality(packed.at) * cardinality(packed.labels) / 2 as cells
        offset 0
      ) as opened
      offset 0
    ) as chunk
      cross join lateral generate_series(0, chunk.series - 1) as series(no)
    where chunk.present is null or get_byte(chunk.planes, chunk.present + series.no * chunk.size) = 1
  ) as snapshot("command", "parent", "runs_total", "cpu_seconds_total", counters_since);
comment on view admiral.accounting_snapshots_rows_apart is 'As accounting_snapshots_rows: for questions that name the server, also of a distributed PostgreSQL.';
create view admiral.accounting_snapshots as
select
  server.server_id,
  snapshot."timestamp",
  "command_value".value as "command",
  "parent_value".value as "parent",
  snapshot."runs_total",
  snapshot."cpu_seconds_total",
  snapshot.created_at,
  snapshot.counters_since
from admiral.accounting_snapshots_rows as snapshot
  left join admiral.servers as server on server.id = snapshot.server_id
  left join admiral.label_values as "command_value" on "command_value".id = snapshot."command"
  left join admiral.label_values as "parent_value" on "parent_value".id = snapshot."parent";
comment on view admiral.accounting_snapshots is 'One row per scrape and command and parent.';
comment on column admiral.accounting_snapshots."command" is 'Command name of the process, at most 15 characters.';
comment on column admiral.accounting_snapshots."parent" is 'Process group, or command, that started it.';
comment on column admiral.accounting_snapshots."runs_total" is 'Processes that ended and that no scrape of the processes saw.';
comment on column admiral.accounting_snapshots."cpu_seconds_total" is 'CPU time that they used. In seconds.';
create function admiral.accounting_snapshots_between(server text, "from" timestamptz, "to" timestamptz) returns setof admiral.accounting_snapshots
language sql stable parallel safe as $function$
select
  server.server_id,
  snapshot."timestamp",
  "command_value".value as "command",
  "parent_value".value as "parent",
  snapshot."runs_total",
  snapshot."cpu_seconds_total",
  snapshot.created_at,
  snapshot.counters_since
from admiral.accounting_snapshots_rows as snapshot
  left join admiral.servers as server on server.id = snapshot.server_id
  left join admiral.label_values as "command_value" on "command_value".id = snapshot."command"
  left join admiral.label_values as "parent_value" on "parent_value".id = snapshot."parent"
where snapshot.server_id = (select known.id from admiral.servers as known where known.server_id = $1)
  and snapshot."timestamp" >= $2 and snapshot."timestamp" <= $3
$function$;
comment on function admiral.accounting_snapshots_between(text, timestamptz, timestamptz) is 'The rows of accounting_snapshots of one server between two moments, both included: found by the key of the scrapes.';
-- process_accounting: when each series was first seen since its counters began.
create table admiral.accounting_snapshots_first_seen (
  first_at timestamptz not null,
  counters_since timestamptz not null,
  server_id integer not null,
  "command" integer not null,
  "parent" integer not null,
  primary key (server_id, "command", "parent", first_at)
);
create index accounting_snapshots_first_seen_server_at on admiral.accounting_snapshots_first_seen (server_id, first_at);
comment on table admiral.accounting_snapshots_first_seen is 'Rows before which none of their series is known since its counters began. An entry does not count where an earlier one of its series lies at or after its counters_since.';
-- process_accounting: roll-ups, a row a server and bucket, called by the bucket's end. Groups are as narrow as may be already.
create table admiral.accounting_snapshots_5m (
  bucket timestamptz not null,
  last_at timestamptz,
  covered double precision not null,
  host_busy double precision not null,
  host_seconds double precision not null,
  server_id integer not null,
  scrapes integer not null,
  host_unknown integer not null,
  groups bytea not null,
  primary key (server_id, bucket)
) partition by range (bucket);
alter table admiral.accounting_snapshots_5m alter column groups set storage external;
create table admiral.accounting_snapshots_1h (
  bucket timestamptz not null,
  last_at timestamptz,
  covered double precision not null,
  host_busy double precision not null,
  host_seconds double precision not null,
  server_id integer not null,
  scrapes integer not null,
  host_unknown integer not null,
  groups bytea not null,
  primary key (server_id, bucket)
);
alter table admiral.accounting_snapshots_1h alter column groups set storage external;
create table admiral.accounting_snapshots_1d (
  bucket timestamptz not null,
  last_at timestamptz,
  covered double precision not null,
  host_busy double precision not null,
  host_seconds double precision not null,
  server_id integer not null,
  scrapes integer not null,
  host_unknown integer not null,
  groups bytea not null,
  primary key (server_id, bucket)
);
alter table admiral.accounting_snapshots_1d alter column groups set storage external;
