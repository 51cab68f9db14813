/**
 * node_exporter (prometheus/node_exporter, 0.16 and later, Linux): one row, the state of the host.
 *
 * Every column is nullable: a metric that this version or this machine lacks is null, never 0. CPU time is summed over
 * cores, `nice` into user, `irq` and `softirq` into system, so that the modes sum to the whole; `guest` is part of user
 * already. Disk and network are summed over physical devices (`Devices.ts`). A scrape without node_cpu_seconds_total,
 * such as one of a version before 0.16, is a `ParseError`.
 */
import { Result } from "effect"
import { counter, gauge } from "../Column.ts"
import { defineExporter, ParseError } from "../Exporter.ts"
import type { Sample } from "../Exposition.ts"
import { isPhysicalDisk, isPhysicalInterface, isRootFilesystem } from "./Devices.ts"

const CPU = "node_cpu_seconds_total"
const BOOT_TIME = "node_boot_time_seconds"
const TIME = "node_time_seconds"

const bytes = (doc: string) => gauge({ type: "bigint", unit: "bytes", nullable: true, doc })
const seconds = (doc: string) => counter({ unit: "seconds", nullable: true, doc })
const events = (doc: string) => counter({ type: "bigint", nullable: true, doc })
// Not bigint: a fast disk or network passes 2^53 bytes within weeks; a double then loses bits, bigint would lose the value.
const traffic = (doc: string) => counter({ unit: "bytes", nullable: true, doc })
const load = (doc: string) => gauge({ nullable: true, doc })
const count = (doc: string) => gauge({ type: "integer", nullable: true, doc })

/** Columns that are the value of one sample without labels. */
const SINGLE = {
  memory_total_bytes: "node_memory_MemTotal_bytes",
  memory_available_bytes: "node_memory_MemAvailable_bytes",
  memory_free_bytes: "node_memory_MemFree_bytes",
  memory_buffers_bytes: "node_memory_Buffers_bytes",
  memory_cached_bytes: "node_memory_Cached_bytes",
  memory_active_bytes: "node_memory_Active_bytes",
  memory_inactive_bytes: "node_memory_Inactive_bytes",
  swap_total_bytes: "node_memory_SwapTotal_bytes",
  swap_free_bytes: "node_memory_SwapFree_bytes",
  swap_cached_bytes: "node_memory_SwapCached_bytes",
  load_1min: "node_load1",
  load_5min: "node_load5",
  load_15min: "node_load15",
  processes_running: "node_procs_running",
  processes_blocked: "node_procs_blocked",
  // Of the collector "processes", which is off unless --collector.processes is given.
  processes_total: "node_processes_pids"
} as const

/** Columns that are sums over physical disks. */
const DISK = {
  disk_reads_completed_total: "node_disk_reads_completed_total",
  disk_writes_completed_total: "node_disk_writes_completed_total",
  disk_read_bytes_total: "node_disk_read_bytes_total",
  disk_written_bytes_total: "node_disk_written_bytes_total",
  disk_io_time_seconds_total: "node_disk_io_time_seconds_total"
} as const

/** Columns that are sums over physical network interfaces. */
const NETWORK = {
  network_receive_bytes_total: "node_network_receive_bytes_total",
  network_transmit_bytes_total: "node_network_transmit_bytes_total",
  network_receive_packets_total: "node_network_receive_packets_total",
  network_transmit_packets_total: "node_network_transmit_packets_total",
  network_receive_errs_total: "node_network_receive_errs_total",
  network_transmit_errs_total: "node_network_transmit_errs_total",
  network_receive_drop_total: "node_network_receive_drop_total",
  network_transmit_drop_total: "node_network_transmit_drop_total"
} as const

const FILESYSTEM = {
  size: "node_filesystem_size_bytes",
  free: "node_filesystem_free_bytes",
  available: "node_filesystem_avail_bytes",
  error: "node_filesystem_device_error"
} as const

export const nodeExporter = defineExporter({
  name: "node_exporter",
  title: "Host",
  scrape: {
    endpoint: "http://127.0.0.1:9100/metrics",
    interval: "15 seconds",
    timeout: "5 seconds",
    families: [
      CPU,
      BOOT_TIME,
      TIME,
      ...[SINGLE, DISK, NETWORK, FILESYSTEM].flatMap((metrics) => Object.values<string>(metrics))
    ],
    collector: "node"
  },
  table: {
    name: "node_snapshots",
    retention: "30 days",
    columns: {
      cpu_idle_seconds: seconds("CPU time spent idle, all cores."),
      cpu_iowait_seconds: seconds("CPU time spent idle while waiting for a disk, all cores."),
      cpu_system_seconds: seconds("CPU time spent in the kernel, interrupts included, all cores."),
      cpu_user_seconds: seconds("CPU time spent in programs, niced ones and guests included, all cores."),
      cpu_steal_seconds: seconds("CPU time that the hypervisor gave to others, all cores."),
      cpu_cores: count("Logical CPUs that are online."),
      memory_total_bytes: bytes("Memory of the host."),
      memory_available_bytes: bytes("Memory that programs can still get without swapping."),
      memory_free_bytes: bytes("Memory that nothing uses."),
      memory_buffers_bytes: bytes("Memory that buffers raw disk blocks."),
      memory_cached_bytes: bytes("Memory that caches files."),
      memory_active_bytes: bytes("Memory used recently."),
      memory_inactive_bytes: bytes("Memory not used recently, reclaimed first."),
      swap_total_bytes: bytes("Swap space; 0 where there is none."),
      swap_free_bytes: bytes("Swap space that nothing uses."),
      swap_used_bytes: bytes("Swap space in use: total less free."),
      swap_cached_bytes: bytes("Memory that was swapped out, is back, and is still in the swap space too."),
      disk_total_bytes: bytes("Size of the root filesystem."),
      disk_used_bytes: bytes("Used space of the root filesystem: size less free, as df shows it."),
      disk_available_bytes: bytes(
        "Space of the root filesystem that unprivileged programs can still use; less than what is free."
      ),
      disk_reads_completed_total: events("Reads completed, all physical disks."),
      disk_writes_completed_total: events("Writes completed, all physical disks."),
      disk_read_bytes_total: traffic("Bytes read, all physical disks."),
      disk_written_bytes_total: traffic("Bytes written, all physical disks."),
      disk_io_time_seconds_total: seconds("Time that disks were busy, summed over physical disks."),
      network_receive_bytes_total: traffic("Bytes received, all physical interfaces."),
      network_transmit_bytes_total: traffic("Bytes sent, all physical interfaces."),
      network_receive_packets_total: events("Packets received, all physical interfaces."),
      network_transmit_packets_total: events("Packets sent, all physical interfaces."),
      network_receive_errs_total: events("Receive errors, all physical interfaces."),
      network_transmit_errs_total: events("Send errors, all physical interfaces."),
      network_receive_drop_total: events("Packets dropped on receipt, all physical interfaces."),
      network_transmit_drop_total: events("Packets dropped before sending, all physical interfaces."),
      load_1min: load("Load average over 1 minute."),
      load_5min: load("Load average over 5 minutes."),
      load_15min: load("Load average over 15 minutes."),
      processes_running: count("Threads that run or could run."),
      processes_blocked: count("Threads that wait for a disk."),
      processes_total: count("Processes on the host; only where the exporter runs with --collector.processes."),
      uptime_seconds: gauge({ unit: "seconds", nullable: true, doc: "Time since the host started." })
    }
  },
  parse: (samples) => {
    const byName = groupByName(samples)
    const cpu = byName.get(CPU)
    if (cpu === undefined) {
      const reason = `unsupported exporter: no ${CPU}, so this is not node_exporter 0.16 or later on Linux`
      return Result.fail(new ParseError({ exporter: "node_exporter", reason }))
    }
    const single = pick(SINGLE, (metric) => byName.get(metric)?.[0]?.value ?? null)
    const disk = pick(DISK, (metric) => sum(byName.get(metric), ({ labels }) => isPhysicalDisk(labels.device)))
    const network = pick(NETWORK, (metric) =>
      sum(byName.get(metric), ({ labels }) => isPhysicalInterface(labels.device))
    )
    const root = pick(FILESYSTEM, (metric) => byName.get(metric)?.find(isRootFilesystem)?.value ?? null)
    // The kernel could not read the filesystem: what stands in its numbers means nothing.
    const { available, free, size } = root.error === 1 ? { available: null, free: null, size: null } : root
    const bootTime = byName.get(BOOT_TIME)?.[0]?.value ?? null
    const time = byName.get(TIME)?.[0]?.value ?? null
    return Result.succeed({
      rows: [
        {
          cpu_idle_seconds: cpuSeconds(cpu, ["idle"]),
          cpu_iowait_seconds: cpuSeconds(cpu, ["iowait"]),
          cpu_system_seconds: cpuSeconds(cpu, ["system", "irq", "softirq"]),
          cpu_user_seconds: cpuSeconds(cpu, ["user", "nice"]),
          cpu_steal_seconds: cpuSeconds(cpu, ["steal"]),
          cpu_cores: new Set(cpu.map(({ labels }) => labels.cpu)).size,
          ...single,
          swap_used_bytes: minus(single.swap_total_bytes, single.swap_free_bytes),
          disk_total_bytes: size,
          disk_used_bytes: minus(size, free),
          disk_available_bytes: available,
          ...disk,
          ...network,
          uptime_seconds: toMicros(minus(time, bootTime))
        }
      ],
      skipped: [],
      countersSince: bootTime === null ? null : bootTime * 1_000
    })
  },
  host: {
    cores: "cpu_cores",
    memoryTotal: "memory_total_bytes",
    cpuBusy: ["cpu_user_seconds", "cpu_system_seconds"],
    cpuIdle: "cpu_idle_seconds",
    memoryAvailable: "memory_available_bytes",
    load: "load_1min",
    uptime: "uptime_seconds"
  }
})

const groupByName = (samples: ReadonlyArray<Sample>): ReadonlyMap<string, ReadonlyArray<Sample>> => {
  const groups = new Map<string, Array<Sample>>()
  for (const sample of samples) {
    const group = groups.get(sample.name)
    if (group === undefined) groups.set(sample.name, [sample])
    else group.push(sample)
  }
  return groups
}

/** One value for each entry of a table of metrics. */
const pick = <const M extends Readonly<Record<string, string>>>(metrics: M, value: (metric: string) => number | null) =>
  Object.fromEntries(Object.entries(metrics).map(([key, metric]) => [key, value(metric)])) as {
    readonly [K in keyof M]: number | null
  }

/** The sum of those that count; null where there are none. */
const sum = (samples: ReadonlyArray<Sample> = [], counts: (sample: Sample) => boolean): number | null => {
  const counted = samples.filter(counts)
  return counted.length === 0 ? null : counted.reduce((total, { value }) => total + value, 0)
}

const cpuSeconds = (cpu: ReadonlyArray<Sample>, modes: ReadonlyArray<string>): number | null =>
  toMicros(sum(cpu, ({ labels }) => modes.includes(labels.mode ?? "")))

const minus = (a: number | null, b: number | null): number | null => (a === null || b === null ? null : a - b)

/**
 * Seconds to the microsecond: the exporter's own values have two digits, or a few hundred nanoseconds of precision, and
 * what stands behind them after adding and subtracting is noise of binary fractions. Beyond 2^53 µs they have none.
 */
const toMicros = (seconds: number | null): number | null =>
  seconds === null || !(Math.abs(seconds) < 9e9) ? seconds : Math.round(seconds * 1e6) / 1e6
