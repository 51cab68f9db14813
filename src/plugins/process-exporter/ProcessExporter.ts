/**
 * process_exporter (ncabatoff/process-exporter, 0.5 and later): one row for each process group, and of the built-in collector for
 * each group and unit.
 *
 * CPU time is summed over all modes in the order of the exposition; how samples add up is in `ProcessSamples.ts`. A group that
 * lacks CPU, memory or count is left out with a note; any other number that it lacks is null. A group whose processes are
 * gone stays, with 0 processes and flat counters. No groups at all is an empty scrape. A
 * scrape without any sample of process_exporter, or with groups but without a whole family that each has, is a
 * `ParseError`: another exporter, or one before 0.5.
 */
import { Result } from "effect"
import { counter, gauge, label } from "../Column.ts"
import { defineExporter, ParseError, type Skipped } from "../Exporter.ts"
import type { Sample } from "../Exposition.ts"
import { beginning } from "../Series.ts"
import { peak, rate } from "../TopQuery.ts"
import { COUNT, CPU, GROUP_FAMILIES, groupsIn, MEMORY, RESIDENT, STARTED, titled, UNREAD } from "./ProcessSamples.ts"

/** Always there, also where no process matched: it tells an idle process_exporter from another exporter. */
const ALIVE = "namedprocess_scrape_errors"
/** CPU time as process_exporter told it before 0.5 (2019). Seen beside groups, they name the cause. */
const BEFORE_0_5 = ["namedprocess_namegroup_cpu_user_seconds_total", "namedprocess_namegroup_cpu_system_seconds_total"]

export const processExporter = defineExporter({
  name: "process_exporter",
  title: "Processes",
  scrape: {
    endpoint: "http://127.0.0.1:9256/metrics",
    interval: "15 seconds",
    timeout: "5 seconds",
    families: [...GROUP_FAMILIES, ALIVE, UNREAD, STARTED, ...BEFORE_0_5],
    collector: "process",
    // Debian's package starts it without a configuration, and so does every other way that forgets it.
    empty: {
      complaint: "matches no process: it has no configuration, or one that fits nothing that runs",
      remedy: [
        `put into /etc/process-exporter/config.yml: process_names: [{name: "{{.Comm}}", cmdline: [".+"]}]`,
        `put into /etc/default/prometheus-process-exporter: ARGS="-config.path=/etc/process-exporter/config.yml"`,
        "systemctl restart prometheus-process-exporter"
      ]
    }
  },
  table: {
    name: "process_snapshots",
    retention: "7 days",
    beginsAtZero: true,
    columns: {
      process_name: label({ from: "name", doc: "Command name of the group." }),
      num_procs: gauge({ type: "integer", doc: "Processes in the group." }),
      cpu_seconds_total: counter({ unit: "seconds", doc: "CPU time used since the exporter started, all modes." }),
      memory_bytes: gauge({ type: "bigint", unit: "bytes", doc: "Resident memory." }),
      unit: label({ optional: true, doc: "Unit or container that the processes are in; empty where it is not told." }),
      num_threads: gauge({ type: "integer", nullable: true, doc: "Threads of the group's processes." }),
      open_filedesc: gauge({ type: "integer", nullable: true, doc: "Open file descriptors of the group's processes." }),
      read_bytes_total: counter({
        type: "bigint",
        unit: "bytes",
        nullable: true,
        doc: "Bytes read from disks since the exporter started."
      }),
      write_bytes_total: counter({
        type: "bigint",
        unit: "bytes",
        nullable: true,
        doc: "Bytes written to disks since the exporter started."
      }),
      swapped_bytes: gauge({ type: "bigint", unit: "bytes", nullable: true, doc: "Memory that was swapped out." }),
      pss_bytes: gauge({
        type: "bigint",
        unit: "bytes",
        nullable: true,
        doc: "Resident memory, each shared page divided by the processes that share it."
      }),
      major_page_faults_total: counter({
        type: "bigint",
        nullable: true,
        doc: "Page faults that had to wait for a disk, since the exporter started."
      }),
      voluntary_context_switches_total: counter({
        type: "bigint",
        nullable: true,
        doc: "Times that a thread gave its CPU up to wait, since the exporter started."
      }),
      nonvoluntary_context_switches_total: counter({
        type: "bigint",
        nullable: true,
        doc: "Times that a thread's CPU was taken from it, since the exporter started."
      }),
      oldest_start_time_seconds: gauge({
        unit: "epoch_seconds",
        nullable: true,
        doc: "When the oldest process of the group started, since 1970."
      }),
      states_running: gauge({ type: "integer", nullable: true, doc: "Threads that run or could run." }),
      states_sleeping: gauge({ type: "integer", nullable: true, doc: "Threads that wait for an event." }),
      states_waiting: gauge({ type: "integer", nullable: true, doc: "Threads that wait for a disk." }),
      states_zombie: gauge({ type: "integer", nullable: true, doc: "Processes that ended and were not reaped yet." }),
      states_other: gauge({ type: "integer", nullable: true, doc: "Threads in any other state, such as stopped." }),
      run_queue_wait_seconds_total: counter({
        unit: "seconds",
        nullable: true,
        doc: "Time that threads could have run and waited for a CPU, since the collector started; built-in collector only."
      })
    }
  },
  parse: (samples, scrapedAt) => {
    const { groups, known, skipped, started } = groupsIn(samples)
    const reason = unsupported(known, groups.length)
    if (reason !== undefined) return Result.fail(new ParseError({ exporter: "process_exporter", reason }))
    const rows = []
    for (const group of groups) {
      const { cpu_seconds_total, memory_bytes, num_procs, ...others } = group.numbers
      if (cpu_seconds_total === null) skipped.push(lacking(group, CPU))
      else if (memory_bytes === null) skipped.push(lacking(group, RESIDENT))
      else if (num_procs === null) skipped.push(lacking(group, COUNT))
      else {
        const { name, unit } = group
        rows.push({ process_name: name, unit, num_procs, cpu_seconds_total, memory_bytes, ...others })
      }
    }
    return Result.succeed({ rows, skipped, countersSince: beginning(ofTheGroups(started, samples), scrapedAt) })
  },
  top: {
    resource: "processes",
    per: "process_name",
    proportional: "pss_bytes",
    presence: "num_procs",
    rankings: { cpu: rate("cpu_seconds_total", { share: "cpu" }), memory: peak("memory_bytes", { share: "memory" }) },
    onDemand: {
      read: rate("read_bytes_total"),
      write: rate("write_bytes_total"),
      swap: peak("swapped_bytes"),
      wait: rate("run_queue_wait_seconds_total")
    },
    default: "cpu",
    // As the kernel has names of commands: 15 characters.
    monitoring: ["nodepulse-agent", "nodepulse", "process-exporte", "prometheus-proc", "prometheus-node", "cadvisor"]
  }
})

/** Why the scrape as a whole is not one that can be read; undefined where it is. */
const unsupported = (known: ReadonlySet<string>, groups: number): string | undefined => {
  if (BEFORE_0_5.some((name) => known.has(name)) && !known.has(CPU)) {
    return `unsupported exporter, too old: it tells CPU time as ${BEFORE_0_5[0]}, as process_exporter did before 0.5; install 0.7 or later`
  }
  if (![CPU, MEMORY, COUNT, ALIVE].some((name) => known.has(name))) {
    return "unsupported exporter: no namedprocess_ metric, so this is not process_exporter"
  }
  const missing = [CPU, MEMORY, COUNT].find((name) => !known.has(name))
  if (groups === 0 || missing === undefined) return undefined
  const cause = "is it a version before 0.5, or does something between leave out metrics?"
  return `unsupported exporter: groups, but no ${missing}; ${cause}`
}

/**
 * The beginnings that are those of the groups' exporter: a federation serves those of every program that it scrapes.
 * One belongs to the groups where a group has all of its labels.
 */
const ofTheGroups = (started: ReadonlyArray<Sample>, samples: ReadonlyArray<Sample>): ReadonlyArray<Sample> => {
  if (started.length > PROGRAMS_MAX) return []
  return started.filter(({ labels }) => {
    const entries = Object.entries(labels).filter(([, value]) => value !== "")
    return (
      entries.length === 0 ||
      samples.some((group) => group.name === COUNT && entries.every(([name, value]) => group.labels[name] === value))
    )
  })
}

/** More beginnings than this are not looked through for that of the groups: it is unknown then. */
const PROGRAMS_MAX = 64

const lacking = (group: Parameters<typeof titled>[0], metric: string): Skipped => ({
  reason: `${titled(group)} has no ${metric}`
})
