/**
 * Groups of processes as process_exporter's metrics, as they are with `-threads=false`. Of our own are the label `unit`, which is there
 * where the unit is known, and the time that processes waited for a CPU. A measure that is not told has no sample.
 *
 * These are some twenty samples a group: those without a label of their own share their labels.
 */
import type { Sample } from "../../src/plugins/Exposition.ts"
import { type Family, familyOf } from "./ExpositionText.ts"
import type { ProcessGroup } from "./ProcessGroups.ts"
import { STATES } from "./ProcessMeasures.ts"
import type { KernelUnits } from "./ProcFiles.ts"

interface ProcessFamily {
  readonly name: string
  readonly help: string
  readonly type: Family["type"]
  /** The series of each group: the label that tells them apart, if any, and the value. */
  readonly series: ReadonlyArray<
    readonly [label: readonly [name: string, value: string] | undefined, valueOf: (group: ProcessGroup) => number]
  >
}

/** `startedAt`, when the counting began, and `bootedAt` in epoch milliseconds. */
export const processFamilies = (
  groups: ReadonlyArray<ProcessGroup>,
  units: KernelUnits,
  startedAt: number,
  bootedAt: number
): ReadonlyArray<Family> => {
  const labels = groups.map(
    ({ name, unit }): Readonly<Record<string, string>> =>
      unit === "" ? { groupname: name } : { groupname: name, unit }
  )
  const families = familiesOf(units, bootedAt).map(({ help, name, series, type }): Family => {
    const samples: Array<Sample> = []
    for (const [label, valueOf] of series) {
      groups.forEach((group, index) => {
        const value = valueOf(group)
        const shared = labels[index]!
        if (!Number.isNaN(value))
          samples.push({ name, labels: label === undefined ? shared : { ...shared, [label[0]]: label[1] }, value })
      })
    }
    return { name, help, type, samples }
  })
  const started = familyOf({
    name: "process_start_time_seconds",
    help: "When the counters began, in seconds since the epoch.",
    type: "gauge",
    samples: [[{}, startedAt / 1_000]]
  })
  return [...families, started]
}

const familiesOf = (units: KernelUnits, bootedAt: number): ReadonlyArray<ProcessFamily> => [
  ...timesOf(units, bootedAt),
  {
    name: "namedprocess_namegroup_memory_bytes",
    help: "Memory of the group's processes, in bytes.",
    type: "gauge",
    series: [
      [["memtype", "resident"], ({ residentPages }) => residentPages * units.pageBytes],
      [["memtype", "swapped"], ({ swapBytes }) => swapBytes],
      [["memtype", "proportionalResident"], ({ proportionalBytes }) => proportionalBytes]
    ]
  },
  single("gauge", "namedprocess_namegroup_num_procs", "Processes in the group.", ({ processes }) => processes),
  single("gauge", "namedprocess_namegroup_num_threads", "Threads of the group.", ({ threads }) => threads),
  single("gauge", "namedprocess_namegroup_open_filedesc", "Open files of the group.", ({ openFiles }) => openFiles),
  single(
    "counter",
    "namedprocess_namegroup_read_bytes_total",
    "Bytes that the group made a disk read.",
    ({ readBytes }) => readBytes
  ),
  single(
    "counter",
    "namedprocess_namegroup_write_bytes_total",
    "Bytes that the group made a disk write.",
    ({ writeBytes }) => writeBytes
  ),
  single(
    "counter",
    "namedprocess_namegroup_major_page_faults_total",
    "Page faults that waited for a disk.",
    ({ majorFaults }) => majorFaults
  ),
  {
    name: "namedprocess_namegroup_context_switches_total",
    help: "Context switches of the group's threads.",
    type: "counter",
    series: [
      [["ctxswitchtype", "nonvoluntary"], ({ nonvoluntarySwitches }) => nonvoluntarySwitches],
      [["ctxswitchtype", "voluntary"], ({ voluntarySwitches }) => voluntarySwitches]
    ]
  },
  {
    name: "namedprocess_namegroup_states",
    help: "Processes of the group, and the threads of those that have several, by state.",
    type: "gauge",
    series: STATES.map((state) => [["state", `${state[0]!.toUpperCase()}${state.slice(1)}`], (group) => group[state]])
  }
]

const timesOf = ({ ticksPerSecond }: KernelUnits, bootedAt: number): ReadonlyArray<ProcessFamily> => [
  {
    name: "namedprocess_namegroup_cpu_seconds_total",
    help: "CPU time that the group used, in seconds.",
    type: "counter",
    series: [
      [["mode", "system"], ({ systemTicks }) => systemTicks / ticksPerSecond],
      [["mode", "user"], ({ userTicks }) => userTicks / ticksPerSecond]
    ]
  },
  single(
    "counter",
    "nodepulse_namegroup_run_queue_wait_seconds_total",
    "Time in which threads of the group were ready to run and waited for a CPU, in seconds.",
    ({ waitNanos }) => waitNanos / 1e9
  ),
  single(
    "gauge",
    "namedprocess_namegroup_oldest_start_time_seconds",
    "When the group's oldest process started, in seconds since the epoch.",
    ({ oldestStartTicks }) => Math.floor(bootedAt / 1_000 + oldestStartTicks / ticksPerSecond)
  )
]

/** A family of one series a group. */
const single = (
  type: ProcessFamily["type"],
  name: string,
  help: string,
  valueOf: (group: ProcessGroup) => number
): ProcessFamily => ({ name, help, type, series: [[undefined, valueOf]] })
