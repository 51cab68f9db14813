-- node_exporter: one row per scrape; one partition per UTC day.
create table admiral.node_snapshots_scrapes (
  "timestamp" timestamptz not null,
  created_at timestamptz not null default now(),
  counters_since timestamptz,
  packed_in timestamptz,
  "cpu_idle_seconds" double precision,
  "cpu_iowait_seconds" double precision,
  "cpu_system_seconds" double precision,
  "cpu_user_seconds" double precision,
  "cpu_steal_seconds" double precision,
  "memory_total_bytes" bigint,
  "memory_available_bytes" bigint,
  "memory_free_bytes" bigint,
  "memory_buffers_bytes" bigint,
  "memory_cached_bytes" bigint,
  "memory_active_bytes" bigint,
  "memory_inactive_bytes" bigint,
  "swap_total_bytes" bigint,
  "swap_free_bytes" bigint,
  "swap_used_bytes" bigint,
  "swap_cached_bytes" bigint,
  "disk_total_bytes" bigint,
  "disk_used_bytes" bigint,
  "disk_available_bytes" bigint,
  "disk_reads_completed_total" bigint,
  "disk_writes_completed_total" bigint,
  "disk_read_bytes_total" double precision,
  "disk_written_bytes_total" double precision,
  "disk_io_time_seconds_total" double precision,
  "network_receive_bytes_total" double precision,
  "network_transmit_bytes_total" double precision,
  "network_receive_packets_total" bigint,
  "network_transmit_packets_total" bigint,
  "network_receive_errs_total" bigint,
  "network_transmit_errs_total" bigint,
  "network_receive_drop_total" bigint,
  "network_transmit_drop_total" bigint,
  "load_1min" double precision,
  "load_5min" double precision,
  "load_15min" double precision,
  "uptime_seconds" double precision,
  "cpu_set" bigint,
  "disk_set" bigint,
  "network_set" bigint,
  "pressure_cpu_seconds" double precision,
  "pressure_memory_seconds" double precision,
  "pressure_io_seconds" double precision,
  server_id integer not null,
  "cpu_cores" integer,
  "processes_running" integer,
  "processes_blocked" integer,
  "processes_total" integer,
  primary key (server_id, "timestamp")
) partition by range ("timestamp");
comment on table admiral.node_snapshots_scrapes is 'One row per scrape.';
comment on column admiral.node_snapshots_scrapes.packed_in is 'The first moment of the chunk that holds its rows; NULL where they are here.';
comment on column admiral.node_snapshots_scrapes.counters_since is 'When the counters of the scrape began; NULL where unknown.';
comment on column admiral.node_snapshots_scrapes."cpu_idle_seconds" is 'CPU time spent idle, all cores. In seconds.';
comment on column admiral.node_snapshots_scrapes."cpu_iowait_seconds" is 'CPU time spent idle while waiting for a disk, all cores. In seconds.';
comment on column admiral.node_snapshots_scrapes."cpu_system_seconds" is 'CPU time spent in the kernel, interrupts included, all cores. In seconds.';
comment on column admiral.node_snapshots_scrapes."cpu_user_seconds" is 'CPU time spent in programs, niced ones and guests included, all cores. In seconds.';
comment on column admiral.node_snapshots_scrapes."cpu_steal_seconds" is 'CPU time that the hypervisor gave to others, all cores. In seconds.';
comment on column admiral.node_snapshots_scrapes."cpu_cores" is 'Logical CPUs that are online.';
comment on column admiral.node_snapshots_scrapes."memory_total_bytes" is 'Memory of the host. In bytes.';
comment on column admiral.node_snapshots_scrapes."memory_available_bytes" is 'Memory that programs can still get without swapping. In bytes.';
comment on column admiral.node_snapshots_scrapes."memory_free_bytes" is 'Memory that nothing uses. In bytes.';
comment on column admiral.node_snapshots_scrapes."memory_buffers_bytes" is 'Memory that buffers raw disk blocks. In bytes.';
comment on column admiral.node_snapshots_scrapes."memory_cached_bytes" is 'Memory that caches files. In bytes.';
comment on column admiral.node_snapshots_scrapes."memory_active_bytes" is 'Memory used recently. In bytes.';
comment on column admiral.node_snapshots_scrapes."memory_inactive_bytes" is 'Memory not used recently, reclaimed first. In bytes.';
comment on column admiral.node_snapshots_scrapes."swap_total_bytes" is 'Swap space; 0 where there is none. In bytes.';
comment on column admiral.node_snapshots_scrapes."swap_free_bytes" is 'Swap space that nothing uses. In bytes.';
comment on column admiral.node_snapshots_scrapes."swap_used_bytes" is 'Swap space in use: total less free. In bytes.';
comment on column admiral.node_snapshots_scrapes."swap_cached_bytes" is 'Memory that was swapped out, is back, and is still in the swap space too. In bytes.';
comment on column admiral.node_snapshots_scrapes."disk_total_bytes" is 'Size of the root filesystem. In bytes.';
comment on column admiral.node_snapshots_scrapes."disk_used_bytes" is 'Used space of the root filesystem: size less free, as df shows it. In bytes.';
comment on column admiral.node_snapshots_scrapes."disk_available_bytes" is 'Space of the root filesystem that unprivileged programs can still use; less than what is free. In bytes.';
comment on column admiral.node_snapshots_scrapes."disk_reads_completed_total" is 'Reads completed, all physical disks.';
comment on column admiral.node_snapshots_scrapes."disk_writes_completed_total" is 'Writes completed, all physical disks.';
comment on column admiral.node_snapshots_scrapes."disk_read_bytes_total" is 'Bytes read, all physical disks. In bytes.';
comment on column admiral.node_snapshots_scrapes."disk_written_bytes_total" is 'Bytes written, all physical disks. In bytes.';
comment on column admiral.node_snapshots_scrapes."disk_io_time_seconds_total" is 'Time that disks were busy, summed over physical disks. In seconds.';
comment on column admiral.node_snapshots_scrapes."network_receive_bytes_total" is 'Bytes received, all physical interfaces. In bytes.';
comment on column admiral.node_snapshots_scrapes."network_transmit_bytes_total" is 'Bytes sent, all physical interfaces. In bytes.';
comment on column admiral.node_snapshots_scrapes."network_receive_packets_total" is 'Packets received, all physical interfaces.';
comment on column admiral.node_snapshots_scrapes."network_transmit_packets_total" is 'Packets sent, all physical interfaces.';
comment on column admiral.node_snapshots_scrapes."network_receive_errs_total" is 'Receive errors, all physical interfaces.';
comment on column admiral.node_snapshots_scrapes."network_transmit_errs_total" is 'Send errors, all physical interfaces.';
comment on column admiral.node_snapshots_scrapes."network_receive_drop_total" is 'Packets dropped on receipt, all physical interfaces.';
comment on column admiral.node_snapshots_scrapes."network_transmit_drop_total" is 'Packets dropped before sending, all physical interfaces.';
comment on column admiral.node_snapshots_scrapes."load_1min" is 'Load average over 1 minute.';
comment on column admiral.node_snapshots_scrapes."load_5min" is 'Load average over 5 minutes.';
comment on column admiral.node_snapshots_scrapes."load_15min" is 'Load average over 15 minutes.';
comment on column admiral.node_snapshots_scrapes."processes_running" is 'Threads that run or could run.';
comment on column admiral.node_snapshots_scrapes."processes_blocked" is 'Threads that wait for a disk.';
comment on column admiral.node_snapshots_scrapes."processes_total" is 'Processes on the host; only where the exporter runs with --collector.processes.';
comment on column admiral.node_snapshots_scrapes."uptime_seconds" is 'Time since the host started. In seconds.';
comment on column admiral.node_snapshots_scrapes."cpu_set" is 'Hash of the CPUs that the CPU columns sum up.';
comment on column admiral.node_snapshots_scrapes."disk_set" is 'Hash of the disks that the disk columns sum up.';
comment on column admiral.node_snapshots_scrapes."network_set" is 'Hash of the interfaces that the network columns sum up.';
comment on column admiral.node_snapshots_scrapes."pressure_cpu_seconds" is 'Time in which some task waited for a CPU. In seconds.';
comment on column admiral.node_snapshots_scrapes."pressure_memory_seconds" is 'Time in which some task waited for memory. In seconds.';
comment on column admiral.node_snapshots_scrapes."pressure_io_seconds" is 'Time in which some task waited for a disk. In seconds.';
create table admiral.node_snapshots_packed (
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
comment on table admiral.node_snapshots_packed is 'One row per server and hour of days that are over: the rows of some scrapes, packed. Read them through the view.';
comment on column admiral.node_snapshots_packed."timestamp" is 'The first of its scrapes.';
create view admiral.node_snapshots_rows as
select scrape.server_id, scrape."timestamp", snapshot."cpu_idle_seconds", snapshot."cpu_iowait_seconds", snapshot."cpu_system_seconds", snapshot."cpu_user_seconds", snapshot."cpu_steal_seconds", snapshot."cpu_cores", snapshot."memory_total_bytes", snapshot."memory_available_bytes", snapshot."memory_free_bytes", snapshot."memory_buffers_bytes", snapshot."memory_cached_bytes", snapshot."memory_active_bytes", snapshot."memory_inactive_bytes", snapshot."swap_total_bytes", snapshot."swap_free_bytes", snapshot."swap_used_bytes", snapshot."swap_cached_bytes", snapshot."disk_total_bytes", snapshot."disk_used_bytes", snapshot."disk_available_bytes", snapshot."disk_reads_completed_total", snapshot."disk_writes_completed_total", snapshot."disk_read_bytes_total", snapshot."disk_written_bytes_total", snapshot."disk_io_time_seconds_total", snapshot."network_receive_bytes_total", snapshot."network_transmit_bytes_total", snapshot."network_receive_packets_total", snapshot."network_transmit_packets_total", snapshot."network_receive_errs_total", snapshot."network_transmit_errs_total", snapshot."network_receive_drop_total", snapshot."network_transmit_drop_total", snapshot."load_1min", snapshot."load_5min", snapshot."load_15min", snapshot."processes_running", snapshot."processes_blocked", snapshot."processes_total", snapshot."uptime_seconds", snapshot."cpu_set", snapshot."disk_set", snapshot."network_set", snapshot."pressure_cpu_seconds", snapshot."pressure_memory_seconds", snapshot."pressure_io_seconds", scrape.created_at, snapshot.counters_since
from admiral.node_snapshots_scrapes as scrape
  cross join lateral (
    select scrape."cpu_idle_seconds", scrape."cpu_iowait_seconds", scrape."cpu_system_seconds", scrape."cpu_user_seconds", scrape."cpu_steal_seconds", scrape."cpu_cores", scrape."memory_total_bytes", scrape."memory_available_bytes", scrape."memory_free_bytes", scrape."memory_buffers_bytes", scrape."memory_cached_bytes", scrape."memory_active_bytes", scrape."memory_inactive_bytes", scrape."swap_total_bytes", scrape."swap_free_bytes", scrape."swap_used_bytes", scrape."swap_cached_bytes", scrape."disk_total_bytes", scrape."disk_used_bytes", scrape."disk_available_bytes", scrape."disk_reads_completed_total", scrape."disk_writes_completed_total", scrape."disk_read_bytes_total", scrape."disk_written_bytes_total", scrape."disk_io_time_seconds_total", scrape."network_receive_bytes_total", scrape."network_transmit_bytes_total", scrape."network_receive_packets_total", scrape."network_transmit_packets_total", scrape."network_receive_errs_total", scrape."network_transmit_errs_total", scrape."network_receive_drop_total", scrape."network_transmit_drop_total", scrape."load_1min", scrape."load_5min", scrape."load_15min", scrape."processes_running", scrape."processes_blocked", scrape."processes_total", scrape."uptime_seconds", scrape."cpu_set", scrape."disk_set", scrape."network_set", scrape."pressure_cpu_seconds", scrape."pressure_memory_seconds", scrape."pressure_io_seconds", scrape.counters_since where scrape.packed_in is null
    union all
    select admiral.packed_number(chunk.planes, chunk.bases, chunk.whole, chunk.cells, chunk.place, series.no, series.no * chunk.size, chunk.unit_1, chunk.times_1, chunk.per_1, chunk.count_1, chunk.low_1, chunk.base_1, chunk.slope_1, chunk.nudge_count_1, chunk.nudge_low_1, chunk.nudge_base_1, chunk.nulls_1)::double precision,
      admiral.packed_number(chunk.planes, chunk.bases, chunk.whole, chunk.cells, chunk.place, series.no, series.no * chunk.size, chunk.unit_2, chunk.times_2, chunk.per_2, chunk.count_2, chunk.low_2, chunk.base_2, chunk.slope_2, chunk.nudge_count_2, chunk.nudge_low_2, chunk.nudge_base_2, chunk.nulls_2)::double precision,
      admiral.packed_number(chunk.planes, chunk.bases, chunk.whole, chunk.cells, chunk.place, series.no, series.no * chunk.size, chunk.unit_3, chunk.times_3, chunk.per_3, chunk.count_3, chunk.low_3, chunk.base_3, chunk.slope_3, chunk.nudge_count_3, chunk.nudge_low_3, chunk.nudge_base_3, chunk.nulls_3)::double precision,
      admiral.packed_number(chunk.planes, chunk.bases, chunk.whole, chunk.cells, chunk.place, series.no, series.no * chunk.size, chunk.unit_4, chunk.times_4, chunk.per_4, chunk.count_4, chunk.low_4, chunk.base_4, chunk.slope_4, chunk.nudge_count_4, chunk.nudge_low_4, chunk.nudge_base_4, chunk.nulls_4)::double precision,
      admiral.packed_number(chunk.planes, chunk.bases, chunk.whole, chunk.cells, chunk.place, series.no, series.no * chunk.size, chunk.unit_5, chunk.times_5, chunk.per_5, chunk.count_5, chunk.low_5, chunk.base_5, chunk.slope_5, chunk.nudge_count_5, chunk.nudge_low_5, chunk.nudge_base_5, chunk.nulls_5)::double precision,
      admiral.packed_number(chunk.planes, chunk.bases, chunk.whole, chunk.cells, chunk.place, series.no, series.no * chunk.size, chunk.unit_6, chunk.times_6, chunk.per_6, chunk.count_6, chunk.low_6, chunk.base_6, chunk.slope_6, chunk.nudge_count_6, chunk.nudge_low_6, chunk.nudge_base_6, chunk.nulls_6)::integer,
      admiral.packed_number(chunk.planes, chunk.bases, chunk.whole, chunk.cells, chunk.place, series.no, series.no * chunk.size, chunk.unit_7, chunk.times_7, chunk.per_7, chunk.count_7, chunk.low_7, chunk.base_7, chunk.slope_7, chunk.nudge_count_7, chunk.nudge_low_7, chunk.nudge_base_7, chunk.nulls_7)::bigint,
      admiral.packed_number(chunk.planes, chunk.bases, chunk.whole, chunk.cells, chunk.place, series.no, series.no * chunk.size, chunk.unit_8, chunk.times_8, chunk.per_8, chunk.count_8, chunk.low_8, chunk.base_8, chunk.slope_8, chunk.nudge_count_8, chunk.nudge_low_8, chunk.nudge_base_8, chunk.nulls_8)::bigint,
      admiral.packed_number(chunk.planes, chunk.bases, chunk.whole, chunk.cells, chunk.place, series.no, series.no * chunk.size, chunk.unit_9, chunk.times_9, chunk.per_9, chunk.count_9, chunk.low_9, chunk.base_9, chunk.slope_9, chunk.nudge_count_9, chunk.nudge_low_9, chunk.nudge_base_9, chunk.nulls_9)::bigint,
      admiral.packed_number(chunk.planes, chunk.bases, chunk.whole, chunk.cells, chunk.place, series.no, series.no * chunk.size, chunk.unit_10, chunk.times_10, chunk.per_10, chunk.count_10, chunk.low_10, chunk.base_10, chunk.slope_10, chunk.nudge_count_10, chunk.nudge_low_10, chunk.nudge_base_10, chunk.nulls_10)::bigint,
      admiral.packed_number(chunk.planes, chunk.bases, chunk.whole, chunk.cells, chunk.place, series.no, series.no * chunk.size, chunk.unit_11, chunk.times_11, chunk.per_11, chunk.count_11, chunk.low_11, chunk.base_11, chunk.slope_11, chunk.nudge_count_11, chunk.nudge_low_11, chunk.nudge_base_11, chunk.nulls_11)::bigint,
      admiral.packed_number(chunk.planes, chunk.bases, chunk.whole, chunk.cells, chunk.place, series.no, series.no * chunk.size, chunk.unit_12, chunk.times_12, chunk.per_12, chunk.count_12, chunk.low_12, chunk.base_12, chunk.slope_12, chunk.nudge_count_12, chunk.nudge_low_12, chunk.nudge_base_12, chunk.nulls_12)::bigint,
      admiral.packed_number(chunk.planes, chunk.bases, chunk.whole, chunk.cells, chunk.place, series.no, series.no * chunk.size, chunk.unit_13, chunk.times_13, chunk.per_13, chunk.count_13, chunk.low_13, chunk.base_13, chunk.slope_13, chunk.nudge_count_13, chunk.nudge_low_13, chunk.nudge_base_13, chunk.nulls_13)::bigint,
      admiral.packed_number(chunk.planes, chunk.bases, chunk.whole, chunk.cells, chunk.place, series.no, series.no * chunk.size, chunk.unit_14, chunk.times_14, chunk.per_14, chunk.count_14, chunk.low_14, chunk.base_14, chunk.slope_14, chunk.nudge_count_14, chunk.nudge_low_14, chunk.nudge_base_14, chunk.nulls_14)::bigint,
      admiral.packed_number(chunk.planes, chunk.bases, chunk.whole, chunk.cells, chunk.place, series.no, series.no * chunk.size, chunk.unit_15, chunk.times_15, chunk.per_15, chunk.count_15, chunk.low_15, chunk.base_15, chunk.slope_15, chunk.nudge_count_15, chunk.nudge_low_15, chunk.nudge_base_15, chunk.nulls_15)::bigint,
      admiral.packed_number(chunk.planes, chunk.bases, chunk.whole, chunk.cells, chunk.place, series.no, series.no * chunk.size, chunk.unit_16, chunk.times_16, chunk.per_16, chunk.count_16, chunk.low_16, chunk.base_16, chunk.slope_16, chunk.nudge_count_16, chunk.nudge_low_16, chunk.nudge_base_16, chunk.nulls_16)::bigint,
      admiral.packed_number(chunk.planes, chunk.bases, chunk.whole, chunk.cells, chunk.place, series.no, series.no * chunk.size, chunk.unit_17, chunk.times_17, chunk.per_17, chunk.count_17, chunk.low_17, chunk.base_17, chunk.slope_17, chunk.nudge_count_17, chunk.nudge_low_17, chunk.nudge_base_17, chunk.nulls_17)::bigint,
      admiral.packed_number(chunk.planes, chunk.bases, chunk.whole, chunk.cells, chunk.place, series.no, series.no * chunk.size, chunk.unit_18, chunk.times_18, chunk.per_18, chunk.count_18, chunk.low_18, chunk.base_18, chunk.slope_18, chunk.nudge_count_18, chunk.nudge_low_18, chunk.nudge_base_18, chunk.nulls_18)::bigint,
      admiral.packed_number(chunk.planes, chunk.bases, chunk.whole, chunk.cells, chunk.place, series.no, series.no * chunk.size, chunk.unit_19, chunk.times_19, chunk.per_19, chunk.count_19, chunk.low_19, chunk.base_19, chunk.slope_19, chunk.nudge_count_19, chunk.nudge_low_19, chunk.nudge_base_19, chunk.nulls_19)::bigint,
      admiral.packed_number(chunk.planes, chunk.bases, chunk.whole, chunk.cells, chunk.place, series.no, series.no * chunk.size, chunk.unit_20, chunk.times_20, chunk.per_20, chunk.count_20, chunk.low_20, chunk.base_20, chunk.slope_20, chunk.nudge_count_20, chunk.nudge_low_20, chunk.nudge_base_20, chunk.nulls_20)::bigint,
      admiral.packed_number(chunk.planes, chunk.bases, chunk.whole, chunk.cells, chunk.place, series.no, series.no * chunk.size, chunk.unit_21, chunk.times_21, chunk.per_21, chunk.count_21, chunk.low_21, chunk.base_21, chunk.slope_21, chunk.nudge_count_21, chunk.nudge_low_21, chunk.nudge_base_21, chunk.nulls_21)::bigint,
      admiral.packed_number(chunk.planes, chunk.bases, chunk.whole, chunk.cells, chunk.place, series.no, series.no * chunk.size, chunk.unit_22, chunk.times_22, chunk.per_22, chunk.count_22, chunk.low_22, chunk.base_22, chunk.slope_22, chunk.nudge_count_22, chunk.nudge_low_22, chunk.nudge_base_22, chunk.nulls_22)::bigint,
      admiral.packed_number(chunk.planes, chunk.bases, chunk.whole, chunk.cells, chunk.place, series.no, series.no * chunk.size, chunk.unit_23, chunk.times_23, chunk.per_23, chunk.count_23, chunk.low_23, chunk.base_23, chunk.slope_23, chunk.nudge_count_23, chunk.nudge_low_23, chunk.nudge_base_23, chunk.nulls_23)::double precision,
      admiral.packed_number(chunk.planes, chunk.bases, chunk.whole, chunk.cells, chunk.place, series.no, series.no * chunk.size, chunk.unit_24, chunk.times_24, chunk.per_24, chunk.count_24, chunk.low_24, chunk.base_24, chunk.slope_24, chunk.nudge_count_24, chunk.nudge_low_24, chunk.nudge_base_24, chunk.nulls_24)::double precision,
      admiral.packed_number(chunk.planes, chunk.bases, chunk.whole, chunk.cells, chunk.place, series.no, series.no * chunk.size, chunk.unit_25, chunk.times_25, chunk.per_25, chunk.count_25, chunk.low_25, chunk.base_25, chunk.slope_25, chunk.nudge_count_25, chunk.nudge_low_25, chunk.nudge_base_25, chunk.nulls_25)::double precision,
      admiral.packed_number(chunk.planes, chunk.bases, chunk.whole, chunk.cells, chunk.place, series.no, series.no * chunk.size, chunk.unit_26, chunk.times_26, chunk.per_26, chunk.count_26, chunk.low_26, chunk.base_26, chunk.slope_26, chunk.nudge_count_26, chunk.nudge_low_26, chunk.nudge_base_26, chunk.nulls_26)::double precision,
      admiral.packed_number(chunk.planes, chunk.bases, chunk.whole, chunk.cells, chunk.place, series.no, series.no * chunk.size, chunk.unit_27, chunk.times_27, chunk.per_27, chunk.count_27, chunk.low_27, chunk.base_27, chunk.slope_27, chunk.nudge_count_27, chunk.nudge_low_27, chunk.nudge_base_27, chunk.nulls_27)::double precision,
      admiral.packed_number(chunk.planes, chunk.bases, chunk.whole, chunk.cells, chunk.place, series.no, series.no * chunk.size, chunk.unit_28, chunk.times_28, chunk.per_28, chunk.count_28, chunk.low_28, chunk.base_28, chunk.slope_28, chunk.nudge_count_28, chunk.nudge_low_28, chunk.nudge_base_28, chunk.nulls_28)::bigint,
      admiral.packed_number(chunk.planes, chunk.bases, chunk.whole, chunk.cells, chunk.place, series.no, series.no * chunk.size, chunk.unit_29, chunk.times_29, chunk.per_29, chunk.count_29, chunk.low_29, chunk.base_29, chunk.slope_29, chunk.nudge_count_29, chunk.nudge_low_29, chunk.nudge_base_29, chunk.nulls_29)::bigint,
      admiral.packed_number(chunk.planes, chunk.bases, chunk.whole, chunk.cells, chunk.place, series.no, series.no * chunk.size, chunk.unit_30, chunk.times_30, chunk.per_30, chunk.count_30, chunk.low_30, chunk.base_30, chunk.slope_30, chunk.nudge_count_30, chunk.nudge_low_30, chunk.nudge_base_30, chunk.nulls_30)::bigint,
      admiral.packed_number(chunk.planes, chunk.bases, chunk.whole, chunk.cells, chunk.place, series.no, series.no * chunk.size, chunk.unit_31, chunk.times_31, chunk.per_31, chunk.count_31, chunk.low_31, chunk.base_31, chunk.slope_31, chunk.nudge_count_31, chunk.nudge_low_31, chunk.nudge_base_31, chunk.nulls_31)::bigint,
      admiral.packed_number(chunk.planes, chunk.bases, chunk.whole, chunk.cells, chunk.place, series.no, series.no * chunk.size, chunk.unit_32, chunk.times_32, chunk.per_32, chunk.count_32, chunk.low_32, chunk.base_32, chunk.slope_32, chunk.nudge_count_32, chunk.nudge_low_32, chunk.nudge_base_32, chunk.nulls_32)::bigint,
      admiral.packed_number(chunk.planes, chunk.bases, chunk.whole, chunk.cells, chunk.place, series.no, series.no * chunk.size, chunk.unit_33, chunk.times_33, chunk.per_33, chunk.count_33, chunk.low_33, chunk.base_33, chunk.slope_33, chunk.nudge_count_33, chunk.nudge_low_33, chunk.nudge_base_33, chunk.nulls_33)::bigint,
      admiral.packed_number(chunk.planes, chunk.bases, chunk.whole, chunk.cells, chunk.place, series.no, series.no * chunk.size, chunk.unit_34, chunk.times_34, chunk.per_34, chunk.count_34, chunk.low_34, chunk.base_34, chunk.slope_34, chunk.nudge_count_34, chunk.nudge_low_34, chunk.nudge_base_34, chunk.nulls_34)::double precision,
      admiral.packed_number(chunk.planes, chunk.bases, chunk.whole, chunk.cells, chunk.place, series.no, series.no * chunk.size, chunk.unit_35, chunk.times_35, chunk.per_35, chunk.count_35, chunk.low_35, chunk.base_35, chunk.slope_35, chunk.nudge_count_35, chunk.nudge_low_35, chunk.nudge_base_35, chunk.nulls_35)::double precision,
      admiral.packed_number(chunk.planes, chunk.bases, chunk.whole, chunk.cells, chunk.place, series.no, series.no * chunk.size, chunk.unit_36, chunk.times_36, chunk.per_36, chunk.count_36, chunk.low_36, chunk.base_36, chunk.slope_36, chunk.nudge_count_36, chunk.nudge_low_36, chunk.nudge_base_36, chunk.nulls_36)::double precision,
      admiral.packed_number(chunk.planes, chunk.bases, chunk.whole, chunk.cells, chunk.place, series.no, series.no * chunk.size, chunk.unit_37, chunk.times_37, chunk.per_37, chunk.count_37, chunk.low_37, chunk.base_37, chunk.slope_37, chunk.nudge_count_37, chunk.nudge_low_37, chunk.nudge_base_37, chunk.nulls_37)::integer,
      admiral.packed_number(chunk.planes, chunk.bases, chunk.whole, chunk.cells, chunk.place, series.no, series.no * chunk.size, chunk.unit_38, chunk.times_38, chunk.per_38, chunk.count_38, chunk.low_38, chunk.base_38, chunk.slope_38, chunk.nudge_count_38, chunk.nudge_low_38, chunk.nudge_base_38, chunk.nulls_38)::integer,
      admiral.packed_number(chunk.planes, chunk.bases, chunk.whole, chunk.cells, chunk.place, series.no, series.no * chunk.size, chunk.unit_39, chunk.times_39, chunk.per_39, chunk.count_39, chunk.low_39, chunk.base_39, chunk.slope_39, chunk.nudge_count_39, chunk.nudge_low_39, chunk.nudge_base_39, chunk.nulls_39)::integer,
      admiral.packed_number(chunk.planes, chunk.bases, chunk.whole, chunk.cells, chunk.place, series.no, series.no * chunk.size, chunk.unit_40, chunk.times_40, chunk.per_40, chunk.count_40, chunk.low_40, chunk.base_40, chunk.slope_40, chunk.nudge_count_40, chunk.nudge_low_40, chunk.nudge_base_40, chunk.nulls_40)::double precision,
      admiral.packed_number(chunk.planes, chunk.bases, chunk.whole, chunk.cells, chunk.place, series.no, series.no * chunk.size, chunk.unit_41, chunk.times_41, chunk.per_41, chunk.count_41, chunk.low_41, chunk.base_41, chunk.slope_41, chunk.nudge_count_41, chunk.nudge_low_41, chunk.nudge_base_41, chunk.nulls_41)::bigint,
      admiral.packed_number(chunk.planes, chunk.bases, chunk.whole, chunk.cells, chunk.place, series.no, series.no * chunk.size, chunk.unit_42, chunk.times_42, chunk.per_42, chunk.count_42, chunk.low_42, chunk.base_42, chunk.slope_42, chunk.nudge_count_42, chunk.nudge_low_42, chunk.nudge_base_42, chunk.nulls_42)::bigint,
      admiral.packed_number(chunk.planes, chunk.bases, chunk.whole, chunk.cells, chunk.place, series.no, series.no * chunk.size, chunk.unit_43, chunk.times_43, chunk.per_43, chunk.count_43, chunk.low_43, chunk.base_43, chunk.slope_43, chunk.nudge_count_43, chunk.nudge_low_43, chunk.nudge_base_43, chunk.nulls_43)::bigint,
      admiral.packed_number(chunk.planes, chunk.bases, chunk.whole, chunk.cells, chunk.place, series.no, series.no * chunk.size, chunk.unit_44, chunk.times_44, chunk.per_44, chunk.count_44, chunk.low_44, chunk.base_44, chunk.slope_44, chunk.nudge_count_44, chunk.nudge_low_44, chunk.nudge_base_44, chunk.nulls_44)::double precision,
      admiral.packed_number(chunk.planes, chunk.bases, chunk.whole, chunk.cells, chunk.place, series.no, series.no * chunk.size, chunk.unit_45, chunk.times_45, chunk.per_45, chunk.count_45, chunk.low_45, chunk.base_45, chunk.slope_45, chunk.nudge_count_45, chunk.nudge_low_45, chunk.nudge_base_45, chunk.nulls_45)::double precision,
      admiral.packed_number(chunk.planes, chunk.bases, chunk.whole, chunk.cells, chunk.place, series.no, series.no * chunk.size, chunk.unit_46, chunk.times_46, chunk.per_46, chunk.count_46, chunk.low_46, chunk.base_46, chunk.slope_46, chunk.nudge_count_46, chunk.nudge_low_46, chunk.nudge_base_46, chunk.nulls_46)::double precision,
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
        opened.units[22] as unit_21, greatest(opened.units[22], 1) as times_21, greatest(-opened.units[22], 1) as per_21, opened.layout[171] as count_21, case when opened.units[22] = 0 then opened.layout[170] * opened.cells + opened.place else (opened.layout[170] + opened.layout[171] - 1) * opened.cells + opened.place end as low_21, case when opened.layout[175] >= 0 then opened.layout[175] * opened.series + 1 end as base_21, case when opened.layout[177] >= 0 then opened.layout[177] * opened.series + 1 end as slope_21, case when opened.layout[173] >= 0 then opened.layout[173] end as nudge_count_21, (opened.layout[172] + opened.layout[173] - 1) * opened.cells + opened.place as nudge_low_21, case when opened.layout[176] >= 0 then opened.layout[176] * opened.series + 1 end as nudge_base_21, case when opened.layout[174] >= 0 then opened.layout[174] * opened.cells + opened.place end as nulls_21,
        opened.units[23] as unit_22, greatest(opened.units[23], 1) as times_22, greatest(-opened.units[23], 1) as per_22, opened.layout[179] as count_22, case when opened.units[23] = 0 then opened.layout[178] * opened.cells + opened.place else (opened.layout[178] + opened.layout[179] - 1) * opened.cells + opened.place end as low_22, case when opened.layout[183] >= 0 then opened.layout[183] * opened.series + 1 end as base_22, case when opened.layout[185] >= 0 then opened.layout[185] * opened.series + 1 end as slope_22, case when opened.layout[181] >= 0 then opened.layout[181] end as nudge_count_22, (opened.layout[180] + opened.layout[181] - 1) * opened.cells + opened.place as nudge_low_22, case when opened.layout[184] >= 0 then opened.layout[184] * opened.series + 1 end as nudge_base_22, case when opened.layout[182] >= 0 then opened.layout[182] * opened.cells + opened.place end as nulls_22,
        opened.units[24] as unit_23, greatest(opened.units[24], 1) as times_23, greatest(-opened.units[24], 1) as per_23, opened.layout[187] as count_23, case when opened.units[24] = 0 then opened.layout[186] * opened.cells + opened.place else (opened.layout[186] + opened.layout[187] - 1) * opened.cells + opened.place end as low_23, case when opened.layout[191] >= 0 then opened.layout[191] * opened.series + 1 end as base_23, case when opened.layout[193] >= 0 then opened.layout[193] * opened.series + 1 end as slope_23, case when opened.layout[189] >= 0 then opened.layout[189] end as nudge_count_23, (opened.layout[188] + opened.layout[189] - 1) * opened.cells + opened.place as nudge_low_23, case when opened.layout[192] >= 0 then opened.layout[192] * opened.series + 1 end as nudge_base_23, case when opened.layout[190] >= 0 then opened.layout[190] * opened.cells + opened.place end as nulls_23,
        opened.units[25] as unit_24, greatest(opened.units[25], 1) as times_24, greatest(-opened.units[25], 1) as per_24, opened.layout[195] as count_24, case when opened.units[25] = 0 then opened.layout[194] * opened.cells + opened.place else (opened.layout[194] + opened.layout[195] - 1) * opened.cells + opened.place end as low_24, case when opened.layout[199] >= 0 then opened.layout[199] * opened.series + 1 end as base_24, case when opened.layout[201] >= 0 then opened.layout[201] * opened.series + 1 end as slope_24, case when opened.layout[197] >= 0 then opened.layout[197] end as nudge_count_24, (opened.layout[196] + opened.layout[197] - 1) * opened.cells + opened.place as nudge_low_24, case when opened.layout[200] >= 0 then opened.layout[200] * opened.series + 1 end as nudge_base_24, case when opened.layout[198] >= 0 then opened.layout[198] * opened.cells + opened.place end as nulls_24,
        opened.units[26] as unit_25, greatest(opened.units[26], 1) as times_25, greatest(-opened.units[26], 1) as per_25, opened.layout[203] as count_25, case when opened.units[26] = 0 then opened.layout[202] * opened.cells + opened.place else (opened.layout[202] + opened.layout[203] - 1) * opened.cells + opened.place end as low_25, case when opened.layout[207] >= 0 then opened.layout[207] * opened.series + 1 end as base_25, case when opened.layout[209] >= 0 then opened.layout[209] * opened.series + 1 end as slope_25, case when opened.layout[205] >= 0 then opened.layout[205] end as nudge_count_25, (opened.layout[204] + opened.layout[205] - 1) * opened.cells + opened.place as nudge_low_25, case when opened.layout[208] >= 0 then opened.layout[208] * opened.series + 1 end as nudge_base_25, case when opened.layout[206] >= 0 then opened.layout[206] * opened.cells + opened.place end as nulls_25,
        opened.units[27] as unit_26, greatest(opened.units[27], 1) as times_26, greatest(-opened.units[27], 1) as per_26, opened.layout[211] as count_26, case when opened.units[27] = 0 then opened.layout[210] * opened.cells + opened.place else (opened.layout[210] + opened.layout[211] - 1) * opened.cells + opened.place end as low_26, case when opened.layout[215] >= 0 then opened.layout[215] * opened.series + 1 end as base_26, case when opened.layout[217] >= 0 then opened.layout[217] * opened.series + 1 end as slope_26, case when opened.layout[213] >= 0 then opened.layout[213] end as nudge_count_26, (opened.layout[212] + opened.layout[213] - 1) * opened.cells + opened.place as nudge_low_26, case when opened.layout[216] >= 0 then opened.layout[216] * opened.series + 1 end as nudge_base_26, case when opened.layout[214] >= 0 then opened.layout[214] * opened.cells + opened.place end as nulls_26,
        opened.units[28] as unit_27, greatest(opened.units[28], 1) as times_27, greatest(-opened.units[28], 1) as per_27, opened.layout[219] as count_27, case when opened.units[28] = 0 then opened.layout[218] * opened.cells + opened.place else (opened.layout[218] + opened.layout[219] - 1) * opened.cells + opened.place end as low_27, case when opened.layout[223] >= 0 then opened.layout[223] * opened.series + 1 end as base_27, case when opened.layout[225] >= 0 then opened.layout[225] * opened.series + 1 end as slope_27, case when opened.layout[221] >= 0 then opened.layout[221] end as nudge_count_27, (opened.layout[220] + opened.layout[221] - 1) * opened.cells + opened.place as nudge_low_27, case when opened.layout[224] >= 0 then opened.layout[224] * opened.series + 1 end as nudge_base_27, case when opened.layout[222] >= 0 then opened.layout[222] * opened.cells + opened.place end as nulls_27,
        opened.units[29] as unit_28, greatest(opened.units[29], 1) as times_28, greatest(-opened.units[29], 1) as per_28, opened.layout[227] as count_28, case when opened.units[29] = 0 then opened.layout[226] * opened.cells + opened.place else (opened.layout[226] + opened.layout[227] - 1) * opened.cells + opened.place end as low_28, case when opened.layout[231] >= 0 then opened.layout[231] * opened.series + 1 end as base_28, case when opened.layout[233] >= 0 then opened.layout[233] * opened.series + 1 end as slope_28, case when opened.layout[229] >= 0 then opened.layout[229] end as nudge_count_28, (opened.layout[228] + opened.layout[229] - 1) * opened.cells + opened.place as nudge_low_28, case when opened.layout[232] >= 0 then opened.layout[232] * opened.series + 1 end as nudge_base_28, case when opened.layout[230] >= 0 then opened.layout[230] * opened.cells + opened.place end as nulls_28,
        opened.units[30] as unit_29, greatest(opened.units[30], 1) as times_29, greatest(-opened.units[30], 1) as per_29, opened.layout[235] as count_29, case when opened.units[30] = 0 then opened.layout[234] * opened.cells + opened.place else (opened.layout[234] + opened.layout[235] - 1) * opened.cells + opened.place end as low_29, case when opened.layout[239] >= 0 then opened.layout[239] * opened.series + 1 end as base_29, case when opened.layout[241] >= 0 then opened.layout[241] * opened.series + 1 end as slope_29, case when opened.layout[237] >= 0 then opened.layout[237] end as nudge_count_29, (opened.layout[236] + opened.layout[237] - 1) * opened.cells + opened.place as nudge_low_29, case when opened.layout[240] >= 0 then opened.layout[240] * opened.series + 1 end as nudge_base_29, case when opened.layout[238] >= 0 then opened.layout[238] * opened.cells + opened.place end as nulls_29,
        opened.units[31] as unit_30, greatest(opened.units[31], 1) as times_30, greatest(-opened.units[31], 1) as per_30, opened.layout[243] as count_30, case when opened.units[31] = 0 then opened.layout[242] * opened.cells + opened.place else (opened.layout[242] + opened.layout[243] - 1) * opened.cells + opened.place end as low_30, case when opened.layout[247] >= 0 then opened.layout[247] * opened.series + 1 end as base_30, case when opened.layout[249] >= 0 then opened.layout[249] * opened.series + 1 end as slope_30, case when opened.layout[245] >= 0 then opened.layout[245] end as nudge_count_30, (opened.layout[244] + opened.layout[245] - 1) * opened.cells + opened.place as nudge_low_30, case when opened.layout[248] >= 0 then opened.layout[248] * opened.series + 1 end as nudge_base_30, case when opened.layout[246] >= 0 then opened.layout[246] * opened.cells + opened.place end as nulls_30,
        opened.units[32] as unit_31, greatest(opened.units[32], 1) as times_31, greatest(-opened.units[32], 1) as per_31, opened.layout[251] as count_31, case when opened.units[32] = 0 then opened.layout[250] * opened.cells + opened.place else (opened.layout[250] + opened.layout[251] - 1) * opened.cells + opened.place end as low_31, case when opened.layout[255] >= 0 then opened.layout[255] * opened.series + 1 end as base_31, case when opened.layout[257] >= 0 then opened.layout[257] * opened.series + 1 end as slope_31, case when opened.layout[253] >= 0 then opened.layout[253] end as nudge_count_31, (opened.layout[252] + opened.layout[253] - 1) * opened.cells + opened.place as nudge_low_31, case when opened.layout[256] >= 0 then opened.layout[256] * opened.series + 1 end as nudge_base_31, case when opened.layout[254] >= 0 then opened.layout[254] * opened.cells + opened.place end as nulls_31,
        opened.units[33] as unit_32, greatest(opened.units[33], 1) as times_32, greatest(-opened.units[33], 1) as per_32, opened.layout[259] as count_32, case when opened.units[33] = 0 then opened.layout[258] * opened.cells + opened.place else (opened.layout[258] + opened.layout[259] - 1) * opened.cells + opened.place end as low_32, case when opened.layout[263] >= 0 then opened.layout[263] * opened.series + 1 end as base_32, case when opened.layout[265] >= 0 then opened.layout[265] * opened.series + 1 end as slope_32, case when opened.layout[261] >= 0 then opened.layout[261] end as nudge_count_32, (opened.layout[260] + opened.layout[261] - 1) * opened.cells + opened.place as nudge_low_32, case when opened.layout[264] >= 0 then opened.layout[264] * opened.series + 1 end as nudge_base_32, case when opened.layout[262] >= 0 then opened.layout[262] * opened.cells + opened.place end as nulls_32,
        opened.units[34] as unit_33, greatest(opened.units[34], 1) as times_33, greatest(-opened.units[34], 1) as per_33, opened.layout[267] as count_33, case when opened.units[34] = 0 then opened.layout[266] * opened.cells + opened.place else (opened.layout[266] + opened.layout[267] - 1) * opened.cells + opened.place end as low_33, case when opened.layout[271] >= 0 then opened.layout[271] * opened.series + 1 end as base_33, case when opened.layout[273] >= 0 then opened.layout[273] * opened.series + 1 end as slope_33, case when opened.layout[269] >= 0 then opened.layout[269] end as nudge_count_33, (opened.layout[268] + opened.layout[269] - 1) * opened.cells + opened.place as nudge_low_33, case when opened.layout[272] >= 0 then opened.layout[272] * opened.series + 1 end as nudge_base_33, case when opened.layout[270] >= 0 then opened.layout[270] * opened.cells + opened.place end as nulls_33,
        opened.units[35] as unit_34, greatest(opened.units[35], 1) as times_34, greatest(-opened.units[35], 1) as per_34, opened.layout[275] as count_34, case when opened.units[35] = 0 then opened.layout[274] * opened.cells + opened.place else (opened.layout[274] + opened.layout[275] - 1) * opened.cells + opened.place end as low_34, case when opened.layout[279] >= 0 then opened.layout[279] * opened.series + 1 end as base_34, case when opened.layout[281] >= 0 then opened.layout[281] * opened.series + 1 end as slope_34, case when opened.layout[277] >= 0 then opened.layout[277] end as nudge_count_34, (opened.layout[276] + opened.layout[277] - 1) * opened.cells + opened.place as nudge_low_34, case when opened.layout[280] >= 0 then opened.layout[280] * opened.series + 1 end as nudge_base_34, case when opened.layout[278] >= 0 then opened.layout[278] * opened.cells + opened.place end as nulls_34,
        opened.units[36] as unit_35, greatest(opened.units[36], 1) as times_35, greatest(-opened.units[36], 1) as per_35, opened.layout[283] as count_35, case when opened.units[36] = 0 then opened.layout[282] * opened.cells + opened.place else (opened.layout[282] + opened.layout[283] - 1) * opened.cells + opened.place end as low_35, case when opened.layout[287] >= 0 then opened.layout[287] * opened.series + 1 end as base_35, case when opened.layout[289] >= 0 then opened.layout[289] * opened.series + 1 end as slope_35, case when opened.layout[285] >= 0 then opened.layout[285] end as nudge_count_35, (opened.layout[284] + opened.layout[285] - 1) * opened.cells + opened.place as nudge_low_35, case when opened.layout[288] >= 0 then opened.layout[288] * opened.series + 1 end as nudge_base_35, case when opened.layout[286] >= 0 then opened.layout[286] * opened.cells + opened.place end as nulls_35,
        opened.units[37] as unit_36, greatest(opened.units[37], 1) as times_36, greatest(-opened.units[37], 1) as per_36, opened.layout[291] as count_36, case when opened.units[37] = 0 then opened.layout[290] * opened.cells + opened.place else (opened.layout[290] + opened.layout[291] - 1) * opened.cells + opened.place end as low_36, case when opened.layout[295] >= 0 then opened.layout[295] * opened.series + 1 end as base_36, case when opened.layout[297] >= 0 then opened.layout[297] * opened.series + 1 end as slope_36, case when opened.layout[293] >= 0 then opened.layout[293] end as nudge_count_36, (opened.layout[292] + opened.layout[293] - 1) * opened.cells + opened.place as nudge_low_36, case when opened.layout[296] >= 0 then opened.layout[296] * opened.series + 1 end as nudge_base_36, case when opened.layout[294] >= 0 then opened.layout[294] * opened.cells + opened.place end as nulls_36,
        opened.units[38] as unit_37, greatest(opened.units[38], 1) as times_37, greatest(-opened.units[38], 1) as per_37, opened.layout[299] as count_37, case when opened.units[38] = 0 then opened.layout[298] * opened.cells + opened.place else (opened.layout[298] + opened.layout[299] - 1) * opened.cells + opened.place end as low_37, case when opened.layout[303] >= 0 then opened.layout[303] * opened.series + 1 end as base_37, case when opened.layout[305] >= 0 then opened.layout[305] * opened.series + 1 end as slope_37, case when opened.layout[301] >= 0 then opened.layout[301] end as nudge_count_37, (opened.layout[300] + opened.layout[301] - 1) * opened.cells + opened.place as nudge_low_37, case when opened.layout[304] >= 0 then opened.layout[304] * opened.series + 1 end as nudge_base_37, case when opened.layout[302] >= 0 then opened.layout[302] * opened.cells + opened.place end as nulls_37,
        opened.units[39] as unit_38, greatest(opened.units[39], 1) as times_38, greatest(-opened.units[39], 1) as per_38, opened.layout[307] as count_38, case when opened.units[39] = 0 then opened.layout[306] * opened.cells + opened.place else (opened.layout[306] + opened.layout[307] - 1) * opened.cells + opened.place end as low_38, case when opened.layout[311] >= 0 then opened.layout[311] * opened.series + 1 end as base_38, case when opened.layout[313] >= 0 then opened.layout[313] * opened.series + 1 end as slope_38, case when opened.layout[309] >= 0 then opened.layout[309] end as nudge_count_38, (opened.layout[308] + opened.layout[309] - 1) * opened.cells + opened.place as nudge_low_38, case when opened.layout[312] >= 0 then opened.layout[312] * opened.series + 1 end as nudge_base_38, case when opened.layout[310] >= 0 then opened.layout[310] * opened.cells + opened.place end as nulls_38,
        opened.units[40] as unit_39, greatest(opened.units[40], 1) as times_39, greatest(-opened.units[40], 1) as per_39, opened.layout[315] as count_39, case when opened.units[40] = 0 then opened.layout[314] * opened.cells + opened.place else (opened.layout[314] + opened.layout[315] - 1) * opened.cells + opened.place end as low_39, case when opened.layout[319] >= 0 then opened.layout[319] * opened.series + 1 end as base_39, case when opened.layout[321] >= 0 then opened.layout[321] * opened.series + 1 end as slope_39, case when opened.layout[317] >= 0 then opened.layout[317] end as nudge_count_39, (opened.layout[316] + opened.layout[317] - 1) * opened.cells + opened.place as nudge_low_39, case when opened.layout[320] >= 0 then opened.layout[320] * opened.series + 1 end as nudge_base_39, case when opened.layout[318] >= 0 then opened.layout[318] * opened.cells + opened.place end as nulls_39,
        opened.units[41] as unit_40, greatest(opened.units[41], 1) as times_40, greatest(-opened.units[41], 1) as per_40, opened.layout[323] as count_40, case when opened.units[41] = 0 then opened.layout[322] * opened.cells + opened.place else (opened.layout[322] + opened.layout[323] - 1) * opened.cells + opened.place end as low_40, case when opened.layout[327] >= 0 then opened.layout[327] * opened.series + 1 end as base_40, case when opened.layout[329] >= 0 then opened.layout[329] * opened.series + 1 end as slope_40, case when opened.layout[325] >= 0 then opened.layout[325] end as nudge_count_40, (opened.layout[324] + opened.layout[325] - 1) * opened.cells + opened.place as nudge_low_40, case when opened.layout[328] >= 0 then opened.layout[328] * opened.series + 1 end as nudge_base_40, case when opened.layout[326] >= 0 then opened.layout[326] * opened.cells + opened.place end as nulls_40,
        opened.units[42] as unit_41, greatest(opened.units[42], 1) as times_41, greatest(-opened.units[42], 1) as per_41, opened.layout[331] as count_41, case when opened.units[42] = 0 then opened.layout[330] * opened.cells + opened.place else (opened.layout[330] + opened.layout[331] - 1) * opened.cells + opened.place end as low_41, case when opened.layout[335] >= 0 then opened.layout[335] * opened.series + 1 end as base_41, case when opened.layout[337] >= 0 then opened.layout[337] * opened.series + 1 end as slope_41, case when opened.layout[333] >= 0 then opened.layout[333] end as nudge_count_41, (opened.layout[332] + opened.layout[333] - 1) * opened.cells + opened.place as nudge_low_41, case when opened.layout[336] >= 0 then opened.layout[336] * opened.series + 1 end as nudge_base_41, case when opened.layout[334] >= 0 then opened.layout[334] * opened.cells + opened.place end as nulls_41,
        opened.units[43] as unit_42, greatest(opened.units[43], 1) as times_42, greatest(-opened.units[43], 1) as per_42, opened.layout[339] as count_42, case when opened.units[43] = 0 then opened.layout[338] * opened.cells + opened.place else (opened.layout[338] + opened.layout[339] - 1) * opened.cells + opened.place end as low_42, case when opened.layout[343] >= 0 then opened.layout[343] * opened.series + 1 end as base_42, case when opened.layout[345] >= 0 then opened.layout[345] * opened.series + 1 end as slope_42, case when opened.layout[341] >= 0 then opened.layout[341] end as nudge_count_42, (opened.layout[340] + opened.layout[341] - 1) * opened.cells + opened.place as nudge_low_42, case when opened.layout[344] >= 0 then opened.layout[344] * opened.series + 1 end as nudge_base_42, case when opened.layout[342] >= 0 then opened.layout[342] * opened.cells + opened.place end as nulls_42,
        opened.units[44] as unit_43, greatest(opened.units[44], 1) as times_43, greatest(-opened.units[44], 1) as per_43, opened.layout[347] as count_43, case when opened.units[44] = 0 then opened.layout[346] * opened.cells + opened.place else (opened.layout[346] + opened.layout[347] - 1) * opened.cells + opened.place end as low_43, case when opened.layout[351] >= 0 then opened.layout[351] * opened.series + 1 end as base_43, case when opened.layout[353] >= 0 then opened.layout[353] * opened.series + 1 end as slope_43, case when opened.layout[349] >= 0 then opened.layout[349] end as nudge_count_43, (opened.layout[348] + opened.layout[349] - 1) * opened.cells + opened.place as nudge_low_43, case when opened.layout[352] >= 0 then opened.layout[352] * opened.series + 1 end as nudge_base_43, case when opened.layout[350] >= 0 then opened.layout[350] * opened.cells + opened.place end as nulls_43,
        opened.units[45] as unit_44, greatest(opened.units[45], 1) as times_44, greatest(-opened.units[45], 1) as per_44, opened.layout[355] as count_44, case when opened.units[45] = 0 then opened.layout[354] * opened.cells + opened.place else (opened.layout[354] + opened.layout[355] - 1) * opened.cells + opened.place end as low_44, case when opened.layout[359] >= 0 then opened.layout[359] * opened.series + 1 end as base_44, case when opened.layout[361] >= 0 then opened.layout[361] * opened.series + 1 end as slope_44, case when opened.layout[357] >= 0 then opened.layout[357] end as nudge_count_44, (opened.layout[356] + opened.layout[357] - 1) * opened.cells + opened.place as nudge_low_44, case when opened.layout[360] >= 0 then opened.layout[360] * opened.series + 1 end as nudge_base_44, case when opened.layout[358] >= 0 then opened.layout[358] * opened.cells + opened.place end as nulls_44,
        opened.units[46] as unit_45, greatest(opened.units[46], 1) as times_45, greatest(-opened.units[46], 1) as per_45, opened.layout[363] as count_45, case when opened.units[46] = 0 then opened.layout[362] * opened.cells + opened.place else (opened.layout[362] + opened.layout[363] - 1) * opened.cells + opened.place end as low_45, case when opened.layout[367] >= 0 then opened.layout[367] * opened.series + 1 end as base_45, case when opened.layout[369] >= 0 then opened.layout[369] * opened.series + 1 end as slope_45, case when opened.layout[365] >= 0 then opened.layout[365] end as nudge_count_45, (opened.layout[364] + opened.layout[365] - 1) * opened.cells + opened.place as nudge_low_45, case when opened.layout[368] >= 0 then opened.layout[368] * opened.series + 1 end as nudge_base_45, case when opened.layout[366] >= 0 then opened.layout[366] * opened.cells + opened.place end as nulls_45,
        opened.units[47] as unit_46, greatest(opened.units[47], 1) as times_46, greatest(-opened.units[47], 1) as per_46, opened.layout[371] as count_46, case when opened.units[47] = 0 then opened.layout[370] * opened.cells + opened.place else (opened.layout[370] + opened.layout[371] - 1) * opened.cells + opened.place end as low_46, case when opened.layout[375] >= 0 then opened.layout[375] * opened.series + 1 end as base_46, case when opened.layout[377] >= 0 then opened.layout[377] * opened.series + 1 end as slope_46, case when opened.layout[373] >= 0 then opened.layout[373] end as nudge_count_46, (opened.layout[372] + opened.layout[373] - 1) * opened.cells + opened.place as nudge_low_46, case when opened.layout[376] >= 0 then opened.layout[376] * opened.series + 1 end as nudge_base_46, case when opened.layout[374] >= 0 then opened.layout[374] * opened.cells + opened.place end as nulls_46,
        case when opened.layout[1] >= 0 then opened.layout[1] * opened.cells + opened.place end as present
      from (
        select packed.planes || ''::bytea as planes, packed.bases || '{}' as bases, packed.whole || '{}' as whole,
          packed.labels || '{}' as labels, packed.units || '{}' as units, packed.layout || '{}' as layout,
          cardinality(packed.at) as size, array_position(packed.at, scrape."timestamp") - 1 as place,
          1 as series,
          cardinality(packed.at) * 1 as cells
        from admiral.node_snapshots_packed as packed
        where scrape.packed_in is not null and packed.server_id = scrape.server_id and packed."timestamp" = scrape.packed_in
        offset 0
      ) as opened
      offset 0
    ) as chunk
      cross join lateral generate_series(0, chunk.series - 1) as series(no)
    where chunk.present is null or get_byte(chunk.planes, chunk.present + series.no * chunk.size) = 1
  ) as snapshot("cpu_idle_seconds", "cpu_iowait_seconds", "cpu_system_seconds", "cpu_user_seconds", "cpu_steal_seconds", "cpu_cores", "memory_total_bytes", "memory_available_bytes", "memory_free_bytes", "memory_buffers_bytes", "memory_cached_bytes", "memory_active_bytes", "memory_inactive_bytes", "swap_total_bytes", "swap_free_bytes", "swap_used_bytes", "swap_cached_bytes", "disk_total_bytes", "disk_used_bytes", "disk_available_bytes", "disk_reads_completed_total", "disk_writes_completed_total", "disk_read_bytes_total", "disk_written_bytes_total", "disk_io_time_seconds_total", "network_receive_bytes_total", "network_transmit_bytes_total", "network_receive_packets_total", "network_transmit_packets_total", "network_receive_errs_total", "network_transmit_errs_total", "network_receive_drop_total", "network_transmit_drop_total", "load_1min", "load_5min", "load_15min", "processes_running", "processes_blocked", "processes_total", "uptime_seconds", "cpu_set", "disk_set", "network_set", "pressure_cpu_seconds", "pressure_memory_seconds", "pressure_io_seconds", counters_since);
comment on view admiral.node_snapshots_rows is 'As node_snapshots, with the ids of servers and label values.';
create view admiral.node_snapshots as
select
  server.server_id,
  snapshot."timestamp",
  snapshot."cpu_idle_seconds",
  snapshot."cpu_iowait_seconds",
  snapshot."cpu_system_seconds",
  snapshot."cpu_user_seconds",
  snapshot."cpu_steal_seconds",
  snapshot."cpu_cores",
  snapshot."memory_total_bytes",
  snapshot."memory_available_bytes",
  snapshot."memory_free_bytes",
  snapshot."memory_buffers_bytes",
  snapshot."memory_cached_bytes",
  snapshot."memory_active_bytes",
  snapshot."memory_inactive_bytes",
  snapshot."swap_total_bytes",
  snapshot."swap_free_bytes",
  snapshot."swap_used_bytes",
  snapshot."swap_cached_bytes",
  snapshot."disk_total_bytes",
  snapshot."disk_used_bytes",
  snapshot."disk_available_bytes",
  snapshot."disk_reads_completed_total",
  snapshot."disk_writes_completed_total",
  snapshot."disk_read_bytes_total",
  snapshot."disk_written_bytes_total",
  snapshot."disk_io_time_seconds_total",
  snapshot."network_receive_bytes_total",
  snapshot."network_transmit_bytes_total",
  snapshot."network_receive_packets_total",
  snapshot."network_transmit_packets_total",
  snapshot."network_receive_errs_total",
  snapshot."network_transmit_errs_total",
  snapshot."network_receive_drop_total",
  snapshot."network_transmit_drop_total",
  snapshot."load_1min",
  snapshot."load_5min",
  snapshot."load_15min",
  snapshot."processes_running",
  snapshot."processes_blocked",
  snapshot."processes_total",
  snapshot."uptime_seconds",
  snapshot."cpu_set",
  snapshot."disk_set",
  snapshot."network_set",
  snapshot."pressure_cpu_seconds",
  snapshot."pressure_memory_seconds",
  snapshot."pressure_io_seconds",
  snapshot.created_at,
  snapshot.counters_since
from admiral.node_snapshots_rows as snapshot
  left join admiral.servers as server on server.id = snapshot.server_id;
comment on view admiral.node_snapshots is 'One row per scrape.';
comment on column admiral.node_snapshots."cpu_idle_seconds" is 'CPU time spent idle, all cores. In seconds.';
comment on column admiral.node_snapshots."cpu_iowait_seconds" is 'CPU time spent idle while waiting for a disk, all cores. In seconds.';
comment on column admiral.node_snapshots."cpu_system_seconds" is 'CPU time spent in the kernel, interrupts included, all cores. In seconds.';
comment on column admiral.node_snapshots."cpu_user_seconds" is 'CPU time spent in programs, niced ones and guests included, all cores. In seconds.';
comment on column admiral.node_snapshots."cpu_steal_seconds" is 'CPU time that the hypervisor gave to others, all cores. In seconds.';
comment on column admiral.node_snapshots."cpu_cores" is 'Logical CPUs that are online.';
comment on column admiral.node_snapshots."memory_total_bytes" is 'Memory of the host. In bytes.';
comment on column admiral.node_snapshots."memory_available_bytes" is 'Memory that programs can still get without swapping. In bytes.';
comment on column admiral.node_snapshots."memory_free_bytes" is 'Memory that nothing uses. In bytes.';
comment on column admiral.node_snapshots."memory_buffers_bytes" is 'Memory that buffers raw disk blocks. In bytes.';
comment on column admiral.node_snapshots."memory_cached_bytes" is 'Memory that caches files. In bytes.';
comment on column admiral.node_snapshots."memory_active_bytes" is 'Memory used recently. In bytes.';
comment on column admiral.node_snapshots."memory_inactive_bytes" is 'Memory not used recently, reclaimed first. In bytes.';
comment on column admiral.node_snapshots."swap_total_bytes" is 'Swap space; 0 where there is none. In bytes.';
comment on column admiral.node_snapshots."swap_free_bytes" is 'Swap space that nothing uses. In bytes.';
comment on column admiral.node_snapshots."swap_used_bytes" is 'Swap space in use: total less free. In bytes.';
comment on column admiral.node_snapshots."swap_cached_bytes" is 'Memory that was swapped out, is back, and is still in the swap space too. In bytes.';
comment on column admiral.node_snapshots."disk_total_bytes" is 'Size of the root filesystem. In bytes.';
comment on column admiral.node_snapshots."disk_used_bytes" is 'Used space of the root filesystem: size less free, as df shows it. In bytes.';
comment on column admiral.node_snapshots."disk_available_bytes" is 'Space of the root filesystem that unprivileged programs can still use; less than what is free. In bytes.';
comment on column admiral.node_snapshots."disk_reads_completed_total" is 'Reads completed, all physical disks.';
comment on column admiral.node_snapshots."disk_writes_completed_total" is 'Writes completed, all physical disks.';
comment on column admiral.node_snapshots."disk_read_bytes_total" is 'Bytes read, all physical disks. In bytes.';
comment on column admiral.node_snapshots."disk_written_bytes_total" is 'Bytes written, all physical disks. In bytes.';
comment on column admiral.node_snapshots."disk_io_time_seconds_total" is 'Time that disks were busy, summed over physical disks. In seconds.';
comment on column admiral.node_snapshots."network_receive_bytes_total" is 'Bytes received, all physical interfaces. In bytes.';
comment on column admiral.node_snapshots."network_transmit_bytes_total" is 'Bytes sent, all physical interfaces. In bytes.';
comment on column admiral.node_snapshots."network_receive_packets_total" is 'Packets received, all physical interfaces.';
comment on column admiral.node_snapshots."network_transmit_packets_total" is 'Packets sent, all physical interfaces.';
comment on column admiral.node_snapshots."network_receive_errs_total" is 'Receive errors, all physical interfaces.';
comment on column admiral.node_snapshots."network_transmit_errs_total" is 'Send errors, all physical interfaces.';
comment on column admiral.node_snapshots."network_receive_drop_total" is 'Packets dropped on receipt, all physical interfaces.';
comment on column admiral.node_snapshots."network_transmit_drop_total" is 'Packets dropped before sending, all physical interfaces.';
comment on column admiral.node_snapshots."load_1min" is 'Load average over 1 minute.';
comment on column admiral.node_snapshots."load_5min" is 'Load average over 5 minutes.';
comment on column admiral.node_snapshots."load_15min" is 'Load average over 15 minutes.';
comment on column admiral.node_snapshots."processes_running" is 'Threads that run or could run.';
comment on column admiral.node_snapshots."processes_blocked" is 'Threads that wait for a disk.';
comment on column admiral.node_snapshots."processes_total" is 'Processes on the host; only where the exporter runs with --collector.processes.';
comment on column admiral.node_snapshots."uptime_seconds" is 'Time since the host started. In seconds.';
comment on column admiral.node_snapshots."cpu_set" is 'Hash of the CPUs that the CPU columns sum up.';
comment on column admiral.node_snapshots."disk_set" is 'Hash of the disks that the disk columns sum up.';
comment on column admiral.node_snapshots."network_set" is 'Hash of the interfaces that the network columns sum up.';
comment on column admiral.node_snapshots."pressure_cpu_seconds" is 'Time in which some task waited for a CPU. In seconds.';
comment on column admiral.node_snapshots."pressure_memory_seconds" is 'Time in which some task waited for memory. In seconds.';
comment on column admiral.node_snapshots."pressure_io_seconds" is 'Time in which some task waited for a disk. In seconds.';
create function admiral.node_snapshots_between(server text, "from" timestamptz, "to" timestamptz) returns setof admiral.node_snapshots
language sql stable parallel safe as $function$
select
  server.server_id,
  snapshot."timestamp",
  snapshot."cpu_idle_seconds",
  snapshot."cpu_iowait_seconds",
  snapshot."cpu_system_seconds",
  snapshot."cpu_user_seconds",
  snapshot."cpu_steal_seconds",
  snapshot."cpu_cores",
  snapshot."memory_total_bytes",
  snapshot."memory_available_bytes",
  snapshot."memory_free_bytes",
  snapshot."memory_buffers_bytes",
  snapshot."memory_cached_bytes",
  snapshot."memory_active_bytes",
  snapshot."memory_inactive_bytes",
  snapshot."swap_total_bytes",
  snapshot."swap_free_bytes",
  snapshot."swap_used_bytes",
  snapshot."swap_cached_bytes",
  snapshot."disk_total_bytes",
  snapshot."disk_used_bytes",
  snapshot."disk_available_bytes",
  snapshot."disk_reads_completed_total",
  snapshot."disk_writes_completed_total",
  snapshot."disk_read_bytes_total",
  snapshot."disk_written_bytes_total",
  snapshot."disk_io_time_seconds_total",
  snapshot."network_receive_bytes_total",
  snapshot."network_transmit_bytes_total",
  snapshot."network_receive_packets_total",
  snapshot."network_transmit_packets_total",
  snapshot."network_receive_errs_total",
  snapshot."network_transmit_errs_total",
  snapshot."network_receive_drop_total",
  snapshot."network_transmit_drop_total",
  snapshot."load_1min",
  snapshot."load_5min",
  snapshot."load_15min",
  snapshot."processes_running",
  snapshot."processes_blocked",
  snapshot."processes_total",
  snapshot."uptime_seconds",
  snapshot."cpu_set",
  snapshot."disk_set",
  snapshot."network_set",
  snapshot."pressure_cpu_seconds",
  snapshot."pressure_memory_seconds",
  snapshot."pressure_io_seconds",
  snapshot.created_at,
  snapshot.counters_since
from admiral.node_snapshots_rows as snapshot
  left join admiral.servers as server on server.id = snapshot.server_id
where snapshot.server_id = (select known.id from admiral.servers as known where known.server_id = $1)
  and snapshot."timestamp" >= $2 and snapshot."timestamp" <= $3
$function$;
comment on function admiral.node_snapshots_between(text, timestamptz, timestamptz) is 'The rows of node_snapshots of one server between two moments, both included: found by the key of the scrapes.';
-- node_exporter: roll-ups, a row a server and bucket, called by the bucket's end. Groups are as narrow as may be already.
create table admiral.node_snapshots_5m (
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
alter table admiral.node_snapshots_5m alter column groups set storage external;
create table admiral.node_snapshots_1h (
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
alter table admiral.node_snapshots_1h alter column groups set storage external;
create table admiral.node_snapshots_1d (
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
alter table admiral.node_snapshots_1d alter column groups set storage external;
