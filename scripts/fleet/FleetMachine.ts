/**
 * A machine of the simulated fleet: what its exporters would bring, scrape after scrape, with values that a person believes.
 *
 * Most groups idle, as on real hosts: they use no CPU and keep their memory between two scrapes. Some work steadily, some in
 * bursts, one leaks. All groups together never use more than the cores, and the host's counters are the groups' sum and a
 * little of its own, so that no answer has to clamp. Columns that have no role here move by what they are: counters grow with
 * the work of their group, gauges wander. Repeatable: it follows from the seed and the number of scrapes.
 *
 * Cost: the text of a row that did not change is kept, so a scrape of 150 groups is mostly put together.
 */
import { rankingsOf } from "../../src/plugins/Catalog.ts"
import type { Column } from "../../src/plugins/Column.ts"
import type { Exporter } from "../../src/plugins/Exporter.ts"
import { wireName } from "../../src/plugins/Wire.ts"

export interface FleetMachine {
  /** The body of a push: a scrape of all exporters at this moment, `seconds` after the one before. */
  readonly scrape: (at: Date, seconds: number) => string
  /** How many rows a body has. */
  readonly rows: number
}

const CORES = [2, 4, 8, 16] as const
const MIB = 1024 * 1024

/** Names that people know, and then numbered workers. */
const NAMES =
  "nginx postgres redis-server node python3 java sshd systemd-journald cron dockerd containerd php-fpm haproxy etcd kubelet rsyslogd chronyd fail2ban-server".split(
    " "
  )

interface Group {
  readonly name: string
  /** The part of the time in which it works, and how many cores it then keeps busy at most. */
  readonly duty: number
  readonly cores: number
  /** Bytes that it grows by each second. */
  readonly leak: number
}

/** A value for each column, by its name on the wire; its text once it is known to be unchanged. */
interface RowState {
  readonly fields: Record<string, number | string | null>
  text: string | undefined
}

interface Table {
  readonly exporter: Exporter
  readonly columns: ReadonlyArray<readonly [field: string, name: string, column: Column]>
  readonly rows: ReadonlyArray<RowState>
}

export const makeFleetMachine = (exporters: ReadonlyArray<Exporter>, groups: number, seed: number): FleetMachine => {
  const random = randomFrom(seed)
  const cores = CORES[seed % CORES.length]!
  const memory = cores * 4096 * MIB
  const workers = groupsOf(groups, cores, random)
  const since = new Date(Date.now() - Math.floor(random() * 30 * 86_400_000)).toISOString()
  const tables = exporters.map((exporter) => tableOf(exporter, workers, memory, random))
  return {
    rows: tables.reduce((sum, { rows }) => sum + rows.length, 0),
    scrape: (at, seconds) => {
      const used = work(workers, cores, seconds, random)
      const head = `{"timestamp":"${at.toISOString()}","counters_since":"${since}",`
      const parts = tables.map((table) => {
        for (const [n, row] of table.rows.entries()) {
          if (table.exporter.host !== undefined) stepHost(table, row, { cores, memory, seconds, used, random })
          else stepGroup(table, row, workers[n % workers.length]!, used[n % workers.length]!, seconds, random)
        }
        return `${JSON.stringify(table.exporter.name)}:[${table.rows.map((row) => head + textOf(row)).join(",")}]`
      })
      return `{${parts.join(",")}}`
    }
  }
}

/** xorshift32: quick, and the same everywhere. */
const randomFrom = (seed: number): (() => number) => {
  let state = Math.imul(seed + 1, 2_654_435_761) >>> 0 || 1
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) / 4_294_967_296
  }
}

const groupsOf = (count: number, cores: number, random: () => number): ReadonlyArray<Group> =>
  Array.from({ length: count }, (_, n): Group => {
    const kind = random()
    const [duty, most] = kind < 0.6 ? [0.02, 0.05] : kind < 0.85 ? [0.5, 0.1] : kind < 0.97 ? [0.95, 0.3] : [0.2, cores]
    const name =
      n < NAMES.length ? NAMES[n]! : `${NAMES[n % NAMES.length]!.slice(0, 10)}-${Math.floor(n / NAMES.length)}`
    return { name, duty, cores: most * random(), leak: n === 7 ? 2_000 : 0 }
  })

/** CPU seconds of each group in a step. All of them fit into nine tenths of the cores. */
const work = (groups: ReadonlyArray<Group>, cores: number, seconds: number, random: () => number): Float64Array => {
  const used = Float64Array.from(groups, ({ cores, duty }) => (random() < duty ? cores * random() * seconds : 0))
  const sum = used.reduce((total, one) => total + one, 0)
  const scale = Math.min(1, (0.9 * cores * seconds) / Math.max(sum, 1e-9))
  return used.map((one) => Math.round(one * scale * 100) / 100)
}

const tableOf = (exporter: Exporter, groups: ReadonlyArray<Group>, memory: number, random: () => number): Table => {
  const columns = Object.entries(exporter.table.columns).map(
    ([name, column]) => [wireName(name, column), name, column] as const
  )
  const labelled = columns.some(([, , { kind }]) => kind === "label")
  const share = memory / 2 / groups.length
  const rows = Array.from({ length: labelled ? groups.length : 1 }, (_, n): RowState => {
    const fields: RowState["fields"] = {}
    for (const [field, name, column] of columns) {
      fields[field] = firstValue(exporter, name, column, groups[n]!.name, share, random)
    }
    return { fields, text: undefined }
  })
  return { exporter, columns, rows }
}

const firstValue = (
  { top }: Exporter,
  name: string,
  column: Column,
  group: string,
  share: number,
  random: () => number
): number | string | null => {
  if (column.kind === "label") return name === top?.per ? group : ""
  if (column.kind === "fingerprint") return 1
  if (name === top?.presence) return 1 + Math.floor(random() * 6)
  if (column.unit === "bytes") return 4_096 * Math.floor((random() * share) / 4_096)
  if (column.kind === "counter") return Math.floor(random() * 1_000)
  return Math.floor(random() * 8)
}

const textOf = (row: RowState): string => {
  row.text ??= JSON.stringify(row.fields).slice(1)
  return row.text
}

const stepGroup = (
  { columns, exporter }: Table,
  row: RowState,
  group: Group,
  used: number,
  seconds: number,
  random: () => number
): void => {
  if (used === 0 && group.leak === 0) return
  row.text = undefined
  const rankings = rankingsOf(exporter).map(({ ranking }) => ranking)
  for (const [field, name, column] of columns) {
    const value = row.fields[field]
    if (typeof value !== "number") continue
    const ranking = rankings.find((one) => one.column === name)
    if (column.kind === "counter") {
      const step = column.unit === "seconds" ? (ranking?.share === "cpu" ? used : used / 10) : Math.floor(used * 1_000)
      row.fields[field] = Math.round((value + step) * 100) / 100
    } else if (column.kind === "gauge" && column.unit === "bytes") {
      const moved = random() < 0.3 ? 4_096 * Math.floor(random() * 65 - 32) : 0
      row.fields[field] = Math.max(0, value + moved + 4_096 * Math.round((group.leak * seconds) / 4_096))
    }
  }
}

interface HostStep {
  readonly cores: number
  readonly memory: number
  readonly seconds: number
  readonly used: Float64Array
  readonly random: () => number
}

const stepHost = (
  { columns, exporter }: Table,
  row: RowState,
  { cores, memory, random, seconds, used }: HostStep
): void => {
  const { cores: coresColumn, cpuIdle, memoryAvailable, memoryTotal } = exporter.host!
  const cpuBusy: ReadonlyArray<string> = exporter.host!.cpuBusy
  const busy = Math.min(used.reduce((sum, one) => sum + one, 0) * 1.03, cores * seconds)
  row.text = undefined
  for (const [field, name, column] of columns) {
    const value = row.fields[field]
    if (typeof value !== "number") continue
    if (name === coresColumn) row.fields[field] = cores
    else if (name === memoryTotal) row.fields[field] = memory
    else if (name === memoryAvailable) row.fields[field] = Math.floor(memory * (0.4 + 0.02 * random()))
    else if (cpuBusy.includes(name)) row.fields[field] = round(value + busy / cpuBusy.length)
    else if (name === cpuIdle) row.fields[field] = round(value + cores * seconds - busy)
    else if (column.kind === "counter") {
      row.fields[field] =
        column.unit === "seconds" ? round(value + busy / 100) : Math.floor(value + random() * 10_000 * seconds)
    }
  }
}

const round = (value: number): number => Math.round(value * 100) / 100
