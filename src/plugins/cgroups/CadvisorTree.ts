/**
 * The cgroups of one scrape: what each sample says of which, and which cgroup is in which.
 *
 * cAdvisor names a cgroup by its path (`id`) and counts in it all that is below it. A cgroup's parent is the nearest one
 * above it that is listed: with `--docker_only` that is the root. Pure and total; linear in the samples, but for a path's
 * depth.
 */
import type { Skipped } from "../Exporter.ts"
import type { Sample } from "../Exposition.ts"
import { distinctSeries } from "../Series.ts"
import { KERNEL_UNIT, PODS_UNIT, podContainerName, type Unit, unitOf } from "../UnitName.ts"

/** What a metric tells, by its name. Those of a device are summed up. */
export const METRICS = {
  container_cpu_usage_seconds_total: "cpu",
  container_memory_working_set_bytes: "memory",
  container_memory_rss: "anon",
  container_memory_max_usage_bytes: "peak",
  container_spec_memory_limit_bytes: "limit",
  container_oom_events_total: "oomKills",
  container_fs_reads_bytes_total: "fsRead",
  container_fs_writes_bytes_total: "fsWritten",
  container_blkio_device_usage_total: "blkio",
  container_processes: "processes",
  container_threads: "threads",
  container_spec_cpu_quota: "quota",
  container_spec_cpu_period: "period",
  container_cpu_cfs_periods_total: "periods",
  container_cpu_cfs_throttled_periods_total: "throttledPeriods",
  container_cpu_cfs_throttled_seconds_total: "throttled",
  container_pressure_cpu_waiting_seconds_total: "cpuSome",
  container_pressure_memory_waiting_seconds_total: "memorySome",
  container_pressure_memory_stalled_seconds_total: "memoryFull",
  container_pressure_io_waiting_seconds_total: "ioSome",
  container_pressure_io_stalled_seconds_total: "ioFull"
} as const

type Told = (typeof METRICS)[keyof typeof METRICS]
export type Measure = Exclude<Told, "blkio" | "fsRead" | "fsWritten"> | "read" | "written"
type Collected = Told | Measure | "cpuEach"
export type Values = { readonly [M in Measure]?: number }

export interface Cgroup {
  readonly id: string
  readonly unit: Unit
  readonly values: Values
  /** The listed cgroups right below it. */
  readonly children: ReadonlyArray<Cgroup>
  readonly parent: Cgroup | undefined
}

/** The cgroups of a scrape by their path, and what of it has to be left out. */
export const cgroupsOf = (
  samples: ReadonlyArray<Sample>
): { readonly cgroups: ReadonlyArray<Cgroup>; readonly skipped: ReadonlyArray<Skipped> } => {
  const { byName, skipped: repeated } = distinctSeries(samples)
  const skipped = [...repeated]
  const collected = new Map<string, Map<Collected, number>>()
  const containers = new Map<string, string>()
  for (const [metric, told] of Object.entries(METRICS)) {
    let nameless = false
    for (const { labels, value } of byName.get(metric) ?? []) {
      const { id } = labels
      if (id === undefined || !id.startsWith("/")) {
        nameless = true
        continue
      }
      const values = collected.get(id) ?? new Map<Collected, number>()
      collected.set(id, values)
      nameContainer(containers, id, labels)
      const measure = measureOf(told, labels)
      if (measure !== undefined) values.set(measure, (values.get(measure) ?? 0) + value)
    }
    if (nameless) skipped.push({ reason: `${metric} without the label id, or with one that is no path` })
  }
  const hasDevices = byName.has("container_blkio_device_usage_total")
  const names = { container: (id: string) => containers.get(id) }
  return { cgroups: linked(collected, (id) => unitOf(id, names), hasDevices), skipped }
}

/** Which measure a sample is part of; undefined: of none. */
const measureOf = (told: Told, { cpu, device = "", operation }: Sample["labels"]): Collected | undefined => {
  // Either the total, or each CPU of its own.
  if (told === "cpu") return cpu === undefined || cpu === "total" ? "cpu" : "cpuEach"
  if (told !== "blkio") return told
  // What goes through such a device is told of the one below it, too.
  if (/^(?:\/dev\/)?(?:dm-|md|loop|zram|ram)\d/.test(device)) return undefined
  return operation === "Read" ? "read" : operation === "Write" ? "written" : undefined
}

/** Notes what a container is called, where its labels say more than its id. */
const nameContainer = (containers: Map<string, string>, path: string, labels: Sample["labels"]): void => {
  const id = (path.endsWith(".scope") ? path.slice(0, -".scope".length) : path).slice(-64)
  if (!/^[0-9a-f]{64}$/.test(id) || containers.has(id)) return
  const name = nameIn(labels)
  if (name !== undefined && name !== id) containers.set(id, name)
}

const nameIn = (labels: Sample["labels"]): string | undefined => {
  const { name = "" } = labels
  // Of the kubelet; of cAdvisor beside it; of Docker below an old kubelet.
  const [, dockerContainer, dockerPod, dockerNamespace] = name.startsWith("k8s_") ? name.split("_") : []
  const container = labels.container || labels.container_label_io_kubernetes_container_name || dockerContainer
  const pod = labels.pod || labels.container_label_io_kubernetes_pod_name || dockerPod
  const namespace = labels.namespace || labels.container_label_io_kubernetes_pod_namespace || dockerNamespace
  // What keeps a pod open is told as POD, or without a name of its own.
  if (container === "POD" || (!container && pod)) return PODS_UNIT
  if (container && pod && namespace) return podContainerName(namespace, pod, container)
  return name === "" ? undefined : name
}

/** A cgroup while it is put together. */
interface Linking {
  id: string
  unit: Unit
  values: Values
  children: Array<Linking>
  parent: Linking | undefined
}

const linked = (
  collected: ReadonlyMap<string, ReadonlyMap<Collected, number>>,
  unitOfPath: (id: string) => Unit,
  hasDevices: boolean
): ReadonlyArray<Cgroup> => {
  const byId = new Map<string, Linking>()
  for (const [id, values] of collected) {
    byId.set(id, { id, unit: unitOfPath(id), values: valuesOf(values, hasDevices), children: [], parent: undefined })
  }
  for (const cgroup of byId.values()) {
    cgroup.parent = nearestAbove(byId, cgroup.id)
    cgroup.parent?.children.push(cgroup)
  }
  const cgroups = [...byId.values()]
  // Where only containers are listed, the rest is more than the kernel.
  const whole = cgroups.some(({ unit }) => unit.kind === "slice" || unit.kind === "service")
  if (whole) return cgroups
  return cgroups.map((cgroup) => {
    if (cgroup.unit.unit === KERNEL_UNIT) cgroup.unit = { ...cgroup.unit, unit: OTHER_UNIT }
    return cgroup
  })
}

/** The rest of a host of which only containers are told. */
const OTHER_UNIT = "(other)"

const nearestAbove = (byId: ReadonlyMap<string, Linking>, id: string): Linking | undefined => {
  for (let end = id.lastIndexOf("/"); end >= 0 && id !== "/"; end = end === 0 ? -1 : id.lastIndexOf("/", end - 1)) {
    const above = byId.get(id.slice(0, Math.max(end, 1)))
    if (above !== undefined) return above
  }
  return undefined
}

const valuesOf = (values: ReadonlyMap<Collected, number>, hasDevices: boolean): Values => {
  const { cpuEach, fsRead, fsWritten, ...told } = Object.fromEntries(values) as Partial<Record<Collected, number>>
  const cpu = cpuEach ?? told.cpu
  const read = hasDevices ? told.read : fsRead
  const written = hasDevices ? told.written : fsWritten
  return {
    ...told,
    ...(cpu === undefined ? {} : { cpu }),
    ...(read === undefined ? {} : { read }),
    ...(written === undefined ? {} : { written })
  }
}
