/**
 * The reference computation: what the numbers of an answer are, by `docs/numbers.md`, from a plain list of rows.
 *
 * Written to be compared with, so slow and obvious: it looks at every row as often as it likes, keeps no state, knows
 * nothing of SQL or roll-ups, and shares no code with them but the names of fields. Order and repetition of rows change
 * nothing.
 */
import type { Column } from "../src/plugins/Column.ts"
import type { Exporter } from "../src/plugins/Exporter.ts"
import type { Snapshot } from "../src/plugins/Snapshot.ts"
import { type AnyRanking, rankingFields } from "../src/plugins/TopQuery.ts"
import type { HistoryAnswer, LabelFilter, RankedRow, TopAnswer, Window } from "../src/query/Rankings.ts"
import { labelOf, mostBusy, SECOND, type Seen, type Step, seenOf, staleAfter, stepsOf, valueOf } from "./TruthSteps.ts"

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
    readonly only?: LabelFilter | undefined
  }
): TopAnswer => {
  const { window } = request
  const exporter = named(exporters, request.exporter)
  const top = exporter.top!
  const seen = seenOf(rows, exporter, request.serverId)
  const host = hostOf(exporters, rows, request.serverId)
  const counts = (row: Snapshot) => isOnly(exporter, row, request.only)
  const rankings = Object.entries<AnyRanking>({
    ...top.rankings,
    ...Object.fromEntries(Object.entries<AnyRanking>(top.onDemand ?? {}).filter(([key]) => key === request.metric))
  })
  const scrapes = seen.times.filter((at) => at > window.from && at <= window.to)
  const latest = scrapes.at(-1)
  const covered = coveredSeconds(seen, window)
  const lastSeen = seen.times.findLast((at) => at <= window.to) ?? null

  const listed = seen.rows.filter((row) => row.timestamp > window.from && row.timestamp <= window.to && counts(row))
  const names = [...new Set(listed.map((row) => groupOf(exporter, row)))]
  const counters = new Set<string>(rankings.flatMap(([, ranking]) => (ranking.by === "rate" ? [ranking.column] : [])))
  const steps = new Map(
    [...counters].map((column) => {
      const all = stepsOf(seen, column, coresOver(host)).filter(({ row }) => counts(row))
      return [column, within(all, window)] as const
    })
  )
  const groups = names.map((name) => {
    const inWindow = listed.filter((row) => groupOf(exporter, row) === name)
    const now = inWindow.filter((row) => row.timestamp === latest)
    const gone = top.presence !== undefined && sumOf(now.map((row) => valueOf(exporter, row, top.presence!) ?? 0)) === 0
    const fields: Record<string, number | null> = {}
    const keys: Record<string, number | null> = {}
    for (const [key, ranking] of rankings) {
      const column = exporter.table.columns[ranking.column]!
      const shown = rankingFields(key, ranking.by, column)
      if (ranking.by === "rate") {
        const own = steps.get(ranking.column)!.filter(({ row }) => groupOf(exporter, row) === name)
        const rates = new Map(ratesOf(own))
        const total = sumOf(own.map((step) => step.increase ?? 0))
        const nullable = column.kind !== "label" && column.nullable
        if (nullable && own.every(({ increase }) => increase === null)) {
          keys[key] = null
          for (const field of [shown.total!, shown.average, shown.peak, shown.now]) fields[field] = null
          continue
        }
        keys[key] = total
        fields[shown.total!] = total * shown.totalScale
        fields[shown.average] = covered === 0 ? 0 : (total / covered) * shown.scale
        fields[shown.peak] = Math.max(0, ...rates.values()) * shown.scale
        fields[shown.now] = now.length === 0 || gone ? 0 : (rates.get(latest!) ?? 0) * shown.scale
      } else {
        const seenAt = scrapes.map((at) => gaugeAt(exporter, inWindow, ranking.column, at))
        const known = seenAt.filter((value) => typeof value === "number")
        const scraped = seenAt.filter((value) => value !== "unknown").length
        const here = inWindow.filter((row) => valueOf(exporter, row, ranking.column) !== null)
        const peak = here.length === 0 ? null : Math.max(...known)
        keys[key] = peak
        fields[shown.peak] = scaled(peak, shown.scale)
        fields[shown.average] = scraped === 0 ? null : (sumOf(known) / scraped) * shown.scale
        fields[shown.now] = peak === null ? null : scaled(latestGauge(exporter, now, ranking.column), shown.scale)
      }
    }
    for (const [column, declared] of unrankedGauges(exporter)) {
      const absent = now.length === 0 && declared.kind === "gauge" && declared.nullable
      const isPart = !isEpoch(declared) && now.some((row) => isHere(exporter, row) && !tells(exporter, row, column))
      fields[declared.from ?? column] = absent || isPart ? null : latestGauge(exporter, now, column)
    }
    return { name, fields, labels: labelsOf(exporter, now), key: keys[request.metric]! }
  })
  groups.sort((a, b) => descending(a.key, b.key) || compareBytes(a.name, b.name))
  const listedGroups = groups.slice(0, request.limit)
  const others = groups.slice(request.limit)

  const other: Record<string, number> & { groups: number } = { groups: others.length }
  for (const [key, ranking] of rankings) {
    const shown = rankingFields(key, ranking.by, exporter.table.columns[ranking.column]!)
    for (const field of [shown.total, shown.average, shown.now]) {
      if (field !== undefined) other[field] = sumOf(others.map((group) => group.fields[field] ?? 0))
    }
  }

  const all = [...steps.values()].flat()
  const cpu = cpuColumn(exporter)
  const isPart = request.only !== undefined
  const hostBusy = host === undefined || cpu === undefined || isPart ? [] : within(busyOf(host), window)
  return {
    rows: listedGroups.map(
      ({ fields, labels, name }): RankedRow => ({
        name,
        ...fields,
        ...labels,
        ...(top.monitoring?.includes(name) === true ? { monitoring: true } : {})
      })
    ),
    window,
    coveredSeconds: covered,
    coverage: Math.min(1, (covered * SECOND) / (window.to - window.from)),
    scrapes: scrapes.length,
    lastSeen,
    resets: all.filter(({ reset }) => reset).length,
    clamped: all.filter(({ clamped }) => clamped).length,
    unknown:
      all.filter(({ increase }) => increase === null).length + hostBusy.filter(({ busy }) => busy === null).length,
    other,
    host: factsOf(host, window),
    unaccounted:
      cpu === undefined
        ? null
        : unaccounted(seen, hostBusy, sumOf(steps.get(cpu)!.map(({ increase }) => increase ?? 0)), covered),
    memoryOvercounted: overcounted(exporter, host, window, groups)
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
    readonly only?: LabelFilter | undefined
  }
): HistoryAnswer => {
  const { step, window } = request
  const exporter = named(exporters, request.exporter)
  const seen = seenOf(rows, exporter, request.serverId)
  const isIt = (row: Snapshot) =>
    (request.name === undefined || groupOf(exporter, row) === request.name) && isOnly(exporter, row, request.only)
  const series = seen.rows.filter(isIt)
  const cores = coresOver(hostOf(exporters, rows, request.serverId))
  const steps: Array<Window> = []
  for (let from = Math.floor(window.from / step) * step; from < window.to; from += step) {
    steps.push({ from: Math.max(from, window.from), to: Math.min(from + step, window.to) })
  }
  const result: Record<string, Array<number | null>> = {}
  const ranked = new Set<string>()
  const rates = (column: string, scale: number, nullable: boolean) => {
    const all = stepsOf(seen, column, cores).filter(({ row }) => isIt(row))
    const own = all.filter(({ increase }) => increase !== null)
    const unknown = all.filter(({ increase }) => increase === null)
    const found = steps.map((part) => ({
      covered: coveredSeconds(seen, part),
      increases: within(own, part),
      // Of an exporter without groups: which share of the scrapes nobody knows.
      unknown:
        request.name !== undefined
          ? 0
          : within(unknown, part).length /
            Math.max(1, seen.times.filter((at) => at > part.from && at <= part.to).length)
    }))
    const known = ({ covered, increases }: (typeof found)[number]) => covered > 0 && (!nullable || increases.length > 0)
    return {
      average: found.map((part) =>
        known(part) && part.unknown <= 0.3
          ? (sumOf(part.increases.map(({ increase }) => increase!)) / (part.covered * (1 - part.unknown))) * scale
          : null
      ),
      peak: found.map((part) =>
        known(part) ? Math.max(0, ...ratesOf(part.increases).map(([, rate]) => rate)) * scale : null
      )
    }
  }
  const levels = (column: string, scale: number) => {
    const found = steps.map((part) => {
      const scrapes = seen.times.filter((at) => at > part.from && at <= part.to)
      const rows = series.filter((row) => row.timestamp > part.from && row.timestamp <= part.to)
      return scrapes.map((at) => gaugeAt(exporter, rows, column, at))
    })
    return {
      average: found.map((some) => {
        const scraped = some.filter((value) => value !== "unknown")
        const known = some.filter((value) => typeof value === "number")
        return scraped.length === 0 ? null : (sumOf(known) / scraped.length) * scale
      }),
      peak: found.map((some) => {
        const known = some.map((value) => (value === "absent" ? 0 : value)).filter((value) => typeof value === "number")
        return known.length === 0 ? null : Math.max(...known) * scale
      })
    }
  }
  for (const [key, ranking] of Object.entries(allRankings(exporter))) {
    ranked.add(ranking.column)
    const column = exporter.table.columns[ranking.column]!
    const shown = rankingFields(key, ranking.by, column)
    const nullable = column.kind !== "label" && column.nullable
    const found =
      ranking.by === "rate" ? rates(ranking.column, shown.scale, nullable) : levels(ranking.column, shown.scale)
    result[shown.now] = found.average
    result[shown.peak] = found.peak
  }
  for (const [key, column] of Object.entries(exporter.table.columns)) {
    if (ranked.has(key) || column.kind === "label" || column.kind === "fingerprint" || isEpoch(column)) continue
    const wire = column.from ?? key
    if (column.kind === "gauge") result[wire] = levels(key, 1).average
    else result[`${wire.replace(/_total$/, "")}_per_second`] = rates(key, 1, column.nullable).average
  }
  const covered = coveredSeconds(seen, window)
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

const within = <A extends { readonly at: number }>(all: ReadonlyArray<A>, { from, to }: Window): ReadonlyArray<A> =>
  all.filter(({ at }) => at > from && at <= to)

/** How fast a group's counter grew in each scrape: the sum over its series. */
const ratesOf = (steps: ReadonlyArray<Step>): ReadonlyArray<readonly [number, number]> =>
  [...Map.groupBy(steps, ({ at }) => at)].map(([at, here]) => [
    at,
    sumOf(here.map(({ increase, seconds }) => (increase ?? 0) / seconds))
  ])

/** The times between successive scrapes, holes left out. */
const coveredIntervals = ({ exporter, times }: Seen): ReadonlyArray<{ readonly begin: number; readonly at: number }> =>
  times
    .map((at, n) => ({ begin: times[n - 1] ?? Number.NEGATIVE_INFINITY, at }))
    .filter(({ at, begin }) => at - begin <= staleAfter(exporter))

/** Of these those whose right end is in the window. */
const coveredSeconds = (seen: Seen, window: Window): number =>
  sumOf(within(coveredIntervals(seen), window).map(({ at, begin }) => at - begin)) / SECOND

const byTime = (rows: ReadonlyArray<Snapshot>): ReadonlyMap<number, ReadonlyArray<Snapshot>> => {
  const known = timesKnown.get(rows) ?? Map.groupBy(rows, (row) => row.timestamp)
  timesKnown.set(rows, known)
  return known
}
/** Only so that a test does not take minutes. */
const timesKnown = new WeakMap<ReadonlyArray<Snapshot>, ReadonlyMap<number, ReadonlyArray<Snapshot>>>()

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
  if (known.length === 0) return null
  return isEpoch(exporter.table.columns[column]!) ? Math.min(...known) : sumOf(known)
}

/** Whether a row is of something that is there still: what is gone has nothing to tell. */
const isHere = (exporter: Exporter, row: Snapshot): boolean => {
  const presence = exporter.top?.presence
  return presence === undefined || valueOf(exporter, row, presence) !== 0
}

const tells = (exporter: Exporter, row: Snapshot, column: string): boolean => valueOf(exporter, row, column) !== null

/** A gauge that is a moment. */
const isEpoch = (column: Column): boolean => column.kind === "gauge" && column.unit === "epoch_seconds"

const allRankings = ({ top }: Exporter): Readonly<Record<string, AnyRanking>> => ({
  ...top?.rankings,
  ...top?.onDemand
})

/** Whether a row has the value of a label that was asked for. */
const isOnly = (exporter: Exporter, row: Snapshot, only: LabelFilter | undefined): boolean =>
  only === undefined || labelOf(exporter, row, only.label) === only.value

/** The values of the labels beside the ranked one, of a group's rows in the latest scrape: the first three, and how many. */
const labelsOf = (exporter: Exporter, now: ReadonlyArray<Snapshot>): Record<string, ReadonlyArray<string> | number> => {
  const fields: Record<string, ReadonlyArray<string> | number> = {}
  for (const [name, column] of Object.entries(exporter.table.columns)) {
    if (column.kind !== "label" || name === exporter.top?.per) continue
    const values = [...new Set(now.map((row) => labelOf(exporter, row, name)))].filter((value) => value !== "")
    fields[`${column.from ?? name}s`] = values.sort(compareBytes).slice(0, 3)
    fields[`${column.from ?? name}s_total`] = values.length
  }
  return fields
}

const hostOf = (exporters: ReadonlyArray<Exporter>, rows: ReadonlyArray<Snapshot>, serverId: string) => {
  const exporter = exporters.find((exporter) => exporter.host !== undefined)
  return exporter === undefined ? undefined : seenOf(rows, exporter, serverId)
}

/** How many cores the server had at a moment: its latest host row until then, else the first after. */
export const coresOver = (host: Seen | undefined) => {
  if (host === undefined) return () => null
  const coresOf = (row: Snapshot) => valueOf(host.exporter, row, host.exporter.host!.cores)
  const known = host.rows.filter((row) => coresOf(row) !== null)
  return (at: number): number | null => {
    const row = known.findLast((row) => row.timestamp <= at) ?? known[0]
    return row === undefined ? null : coresOf(row)
  }
}

/** What all CPUs of the host did between two of its rows; null where nobody knows. */
interface Busy {
  readonly begin: number
  readonly at: number
  readonly busy: number | null
}

export const busyOf = (host: Seen): ReadonlyArray<Busy> => {
  const cores = coresOver(host)
  const steps = host.exporter.host!.cpuBusy.flatMap((column) => stepsOf(host, column, cores))
  return [...Map.groupBy(steps, ({ at }) => at).values()].map((here) => {
    const [{ at, begin }] = here as [Step]
    const known = here.map(({ increase }) => increase).filter((increase) => increase !== null)
    if (known.length < here.length) return { begin, at, busy: null }
    const most = cores(at) === null ? Number.POSITIVE_INFINITY : mostBusy(here[0]!, cores(at)!)
    return { begin, at, busy: Math.min(sumOf(known), most) }
  })
}

/**
 * What the host's CPUs did beyond what the groups did, in the time that both were looked at: each increase of the host counts
 * by the share of its interval in which the groups were.
 */
const unaccounted = (
  seen: Seen,
  hostBusy: ReadonlyArray<Busy>,
  ofGroups: number,
  covered: number
): TopAnswer["unaccounted"] => {
  const looked = coveredIntervals(seen)
  const both = hostBusy.flatMap(({ at, begin, busy }) =>
    busy === null ? [] : [{ busy, length: at - begin, common: common({ begin, at }, looked) }]
  )
  if (sumOf(both.map((step) => step.common)) === 0) return null
  const cpuSeconds = sumOf(both.map((step) => (step.busy * step.common) / step.length)) - ofGroups
  return { cpuSeconds, avgCpuPercent: covered === 0 ? 0 : (100 * cpuSeconds) / covered }
}

interface Interval {
  readonly begin: number
  readonly at: number
}

/** How much of an interval lies in others, which do not overlap. */
const common = (one: Interval, others: ReadonlyArray<Interval>): number =>
  sumOf(others.map((other) => Math.max(0, Math.min(one.at, other.at) - Math.max(one.begin, other.begin))))

const factsOf = (host: Seen | undefined, window: Window): TopAnswer["host"] => {
  const latest = host?.rows.findLast((row) => row.timestamp <= window.to)
  if (host === undefined || latest === undefined) return null
  const { cores, memoryTotal } = host.exporter.host!
  return {
    cpuCores: valueOf(host.exporter, latest, cores),
    memoryTotalBytes: valueOf(host.exporter, latest, memoryTotal)
  }
}

/** The counter that is the groups' share of the host's CPU. */
const cpuColumn = (exporter: Exporter): string | undefined =>
  Object.values(exporter.top!.rankings).find(({ by, share }) => by === "rate" && share === "cpu")?.column

const overcounted = (
  exporter: Exporter,
  host: Seen | undefined,
  window: Window,
  groups: ReadonlyArray<{ readonly fields: Readonly<Record<string, number | null>> }>
): boolean => {
  const memory = Object.entries(exporter.top!.rankings).find(([, { by, share }]) => by === "peak" && share === "memory")
  const total = factsOf(host, window)?.memoryTotalBytes ?? null
  if (memory === undefined || total === null) return false
  const shown = rankingFields(memory[0], "peak", exporter.table.columns[memory[1].column]!)
  return sumOf(groups.map((group) => group.fields[shown.now] ?? 0)) / shown.scale > total
}

const named = (exporters: ReadonlyArray<Exporter>, name: string): Exporter =>
  exporters.find((exporter) => exporter.name === name)!

const groupOf = (exporter: Exporter, row: Snapshot): string =>
  exporter.top === undefined ? "" : labelOf(exporter, row, exporter.top.per)

const unrankedGauges = (exporter: Exporter): ReadonlyArray<readonly [string, Column]> => {
  const ranked = new Set<string>(Object.values(allRankings(exporter)).map((ranking) => ranking.column))
  return Object.entries(exporter.table.columns).filter(([name, column]) => column.kind === "gauge" && !ranked.has(name))
}

const scaled = (value: number | null, scale: number): number | null => (value === null ? null : value * scale)

const sumOf = (values: ReadonlyArray<number>): number => values.reduce((sum, value) => sum + value, 0)

/** Highest first; what is not known comes last. */
const descending = (a: number | null, b: number | null): number => (b ?? -Infinity) - (a ?? -Infinity) || 0
