/**
 * The reference computation: what the numbers of an answer are, by `docs/numbers.md`, from a plain list of rows.
 *
 * Written to be compared with, so slow and obvious: it looks at every row as often as it likes, keeps no state, knows
 * nothing of SQL or roll-ups, and shares no code with them but the names of fields. Order and repetition of rows change
 * nothing.
 */
import { Duration } from "effect"
import type { Column } from "../src/plugins/Column.ts"
import type { Exporter } from "../src/plugins/Exporter.ts"
import type { Snapshot } from "../src/plugins/Snapshot.ts"
import { rankingFields } from "../src/plugins/TopQuery.ts"
import type { HistoryAnswer, RankedRow, TopAnswer, Window } from "../src/sinks/Rankings.ts"

const SECOND = 1_000_000

/** Only so that a test does not take minutes: the same question about the same rows is answered once. */
function remembered<A extends object, B extends object, C>(compute: (a: A, b: B) => C): (a: A, b: B) => C {
  const answers = new WeakMap<B, C>()
  return (a, b) => {
    const known = answers.get(b)
    if (known !== undefined) return known
    const answer = compute(a, b)
    answers.set(b, answer)
    return answer
  }
}

/** The top answer for one server. */
export const truthTop = (
  exporters: ReadonlyArray<Exporter>,
  rows: ReadonlyArray<Snapshot>,
  request: {
    readonly exporter: string
    readonly serverId: string
    readonly metric: string
    readonly limit: number
    readonly window: Window
  }
): TopAnswer => {
  const { window } = request
  const exporter = named(exporters, request.exporter)
  const top = exporter.top!
  const mine = rowsOf(rows, exporter, request.serverId)
  const scrapes = timesOf(mine).filter((at) => at > window.from && at <= window.to)
  const latest = scrapes.at(-1)
  const covered = coveredSeconds(exporter, timesOf(mine), window)
  const lastSeen = timesOf(mine).findLast((at) => at <= window.to) ?? null
  const cores = coresOver(exporters, rows, request.serverId)

  const listed = mine.filter((row) => row.timestamp > window.from && row.timestamp <= window.to)
  const names = [...new Set(listed.map((row) => groupOf(exporter, row)))]
  let resets = 0
  let clamped = 0
  const groups = names.map((name) => {
    const series = mine.filter((row) => groupOf(exporter, row) === name)
    const inWindow = series.filter((row) => row.timestamp > window.from && row.timestamp <= window.to)
    const now = inWindow.filter((row) => row.timestamp === latest)
    const gone = top.presence !== undefined && sumOf(now.map((row) => valueOf(exporter, row, top.presence!) ?? 0)) === 0
    const fields: Record<string, number | null> = {}
    const keys: Record<string, number | null> = {}
    for (const [key, ranking] of Object.entries(top.rankings)) {
      const column = exporter.table.columns[ranking.column]!
      const shown = rankingFields(key, ranking.by, column)
      if (ranking.by === "rate") {
        const limit = ranking.share === "cpu" ? cores : () => null
        const increases = increasesOf(exporter, series, ranking.column, limit).filter(
          ({ at }) => at > window.from && at <= window.to
        )
        resets += increases.filter((increase) => increase.reset).length
        clamped += increases.filter((increase) => increase.clamped).length
        const perScrape = Map.groupBy(increases, (increase) => increase.at)
        const rates = scrapes.map((at) => sumOf((perScrape.get(at) ?? []).map((i) => i.increase / i.seconds)))
        const total = sumOf(increases.map((increase) => increase.increase))
        keys[key] = total
        fields[shown.total!] = total * shown.totalScale
        fields[shown.average] = covered === 0 ? 0 : (total / covered) * shown.scale
        fields[shown.peak] = Math.max(0, ...rates) * shown.scale
        fields[shown.now] = now.length === 0 || gone ? 0 : (rates.at(-1) ?? 0) * shown.scale
      } else {
        const seen = scrapes.map((at) => gaugeAt(exporter, inWindow, ranking.column, at))
        const known = seen.filter((value) => typeof value === "number")
        const scraped = seen.filter((value) => value !== "unknown").length
        const here = inWindow.filter((row) => valueOf(exporter, row, ranking.column) !== null)
        const peak = here.length === 0 ? null : Math.max(...known)
        keys[key] = peak
        fields[shown.peak] = scaled(peak, shown.scale)
        fields[shown.average] = scraped === 0 ? null : (sumOf(known) / scraped) * shown.scale
        fields[shown.now] = scaled(latestGauge(exporter, now, ranking.column), shown.scale)
      }
    }
    for (const [column, declared] of unrankedGauges(exporter)) {
      fields[declared.from ?? column] = latestGauge(exporter, now, column)
    }
    return { name, fields, key: keys[request.metric]! }
  })
  groups.sort((a, b) => descending(a.key, b.key) || compareBytes(a.name, b.name))
  const listedGroups = groups.slice(0, request.limit)
  const others = groups.slice(request.limit)

  const other: Record<string, number> & { groups: number } = { groups: others.length }
  for (const [key, ranking] of Object.entries(top.rankings)) {
    const shown = rankingFields(key, ranking.by, exporter.table.columns[ranking.column]!)
    for (const field of [shown.total, shown.average, shown.now]) {
      if (field !== undefined) other[field] = sumOf(others.map((group) => group.fields[field] ?? 0))
    }
  }

  return {
    rows: listedGroups.map(({ fields, name }): RankedRow => ({ name, ...fields })),
    window,
    coveredSeconds: covered,
    coverage: Math.min(1, (covered * SECOND) / (window.to - window.from)),
    scrapes: scrapes.length,
    lastSeen,
    stale: lastSeen === null || window.to - lastSeen > 2.5 * Duration.toMillis(exporter.scrape.interval) * 1_000,
    resets,
    clamped,
    other,
    ...hostPart(exporters, exporter, rows, request.serverId, window, groups, covered)
  }
}

/** The history of one group, or of an exporter without labels. */
export const truthHistory = (
  exporters: ReadonlyArray<Exporter>,
  rows: ReadonlyArray<Snapshot>,
  request: {
    readonly exporter: string
    readonly serverId: string
    readonly name?: string
    readonly window: Window
    /** Width of a step, epoch-aligned, microseconds. */
    readonly step: number
  }
): HistoryAnswer => {
  const { step, window } = request
  const exporter = named(exporters, request.exporter)
  const mine = rowsOf(rows, exporter, request.serverId)
  const series = mine.filter((row) => request.name === undefined || groupOf(exporter, row) === request.name)
  const cores = coresOver(exporters, rows, request.serverId)
  const times = timesOf(mine)
  const steps: Array<Window> = []
  for (let from = Math.floor(window.from / step) * step; from < window.to; from += step) {
    steps.push({ from: Math.max(from, window.from), to: Math.min(from + step, window.to) })
  }
  const result: Record<string, Array<number | null>> = {}
  const ranked = new Set<string>()
  const rates = (column: string, share: string | undefined, scale: number, nullable: boolean) => {
    const increases = increasesOf(exporter, series, column, share === "cpu" ? cores : () => null)
    const within = steps.map((part) => increases.filter(({ at }) => at > part.from && at <= part.to))
    const covered = steps.map((part) => coveredSeconds(exporter, times, part))
    return {
      average: within.map((some, index) =>
        covered[index] === 0 || (nullable && some.length === 0)
          ? null
          : (sumOf(some.map((i) => i.increase)) / covered[index]!) * scale
      ),
      peak: within.map((some, index) => {
        if (covered[index] === 0 || (nullable && some.length === 0)) return null
        const perScrape = [...Map.groupBy(some, (increase) => increase.at).values()].map((here) =>
          sumOf(here.map((i) => i.increase / i.seconds))
        )
        return Math.max(0, ...perScrape) * scale
      })
    }
  }
  const levels = (column: string, scale: number) => {
    const within = steps.map((part) => {
      const scrapes = times.filter((at) => at > part.from && at <= part.to)
      const rows = series.filter((row) => row.timestamp > part.from && row.timestamp <= part.to)
      return scrapes.map((at) => gaugeAt(exporter, rows, column, at))
    })
    return {
      average: within.map((seen) => {
        const scraped = seen.filter((value) => value !== "unknown")
        const known = seen.filter((value) => typeof value === "number")
        return scraped.length === 0 ? null : (sumOf(known) / scraped.length) * scale
      }),
      peak: within.map((seen) => {
        const known = seen.map((value) => (value === "absent" ? 0 : value)).filter((value) => typeof value === "number")
        return known.length === 0 ? null : Math.max(...known) * scale
      })
    }
  }
  for (const [key, ranking] of Object.entries(exporter.top?.rankings ?? {})) {
    ranked.add(ranking.column)
    const column = exporter.table.columns[ranking.column]!
    const shown = rankingFields(key, ranking.by, column)
    const nullable = column.kind !== "label" && column.nullable
    const found =
      ranking.by === "rate"
        ? rates(ranking.column, ranking.share, shown.scale, nullable)
        : levels(ranking.column, shown.scale)
    result[shown.now] = found.average
    result[shown.peak] = found.peak
  }
  for (const [key, column] of Object.entries(exporter.table.columns)) {
    if (ranked.has(key) || column.kind === "label") continue
    const wire = column.from ?? key
    if (column.kind === "gauge") result[wire] = levels(key, 1).average
    else result[`${wire.replace(/_total$/, "")}_per_second`] = rates(key, undefined, 1, column.nullable).average
  }
  const covered = coveredSeconds(exporter, timesOf(mine), window)
  return {
    window,
    stepSeconds: step / SECOND,
    coverage: Math.min(1, (covered * SECOND) / (window.to - window.from)),
    timestamps: steps.map((part) => part.to),
    series: result
  }
}

/** Byte order of the UTF-8 form, as PostgreSQL's collation "C". */
export const compareBytes = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b))

interface Increase {
  readonly at: number
  readonly seconds: number
  readonly increase: number
  readonly reset: boolean
  readonly clamped: boolean
}

/** Increases of a group's counter, each series by itself. `coresAt` says what it is clamped to. */
const increasesOf = (
  exporter: Exporter,
  group: ReadonlyArray<Snapshot>,
  column: string,
  coresAt: (at: number) => number | null
): ReadonlyArray<Increase> => {
  const staleAfter = Duration.toMillis(exporter.table.staleAfter) * 1_000
  return group.flatMap((q) => {
    const p = rowBefore(exporter, group).get(q)
    if (p === undefined || q.timestamp - p.timestamp > staleAfter) return []
    const before = valueOf(exporter, p, column)
    const after = valueOf(exporter, q, column)
    if (before === null || after === null) return []
    const hidden =
      p.countersSince !== null && q.countersSince !== null && Math.abs(q.countersSince - p.countersSince) > 2 * SECOND
    const reset = after < before || hidden
    const seen = reset ? after : after - before
    const seconds = (q.timestamp - p.timestamp) / SECOND
    const cores = coresAt(q.timestamp)
    const limit = cores === null ? Number.POSITIVE_INFINITY : cores * 1.05 * seconds
    return [{ at: q.timestamp, seconds, increase: Math.min(seen, limit), reset, clamped: seen > limit }]
  })
}

/** For each row the one of its series just before it in time. */
const rowBefore = remembered((exporter: Exporter, rows: ReadonlyArray<Snapshot>) => {
  const before = new Map<Snapshot, Snapshot>()
  const latest = new Map<string, Snapshot>()
  for (const row of [...rows].sort((a, b) => a.timestamp - b.timestamp)) {
    const p = latest.get(seriesOf(exporter, row))
    if (p !== undefined) before.set(row, p)
    latest.set(seriesOf(exporter, row), row)
  }
  return before
})

/** Time between successive scrapes whose right end is in the window, holes left out. */
const coveredSeconds = (exporter: Exporter, times: ReadonlyArray<number>, window: Window): number => {
  const staleAfter = Duration.toMillis(exporter.table.staleAfter) * 1_000
  let covered = 0
  for (let index = 1; index < times.length; index++) {
    const gap = times[index]! - times[index - 1]!
    if (times[index]! > window.from && times[index]! <= window.to && gap <= staleAfter) covered += gap
  }
  return covered / SECOND
}

const byTime = (rows: ReadonlyArray<Snapshot>) => rowsByTime(rows, rows)
const rowsByTime = remembered((_: object, rows: ReadonlyArray<Snapshot>) => Map.groupBy(rows, (row) => row.timestamp))

/** A group's gauge in the scrape at that moment: the sum over its series; a scrape without the group counts 0. */
const gaugeAt = (
  exporter: Exporter,
  group: ReadonlyArray<Snapshot>,
  column: string,
  at: number
): number | "absent" | "unknown" => {
  const here = byTime(group).get(at) ?? []
  if (here.length === 0) return "absent"
  const known = here.map((row) => valueOf(exporter, row, column)).filter((value) => value !== null)
  return known.length === 0 ? "unknown" : sumOf(known)
}

const latestGauge = (exporter: Exporter, now: ReadonlyArray<Snapshot>, column: string): number | null => {
  if (now.length === 0) return 0
  const known = now.map((row) => valueOf(exporter, row, column)).filter((value) => value !== null)
  return known.length === 0 ? null : sumOf(known)
}

/** How many cores the server had at a moment: its latest host row until then, else the first after. */
const coresOver = (exporters: ReadonlyArray<Exporter>, rows: ReadonlyArray<Snapshot>, serverId: string) => {
  const host = exporters.find((exporter) => exporter.host !== undefined)
  if (host === undefined) return () => null
  const known = rowsOf(rows, host, serverId).filter((row) => valueOf(host, row, host.host!.cores) !== null)
  return (at: number): number | null => {
    const row = known.findLast((row) => row.timestamp <= at) ?? known[0]
    return row === undefined ? null : valueOf(host, row, host.host!.cores)
  }
}

const hostPart = (
  exporters: ReadonlyArray<Exporter>,
  exporter: Exporter,
  rows: ReadonlyArray<Snapshot>,
  serverId: string,
  window: Window,
  groups: ReadonlyArray<{ readonly fields: Readonly<Record<string, number | null>> }>,
  covered: number
): Pick<TopAnswer, "host" | "unaccounted" | "memoryOvercounted"> => {
  const host = exporters.find((candidate) => candidate.host !== undefined)
  const nothing = { host: null, unaccounted: null, memoryOvercounted: false }
  if (host === undefined) return nothing
  const known = rowsOf(rows, host, serverId)
  const latest = known.findLast((row) => row.timestamp <= window.to)
  if (latest === undefined) return nothing
  const cpuCores = valueOf(host, latest, host.host!.cores)
  const memoryTotalBytes = valueOf(host, latest, host.host!.memoryTotal)
  const rankings = Object.entries(exporter.top!.rankings)
  const cpu = rankings.find(([, ranking]) => ranking.by === "rate" && ranking.share === "cpu")
  const memory = rankings.find(([, ranking]) => ranking.by === "peak" && ranking.share === "memory")
  let unaccounted: TopAnswer["unaccounted"] = null
  if (cpu !== undefined) {
    const increases = host
      .host!.cpuBusy.flatMap((column) => increasesOf(host, known, column, () => null))
      .filter(({ at }) => at > window.from && at <= window.to)
    if (increases.length > 0) {
      const shown = rankingFields(cpu[0], "rate", exporter.table.columns[cpu[1].column]!)
      const busy = sumOf(increases.map((increase) => increase.increase))
      const cpuSeconds = Math.max(0, busy - sumOf(groups.map((group) => group.fields[shown.total!] ?? 0)))
      unaccounted = { cpuSeconds, avgCpuPercent: covered === 0 ? 0 : (100 * cpuSeconds) / covered }
    }
  }
  let memoryOvercounted = false
  if (memory !== undefined && memoryTotalBytes !== null) {
    const shown = rankingFields(memory[0], "peak", exporter.table.columns[memory[1].column]!)
    const total = sumOf(groups.map((group) => group.fields[shown.now] ?? 0)) / shown.scale
    memoryOvercounted = total > memoryTotalBytes
  }
  return { host: { cpuCores, memoryTotalBytes }, unaccounted, memoryOvercounted }
}

const named = (exporters: ReadonlyArray<Exporter>, name: string): Exporter =>
  exporters.find((exporter) => exporter.name === name)!

/** The distinct rows of one exporter and server, oldest first: of rows with one natural key the first counts. */
const rowsOf = (rows: ReadonlyArray<Snapshot>, exporter: Exporter, serverId: string): ReadonlyArray<Snapshot> => {
  const distinct = new Map<string, Snapshot>()
  for (const row of rows) {
    if (row.exporter !== exporter.name || row.serverId !== serverId) continue
    const key = JSON.stringify([row.timestamp, seriesOf(exporter, row)])
    if (!distinct.has(key)) distinct.set(key, row)
  }
  return [...distinct.values()].sort((a, b) => a.timestamp - b.timestamp)
}

const timesOf = (rows: ReadonlyArray<Snapshot>): ReadonlyArray<number> => [...new Set(rows.map((row) => row.timestamp))]

const valueOf = (exporter: Exporter, row: Snapshot, column: string): number | null =>
  row.values[indexOf(exporter, column)] as number | null

const labelOf = (exporter: Exporter, row: Snapshot, column: string): string =>
  row.values[indexOf(exporter, column)] as string

const indexOf = (exporter: Exporter, column: string): number => {
  let index = 0
  for (const name in exporter.table.columns) {
    if (name === column) return index
    index++
  }
  return -1
}

const seriesOf = remembered((exporter: Exporter, row: Snapshot): string =>
  JSON.stringify(
    Object.entries(exporter.table.columns)
      .filter(([, column]) => column.kind === "label")
      .map(([name]) => labelOf(exporter, row, name))
  )
)

const groupOf = (exporter: Exporter, row: Snapshot): string =>
  exporter.top === undefined ? "" : labelOf(exporter, row, exporter.top.per)

const unrankedGauges = (exporter: Exporter): ReadonlyArray<readonly [string, Column]> => {
  const ranked = new Set<string>(Object.values(exporter.top?.rankings ?? {}).map((ranking) => ranking.column))
  return Object.entries(exporter.table.columns).filter(([name, column]) => column.kind === "gauge" && !ranked.has(name))
}

const scaled = (value: number | null, scale: number): number | null => (value === null ? null : value * scale)

const sumOf = (values: ReadonlyArray<number>): number => values.reduce((sum, value) => sum + value, 0)

/** Highest first; what is not known comes last. */
const descending = (a: number | null, b: number | null): number => (b ?? -Infinity) - (a ?? -Infinity) || 0
