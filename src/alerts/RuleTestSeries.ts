/**
 * The series of a test of rules, made into scrapes as a server stores them: a value for each metric becomes the counters and gauges
 * that a rule computes it from. Pure.
 *
 * - Scrape n is taken n intervals after the beginning, and its rates are those of the time since the scrape before.
 * - A share of the host (`busy`, `memory_used`) becomes what it is a share of: cores and memory must be given.
 * - Counters begin anew where a value says so (`!90`), for the whole group.
 * - What is not given is not known where the exporter may leave it out; else it is 0, and the group runs.
 *
 * Bound: {@link VALUES_MAX} values.
 */
import { Result } from "effect"
import type { Exporter } from "../plugins/Exporter.ts"
import { makeCores } from "../query/HostSteps.ts"
import { allMeasures, type Measured, type Measures, makeMeasurer, seriesKey } from "../query/Increases.ts"
import type { Scrape } from "../sinks/storage/Scrape.ts"
import { closest, type Path, valueText } from "../YamlDocument.ts"
import { type Metric, metricsOf } from "./Rule.ts"
import { readSeries, type Spelled } from "./SeriesText.ts"

/** Of all columns of all groups in all scrapes of a test. */
const VALUES_MAX = 8_000_000
/** When tests begin, epoch milliseconds: a moment at which all rules are asked. */
export const BEGINNING = Date.UTC(2026, 0, 1)

/** What a server has. */
export interface Facts {
  readonly cores: number | undefined
  /** Bytes. */
  readonly memory: number | undefined
}

interface PlainEntry {
  readonly server: string
  readonly resource: string
  /** Milliseconds. */
  readonly interval: number
  readonly groups: Readonly<Record<string, Values>> | undefined
  readonly values: Values | undefined
}

type Values = Readonly<Record<string, string | number>>

/** The scrapes of one server by one exporter. */
export interface Entry {
  readonly server: string
  readonly exporter: Exporter
  readonly measures: Measures
  readonly scrapes: ReadonlyArray<Measured>
  /** The names of groups by their ids. */
  readonly names: ReadonlyArray<string>
  /** When the last scrape came, or would have come; milliseconds since the beginning. */
  readonly end: number
}

type Where = (path: Path) => string

/** A group's values: levels, and rates a second, by column; in the stored unit. */
interface Group {
  readonly name: string
  readonly columns: ReadonlyMap<string, Float64Array>
  readonly isAbsent: Uint8Array
  readonly beganAnew: Uint8Array
}

/** The series of a test. A failure is the list of problems, one sentence each. */
export const entriesOf = (
  entries: ReadonlyArray<PlainEntry>,
  facts: ReadonlyMap<string, Facts>,
  exporters: ReadonlyArray<Exporter>,
  where: Where
): Result.Result<ReadonlyArray<Entry>, ReadonlyArray<string>> => {
  const problems: Array<string> = []
  const known = new Set<string>()
  const read = entries.flatMap((entry, n) => {
    const at: Where = (path) => where([n, ...path])
    const exporter = exporters.find(({ resource }) => resource === entry.resource)
    if (exporter === undefined) {
      const resources = exporters.map(({ resource }) => resource)
      problems.push(unknown(at(["resource"]), entry.resource, "resource", resources))
      return []
    }
    const key = JSON.stringify([entry.server, entry.resource])
    if (known.has(key))
      problems.push(`${at(["resource"])}: ${entry.resource} of ${valueText(entry.server)} is given twice`)
    known.add(key)
    const found = readEntry(entry, exporter, facts.get(entry.server)!, at)
    if (Result.isSuccess(found)) return [found.success]
    problems.push(...found.failure)
    return []
  })
  const lengths = read.map(({ length }) => length ?? 0)
  const last = Math.max(0, ...read.map(({ entry }, n) => (lengths[n]! - 1) * entry.interval))
  if (problems.length === 0 && last <= 0)
    problems.push(`${where([])}: no series says for how many scrapes, such as "10x20"`)
  const whole = read.map((one) => ({ ...one, length: one.length ?? Math.floor(last / one.entry.interval) + 1 }))
  const values = whole.reduce(
    (sum, { exporter, groups, length }) => sum + length * groups.length * columnsIn(exporter),
    0
  )
  if (values > VALUES_MAX) problems.push(`${where([])}: ${values} values of columns in all, at most ${VALUES_MAX}`)
  if (problems.length > 0) return Result.fail(problems)
  return Result.all(whole.map((one, n) => built(one, facts.get(one.entry.server)!, (path) => where([n, ...path]))))
}

interface Read {
  readonly entry: PlainEntry
  readonly exporter: Exporter
  readonly groups: ReadonlyArray<Spoken>
  /** Undefined: all that is said holds throughout. */
  readonly length: number | undefined
}

/** What is said of a group. */
interface Spoken {
  readonly name: string
  readonly path: Path
  readonly series: ReadonlyMap<string, Spelled>
}

const columnsIn = ({ table }: Exporter): number => Object.keys(table.columns).length

const readEntry = (
  entry: PlainEntry,
  exporter: Exporter,
  facts: Facts,
  at: Where
): Result.Result<Read, ReadonlyArray<string>> => {
  const wanted = exporter.top === undefined ? "values" : "groups"
  const other = exporter.top === undefined ? "groups" : "values"
  if (entry[wanted] === undefined || entry[other] !== undefined) {
    return Result.fail([
      `${at(["resource"])} is ${valueText(entry.resource)}, of which a series has ${wanted}, not ${other}`
    ])
  }
  const problems: Array<string> = []
  const said: ReadonlyArray<readonly [name: string, path: Path, values: Values]> =
    entry.groups === undefined
      ? [["", ["values"], entry.values!]]
      : Object.entries(entry.groups).map(([name, values]) => [name, ["groups", name], values])
  const groups = said.map(([name, path, values]): Spoken => {
    const series = new Map<string, Spelled>()
    for (const [key, value] of Object.entries(values)) {
      const here = at([...path, key])
      const problem = ofMetric(key, exporter, facts, here)
      const spelled = readSeries(String(value))
      if (problem !== undefined) problems.push(problem)
      else if (Result.isFailure(spelled)) problems.push(`${here} is ${valueText(value)}, which ${spelled.failure}`)
      else series.set(key, spelled.success)
    }
    return { name, path, series }
  })
  const lengths = groups.flatMap(({ path, series }) =>
    [...series].flatMap(([key, { isConstant, values }]) =>
      isConstant ? [] : [{ at: [...path, key], of: values.length }]
    )
  )
  const [first] = lengths
  for (const one of lengths) {
    if (one.of === first!.of) continue
    problems.push(
      `${at(one.at)} is of ${one.of} scrapes, but ${first!.at.join(".")} of ${first!.of}: they came together`
    )
  }
  return problems.length > 0 ? Result.fail(problems) : Result.succeed({ entry, exporter, groups, length: first?.of })
}

/** What is wrong with the name of a metric; undefined where nothing is. */
const ofMetric = (key: string, exporter: Exporter, { cores, memory }: Facts, here: string): string | undefined => {
  const metrics = metricsOf(exporter)
  const metric = metrics.get(key)
  const sayable = [...metrics.values()].filter((one) => one.by !== "unaccounted" && !isFact(one, exporter))
  if (metric === undefined || !sayable.includes(metric)) {
    return unknown(
      here,
      key,
      `metric of ${exporter.resource} that can be given`,
      sayable.map((one) => one.key)
    )
  }
  const { host } = exporter
  if (metric.partOf === host?.cores && metric.partOf !== undefined && cores === undefined) {
    return `${here} is a part of the server's cores: cores must be given`
  }
  if (metric.partOf === host?.memoryTotal && metric.partOf !== undefined && memory === undefined) {
    return `${here} is a part of the server's memory: memory must be given`
  }
  return undefined
}

/** What a server has is said once, as `cores` and `memory`. */
const isFact = ({ by, columns, less, partOf }: Metric, { host }: Exporter): boolean =>
  by === "level" &&
  less === undefined &&
  partOf === undefined &&
  (columns[0] === host?.cores || columns[0] === host?.memoryTotal)

const unknown = (where: string, value: string, what: string, known: ReadonlyArray<string>): string => {
  const meant = closest(value, known)
  const hint = meant === undefined ? "" : `, did you mean "${meant}"?`
  return `${where} is ${valueText(value)}, which is no ${what}${hint} (known: ${known.join(", ")})`
}

// -- scrapes

const built = (
  { entry, exporter, groups, length }: Read & { readonly length: number },
  facts: Facts,
  at: Where
): Result.Result<Entry, ReadonlyArray<string>> => {
  const problems: Array<string> = []
  const isHole = holesOf(groups, length)
  const laid = groups.map((group) => laidOut(group, exporter, facts, length, isHole, at, problems))
  if (problems.length > 0) return Result.fail(problems)
  const measures = allMeasures(exporter)
  const { columns, measure } = makeMeasurer(exporter, measures)
  const rows = laid.map((group) => makeRow(group, exporter, columns))
  const scrapes: Array<Scrape> = []
  const firstAt = new Map<number | string, number>()
  let before: number | undefined
  for (let n = 0; n < length; n++) {
    if (isHole[n] === 1) continue
    const micros = (BEGINNING + n * entry.interval) * 1_000
    scrapes.push(scrapeOf(exporter, rows, n, micros, before, firstAt))
    before = micros
  }
  const { cores } = facts
  const measured = measure(scrapes, {
    after: Number.NEGATIVE_INFINITY,
    upto: Number.POSITIVE_INFINITY,
    cores: cores === undefined ? undefined : makeCores([{ at: Number.NEGATIVE_INFINITY, cores }]),
    isFirst: (at, series) => firstAt.get(series) === at
  })
  const names = laid.map(({ name }) => name)
  return Result.succeed({
    server: entry.server,
    exporter,
    measures,
    scrapes: measured,
    names,
    end: (length - 1) * entry.interval
  })
}

/** Scrapes that did not come: all that is said of them is a hole. */
const holesOf = (groups: ReadonlyArray<Spoken>, length: number): Uint8Array => {
  const varying = groups.flatMap(({ series }) => [...series.values()].filter(({ isConstant }) => !isConstant))
  return Uint8Array.from({ length }, (_, n) =>
    varying.length > 0 && varying.every(({ isAbsent, values }) => isAbsent[n] === 0 && Number.isNaN(values[n]!)) ? 1 : 0
  )
}

const laidOut = (
  { name, path, series }: Spoken,
  exporter: Exporter,
  facts: Facts,
  length: number,
  isHole: Uint8Array,
  at: Where,
  problems: Array<string>
): Group => {
  const isAbsent = new Uint8Array(length)
  const beganAnew = new Uint8Array(length)
  const varying = [...series].filter(([, { isConstant }]) => !isConstant)
  for (const [key, one] of varying) {
    const other = varying.find(([, { isAbsent }]) => isAbsent.some((is, n) => is !== one.isAbsent[n]))
    if (other !== undefined)
      problems.push(`${at([...path, key])} and ${other[0]} differ in when the group was not there`)
    for (let n = 0; n < length; n++) {
      if (one.isAbsent[n] === 1) isAbsent[n] = 1
      if (one.beganAnew[n] === 1) beganAnew[n] = 1
    }
  }
  if (exporter.top === undefined && isAbsent.includes(1)) {
    problems.push(`${at(path)}: - is of groups, which ${exporter.resource} has none of; _ is a hole`)
  }
  const columns = columnsOf(series, exporter, facts, length, (key) => at([...path, key]), problems)
  for (const [column, values] of columns) {
    if (isNullable(exporter, column)) continue
    const n = values.findIndex((value, n) => Number.isNaN(value) && isAbsent[n] === 0 && isHole[n] === 0)
    if (n < 0) continue
    problems.push(
      `${at(path)} has a hole at scrape ${n + 1}, but others came: a hole is of the whole scrape; - says that the group was not there`
    )
  }
  return { name, columns, isAbsent, beganAnew }
}

const isNullable = ({ table }: Exporter, name: string): boolean => {
  const column = table.columns[name]
  return column !== undefined && "nullable" in column && column.nullable
}

/** What metrics say of columns. */
const columnsOf = (
  series: ReadonlyMap<string, Spelled>,
  exporter: Exporter,
  { cores, memory }: Facts,
  length: number,
  at: (key: string) => string,
  problems: Array<string>
): ReadonlyMap<string, Float64Array> => {
  const { host } = exporter
  const columns = new Map<string, Float64Array>()
  const constant = (value: number) => new Float64Array(length).fill(value)
  if (host !== undefined && cores !== undefined) columns.set(host.cores, constant(cores))
  if (host !== undefined && memory !== undefined) columns.set(host.memoryTotal, constant(memory))
  const metrics = metricsOf(exporter)
  const wholesFirst = [...series].sort(([a], [b]) => Number(isPart(metrics.get(a)!)) - Number(isPart(metrics.get(b)!)))
  for (const [key, { isConstant, values }] of wholesFirst) {
    const { columns: summed, less, partOf, scale } = metrics.get(key)!
    const whole = partOf === undefined ? undefined : columns.get(partOf)
    if (partOf !== undefined && whole === undefined) {
      problems.push(`${at(key)} is a part of ${partOf}, which must be given beside it`)
      continue
    }
    const stored = (n: number) => ((isConstant ? values[0]! : values[n]!) / scale) * (whole?.[n] ?? 1)
    const [told, ...others] = less === undefined ? summed : [less]
    if (columns.has(told!)) {
      problems.push(`${at(key)}: another metric of the same series says the same as ${key}`)
      continue
    }
    columns.set(
      told!,
      Float64Array.from({ length }, (_, n) => (less === undefined ? stored(n) : whole![n]! - stored(n)))
    )
    for (const other of others) if (!columns.has(other)) columns.set(other, constant(0))
  }
  return columns
}

const isPart = ({ partOf }: Metric): boolean => partOf !== undefined

/** A group's rows, one scrape after the other. */
const makeRow = ({ beganAnew, columns, isAbsent }: Group, exporter: Exporter, names: ReadonlyArray<string>) => {
  const counted = new Float64Array(names.length)
  const kinds = names.map((name) => exporter.table.columns[name]?.kind)
  const unsaid = names.map((name) =>
    isNullable(exporter, name) ? Number.NaN : name === exporter.top?.presence ? 1 : 0
  )
  let since = (BEGINNING - DAY) * 1_000
  return {
    isThere: (n: number) => isAbsent[n] === 0,
    /** Values of the columns at scrape `n`, and since when the counters count; `before` is the scrape before. Epoch microseconds. */
    at: (n: number, micros: number, before: number | undefined) => {
      if (beganAnew[n] === 1 && before !== undefined) {
        since = before + 1_000
        counted.fill(0)
      }
      const seconds = before === undefined ? 0 : (micros - before) / 1_000_000
      const values = names.map((name, c) => {
        const value = columns.get(name)?.[n] ?? unsaid[c]!
        if (kinds[c] !== "counter" || Number.isNaN(value)) return value
        counted[c]! += value * seconds
        return counted[c]!
      })
      return { since, values }
    }
  }
}

const DAY = 86_400_000

const scrapeOf = (
  exporter: Exporter,
  rows: ReadonlyArray<ReturnType<typeof makeRow>>,
  n: number,
  at: number,
  before: number | undefined,
  firstAt: Map<number | string, number>
): Scrape => {
  const there = [...rows.keys()].filter((id) => rows[id]!.isThere(n))
  const found = there.map((id) => rows[id]!.at(n, at, before))
  const labels = Object.entries(exporter.table.columns).flatMap(([name, { kind }]) =>
    kind === "label" ? [Int32Array.from(there, (id) => (name === exporter.top?.per ? id : 0))] : []
  )
  for (const row of there.keys()) {
    const key = seriesKey(labels.map((ids) => ids[row]!))
    if (!firstAt.has(key)) firstAt.set(key, at)
  }
  const columns = found[0]?.values.length ?? makeMeasurer(exporter, allMeasures(exporter)).columns.length
  return {
    at,
    since: Number.NaN,
    sinceOf: Float64Array.from(found, ({ since }) => since),
    labels,
    values: Array.from({ length: columns }, (_, c) => Float64Array.from(found, ({ values }) => values[c]!))
  }
}
