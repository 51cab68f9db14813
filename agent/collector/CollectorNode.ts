/**
 * The built-in collector for the machine as a whole: reads `/proc`, `/sys` and the root file system, and says what
 * node_exporter would. Devices are not filtered here: the parser does that, whoever sent them, by what the host knows of
 * them (`SysDevices.ts`).
 *
 * A file that is missing (in some containers) leaves its families out, so that they are unknown and not 0; without
 * `/proc/stat` there is nothing to say. It keeps no state: these counters begin at boot, as node_exporter's do.
 */
import { statfs } from "node:fs/promises"
import { type Clock, Effect } from "effect"
import { Collection, CollectorUnavailable, type OpenCollector } from "./Collector.ts"
import { type Family, familyOf } from "./ExpositionText.ts"
import { kernelUnits, type ProcFiles } from "./ProcFiles.ts"
import { readSysDevices, type SysDevices, sysFamilies } from "./SysDevices.ts"

/** Opens the collector. Without a sysfs, devices are judged by their names. */
export const openNodeCollector = (
  files: ProcFiles,
  clock: Clock.Clock,
  sys?: ProcFiles
): Effect.Effect<OpenCollector, CollectorUnavailable> =>
  Effect.sync(() => {
    const { ticksPerSecond } = kernelUnits(files)
    const collect = Effect.gen(function* () {
      const collectedAt = clock.currentTimeMillisUnsafe()
      const stat = files.text("stat")
      if (stat === undefined) {
        return yield* new CollectorUnavailable({ reason: `${files.root}/stat cannot be read` })
      }
      const diskstats = files.text("diskstats")
      const netDev = files.text("self/net/dev")
      const sources: NodeSources = {
        stat,
        meminfo: files.text("meminfo"),
        loadavg: files.text("loadavg"),
        pressure: {
          cpu: files.text("pressure/cpu"),
          memory: files.text("pressure/memory"),
          io: files.text("pressure/io")
        },
        diskstats,
        netDev,
        devices:
          sys === undefined
            ? undefined
            : readSysDevices(sys, deviceNames(netDev, networkRow), deviceNames(diskstats, diskRow)),
        mounts: files.text("self/mounts"),
        processes: files.pids()?.length,
        root: yield* rootFileSystem
      }
      return new Collection(nodeFamilies(sources, ticksPerSecond, collectedAt), collectedAt)
    })
    return { collect }
  })

const rootFileSystem = Effect.promise(() => statfs("/").catch(() => undefined))

/** The files' contents; undefined where they cannot be read. */
export interface NodeSources {
  readonly stat: string
  readonly meminfo: string | undefined
  readonly loadavg: string | undefined
  /** Of kernels that tell it (Linux 4.20 and later, unless booted with psi=0). */
  readonly pressure?: Readonly<Record<"cpu" | "memory" | "io", string | undefined>> | undefined
  readonly diskstats: string | undefined
  readonly netDev: string | undefined
  readonly devices?: SysDevices | undefined
  readonly mounts: string | undefined
  readonly processes: number | undefined
  /** statfs(2) of `/`: sizes in blocks of `bsize` bytes. */
  readonly root:
    | { readonly bsize: number; readonly blocks: number; readonly bfree: number; readonly bavail: number }
    | undefined
}

/** The sources as node_exporter's metrics. `now` in epoch milliseconds. */
export const nodeFamilies = (sources: NodeSources, ticksPerSecond: number, now: number): ReadonlyArray<Family> => [
  ...statFamilies(sources.stat, ticksPerSecond),
  ...memoryFamilies(sources.meminfo),
  ...fileSystemFamilies(sources),
  ...deviceFamilies(sources.diskstats, DISK, diskRow),
  ...deviceFamilies(sources.netDev, NETWORK, networkRow),
  ...(sources.devices === undefined ? [] : sysFamilies(sources.devices)),
  ...LOADS.map((name, index) => gauge(name, "Load average.", (sources.loadavg ?? "").split(" ")[index])),
  ...Object.entries(sources.pressure ?? {}).map(([what, text]) => waiting(what, text)),
  gauge("node_processes_pids", "Number of processes.", sources.processes),
  gauge("node_time_seconds", "System time in seconds since the epoch.", now / 1000)
]

const MODES = ["user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"]
const LOADS = ["node_load1", "node_load5", "node_load15"]

const gauge = (name: string, help: string, value: string | number | undefined): Family => {
  const number = value === undefined || value === "" ? Number.NaN : Number(value)
  return familyOf({ name, help, type: "gauge", samples: Number.isFinite(number) ? [[{}, number]] : [] })
}

/** `some avg10=0.00 avg60=0.00 avg300=0.00 total=1234`, in microseconds (the kernel's Documentation/accounting/psi.rst). */
const waiting = (what: string, text: string | undefined): Family => {
  const total = /^some .*\btotal=(\d+)$/m.exec(text ?? "")?.[1]
  const help = `Seconds in which some task waited for ${what}.`
  return familyOf({
    name: `node_pressure_${what}_waiting_seconds_total`,
    help,
    type: "counter",
    samples: total === undefined ? [] : [[{}, Number(total) / 1e6]]
  })
}

const statFamilies = (stat: string, ticksPerSecond: number): ReadonlyArray<Family> => {
  const cpu: Array<readonly [labels: { readonly cpu: string; readonly mode: string }, value: number]> = []
  const single = new Map<string, string>()
  for (const line of stat.split("\n")) {
    const [key = "", ...fields] = line.trim().split(/\s+/)
    if (/^cpu\d+$/.test(key)) {
      for (const [index, mode] of MODES.entries()) {
        const ticks = Number(fields[index])
        if (Number.isFinite(ticks)) cpu.push([{ cpu: key.slice(3), mode }, ticks / ticksPerSecond])
      }
    } else if (fields.length === 1) single.set(key, fields[0]!)
  }
  return [
    familyOf({
      name: "node_cpu_seconds_total",
      help: "Seconds the CPUs spent in each mode.",
      type: "counter",
      samples: cpu
    }),
    gauge("node_boot_time_seconds", "When the machine was booted, in seconds since the epoch.", single.get("btime")),
    gauge("node_procs_running", "Threads that run or could.", single.get("procs_running")),
    gauge("node_procs_blocked", "Threads that wait for I/O.", single.get("procs_blocked"))
  ]
}

/** `MemTotal:  1234 kB` and its like; a name such as `Active(anon)` becomes `Active_anon`, as in node_exporter. */
const memoryFamilies = (meminfo: string | undefined): ReadonlyArray<Family> =>
  (meminfo ?? "").split("\n").flatMap((line) => {
    const found = /^([A-Za-z0-9_]+)(?:\((\w+)\))?:\s+(\d+) kB$/.exec(line)
    if (found === null) return []
    const [, name, detail, kibibytes] = found
    const full = detail === undefined ? name : `${name}_${detail}`
    return [gauge(`node_memory_${full}_bytes`, `Memory information field ${full}.`, Number(kibibytes) * 1024)]
  })

const fileSystemFamilies = ({ mounts, root }: NodeSources): ReadonlyArray<Family> => {
  // A later mount hides an earlier one on the same point.
  const mount = (mounts ?? "")
    .split("\n")
    .map((line) => line.split(" "))
    .findLast(([, point]) => point === "/")
  if (root === undefined || mount === undefined) return []
  const labels = { device: mount[0] ?? "", fstype: mount[2] ?? "", mountpoint: "/" }
  const bytes = (name: string, help: string, blocks: number) =>
    familyOf({ name, help, type: "gauge", samples: [[labels, blocks * root.bsize]] })
  return [
    bytes("node_filesystem_size_bytes", "Size in bytes.", root.blocks),
    bytes("node_filesystem_free_bytes", "Free space in bytes.", root.bfree),
    bytes("node_filesystem_avail_bytes", "Space available to users other than root, in bytes.", root.bavail)
  ]
}

/** A counter per device: its family, the column of the device's numbers, and what the number is multiplied with. */
type DeviceColumn = readonly [name: string, help: string, column: number, factor: number]

/** Columns as in the kernel's Documentation/admin-guide/iostats.rst, from 0; sectors are always of 512 bytes. */
const DISK: ReadonlyArray<DeviceColumn> = [
  ["node_disk_reads_completed_total", "Reads completed.", 0, 1],
  ["node_disk_read_bytes_total", "Bytes read.", 2, 512],
  ["node_disk_writes_completed_total", "Writes completed.", 4, 1],
  ["node_disk_written_bytes_total", "Bytes written.", 6, 512],
  ["node_disk_io_time_seconds_total", "Seconds with I/O under way.", 9, 0.001]
]

const NETWORK: ReadonlyArray<DeviceColumn> = [
  ["node_network_receive_bytes_total", "Bytes received.", 0, 1],
  ["node_network_receive_packets_total", "Packets received.", 1, 1],
  ["node_network_receive_errs_total", "Errors while receiving.", 2, 1],
  ["node_network_receive_drop_total", "Received packets dropped.", 3, 1],
  ["node_network_transmit_bytes_total", "Bytes sent.", 8, 1],
  ["node_network_transmit_packets_total", "Packets sent.", 9, 1],
  ["node_network_transmit_errs_total", "Errors while sending.", 10, 1],
  ["node_network_transmit_drop_total", "Sent packets dropped.", 11, 1]
]

type DeviceRow = (line: string) => readonly [device: string, numbers: ReadonlyArray<string>] | undefined

const diskRow: DeviceRow = (line) => {
  const [, , device, ...numbers] = line.trim().split(/\s+/)
  return device === undefined || numbers.length < 11 ? undefined : [device, numbers]
}

/** The name ends at the last colon: an alias such as `eth0:1` has one of its own. */
const networkRow: DeviceRow = (line) => {
  const colon = line.lastIndexOf(":")
  const numbers = line
    .slice(colon + 1)
    .trim()
    .split(/\s+/)
  return colon < 0 || numbers.length < 16 ? undefined : [line.slice(0, colon).trim(), numbers]
}

const deviceRows = (text: string | undefined, row: DeviceRow) =>
  (text ?? "").split("\n").flatMap((line) => {
    const found = row(line)
    return found === undefined ? [] : [found]
  })

const deviceNames = (text: string | undefined, row: DeviceRow): ReadonlyArray<string> =>
  deviceRows(text, row).map(([device]) => device)

const deviceFamilies = (
  text: string | undefined,
  columns: ReadonlyArray<DeviceColumn>,
  row: DeviceRow
): ReadonlyArray<Family> => {
  const devices = deviceRows(text, row)
  return columns.map(([name, help, column, factor]) =>
    familyOf({
      name,
      help,
      type: "counter",
      samples: devices.flatMap(([device, numbers]) => {
        const value = Number(numbers[column])
        return Number.isFinite(value) ? [[{ device }, value * factor] as const] : []
      })
    })
  )
}
