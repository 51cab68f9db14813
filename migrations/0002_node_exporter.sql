-- node_exporter: one row per scrape; one partition per UTC day.
create table admiral.node_snapshots_rows (
  "timestamp" timestamptz not null,
  counters_since timestamptz,
  created_at timestamptz not null default now(),
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
  server_id integer not null,
  "cpu_cores" integer,
  "processes_running" integer,
  "processes_blocked" integer,
  "processes_total" integer,
  primary key ("server_id", "timestamp")
) partition by range ("timestamp");
create view admiral.node_snapshots as
select
  s.server_id,
  r."timestamp",
  r."cpu_idle_seconds",
  r."cpu_iowait_seconds",
  r."cpu_system_seconds",
  r."cpu_user_seconds",
  r."cpu_steal_seconds",
  r."cpu_cores",
  r."memory_total_bytes",
  r."memory_available_bytes",
  r."memory_free_bytes",
  r."memory_buffers_bytes",
  r."memory_cached_bytes",
  r."memory_active_bytes",
  r."memory_inactive_bytes",
  r."swap_total_bytes",
  r."swap_free_bytes",
  r."swap_used_bytes",
  r."swap_cached_bytes",
  r."disk_total_bytes",
  r."disk_used_bytes",
  r."disk_available_bytes",
  r."disk_reads_completed_total",
  r."disk_writes_completed_total",
  r."disk_read_bytes_total",
  r."disk_written_bytes_total",
  r."disk_io_time_seconds_total",
  r."network_receive_bytes_total",
  r."network_transmit_bytes_total",
  r."network_receive_packets_total",
  r."network_transmit_packets_total",
  r."network_receive_errs_total",
  r."network_transmit_errs_total",
  r."network_receive_drop_total",
  r."network_transmit_drop_total",
  r."load_1min",
  r."load_5min",
  r."load_15min",
  r."processes_running",
  r."processes_blocked",
  r."processes_total",
  r."uptime_seconds",
  r.created_at,
  r.counters_since
from admiral.node_snapshots_rows r
  left join admiral.servers s on s.id = r.server_id;
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
comment on column admiral.node_snapshots_rows."cpu_idle_seconds" is 'CPU time spent idle, all cores. In seconds.';
comment on column admiral.node_snapshots_rows."cpu_iowait_seconds" is 'CPU time spent idle while waiting for a disk, all cores. In seconds.';
comment on column admiral.node_snapshots_rows."cpu_system_seconds" is 'CPU time spent in the kernel, interrupts included, all cores. In seconds.';
comment on column admiral.node_snapshots_rows."cpu_user_seconds" is 'CPU time spent in programs, niced ones and guests included, all cores. In seconds.';
comment on column admiral.node_snapshots_rows."cpu_steal_seconds" is 'CPU time that the hypervisor gave to others, all cores. In seconds.';
comment on column admiral.node_snapshots_rows."cpu_cores" is 'Logical CPUs that are online.';
comment on column admiral.node_snapshots_rows."memory_total_bytes" is 'Memory of the host. In bytes.';
comment on column admiral.node_snapshots_rows."memory_available_bytes" is 'Memory that programs can still get without swapping. In bytes.';
comment on column admiral.node_snapshots_rows."memory_free_bytes" is 'Memory that nothing uses. In bytes.';
comment on column admiral.node_snapshots_rows."memory_buffers_bytes" is 'Memory that buffers raw disk blocks. In bytes.';
comment on column admiral.node_snapshots_rows."memory_cached_bytes" is 'Memory that caches files. In bytes.';
comment on column admiral.node_snapshots_rows."memory_active_bytes" is 'Memory used recently. In bytes.';
comment on column admiral.node_snapshots_rows."memory_inactive_bytes" is 'Memory not used recently, reclaimed first. In bytes.';
comment on column admiral.node_snapshots_rows."swap_total_bytes" is 'Swap space; 0 where there is none. In bytes.';
comment on column admiral.node_snapshots_rows."swap_free_bytes" is 'Swap space that nothing uses. In bytes.';
comment on column admiral.node_snapshots_rows."swap_used_bytes" is 'Swap space in use: total less free. In bytes.';
comment on column admiral.node_snapshots_rows."swap_cached_bytes" is 'Memory that was swapped out, is back, and is still in the swap space too. In bytes.';
comment on column admiral.node_snapshots_rows."disk_total_bytes" is 'Size of the root filesystem. In bytes.';
comment on column admiral.node_snapshots_rows."disk_used_bytes" is 'Used space of the root filesystem: size less free, as df shows it. In bytes.';
comment on column admiral.node_snapshots_rows."disk_available_bytes" is 'Space of the root filesystem that unprivileged programs can still use; less than what is free. In bytes.';
comment on column admiral.node_snapshots_rows."disk_reads_completed_total" is 'Reads completed, all physical disks.';
comment on column admiral.node_snapshots_rows."disk_writes_completed_total" is 'Writes completed, all physical disks.';
comment on column admiral.node_snapshots_rows."disk_read_bytes_total" is 'Bytes read, all physical disks. In bytes.';
comment on column admiral.node_snapshots_rows."disk_written_bytes_total" is 'Bytes written, all physical disks. In bytes.';
comment on column admiral.node_snapshots_rows."disk_io_time_seconds_total" is 'Time that disks were busy, summed over physical disks. In seconds.';
comment on column admiral.node_snapshots_rows."network_receive_bytes_total" is 'Bytes received, all physical interfaces. In bytes.';
comment on column admiral.node_snapshots_rows."network_transmit_bytes_total" is 'Bytes sent, all physical interfaces. In bytes.';
comment on column admiral.node_snapshots_rows."network_receive_packets_total" is 'Packets received, all physical interfaces.';
comment on column admiral.node_snapshots_rows."network_transmit_packets_total" is 'Packets sent, all physical interfaces.';
comment on column admiral.node_snapshots_rows."network_receive_errs_total" is 'Receive errors, all physical interfaces.';
comment on column admiral.node_snapshots_rows."network_transmit_errs_total" is 'Send errors, all physical interfaces.';
comment on column admiral.node_snapshots_rows."network_receive_drop_total" is 'Packets dropped on receipt, all physical interfaces.';
comment on column admiral.node_snapshots_rows."network_transmit_drop_total" is 'Packets dropped before sending, all physical interfaces.';
comment on column admiral.node_snapshots_rows."load_1min" is 'Load average over 1 minute.';
comment on column admiral.node_snapshots_rows."load_5min" is 'Load average over 5 minutes.';
comment on column admiral.node_snapshots_rows."load_15min" is 'Load average over 15 minutes.';
comment on column admiral.node_snapshots_rows."processes_running" is 'Threads that run or could run.';
comment on column admiral.node_snapshots_rows."processes_blocked" is 'Threads that wait for a disk.';
comment on column admiral.node_snapshots_rows."processes_total" is 'Processes on the host; only where the exporter runs with --collector.processes.';
comment on column admiral.node_snapshots_rows."uptime_seconds" is 'Time since the host started. In seconds.';
