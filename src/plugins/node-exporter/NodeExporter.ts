/**
 * node_exporter (prometheus/node_exporter, 0.16 and later, Linux): one row, the state of the host.
 *
 * Every column is nullable: a metric that this version or this machine lacks is null, never 0. CPU time is summed over
 * cores, `nice` into user, `irq` and `softirq` into system, so that the modes sum to the whole; `guest` is part of user
 * already. Disk and network are summed over physical devices (`Devices.ts`). A repeated series counts once; series under
 * different labels, as a federation of several hosts has, are summed, all of them, cores too (`Series.ts`). A scrape
 * without node_cpu_seconds_total, such as one of a version before 0.16, is a `ParseError`.
 */
import { Result } from "effect"
import { counter, fingerprint, gauge } from "../Column.ts"
import { defineExporter, ParseError } from "../Exporter.ts"
import type { Sample } from "../Exposition.ts"
import { hashOfNames } from "../NameSet.ts"
import { beginning, distinctSeries, seriesOf } from "../Series.ts"
import {
  DEVICE_FAMILIES,
  type Families,
  type HostOf,
  hostsOf,
  isRootFilesystem,
  physicalDisks,
  physicalInterfaces
} from "./Devices.ts"

const CPU = "node_cpu_seconds_total"
const BOOT_TIME = "node_boot_time_seconds"
const TIME = "node_time_seconds"
/** CPU time as node_exporter told it before 0.16 (2018). */
const BEFORE_0_16 = "node_cpu"

const bytes = (doc: string) => gauge({ type: "bigint", unit: "bytes", nullable: true, doc })
// Where an exporter is too old to list the CPUs, their number tells most changes.
const CPUS = ["cpu_set", "cpu_cores"]
const DISKS = ["disk_set"]
const INTERFACES = ["network_set"]
const seconds = (over: ReadonlyArray<string>, doc: string) => counter({ unit: "seconds", nullable: true, over, doc })
const waited = (doc: string) => counter({ unit: "seconds", nullable: true, doc })
const events = (over: ReadonlyArray<string>, doc: string) => counter({ type: "bigint", nullable: true, over, doc })
// Not bigint: a fast disk or network passes 2^53 bytes within weeks; a double then loses bits, bigint would lose the value.
const traffic = (over: ReadonlyArray<string>, doc: string) => counter({ unit: "bytes", nullable: true, over, doc })
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

/** Of the kernel's pressure stall information, Linux 4.20 and later; a kernel without it has none of these. */
const PRESSURE = {
  pressure_cpu_seconds: "node_pressure_cpu_waiting_seconds_total",
  pressure_memory_seconds: "node_pressure_memory_waiting_seconds_total",
  pressure_io_seconds: "node_pressure_io_waiting_seconds_total"
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
      BEFORE_0_16,
      ...DEVICE_FAMILIES,
      ...[SINGLE, PRESSURE, DISK, NETWORK, FILESYSTEM].flatMap((metrics) => Object.values<string>(metrics))
    ],
    collector: "node"
  },
  table: {
    name: "node_snapshots",
    retention: "30 days",
    columns: {
      cpu_idle_seconds: seconds(CPUS, "CPU time spent idle, all cores."),
      cpu_iowait_seconds: seconds(CPUS, "CPU time spent idle while waiting for a disk, all cores."),
      cpu_system_seconds: seconds(CPUS, "CPU time spent in the kernel, interrupts included, all cores."),
      cpu_user_seconds: seconds(CPUS, "CPU time spent in programs, niced ones and guests included, all cores."),
      cpu_steal_seconds: seconds(CPUS, "CPU time that the hypervisor gave to others, all cores."),
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
      disk_reads_completed_total: events(DISKS, "Reads completed, all physical disks."),
      disk_writes_completed_total: events(DISKS, "Writes completed, all physical disks."),
      disk_read_bytes_total: traffic(DISKS, "Bytes read, all physical disks."),
      disk_written_bytes_total: traffic(DISKS, "Bytes written, all physical disks."),
      disk_io_time_seconds_total: seconds(DISKS, "Time that disks were busy, summed over physical disks."),
      network_receive_bytes_total: traffic(INTERFACES, "Bytes received, all physical interfaces."),
      network_transmit_bytes_total: traffic(INTERFACES, "Bytes sent, all physical interfaces."),
      network_receive_packets_total: events(INTERFACES, "Packets received, all physical interfaces."),
      network_transmit_packets_total: events(INTERFACES, "Packets sent, all physical interfaces."),
      network_receive_errs_total: events(INTERFACES, "Receive errors, all physical interfaces."),
      network_transmit_errs_total: events(INTERFACES, "Send errors, all physical interfaces."),
      network_receive_drop_total: events(INTERFACES, "Packets dropped on receipt, all physical interfaces."),
      network_transmit_drop_total: events(INTERFACES, "Packets dropped before sending, all physical interfaces."),
      load_1min: load("Load average over 1 minute."),
      load_5min: load("Load average over 5 minutes."),
      load_15min: load("Load average over 15 minutes."),
      processes_running: count("Threads that run or could run."),
      processes_blocked: count("Threads that wait for a disk."),
      processes_total: count("Processes on the host; only where the exporter runs with --collector.processes."),
      uptime_seconds: gauge({ unit: "seconds", nullable: true, doc: "Time since the host started." }),
      cpu_set: fingerprint({ doc: "Hash of the CPUs that the CPU columns sum up." }),
      disk_set: fingerprint({ doc: "Hash of the disks that the disk columns sum up." }),
      network_set: fingerprint({ doc: "Hash of the interfaces that the network columns sum up." }),
      pressure_cpu_seconds: waited("Time in which some task waited for a CPU."),
      pressure_memory_seconds: waited("Time in which some task waited for memory."),
      pressure_io_seconds: waited("Time in which some task waited for a disk.")
    }
  },
  parse: (samples, scrapedAt) => {
    const { byName, skipped } = distinctSeries(samples)
    const cpu = byName.get(CPU)
    if (cpu === undefined) {
      const reason = unsupported(byName)
      return Result.fail(new ParseError({ exporter: "node_exporter", reason }))
    }
    const hostOf = hostsOf(cpu)
    const isDisk = physicalDisks(byName, hostOf, Object.values(DISK))
    const isInterface = physicalInterfaces(byName, hostOf, Object.values(NETWORK))
    const single = pick(SINGLE, (metric) => sum(byName.get(metric)))
    const disk = pick(DISK, (metric) => sum(byName.get(metric), isDisk))
    const network = pick(NETWORK, (metric) => sum(byName.get(metric), isInterface))
    const { available, free, size } = rootFilesystem(byName, hostOf)
    const countersSince = beginning(byName.get(BOOT_TIME), scrapedAt)
    const time = byName.get(TIME)?.[0]?.value ?? null
    return Result.succeed({
      rows: [
        {
          cpu_idle_seconds: cpuSeconds(cpu, ["idle"]),
          cpu_iowait_seconds: cpuSeconds(cpu, ["iowait"]),
          cpu_system_seconds: cpuSeconds(cpu, ["system", "irq", "softirq"]),
          cpu_user_seconds: cpuSeconds(cpu, ["user", "nice"]),
          cpu_steal_seconds: cpuSeconds(cpu, ["steal"]),
          cpu_cores: new Set(cpu.map(({ labels }) => seriesOf(labels, "mode"))).size,
          ...single,
          swap_used_bytes: minus(single.swap_total_bytes, single.swap_free_bytes),
          disk_total_bytes: size,
          disk_used_bytes: minus(size, free),
          disk_available_bytes: available,
          ...disk,
          ...network,
          uptime_seconds: toMicros(minus(time, countersSince === null ? null : countersSince / 1_000)),
          cpu_set: hashOfNames(cpu.map((sample) => `${hostOf(sample)}${sample.labels.cpu ?? ""}`)),
          disk_set: hashOfNames(devicesOf(byName, DISK, isDisk, hostOf)),
          network_set: hashOfNames(devicesOf(byName, NETWORK, isInterface, hostOf)),
          ...pick(PRESSURE, (metric) => toMicros(sum(byName.get(metric))))
        }
      ],
      skipped,
      countersSince
    })
  },
  host: {
    cores: "cpu_cores",
    memoryTotal: "memory_total_bytes",
    cpuBusy: ["cpu_user_seconds", "cpu_system_seconds"],
    cpuIdle: "cpu_idle_seconds",
    cpuWaits: { iowait: "cpu_iowait_seconds", steal: "cpu_steal_seconds" },
    memoryAvailable: "memory_available_bytes",
    swapTotal: "swap_total_bytes",
    swapFree: "swap_free_bytes",
    pressure: { cpu: "pressure_cpu_seconds", memory: "pressure_memory_seconds", io: "pressure_io_seconds" },
    load: "load_1min",
    uptime: "uptime_seconds"
  }
})

/** Why the scrape is not one of node_exporter that can be read. */
const unsupported = (byName: Families): string => {
  if (byName.has(BEFORE_0_16)) {
    return `unsupported exporter, too old: it tells CPU time as ${BEFORE_0_16}, as node_exporter did before 0.16; install 1.0 or later`
  }
  if (byName.has(TIME) || byName.has(SINGLE.load_1min)) {
    return `unsupported exporter: node_exporter without ${CPU}; is its collector "cpu" switched off?`
  }
  return `unsupported exporter: no ${CPU}, so this is not node_exporter 0.16 or later on Linux`
}

/** The root filesystem of each host, summed; null where none is told, or the kernel could not read it. */
const rootFilesystem = (byName: Families, hostOf: HostOf) => {
  const roots = (metric: string) => {
    const values = new Map<string, number>()
    for (const sample of byName.get(metric) ?? []) {
      const host = hostOf(sample)
      if (isRootFilesystem(sample) && !values.has(host)) values.set(host, sample.value)
    }
    return values
  }
  const unread = roots(FILESYSTEM.error)
  return pick({ size: FILESYSTEM.size, free: FILESYSTEM.free, available: FILESYSTEM.available }, (metric) => {
    const read = [...roots(metric)].filter(([host]) => unread.get(host) !== 1)
    return read.length === 0 ? null : read.reduce((total, [, value]) => total + value, 0)
  })
}

/** One value for each entry of a table of metrics. */
const pick = <const M extends Readonly<Record<string, string>>>(metrics: M, value: (metric: string) => number | null) =>
  Object.fromEntries(Object.entries(metrics).map(([key, metric]) => [key, value(metric)])) as {
    readonly [K in keyof M]: number | null
  }

/** The sum of those that count; null where there are none. */
const sum = (samples: ReadonlyArray<Sample> = [], counts: (sample: Sample) => boolean = () => true): number | null => {
  const counted = samples.filter(counts)
  return counted.length === 0 ? null : counted.reduce((total, { value }) => total + value, 0)
}

const cpuSeconds = (cpu: ReadonlyArray<Sample>, modes: ReadonlyArray<string>): number | null =>
  toMicros(sum(cpu, ({ labels }) => modes.includes(labels.mode ?? "")))

/** The devices whose samples are summed up, with their hosts, in any order, with repetitions. */
const devicesOf = (
  byName: Families,
  metrics: Readonly<Record<string, string>>,
  counts: (sample: Sample) => boolean,
  hostOf: HostOf
): ReadonlyArray<string> =>
  Object.values(metrics).flatMap((metric) =>
    (byName.get(metric) ?? []).filter(counts).map((sample) => `${hostOf(sample)}${sample.labels.device}`)
  )

const minus = (a: number | null, b: number | null): number | null => (a === null || b === null ? null : a - b)

/**
 * Seconds to the microsecond: the exporter's own values have two digits, or a few hundred nanoseconds of precision, and
 * what stands behind them after adding and subtracting is noise of binary fractions. Beyond 2^53 µs they have none.
 */
const toMicros = (seconds: number | null): number | null =>
  seconds === null || !(Math.abs(seconds) < 9e9) ? seconds : Math.round(seconds * 1e6) / 1e6
