/**
 * Three exporters that only tests have: tasks that run in cells (units), the cells, and tasks that ended between two scrapes. With
 * generated rows of them, and the reference computation of a breakdown: slow and obvious, from a plain list of rows.
 */
import { counter, gauge, label } from "../src/plugins/Column.ts"
import { defineExporter, type Exporter } from "../src/plugins/Exporter.ts"
import { nodeExporter } from "../src/plugins/node-exporter/NodeExporter.ts"
import type { Snapshot } from "../src/plugins/Snapshot.ts"
import { peak, rate } from "../src/plugins/TopQuery.ts"
import type { Window } from "../src/query/Rankings.ts"
import { seededRandom } from "./Seeded.ts"
import { compareBytes, coresOver, truthTop } from "./Truth.ts"
import { EPOCH, nodeRow, SECOND } from "./TruthRows.ts"
import { labelOf, type Seen, seenOf, staleAfter, stepsOf } from "./TruthSteps.ts"

const scrape = { endpoint: "http://127.0.0.1:1/metrics", interval: "15 seconds", timeout: "5 seconds" } as const
const parse = () => {
  throw new Error("not scraped in tests")
}

const taskExporter = defineExporter({
  name: "task_exporter",
  title: "Tasks",
  scrape,
  table: {
    name: "task_snapshots",
    retention: "7 days",
    beginsAtZero: true,
    columns: {
      task: label({ doc: "Name of the tasks." }),
      cell: label({ doc: "The cell that they run in." }),
      count: gauge({ type: "integer", doc: "How many." }),
      cpu_seconds_total: counter({ unit: "seconds", doc: "CPU time." })
    }
  },
  parse,
  top: {
    resource: "tasks",
    per: "task",
    presence: "count",
    rankings: { cpu: rate("cpu_seconds_total", { share: "cpu" }) },
    default: "cpu"
  }
})

const seconds = { unit: "seconds", nullable: true } as const
const bytes = { unit: "bytes", nullable: true } as const

const cellExporter = defineExporter({
  name: "cell_exporter",
  title: "Cells",
  scrape,
  table: {
    name: "cell_snapshots",
    retention: "7 days",
    beginsAtZero: true,
    columns: {
      cell: label({ doc: "Name of the cell." }),
      cpu_seconds_total: counter({ unit: "seconds", doc: "CPU time, of those that ended, too." }),
      memory_bytes: gauge({ ...bytes, doc: "Memory." }),
      memory_limit_bytes: gauge({ ...bytes, doc: "Limit of memory." }),
      memory_peak_bytes: gauge({ ...bytes, doc: "Most memory." }),
      oom_kills_total: counter({ nullable: true, doc: "Killed tasks." }),
      cpu_limit_cores: gauge({ nullable: true, doc: "Quota." }),
      periods_total: counter({ nullable: true, doc: "Periods." }),
      throttled_periods_total: counter({ nullable: true, doc: "Throttled periods." }),
      throttled_seconds_total: counter({ ...seconds, doc: "Throttled time." }),
      cpu_some_seconds_total: counter({ ...seconds, doc: "Waiting for CPU." }),
      memory_some_seconds_total: counter({ ...seconds, doc: "Some wait for memory." }),
      memory_full_seconds_total: counter({ ...seconds, doc: "All wait for memory." }),
      io_some_seconds_total: counter({ ...seconds, doc: "Some wait for disks." }),
      io_full_seconds_total: counter({ ...seconds, doc: "All wait for disks." }),
      read_bytes_total: counter({ ...bytes, doc: "Read." }),
      write_bytes_total: counter({ ...bytes, doc: "Written." })
    }
  },
  parse,
  top: {
    resource: "cells",
    per: "cell",
    rankings: { cpu: rate("cpu_seconds_total", { share: "cpu" }), memory: peak("memory_bytes", { share: "memory" }) },
    default: "cpu"
  },
  units: {
    kernel: "(kernel)",
    throttledSeconds: "throttled_seconds_total",
    periods: "periods_total",
    throttledPeriods: "throttled_periods_total",
    cpuLimit: "cpu_limit_cores",
    memoryLimit: "memory_limit_bytes",
    memoryPeak: "memory_peak_bytes",
    oomKills: "oom_kills_total",
    readBytes: "read_bytes_total",
    writeBytes: "write_bytes_total",
    pressure: {
      cpu: { some: "cpu_some_seconds_total" },
      memory: { some: "memory_some_seconds_total", full: "memory_full_seconds_total" },
      io: { some: "io_some_seconds_total", full: "io_full_seconds_total" }
    }
  }
})

const exitExporter = defineExporter({
  name: "exit_exporter",
  title: "Ended tasks",
  scrape,
  table: {
    name: "exit_snapshots",
    retention: "7 days",
    beginsAtZero: true,
    columns: {
      command: label({ doc: "Command." }),
      parent: label({ doc: "Who started it." }),
      runs_total: counter({ doc: "How many ended." }),
      cpu_seconds_total: counter({ unit: "seconds", doc: "CPU time." })
    }
  },
  parse,
  top: { resource: "ended", per: "command", rankings: { runs: rate("runs_total") }, default: "runs" },
  shortLived: { cpu: "cpu_seconds_total", runs: "runs_total" }
})

const host = nodeExporter()
export const tasks = taskExporter()
const cells = cellExporter()
const exits = exitExporter()
export const unitExporters: ReadonlyArray<Exporter> = [host, tasks, cells, exits]

const rowOf =
  (exporter: Exporter) =>
  (
    serverId: string,
    t: number,
    values: Readonly<Record<string, string | number | null>>,
    since?: number
  ): Snapshot => ({
    exporter: exporter.name,
    serverId,
    timestamp: Math.round(EPOCH + t * SECOND),
    countersSince: since === undefined ? null : Math.round(EPOCH + since * SECOND),
    values: Object.keys(exporter.table.columns).map((name) => values[name] ?? null)
  })

/** Rows by column names; `t` and `since` in seconds since `EPOCH`. */
export const taskRow = rowOf(tasks)
export const cellRow = rowOf(cells)
const exitRow = rowOf(exits)

// -- generated rows

interface Task {
  readonly name: string
  cell: string
  rate: number
}

const CELLS = ["web.service", "db.service", "cron.service", "user 1000", "batch.scope", "(kernel)"]

/**
 * Some hours of a server by seed: tasks come, go and move between cells, cells count what nobody else does, the clock is set, and each
 * exporter restarts, is late and is silent by itself.
 */
export const generatedUnits = (serverId: string, seed: number, hours: number, every = 15): ReadonlyArray<Snapshot> => {
  const next = seededRandom(seed)
  const once = (times: number) => next() < 1 / times
  const pick = <A>(some: ReadonlyArray<A>) => some[Math.floor(next() * some.length)]!
  const counters = new Map<string, number>()
  const count = (key: string, by: number) => counters.set(key, (counters.get(key) ?? 0) + by)
  const running: Array<Task> = []
  let started = 0
  let ahead = 0
  const sources = ["node", "task", "cell", "exit"].map((name) => ({
    name,
    began: -1_000,
    silentUntil: 0,
    phase: next() * 10,
    zero: new Map<string, number>()
  }))
  const rows: Array<Snapshot> = []
  for (let real = 0; real < hours * 3_600; real += every) {
    if (once(200)) ahead += next() * 120 - 60
    if (running.length < 5 || (once(10) && running.length < 12)) {
      running.push({ name: `task-${started++ % 9}`, cell: once(15) ? "" : pick(CELLS), rate: next() * 0.3 })
    }
    if (once(30)) running.splice(Math.floor(next() * running.length), 1)
    for (const task of running) {
      if (once(60)) task.cell = pick(CELLS)
      if (once(5)) task.rate = next() * 0.3
      const used = task.rate * every
      count(`task ${task.name}\n${task.cell}`, used)
      count(`cell ${task.cell === "" ? pick(CELLS) : task.cell}`, used)
      count("busy", used)
    }
    const hidden = next() * 0.4 * every
    count(`cell ${pick(CELLS)}`, hidden)
    count("busy", hidden + next())
    count(`exit ${pick(["ls", "true", "cc1"])}`, hidden * next())
    for (const source of sources) {
      if (once(300)) source.silentUntil = real + (once(2) ? 100 : 700)
      if (once(250)) {
        source.began = real - 3
        source.zero = new Map(counters)
      }
      if (real < source.silentUntil) continue
      const t = real + source.phase + ahead + next()
      const told = (key: string) => Math.max(0, counters.get(key)! - (source.zero.get(key) ?? 0))
      const since = source.began + ahead
      const keys = [...counters.keys()].filter((key) => key.startsWith(`${source.name} `))
      for (const key of keys) {
        const [name, cell] = key.slice(source.name.length + 1).split("\n") as [string, string?]
        const cpu_seconds_total = told(key)
        if (source.name === "task") {
          const count = running.filter((task) => task.name === name && task.cell === cell).length
          rows.push(taskRow(serverId, t, { task: name, cell: cell!, count, cpu_seconds_total }, since))
        }
        if (source.name === "cell") rows.push(cellRow(serverId, t, { cell: name, cpu_seconds_total }, since))
        if (source.name === "exit") {
          const values = {
            command: name,
            parent: "sh",
            cpu_seconds_total,
            runs_total: Math.floor(cpu_seconds_total * 50)
          }
          rows.push(exitRow(serverId, t, values, since))
        }
      }
      if (source.name === "node") {
        rows.push(nodeRow(serverId, t, { cpu_cores: 4, cpu_user_seconds: told("busy") }, { since }))
      }
    }
  }
  return rows
}

// -- the reference computation

/** A line as far as it is compared: its errors have tests of their own. */
export interface TruthLine {
  readonly kind: string
  readonly name: string | null
  readonly groups: number
  readonly cpuSeconds: number
}

export interface TruthBreakdown {
  readonly lines: ReadonlyArray<TruthLine>
  readonly host: number | null
  readonly unaccounted: number | null
  readonly unitsSeen: boolean
}

interface Used {
  readonly of: string
  readonly used: number
}

/** The breakdown over a window; `whole` where units are not to be told apart, and nothing of it is cut to what both saw. */
export const truthBreakdown = (
  rows: ReadonlyArray<Snapshot>,
  request: { readonly serverId: string; readonly window: Window; readonly limit: number },
  whole = false
): TruthBreakdown => {
  const { limit, serverId, window } = request
  const top = truthTop(unitExporters, rows, { exporter: tasks.name, metric: "cpu", serverId, window, limit })
  const cores = coresOver(seenOf(rows, host, serverId))
  const [ofTasks, ofCells, ofExits] = [tasks, cells, exits].map((exporter) => seenOf(rows, exporter, serverId)) as [
    Seen,
    Seen,
    Seen
  ]
  const used = (seen: Seen, by: string, other: Seen): ReadonlyArray<Used> =>
    stepsOf(seen, "cpu_seconds_total", cores)
      .filter(({ at }) => at > window.from && at <= window.to)
      .map(({ at, increase, row }) => ({
        of: labelOf(seen.exporter, row, by),
        used: (increase ?? 0) * (whole ? 1 : share(seen, at, other))
      }))
  const named = top.rows.map((row) => line("named", row.name, 1, Number(row.cpu_seconds)))
  const other = line("other", null, top.other.groups, top.other.cpu_seconds!)
  const inWindow = (seen: Seen) =>
    seen.rows.filter(({ timestamp }) => timestamp > window.from && timestamp <= window.to)
  const labels = (seen: Seen, by: string) => [...new Set(inWindow(seen).map((row) => labelOf(seen.exporter, row, by)))]
  const cellNames = labels(ofCells, "cell")
  const [inCells, inside] = [used(ofCells, "cell", ofTasks), used(ofTasks, "cell", ofCells)]
  const exited = sum(used(ofExits, "command", ofTasks))
  const commands = labels(ofExits, "command")
  let beyond: ReadonlyArray<TruthLine> = []
  if (cellNames.length > 0) {
    const blank = sum(inside, "")
    if (whole || blank > sum(inside) / 10)
      beyond = [line("remainder", null, cellNames.length, sum(inCells) - sum(inside))]
    else {
      const left = cellNames
        .map((name) => ({ name, left: sum(inCells, name) - sum(inside, name) }))
        .filter(({ name }) => name !== "(kernel)")
        .sort((a, b) => b.left - a.left || compareBytes(a.name, b.name))
      const first = left.slice(0, 3).filter(({ left }) => left > 0)
      const kernel = sum(inCells, "(kernel)") - sum(inside, "(kernel)")
      const hasKernel = cellNames.includes("(kernel)")
      const all = sum(inCells) - sum(inside) - (hasKernel ? kernel : 0)
      const rest = all - first.reduce((sum, { left }) => sum + left, 0)
      beyond = [
        ...first.map(({ left, name }) => line("remainder", name, 1, left)),
        line("remainder", null, left.length - first.length, rest),
        ...(hasKernel ? [line("kernel", "(kernel)", 1, kernel)] : [])
      ]
    }
  }
  const known = [named, other, commands.length === 0 ? beyond : withoutExited(beyond, exited, commands.length)].flat()
  const all = named.reduce((sum, { cpuSeconds }) => sum + cpuSeconds, other.cpuSeconds)
  const busy = top.unaccounted === null ? null : all + top.unaccounted.cpuSeconds
  const rest = known.reduce((sum, { cpuSeconds }) => sum + cpuSeconds, 0)
  return {
    lines: busy === null ? known : [...known, line("unknown", null, 0, busy - rest)],
    host: busy,
    unaccounted: top.unaccounted?.cpuSeconds ?? null,
    unitsSeen: cellNames.length > 0
  }
}

const line = (kind: string, name: string | null, groups: number, cpuSeconds: number): TruthLine => ({
  kind,
  name,
  groups,
  cpuSeconds
})

/** Those that ended have a line of their own: the remainders above zero give up the same part of themselves. */
const withoutExited = (lines: ReadonlyArray<TruthLine>, exited: number, commands: number): ReadonlyArray<TruthLine> => {
  const own = line("short_lived", null, commands, exited)
  const remainders = lines.filter(({ kind }) => kind === "remainder")
  const others = lines.filter(({ kind }) => kind !== "remainder")
  if (remainders.length === 0) return [own, ...others]
  const left = remainders.reduce((sum, { cpuSeconds }) => sum + Math.max(0, cpuSeconds), 0)
  const keeps = left === 0 ? 1 : Math.max(0, left - exited) / left
  const reduced = remainders.map((remainder) => ({
    ...remainder,
    cpuSeconds:
      (remainder.cpuSeconds > 0 ? remainder.cpuSeconds * keeps : remainder.cpuSeconds) -
      (remainder.name === null ? Math.max(0, exited - left) : 0)
  }))
  return [...reduced, own, ...others]
}

const sum = (all: ReadonlyArray<Used>, of?: string): number =>
  all.reduce((sum, one) => (of === undefined || one.of === of ? sum + one.used : sum), 0)

/** Which part of the time before a scrape the other exporter covered; 0 after a hole. */
const share = (seen: Seen, at: number, other: Seen): number => {
  const before = seen.times[seen.times.indexOf(at) - 1]
  if (before === undefined || at - before > staleAfter(seen.exporter)) return 0
  let both = 0
  for (let n = 1; n < other.times.length; n++) {
    const [from, to] = [other.times[n - 1]!, other.times[n]!]
    if (to - from <= staleAfter(other.exporter)) both += Math.max(0, Math.min(at, to) - Math.max(before, from))
  }
  return both / (at - before)
}
