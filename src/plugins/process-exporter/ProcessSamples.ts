/**
 * What process_exporter's families tell of each group, added up: which metric fills which column.
 *
 * A group is one `groupname` and one `unit`; process_exporter itself knows no units, the built-in collector does. Of a group that is
 * there under several label sets (a federation's `instance`, a fork's `user`) the values are summed; its oldest start is the
 * earliest, and its proportional memory is known where each of the sets tells it. A series that is repeated counts once.
 *
 * Linear in the samples. A value that is no number stays one that is none: the contract notes it.
 */
import type { Skipped } from "../Exporter.ts"
import type { Sample } from "../Exposition.ts"
import { seriesOf } from "../Series.ts"

export const CPU = "namedprocess_namegroup_cpu_seconds_total"
export const MEMORY = "namedprocess_namegroup_memory_bytes"
export const COUNT = "namedprocess_namegroup_num_procs"
/** How often files of a process could not be read: what they tell is 0 in process_exporter's sums then. */
export const UNREAD = "namedprocess_scrape_partial_errors"
export const STARTED = "process_start_time_seconds"
export const RESIDENT = `${MEMORY}{memtype="resident"}`

/** The numbers of a group; null where no sample tells them. */
export interface Numbers {
  num_procs: number | null
  cpu_seconds_total: number | null
  memory_bytes: number | null
  num_threads: number | null
  open_filedesc: number | null
  read_bytes_total: number | null
  write_bytes_total: number | null
  swapped_bytes: number | null
  pss_bytes: number | null
  major_page_faults_total: number | null
  voluntary_context_switches_total: number | null
  nonvoluntary_context_switches_total: number | null
  oldest_start_time_seconds: number | null
  states_running: number | null
  states_sleeping: number | null
  states_waiting: number | null
  states_zombie: number | null
  states_other: number | null
  run_queue_wait_seconds_total: number | null
}

type NumberOf = keyof Numbers

/** Which column a sample adds to. `bit` is its own where the series needs no name to be told apart; else 0. */
interface Target {
  readonly column: NumberOf
  readonly bit: number
}

/** A family: its own label, and where a sample goes by the label's value; samples of other values are passed over. */
interface Family {
  readonly label: string | undefined
  readonly target: (value: string) => Target | undefined
}

let bits = 0
/** At most 31 bits are given out: a number's. */
const target = (column: NumberOf): Target => ({ column, bit: 1 << bits++ })

const plain = (column: NumberOf): Family => {
  const only = target(column)
  return { label: undefined, target: () => only }
}

const by = (label: string, columns: Readonly<Record<string, NumberOf>>, rest?: NumberOf): Family => {
  const known = new Map(Object.entries(columns).map(([value, column]) => [value, target(column)]))
  const other = rest === undefined ? undefined : { column: rest, bit: 0 }
  return { label, target: (value) => known.get(value) ?? other }
}

const FAMILIES: ReadonlyMap<string, Family> = new Map([
  [CPU, by("mode", { user: "cpu_seconds_total", system: "cpu_seconds_total" }, "cpu_seconds_total")],
  [MEMORY, by("memtype", { resident: "memory_bytes", swapped: "swapped_bytes", proportionalResident: "pss_bytes" })],
  [COUNT, plain("num_procs")],
  ["namedprocess_namegroup_num_threads", plain("num_threads")],
  ["namedprocess_namegroup_open_filedesc", plain("open_filedesc")],
  ["namedprocess_namegroup_read_bytes_total", plain("read_bytes_total")],
  ["namedprocess_namegroup_write_bytes_total", plain("write_bytes_total")],
  ["namedprocess_namegroup_major_page_faults_total", plain("major_page_faults_total")],
  [
    "namedprocess_namegroup_context_switches_total",
    by("ctxswitchtype", {
      voluntary: "voluntary_context_switches_total",
      nonvoluntary: "nonvoluntary_context_switches_total"
    })
  ],
  ["namedprocess_namegroup_oldest_start_time_seconds", plain("oldest_start_time_seconds")],
  [
    "namedprocess_namegroup_states",
    by(
      "state",
      {
        Running: "states_running",
        Sleeping: "states_sleeping",
        Waiting: "states_waiting",
        Zombie: "states_zombie"
      },
      "states_other"
    )
  ],
  ["nodepulse_namegroup_run_queue_wait_seconds_total", plain("run_queue_wait_seconds_total")]
])

/** The names of the samples that groups are made of. */
export const GROUP_FAMILIES: ReadonlyArray<string> = [...FAMILIES.keys()]

export interface ProcessGroup {
  readonly name: string
  readonly unit: string
  readonly numbers: Numbers
}

/** A group while its samples are added up. */
interface Growing extends ProcessGroup {
  /** The series already counted, by their bits and by their names: a repeated one must not count twice. */
  bits: number
  names: Set<string> | undefined
  /** How many label sets tell resident memory, and how many its proportional share. */
  residentSets: number
  pssSets: number
}

/** The groups of a scrape, in order, and the metrics of process_exporter that it holds. */
export const groupsIn = (samples: ReadonlyArray<Sample>) => {
  const growing = new GrowingGroups()
  const known = new Set<string>()
  const skipped: Array<Skipped> = []
  const started: Array<Sample> = []
  let unread = false
  for (const sample of samples) {
    const { labels, name, value } = sample
    if (name === STARTED) {
      started.push(sample)
      continue
    }
    known.add(name)
    if (name === UNREAD && value > 0) unread = true
    const family = FAMILIES.get(name)
    if (family === undefined) continue
    const own = family.label === undefined ? "" : (labels[family.label] ?? "")
    const target = family.target(own)
    if (target === undefined) continue
    const groupname = labels.groupname
    if (groupname === undefined) {
      skipped.push({ reason: `${name} without the label groupname` })
      continue
    }
    const group = growing.of(groupname, labels.unit ?? "")
    if (isNew(group, sample, family.label, target)) add(group, target.column, value)
    else {
      const metric = family.label === undefined ? name : `${name}{${family.label}=${quote(own)}}`
      skipped.push({ reason: `${titled(group)} has ${metric.slice(0, 120)} more than once; the first counts` })
    }
  }
  for (const group of growing.all) mend(group, unread)
  return { groups: growing.all as ReadonlyArray<ProcessGroup>, known, skipped, started }
}

/** Finds groups without making a key of their two names. */
class GrowingGroups {
  readonly all: Array<Growing> = []
  private readonly byUnit = new Map<string, Map<string, Growing>>()

  of(name: string, unit: string): Growing {
    const named = this.byUnit.get(unit) ?? new Map<string, Growing>()
    const known = named.get(name)
    if (known !== undefined) return known
    const group = { name, unit, numbers: nothing(), bits: 0, names: undefined, residentSets: 0, pssSets: 0 }
    named.set(name, group)
    this.byUnit.set(unit, named)
    this.all.push(group)
    return group
  }
}

/** Whether the series was not counted yet. Mostly it has no labels but those of the format: then its bit is its name. */
const isNew = (group: Growing, { labels, name }: Sample, own: string | undefined, { bit }: Target): boolean => {
  let others = 0
  for (const label in labels) {
    if (label !== "groupname" && label !== own && label !== "unit" && labels[label] !== "") others++
  }
  if (others === 0 && bit !== 0) {
    const isNew = (group.bits & bit) === 0
    group.bits |= bit
    return isNew
  }
  const series = `${name} ${seriesOf(labels, "groupname")}`
  group.names ??= new Set()
  if (group.names.has(series)) return false
  group.names.add(series)
  return true
}

/** How notes call a group. */
export const titled = ({ name, unit }: { readonly name: string; readonly unit: string }): string =>
  unit === "" ? `group ${quote(name)}` : `group ${quote(name)} of unit ${quote(unit)}`

const quote = (text: string) => JSON.stringify(text.slice(0, 60))

const add = (group: Growing, column: NumberOf, value: number): void => {
  const { numbers } = group
  const before = numbers[column]
  if (column === "oldest_start_time_seconds") {
    // A group without processes has Go's year 1 for it.
    if (value <= 0) return
    numbers[column] = before === null ? value : Math.min(before, value)
    return
  }
  if (column === "memory_bytes") group.residentSets++
  if (column === "pss_bytes") group.pssSets++
  numbers[column] = before === null ? value : before + value
}

/** What is 0 because it could not be read is not known. */
const mend = ({ numbers, pssSets, residentSets }: Growing, unread: boolean): void => {
  if (pssSets < residentSets || (numbers.pss_bytes === 0 && numbers.memory_bytes !== 0)) numbers.pss_bytes = null
  const untold = numbers.open_filedesc === 0 && numbers.read_bytes_total === 0 && numbers.write_bytes_total === 0
  if (!unread || !untold || numbers.num_procs === 0) return
  numbers.open_filedesc = null
  numbers.read_bytes_total = null
  numbers.write_bytes_total = null
}

const nothing = (): Numbers => ({
  num_procs: null,
  cpu_seconds_total: null,
  memory_bytes: null,
  num_threads: null,
  open_filedesc: null,
  read_bytes_total: null,
  write_bytes_total: null,
  swapped_bytes: null,
  pss_bytes: null,
  major_page_faults_total: null,
  voluntary_context_switches_total: null,
  nonvoluntary_context_switches_total: null,
  oldest_start_time_seconds: null,
  states_running: null,
  states_sleeping: null,
  states_waiting: null,
  states_zombie: null,
  states_other: null,
  run_queue_wait_seconds_total: null
})
