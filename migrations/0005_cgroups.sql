-- cgroups: one row per scrape, an element per unit and slice in each array; one partition per UTC day.
create table admiral.cgroup_snapshots_scrapes (
  "timestamp" timestamptz not null,
  created_at timestamptz not null default now(),
  counters_since timestamptz,
  packed_in timestamptz,
  server_id integer not null,
  counters_since_of timestamptz[],
  "unit" integer[],
  "slice" integer[],
  "cpu_seconds_total" double precision[],
  "memory_bytes" bigint[],
  "memory_anon_bytes" bigint[],
  "memory_peak_bytes" bigint[],
  "memory_limit_bytes" bigint[],
  "oom_kills_total" bigint[],
  "read_bytes_total" double precision[],
  "write_bytes_total" double precision[],
  "num_procs" integer[],
  "num_threads" integer[],
  "cpu_limit_cores" double precision[],
  "cpu_periods_total" bigint[],
  "cpu_throttled_periods_total" bigint[],
  "throttled_seconds_total" double precision[],
  "cpu_pressure_seconds_total" double precision[],
  "memory_pressure_seconds_total" double precision[],
  "memory_stalled_seconds_total" double precision[],
  "io_pressure_seconds_total" double precision[],
  "io_stalled_seconds_total" double precision[],
  "members" bigint[],
  primary key (server_id, "timestamp")
) partition by range ("timestamp");
comment on table admiral.cgroup_snapshots_scrapes is 'One row per scrape. The arrays are as long as the scrape has rows: elements at one place belong together.';
comment on column admiral.cgroup_snapshots_scrapes.packed_in is 'The first moment of the chunk that holds its rows; NULL where they are here.';
comment on column admiral.cgroup_snapshots_scrapes.counters_since is 'When the counters of the scrape began; NULL where unknown, or where they differ.';
comment on column admiral.cgroup_snapshots_scrapes.counters_since_of is 'Per row, where they differ within the scrape.';
comment on column admiral.cgroup_snapshots_scrapes."unit" is 'Service, container, user or slice; of a slice, what none of its units used.';
comment on column admiral.cgroup_snapshots_scrapes."slice" is 'The slice or folder that the unit is in; empty at the top.';
comment on column admiral.cgroup_snapshots_scrapes."cpu_seconds_total" is 'CPU time used, by processes that have exited, too. In seconds.';
comment on column admiral.cgroup_snapshots_scrapes."memory_bytes" is 'Memory in use, without file cache that nothing used lately: the working set. In bytes.';
comment on column admiral.cgroup_snapshots_scrapes."memory_anon_bytes" is 'Memory that is no file''s: heaps and stacks. In bytes.';
comment on column admiral.cgroup_snapshots_scrapes."memory_peak_bytes" is 'The most memory that it ever had, file cache included. In bytes.';
comment on column admiral.cgroup_snapshots_scrapes."memory_limit_bytes" is 'The most memory that it may have. In bytes.';
comment on column admiral.cgroup_snapshots_scrapes."oom_kills_total" is 'Processes that the kernel killed for want of memory.';
comment on column admiral.cgroup_snapshots_scrapes."read_bytes_total" is 'Bytes read from devices. In bytes.';
comment on column admiral.cgroup_snapshots_scrapes."write_bytes_total" is 'Bytes written to devices. In bytes.';
comment on column admiral.cgroup_snapshots_scrapes."num_procs" is 'Processes in it.';
comment on column admiral.cgroup_snapshots_scrapes."num_threads" is 'Threads in it.';
comment on column admiral.cgroup_snapshots_scrapes."cpu_limit_cores" is 'The most CPU that its quota allows, in cores. In cores.';
comment on column admiral.cgroup_snapshots_scrapes."cpu_periods_total" is 'Periods of its CPU quota in which it ran.';
comment on column admiral.cgroup_snapshots_scrapes."cpu_throttled_periods_total" is 'Periods in which it used up its CPU quota and had to wait.';
comment on column admiral.cgroup_snapshots_scrapes."throttled_seconds_total" is 'Time for which its CPU quota made it wait. In seconds.';
comment on column admiral.cgroup_snapshots_scrapes."cpu_pressure_seconds_total" is 'Time in which some of its tasks waited for a CPU. In seconds.';
comment on column admiral.cgroup_snapshots_scrapes."memory_pressure_seconds_total" is 'Time in which some of its tasks waited for memory. In seconds.';
comment on column admiral.cgroup_snapshots_scrapes."memory_stalled_seconds_total" is 'Time in which all of its tasks waited for memory. In seconds.';
comment on column admiral.cgroup_snapshots_scrapes."io_pressure_seconds_total" is 'Time in which some of its tasks waited for a device. In seconds.';
comment on column admiral.cgroup_snapshots_scrapes."io_stalled_seconds_total" is 'Time in which all of its tasks waited for a device. In seconds.';
comment on column admiral.cgroup_snapshots_scrapes."members" is 'Hash of the cgroups that the row adds up and takes off.';
create table admiral.cgroup_snapshots_packed (
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
comment on table admiral.cgroup_snapshots_packed is 'One row per server and hour of days that are over: the rows of some scrapes, packed. Read them through the view.';
comment on column admiral.cgroup_snapshots_packed."timestamp" is 'The first of its scrapes.';
create view admiral.cgroup_snapshots_rows as
select scrape.server_id, scrape."timestamp", snapshot."unit", snapshot."slice", snapshot."cpu_seconds_total", snapshot."memory_bytes", snapshot."memory_anon_bytes", snapshot."memory_peak_bytes", snapshot."memory_limit_bytes", snapshot."oom_kills_total", snapshot."read_bytes_total", snapshot."write_bytes_total", snapshot."num_procs", snapshot."num_threads", snapshot."cpu_limit_cores", snapshot."cpu_periods_total", snapshot."cpu_throttled_periods_total", snapshot."throttled_seconds_total", snapshot."cpu_pressure_seconds_total", snapshot."memory_pressure_seconds_total", snapshot."memory_stalled_seconds_total", snapshot."io_pressure_seconds_total", snapshot."io_stalled_seconds_total", snapshot."members", scrape.created_at, snapshot.counters_since
from admiral.cgroup_snapshots_scrapes as scrape
  cross join lateral (
    select hot."unit", hot."slice", hot."cpu_seconds_total", hot."memory_bytes", hot."memory_anon_bytes", hot."memory_peak_bytes", hot."memory_limit_bytes", hot."oom_kills_total", hot."read_bytes_total", hot."write_bytes_total", hot."num_procs", hot."num_threads", hot."cpu_limit_cores", hot."cpu_periods_total", hot."cpu_throttled_periods_total", hot."throttled_seconds_total", hot."cpu_pressure_seconds_total", hot."memory_pressure_seconds_total", hot."memory_stalled_seconds_total", hot."io_pressure_seconds_total", hot."io_stalled_seconds_total", hot."members",
      case when scrape.counters_since_of is null then scrape.counters_since else hot.counters_since end
    from unnest(scrape."unit", scrape."slice", scrape."cpu_seconds_total", scrape."memory_bytes", scrape."memory_anon_bytes", scrape."memory_peak_bytes", scrape."memory_limit_bytes", scrape."oom_kills_total", scrape."read_bytes_total", scrape."write_bytes_total", scrape."num_procs", scrape."num_threads", scrape."cpu_limit_cores", scrape."cpu_periods_total", scrape."cpu_throttled_periods_total", scrape."throttled_seconds_total", scrape."cpu_pressure_seconds_total", scrape."memory_pressure_seconds_total", scrape."memory_stalled_seconds_total", scrape."io_pressure_seconds_total", scrape."io_stalled_seconds_total", scrape."members", scrape.counters_since_of)
      as hot("unit", "slice", "cpu_seconds_total", "memory_bytes", "memory_anon_bytes", "memory_peak_bytes", "memory_limit_bytes", "oom_kills_total", "read_bytes_total", "write_bytes_total", "num_procs", "num_threads", "cpu_limit_cores", "cpu_periods_total", "cpu_throttled_periods_total", "throttled_seconds_total", "cpu_pressure_seconds_total", "memory_pressure_seconds_total", "memory_stalled_seconds_total", "io_pressure_seconds_total", "io_stalled_seconds_total", "members", counters_since)
    union all
    select chunk.labels[0 * chunk.series + series.no + 1],
      chunk.labels[1 * chunk.series + series.no + 1],
      admiral.packed_number(chunk.planes, chunk.bases, chunk.whole, chunk.cells, chunk.place, series.no, series.no * chunk.size, chunk.unit_1, chunk.times_1, chunk.per_1, chunk.count_1, chunk.low_1, chunk.base_1, chunk.slope_1, chunk.nudge_count_1, chunk.nudge_low_1, chunk.nudge_base_1, chunk.nulls_1)::double precision,
      admiral.packed_number(chunk.planes, chunk.bases, chunk.whole, chunk.cells, chunk.place, series.no, series.no * chunk.size, chunk.unit_2, chunk.times_2, chunk.per_2, chunk.count_2, chunk.low_2, chunk.base_2, chunk.slope_2, chunk.nudge_count_2, chunk.nudge_low_2, chunk.nudge_base_2, chunk.nulls_2)::bigint,
      admiral.packed_number(chunk.planes, chunk.bases, chunk.whole, chunk.cells, chunk.place, series.no, series.no * chunk.size, chunk.unit_3, chunk.times_3, chunk.per_3, chunk.count_3, chunk.low_3, chunk.base_3, chunk.slope_3, chunk.nudge_count_3, chunk.nudge_low_3, chunk.nudge_base_3, chunk.nulls_3)::bigint,
      admiral.packed_number(chunk.planes, chunk.bases, chunk.whole, chunk.cells, chunk.place, series.no, series.no * chunk.size, chunk.unit_4, chunk.times_4, chunk.per_4, chunk.count_4, chunk.low_4, chunk.base_4, chunk.slope_4, chunk.nudge_count_4, chunk.nudge_low_4, chunk.nudge_base_4, chunk.nulls_4)::bigint,
      admiral.packed_number(chunk.planes, chunk.bases, chunk.whole, chunk.cells, chunk.place, series.no, series.no * chunk.size, chunk.unit_5, chunk.times_5, chunk.per_5, chunk.count_5, chunk.low_5, chunk.base_5, chunk.slope_5, chunk.nudge_count_5, chunk.nudge_low_5, chunk.nudge_base_5, chunk.nulls_5)::bigint,
      admiral.packed_number(chunk.planes, chunk.bases, chunk.whole, chunk.cells, chunk.place, series.no, series.no * chunk.size, chunk.unit_6, chunk.times_6, chunk.per_6, chunk.count_6, chunk.low_6, chunk.base_6, chunk.slope_6, chunk.nudge_count_6, chunk.nudge_low_6, chunk.nudge_base_6, chunk.nulls_6)::bigint,
      admiral.packed_number(chunk.planes, chunk.bases, chunk.whole, chunk.cells, chunk.place, series.no, series.no * chunk.size, chunk.unit_7, chunk.times_7, chunk.per_7, chunk.count_7, chunk.low_7, chunk.base_7, chunk.slope_7, chunk.nudge_count_7, chunk.nudge_low_7, chunk.nudge_base_7, chunk.nulls_7)::double precision,
      admiral.packed_number(chunk.planes, chunk.bases, chunk.whole, chunk.cells, chunk.place, series.no, series.no * chunk.size, chunk.unit_8, chunk.times_8, chunk.per_8, chunk.count_8, chunk.low_8, chunk.base_8, chunk.slope_8, chunk.nudge_count_8, chunk.nudge_low_8, chunk.nudge_base_8, chunk.nulls_8)::double precision,
      admiral.packed_number(chunk.planes, chunk.bases, chunk.whole, chunk.cells, chunk.place, series.no, series.no * chunk.size, chunk.unit_9, chunk.times_9, chunk.per_9, chunk.count_9, chunk.low_9, chunk.base_9, chunk.slope_9, chunk.nudge_count_9, chunk.nudge_low_9, chunk.nudge_base_9, chunk.nulls_9)::integer,
      admiral.packed_number(chunk.planes, chunk.bases, chunk.whole, chunk.cells, chunk.place, series.no, series.no * chunk.size, chunk.unit_10, chunk.times_10, chunk.per_10, chunk.count_10, chunk.low_10, chunk.base_10, chunk.slope_10, chunk.nudge_count_10, chunk.nudge_low_10, chunk.nudge_base_10, chunk.nulls_10)::integer,
      admiral.packed_number(chunk.planes, chunk.bases, chunk.whole, chunk.cells, chunk.place, series.no, series.no * chunk.size, chunk.unit_11, chunk.times_11, chunk.per_11, chunk.count_11, chunk.low_11, chunk.base_11, chunk.slope_11, chunk.nudge_count_11, chunk.nudge_low_11, chunk.nudge_base_11, chunk.nulls_11)::double precision,
      admiral.packed_number(chunk.planes, chunk.bases, chunk.whole, chunk.cells, chunk.place, series.no, series.no * chunk.size, chunk.unit_12, chunk.times_12, chunk.per_12, chunk.count_12, chunk.low_12, chunk.base_12, chunk.slope_12, chunk.nudge_count_12, chunk.nudge_low_12, chunk.nudge_base_12, chunk.nulls_12)::bigint,
      admiral.packed_number(chunk.planes, chunk.bases, chunk.whole, chunk.cells, chunk.place, series.no, series.no * chunk.size, chunk.unit_13, chunk.times_13, chunk.per_13, chunk.count_13, chunk.low_13, chunk.base_13, chunk.slope_13, chunk.nudge_count_13, chunk.nudge_low_13, chunk.nudge_base_13, chunk.nulls_13)::bigint,
      admiral.packed_number(chunk.planes, chunk.bases, chunk.whole, chunk.cells, chunk.place, series.no, series.no * chunk.size, chunk.unit_14, chunk.times_14, chunk.per_14, chunk.count_14, chunk.low_14, chunk.base_14, chunk.slope_14, chunk.nudge_count_14, chunk.nudge_low_14, chunk.nudge_base_14, chunk.nulls_14)::double precision,
      admiral.packed_number(chunk.planes, chunk.bases, chunk.whole, chunk.cells, chunk.place, series.no, series.no * chunk.size, chunk.unit_15, chunk.times_15, chunk.per_15, chunk.count_15, chunk.low_15, chunk.base_15, chunk.slope_15, chunk.nudge_count_15, chunk.nudge_low_15, chunk.nudge_base_15, chunk.nulls_15)::double precision,
      admiral.packed_number(chunk.planes, chunk.bases, chunk.whole, chunk.cells, chunk.place, series.no, series.no * chunk.size, chunk.unit_16, chunk.times_16, chunk.per_16, chunk.count_16, chunk.low_16, chunk.base_16, chunk.slope_16, chunk.nudge_count_16, chunk.nudge_low_16, chunk.nudge_base_16, chunk.nulls_16)::double precision,
      admiral.packed_number(chunk.planes, chunk.bases, chunk.whole, chunk.cells, chunk.place, series.no, series.no * chunk.size, chunk.unit_17, chunk.times_17, chunk.per_17, chunk.count_17, chunk.low_17, chunk.base_17, chunk.slope_17, chunk.nudge_count_17, chunk.nudge_low_17, chunk.nudge_base_17, chunk.nulls_17)::double precision,
      admiral.packed_number(chunk.planes, chunk.bases, chunk.whole, chunk.cells, chunk.place, series.no, series.no * chunk.size, chunk.unit_18, chunk.times_18, chunk.per_18, chunk.count_18, chunk.low_18, chunk.base_18, chunk.slope_18, chunk.nudge_count_18, chunk.nudge_low_18, chunk.nudge_base_18, chunk.nulls_18)::double precision,
      admiral.packed_number(chunk.planes, chunk.bases, chunk.whole, chunk.cells, chunk.place, series.no, series.no * chunk.size, chunk.unit_19, chunk.times_19, chunk.per_19, chunk.count_19, chunk.low_19, chunk.base_19, chunk.slope_19, chunk.nudge_count_19, chunk.nudge_low_19, chunk.nudge_base_19, chunk.nulls_19)::double precision,
      admiral.packed_number(chunk.planes, chunk.bases, chunk.whole, chunk.cells, chunk.place, series.no, series.no * chunk.size, chunk.unit_20, chunk.times_20, chunk.per_20, chunk.count_20, chunk.low_20, chunk.base_20, chunk.slope_20, chunk.nudge_count_20, chunk.nudge_low_20, chunk.nudge_base_20, chunk.nulls_20)::bigint,
      case when chunk.unit_0 is null then scrape.counters_since else timestamptz 'epoch' + admiral.packed_number(chunk.planes, chunk.bases, chunk.whole, chunk.cells, chunk.place, series.no, series.no * chunk.size, chunk.unit_0, chunk.times_0, chunk.per_0, chunk.count_0, chunk.low_0, chunk.base_0, chunk.slope_0, chunk.nudge_count_0, chunk.nudge_low_0, chunk.nudge_base_0, chunk.nulls_0) * interval '1 microsecond' end
    from (
      select opened.planes, opened.bases, opened.whole, opened.labels, opened.size, opened.place, opened.series, opened.cells,
        opened.units[1] as unit_0, greatest(opened.units[1], 1) as times_0, greatest(-opened.units[1], 1) as per_0, opened.layout[3] as count_0, case when opened.units[1] = 0 then opened.layout[2] * opened.cells + opened.place else (opened.layout[2] + opened.layout[3] - 1) * opened.cells + opened.place end as low_0, case when opened.layout[7] >= 0 then opened.layout[7] * opened.series + 1 end as base_0, case when opened.layout[9] >= 0 then opened.layout[9] * opened.series + 1 end as slope_0, case when opened.layout[5] >= 0 then opened.layout[5] end as nudge_count_0, (opened.layout[4] + opened.layout[5] - 1) * opened.cells + opened.place as nudge_low_0, case when opened.layout[8] >= 0 then opened.layout[8] * opened.series + 1 end as nudge_base_0, case when opened.layout[6] >= 0 then opened.layout[6] * opened.cells + opened.place end as nulls_0,
        opened.units[2] as unit_1, greatest(opened.units[2], 1) as times_1, greatest(-opened.units[2], 1) as per_1, opened.layout[11] as count_1, case when opened.units[2] = 0 then opened.layout[10] * opened.cells + opened.place else (opened.layout[10] + opened.layout[11] - 1) * opened.cells + opened.place end as low_1, case when opened.layout[15] >= 0 then opened.layout[15] * opened.series + 1 end as base_1, case when opened.layout[17] >= 0 then opened.layout[17] * opened.series + 1 end as slope_1, case when opened.layout[13] >= 0 then opened.layout[13] end as nudge_count_1, (opened.layout[12] + opened.layout[13] - 1) * opened.cells + opened.place as nudge_low_1, case when opened.layout[16] >= 0 then opened.layout[16] * opened.series + 1 end as nudge_base_1, case when opened.layout[14] >= 0 then opened.layout[14] * opened.cells + opened.place end as nulls_1,
        opened.units[3] as unit_2, greatest(opened.units[3], 1) as times_2, greatest(-opened.units[3], 1) as per_2, opened.layout[19] as count_2, case when opened.units[3] = 0 then opened.layout[18] * opened.cells + opened.place else (opened.layout[18] + opened.layout[19] - 1) * opened.cells + opened.place end as low_2, case when opened.layout[23] >= 0 then opened.layout[23] * opened.series + 1 end as base_2, case when opened.layout[25] >= 0 then opened.layout[25] * opened.series + 1 end as slope_2, case when opened.layout[21] >= 0 then opened.layout[21] end as nudge_count_2, (opened.layout[20] + opened.layout[21] - 1) * opened.cells + opened.place as nudge_low_2, case when opened.layout[24] >= 0 then opened.layout[24] * opened.series + 1 end as nudge_base_2, case when opened.layout[22] >= 0 then opened.layout[22] * opened.cells + opened.place end as nulls_2,
        opened.units[4] as unit_3, greatest(opened.units[4], 1) as times_3, greatest(-opened.units[4], 1) as per_3, opened.layout[27] as count_3, case when opened.units[4] = 0 then opened.layout[26] * opened.cells + opened.place else (opened.layout[26] + opened.layout[27] - 1) * opened.cells + opened.place end as low_3, case when opened.layout[31] >= 0 then opened.layout[31] * opened.series + 1 end as base_3, case when opened.layout[33] >= 0 then opened.layout[33] * opened.series + 1 end as slope_3, case when opened.layout[29] >= 0 then opened.layout[29] end as nudge_count_3, (opened.layout[28] + opened.layout[29] - 1) * opened.cells + opened.place as nudge_low_3, case when opened.layout[32] >= 0 then opened.layout[32] * opened.series + 1 end as nudge_base_3, case when opened.layout[30] >= 0 then opened.layout[30] * opened.cells + opened.place end as nulls_3,
        opened.units[5] as unit_4, greatest(opened.units[5], 1) as times_4, greatest(-opened.units[5], 1) as per_4, opened.layout[35] as count_4, case when opened.units[5] = 0 then opened.layout[34] * opened.cells + opened.place else (opened.layout[34] + opened.layout[35] - 1) * opened.cells + opened.place end as low_4, case when opened.layout[39] >= 0 then opened.layout[39] * opened.series + 1 end as base_4, case when opened.layout[41] >= 0 then opened.layout[41] * opened.series + 1 end as slope_4, case when opened.layout[37] >= 0 then opened.layout[37] end as nudge_count_4, (opened.layout[36] + opened.layout[37] - 1) * opened.cells + opened.place as nudge_low_4, case when opened.layout[40] >= 0 then opened.layout[40] * opened.series + 1 end as nudge_base_4, case when opened.layout[38] >= 0 then opened.layout[38] * opened.cells + opened.place end as nulls_4,
        opened.units[6] as unit_5, greatest(opened.units[6], 1) as times_5, greatest(-opened.units[6], 1) as per_5, opened.layout[43] as count_5, case when opened.units[6] = 0 then opened.layout[42] * opened.cells + opened.place else (opened.layout[42] + opened.layout[43] - 1) * opened.cells + opened.place end as low_5, case when opened.layout[47] >= 0 then opened.layout[47] * opened.series + 1 end as base_5, case when opened.layout[49] >= 0 then opened.layout[49] * opened.series + 1 end as slope_5, case when opened.layout[45] >= 0 then opened.layout[45] end as nudge_count_5, (opened.layout[44] + opened.layout[45] - 1) * opened.cells + opened.place as nudge_low_5, case when opened.layout[48] >= 0 then opened.layout[48] * opened.series + 1 end as nudge_base_5, case when opened.layout[46] >= 0 then opened.layout[46] * opened.cells + opened.place end as nulls_5,
        opened.units[7] as unit_6, greatest(opened.units[7], 1) as times_6, greatest(-opened.units[7], 1) as per_6, opened.layout[51] as count_6, case when opened.units[7] = 0 then opened.layout[50] * opened.cells + opened.place else (opened.layout[50] + opened.layout[51] - 1) * opened.cells + opened.place end as low_6, case when opened.layout[55] >= 0 then opened.layout[55] * opened.series + 1 end as base_6, case when opened.layout[57] >= 0 then opened.layout[57] * opened.series + 1 end as slope_6, case when opened.layout[53] >= 0 then opened.layout[53] end as nudge_count_6, (opened.layout[52] + opened.layout[53] - 1) * opened.cells + opened.place as nudge_low_6, case when opened.layout[56] >= 0 then opened.layout[56] * opened.series + 1 end as nudge_base_6, case when opened.layout[54] >= 0 then opened.layout[54] * opened.cells + opened.place end as nulls_6,
        opened.units[8] as unit_7, greatest(opened.units[8], 1) as times_7, greatest(-opened.units[8], 1) as per_7, opened.layout[59] as count_7, case when opened.units[8] = 0 then opened.layout[58] * opened.cells + opened.place else (opened.layout[58] + opened.layout[59] - 1) * opened.cells + opened.place end as low_7, case when opened.layout[63] >= 0 then opened.layout[63] * opened.series + 1 end as base_7, case when opened.layout[65] >= 0 then opened.layout[65] * opened.series + 1 end as slope_7, case when opened.layout[61] >= 0 then opened.layout[61] end as nudge_count_7, (opened.layout[60] + opened.layout[61] - 1) * opened.cells + opened.place as nudge_low_7, case when opened.layout[64] >= 0 then opened.layout[64] * opened.series + 1 end as nudge_base_7, case when opened.layout[62] >= 0 then opened.layout[62] * opened.cells + opened.place end as nulls_7,
        opened.units[9] as unit_8, greatest(opened.units[9], 1) as times_8, greatest(-opened.units[9], 1) as per_8, opened.layout[67] as count_8, case when opened.units[9] = 0 then opened.layout[66] * opened.cells + opened.place else (opened.layout[66] + opened.layout[67] - 1) * opened.cells + opened.place end as low_8, case when opened.layout[71] >= 0 then opened.layout[71] * opened.series + 1 end as base_8, case when opened.layout[73] >= 0 then opened.layout[73] * opened.series + 1 end as slope_8, case when opened.layout[69] >= 0 then opened.layout[69] end as nudge_count_8, (opened.layout[68] + opened.layout[69] - 1) * opened.cells + opened.place as nudge_low_8, case when opened.layout[72] >= 0 then opened.layout[72] * opened.series + 1 end as nudge_base_8, case when opened.layout[70] >= 0 then opened.layout[70] * opened.cells + opened.place end as nulls_8,
        opened.units[10] as unit_9, greatest(opened.units[10], 1) as times_9, greatest(-opened.units[10], 1) as per_9, opened.layout[75] as count_9, case when opened.units[10] = 0 then opened.layout[74] * opened.cells + opened.place else (opened.layout[74] + opened.layout[75] - 1) * opened.cells + opened.place end as low_9, case when opened.layout[79] >= 0 then opened.layout[79] * opened.series + 1 end as base_9, case when opened.layout[81] >= 0 then opened.layout[81] * opened.series + 1 end as slope_9, case when opened.layout[77] >= 0 then opened.layout[77] end as nudge_count_9, (opened.layout[76] + opened.layout[77] - 1) * opened.cells + opened.place as nudge_low_9, case when opened.layout[80] >= 0 then opened.layout[80] * opened.series + 1 end as nudge_base_9, case when opened.layout[78] >= 0 then opened.layout[78] * opened.cells + opened.place end as nulls_9,
        opened.units[11] as unit_10, greatest(opened.units[11], 1) as times_10, greatest(-opened.units[11], 1) as per_10, opened.layout[83] as count_10, case when opened.units[11] = 0 then opened.layout[82] * opened.cells + opened.place else (opened.layout[82] + opened.layout[83] - 1) * opened.cells + opened.place end as low_10, case when opened.layout[87] >= 0 then opened.layout[87] * opened.series + 1 end as base_10, case when opened.layout[89] >= 0 then opened.layout[89] * opened.series + 1 end as slope_10, case when opened.layout[85] >= 0 then opened.layout[85] end as nudge_count_10, (opened.layout[84] + opened.layout[85] - 1) * opened.cells + opened.place as nudge_low_10, case when opened.layout[88] >= 0 then opened.layout[88] * opened.series + 1 end as nudge_base_10, case when opened.layout[86] >= 0 then opened.layout[86] * opened.cells + opened.place end as nulls_10,
        opened.units[12] as unit_11, greatest(opened.units[12], 1) as times_11, greatest(-opened.units[12], 1) as per_11, opened.layout[91] as count_11, case when opened.units[12] = 0 then opened.layout[90] * opened.cells + opened.place else (opened.layout[90] + opened.layout[91] - 1) * opened.cells + opened.place end as low_11, case when opened.layout[95] >= 0 then opened.layout[95] * opened.series + 1 end as base_11, case when opened.layout[97] >= 0 then opened.layout[97] * opened.series + 1 end as slope_11, case when opened.layout[93] >= 0 then opened.layout[93] end as nudge_count_11, (opened.layout[92] + opened.layout[93] - 1) * opened.cells + opened.place as nudge_low_11, case when opened.layout[96] >= 0 then opened.layout[96] * opened.series + 1 end as nudge_base_11, case when opened.layout[94] >= 0 then opened.layout[94] * opened.cells + opened.place end as nulls_11,
        opened.units[13] as unit_12, greatest(opened.units[13], 1) as times_12, greatest(-opened.units[13], 1) as per_12, opened.layout[99] as count_12, case when opened.units[13] = 0 then opened.layout[98] * opened.cells + opened.place else (opened.layout[98] + opened.layout[99] - 1) * opened.cells + opened.place end as low_12, case when opened.layout[103] >= 0 then opened.layout[103] * opened.series + 1 end as base_12, case when opened.layout[105] >= 0 then opened.layout[105] * opened.series + 1 end as slope_12, case when opened.layout[101] >= 0 then opened.layout[101] end as nudge_count_12, (opened.layout[100] + opened.layout[101] - 1) * opened.cells + opened.place as nudge_low_12, case when opened.layout[104] >= 0 then opened.layout[104] * opened.series + 1 end as nudge_base_12, case when opened.layout[102] >= 0 then opened.layout[102] * opened.cells + opened.place end as nulls_12,
        opened.units[14] as unit_13, greatest(opened.units[14], 1) as times_13, greatest(-opened.units[14], 1) as per_13, opened.layout[107] as count_13, case when opened.units[14] = 0 then opened.layout[106] * opened.cells + opened.place else (opened.layout[106] + opened.layout[107] - 1) * opened.cells + opened.place end as low_13, case when opened.layout[111] >= 0 then opened.layout[111] * opened.series + 1 end as base_13, case when opened.layout[113] >= 0 then opened.layout[113] * opened.series + 1 end as slope_13, case when opened.layout[109] >= 0 then opened.layout[109] end as nudge_count_13, (opened.layout[108] + opened.layout[109] - 1) * opened.cells + opened.place as nudge_low_13, case when opened.layout[112] >= 0 then opened.layout[112] * opened.series + 1 end as nudge_base_13, case when opened.layout[110] >= 0 then opened.layout[110] * opened.cells + opened.place end as nulls_13,
        opened.units[15] as unit_14, greatest(opened.units[15], 1) as times_14, greatest(-opened.units[15], 1) as per_14, opened.layout[115] as count_14, case when opened.units[15] = 0 then opened.layout[114] * opened.cells + opened.place else (opened.layout[114] + opened.layout[115] - 1) * opened.cells + opened.place end as low_14, case when opened.layout[119] >= 0 then opened.layout[119] * opened.series + 1 end as base_14, case when opened.layout[121] >= 0 then opened.layout[121] * opened.series + 1 end as slope_14, case when opened.layout[117] >= 0 then opened.layout[117] end as nudge_count_14, (opened.layout[116] + opened.layout[117] - 1) * opened.cells + opened.place as nudge_low_14, case when opened.layout[120] >= 0 then opened.layout[120] * opened.series + 1 end as nudge_base_14, case when opened.layout[118] >= 0 then opened.layout[118] * opened.cells + opened.place end as nulls_14,
        opened.units[16] as unit_15, greatest(opened.units[16], 1) as times_15, greatest(-opened.units[16], 1) as per_15, opened.layout[123] as count_15, case when opened.units[16] = 0 then opened.layout[122] * opened.cells + opened.place else (opened.layout[122] + opened.layout[123] - 1) * opened.cells + opened.place end as low_15, case when opened.layout[127] >= 0 then opened.layout[127] * opened.series + 1 end as base_15, case when opened.layout[129] >= 0 then opened.layout[129] * opened.series + 1 end as slope_15, case when opened.layout[125] >= 0 then opened.layout[125] end as nudge_count_15, (opened.layout[124] + opened.layout[125] - 1) * opened.cells + opened.place as nudge_low_15, case when opened.layout[128] >= 0 then opened.layout[128] * opened.series + 1 end as nudge_base_15, case when opened.layout[126] >= 0 then opened.layout[126] * opened.cells + opened.place end as nulls_15,
        opened.units[17] as unit_16, greatest(opened.units[17], 1) as times_16, greatest(-opened.units[17], 1) as per_16, opened.layout[131] as count_16, case when opened.units[17] = 0 then opened.layout[130] * opened.cells + opened.place else (opened.layout[130] + opened.layout[131] - 1) * opened.cells + opened.place end as low_16, case when opened.layout[135] >= 0 then opened.layout[135] * opened.series + 1 end as base_16, case when opened.layout[137] >= 0 then opened.layout[137] * opened.series + 1 end as slope_16, case when opened.layout[133] >= 0 then opened.layout[133] end as nudge_count_16, (opened.layout[132] + opened.layout[133] - 1) * opened.cells + opened.place as nudge_low_16, case when opened.layout[136] >= 0 then opened.layout[136] * opened.series + 1 end as nudge_base_16, case when opened.layout[134] >= 0 then opened.layout[134] * opened.cells + opened.place end as nulls_16,
        opened.units[18] as unit_17, greatest(opened.units[18], 1) as times_17, greatest(-opened.units[18], 1) as per_17, opened.layout[139] as count_17, case when opened.units[18] = 0 then opened.layout[138] * opened.cells + opened.place else (opened.layout[138] + opened.layout[139] - 1) * opened.cells + opened.place end as low_17, case when opened.layout[143] >= 0 then opened.layout[143] * opened.series + 1 end as base_17, case when opened.layout[145] >= 0 then opened.layout[145] * opened.series + 1 end as slope_17, case when opened.layout[141] >= 0 then opened.layout[141] end as nudge_count_17, (opened.layout[140] + opened.layout[141] - 1) * opened.cells + opened.place as nudge_low_17, case when opened.layout[144] >= 0 then opened.layout[144] * opened.series + 1 end as nudge_base_17, case when opened.layout[142] >= 0 then opened.layout[142] * opened.cells + opened.place end as nulls_17,
        opened.units[19] as unit_18, greatest(opened.units[19], 1) as times_18, greatest(-opened.units[19], 1) as per_18, opened.layout[147] as count_18, case when opened.units[19] = 0 then opened.layout[146] * opened.cells + opened.place else (opened.layout[146] + opened.layout[147] - 1) * opened.cells + opened.place end as low_18, case when opened.layout[151] >= 0 then opened.layout[151] * opened.series + 1 end as base_18, case when opened.layout[153] >= 0 then opened.layout[153] * opened.series + 1 end as slope_18, case when opened.layout[149] >= 0 then opened.layout[149] end as nudge_count_18, (opened.layout[148] + opened.layout[149] - 1) * opened.cells + opened.place as nudge_low_18, case when opened.layout[152] >= 0 then opened.layout[152] * opened.series + 1 end as nudge_base_18, case when opened.layout[150] >= 0 then opened.layout[150] * opened.cells + opened.place end as nulls_18,
        opened.units[20] as unit_19, greatest(opened.units[20], 1) as times_19, greatest(-opened.units[20], 1) as per_19, opened.layout[155] as count_19, case when opened.units[20] = 0 then opened.layout[154] * opened.cells + opened.place else (opened.layout[154] + opened.layout[155] - 1) * opened.cells + opened.place end as low_19, case when opened.layout[159] >= 0 then opened.layout[159] * opened.series + 1 end as base_19, case when opened.layout[161] >= 0 then opened.layout[161] * opened.series + 1 end as slope_19, case when opened.layout[157] >= 0 then opened.layout[157] end as nudge_count_19, (opened.layout[156] + opened.layout[157] - 1) * opened.cells + opened.place as nudge_low_19, case when opened.layout[160] >= 0 then opened.layout[160] * opened.series + 1 end as nudge_base_19, case when opened.layout[158] >= 0 then opened.layout[158] * opened.cells + opened.place end as nulls_19,
        opened.units[21] as unit_20, greatest(opened.units[21], 1) as times_20, greatest(-opened.units[21], 1) as per_20, opened.layout[163] as count_20, case when opened.units[21] = 0 then opened.layout[162] * opened.cells + opened.place else (opened.layout[162] + opened.layout[163] - 1) * opened.cells + opened.place end as low_20, case when opened.layout[167] >= 0 then opened.layout[167] * opened.series + 1 end as base_20, case when opened.layout[169] >= 0 then opened.layout[169] * opened.series + 1 end as slope_20, case when opened.layout[165] >= 0 then opened.layout[165] end as nudge_count_20, (opened.layout[164] + opened.layout[165] - 1) * opened.cells + opened.place as nudge_low_20, case when opened.layout[168] >= 0 then opened.layout[168] * opened.series + 1 end as nudge_base_20, case when opened.layout[166] >= 0 then opened.layout[166] * opened.cells + opened.place end as nulls_20,
        case when opened.layout[1] >= 0 then opened.layout[1] * opened.cells + opened.place end as present
      from (
        select packed.planes || ''::bytea as planes, packed.bases || '{}' as bases, packed.whole || '{}' as whole,
          packed.labels || '{}' as labels, packed.units || '{}' as units, packed.layout || '{}' as layout,
          cardinality(packed.at) as size, array_position(packed.at, scrape."timestamp") - 1 as place,
          cardinality(packed.labels) / 2 as series,
          cardinality(packed.at) * cardinality(packed.labels) / 2 as cells
        from admiral.cgroup_snapshots_packed as packed
        where scrape.packed_in is not null and packed.server_id = scrape.server_id and packed."timestamp" = scrape.packed_in
        offset 0
      ) as opened
      offset 0
    ) as chunk
      cross join lateral generate_series(0, chunk.series - 1) as series(no)
    where chunk.present is null or get_byte(chunk.planes, chunk.present + series.no * chunk.size) = 1
  ) as snapshot("unit", "slice", "cpu_seconds_total", "memory_bytes", "memory_anon_bytes", "memory_peak_bytes", "memory_limit_bytes", "oom_kills_total", "read_bytes_total", "write_bytes_total", "num_procs", "num_threads", "cpu_limit_cores", "cpu_periods_total", "cpu_throttled_periods_total", "throttled_seconds_total", "cpu_pressure_seconds_total", "memory_pressure_seconds_total", "memory_stalled_seconds_total", "io_pressure_seconds_total", "io_stalled_seconds_total", "members", counters_since);
comment on view admiral.cgroup_snapshots_rows is 'As cgroup_snapshots, with the ids of servers and label values.';
create view admiral.cgroup_snapshots as
select
  server.server_id,
  snapshot."timestamp",
  "unit_value".value as "unit",
  "slice_value".value as "slice",
  snapshot."cpu_seconds_total",
  snapshot."memory_bytes",
  snapshot."memory_anon_bytes",
  snapshot."memory_peak_bytes",
  snapshot."memory_limit_bytes",
  snapshot."oom_kills_total",
  snapshot."read_bytes_total",
  snapshot."write_bytes_total",
  snapshot."num_procs",
  snapshot."num_threads",
  snapshot."cpu_limit_cores",
  snapshot."cpu_periods_total",
  snapshot."cpu_throttled_periods_total",
  snapshot."throttled_seconds_total",
  snapshot."cpu_pressure_seconds_total",
  snapshot."memory_pressure_seconds_total",
  snapshot."memory_stalled_seconds_total",
  snapshot."io_pressure_seconds_total",
  snapshot."io_stalled_seconds_total",
  snapshot."members",
  snapshot.created_at,
  snapshot.counters_since
from admiral.cgroup_snapshots_rows as snapshot
  left join admiral.servers as server on server.id = snapshot.server_id
  left join admiral.label_values as "unit_value" on "unit_value".id = snapshot."unit"
  left join admiral.label_values as "slice_value" on "slice_value".id = snapshot."slice";
comment on view admiral.cgroup_snapshots is 'One row per scrape and unit and slice.';
comment on column admiral.cgroup_snapshots."unit" is 'Service, container, user or slice; of a slice, what none of its units used.';
comment on column admiral.cgroup_snapshots."slice" is 'The slice or folder that the unit is in; empty at the top.';
comment on column admiral.cgroup_snapshots."cpu_seconds_total" is 'CPU time used, by processes that have exited, too. In seconds.';
comment on column admiral.cgroup_snapshots."memory_bytes" is 'Memory in use, without file cache that nothing used lately: the working set. In bytes.';
comment on column admiral.cgroup_snapshots."memory_anon_bytes" is 'Memory that is no file''s: heaps and stacks. In bytes.';
comment on column admiral.cgroup_snapshots."memory_peak_bytes" is 'The most memory that it ever had, file cache included. In bytes.';
comment on column admiral.cgroup_snapshots."memory_limit_bytes" is 'The most memory that it may have. In bytes.';
comment on column admiral.cgroup_snapshots."oom_kills_total" is 'Processes that the kernel killed for want of memory.';
comment on column admiral.cgroup_snapshots."read_bytes_total" is 'Bytes read from devices. In bytes.';
comment on column admiral.cgroup_snapshots."write_bytes_total" is 'Bytes written to devices. In bytes.';
comment on column admiral.cgroup_snapshots."num_procs" is 'Processes in it.';
comment on column admiral.cgroup_snapshots."num_threads" is 'Threads in it.';
comment on column admiral.cgroup_snapshots."cpu_limit_cores" is 'The most CPU that its quota allows, in cores. In cores.';
comment on column admiral.cgroup_snapshots."cpu_periods_total" is 'Periods of its CPU quota in which it ran.';
comment on column admiral.cgroup_snapshots."cpu_throttled_periods_total" is 'Periods in which it used up its CPU quota and had to wait.';
comment on column admiral.cgroup_snapshots."throttled_seconds_total" is 'Time for which its CPU quota made it wait. In seconds.';
comment on column admiral.cgroup_snapshots."cpu_pressure_seconds_total" is 'Time in which some of its tasks waited for a CPU. In seconds.';
comment on column admiral.cgroup_snapshots."memory_pressure_seconds_total" is 'Time in which some of its tasks waited for memory. In seconds.';
comment on column admiral.cgroup_snapshots."memory_stalled_seconds_total" is 'Time in which all of its tasks waited for memory. In seconds.';
comment on column admiral.cgroup_snapshots."io_pressure_seconds_total" is 'Time in which some of its tasks waited for a device. In seconds.';
comment on column admiral.cgroup_snapshots."io_stalled_seconds_total" is 'Time in which all of its tasks waited for a device. In seconds.';
comment on column admiral.cgroup_snapshots."members" is 'Hash of the cgroups that the row adds up and takes off.';
create function admiral.cgroup_snapshots_between(server text, "from" timestamptz, "to" timestamptz) returns setof admiral.cgroup_snapshots
language sql stable parallel safe as $function$
select
  server.server_id,
  snapshot."timestamp",
  "unit_value".value as "unit",
  "slice_value".value as "slice",
  snapshot."cpu_seconds_total",
  snapshot."memory_bytes",
  snapshot."memory_anon_bytes",
  snapshot."memory_peak_bytes",
  snapshot."memory_limit_bytes",
  snapshot."oom_kills_total",
  snapshot."read_bytes_total",
  snapshot."write_bytes_total",
  snapshot."num_procs",
  snapshot."num_threads",
  snapshot."cpu_limit_cores",
  snapshot."cpu_periods_total",
  snapshot."cpu_throttled_periods_total",
  snapshot."throttled_seconds_total",
  snapshot."cpu_pressure_seconds_total",
  snapshot."memory_pressure_seconds_total",
  snapshot."memory_stalled_seconds_total",
  snapshot."io_pressure_seconds_total",
  snapshot."io_stalled_seconds_total",
  snapshot."members",
  snapshot.created_at,
  snapshot.counters_since
from admiral.cgroup_snapshots_rows as snapshot
  left join admiral.servers as server on server.id = snapshot.server_id
  left join admiral.label_values as "unit_value" on "unit_value".id = snapshot."unit"
  left join admiral.label_values as "slice_value" on "slice_value".id = snapshot."slice"
where snapshot.server_id = (select known.id from admiral.servers as known where known.server_id = $1)
  and snapshot."timestamp" >= $2 and snapshot."timestamp" <= $3
$function$;
comment on function admiral.cgroup_snapshots_between(text, timestamptz, timestamptz) is 'The rows of cgroup_snapshots of one server between two moments, both included: found by the key of the scrapes.';
-- cgroups: when each series was first seen since its counters began.
create table admiral.cgroup_snapshots_first_seen (
  first_at timestamptz not null,
  counters_since timestamptz not null,
  server_id integer not null,
  "unit" integer not null,
  "slice" integer not null,
  primary key (server_id, "unit", "slice", first_at)
);
create index cgroup_snapshots_first_seen_server_at on admiral.cgroup_snapshots_first_seen (server_id, first_at);
comment on table admiral.cgroup_snapshots_first_seen is 'Rows before which none of their series is known since its counters began. An entry does not count where an earlier one of its series lies at or after its counters_since.';
-- cgroups: roll-ups, a row a server and bucket, called by the bucket's end. Groups are as narrow as may be already.
create table admiral.cgroup_snapshots_5m (
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
alter table admiral.cgroup_snapshots_5m alter column groups set storage external;
create table admiral.cgroup_snapshots_1h (
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
alter table admiral.cgroup_snapshots_1h alter column groups set storage external;
create table admiral.cgroup_snapshots_1d (
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
alter table admiral.cgroup_snapshots_1d alter column groups set storage external;
