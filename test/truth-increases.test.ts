/**
 * The rule for increases as the program computes it is the reference's, row by row: for every vector, and for generated servers
 * on which much goes wrong. Without a database, so for many of them.
 */
import { assert, describe, it } from "@effect/vitest"
import type { Exporter } from "../src/plugins/Exporter.ts"
import type { Snapshot } from "../src/plugins/Snapshot.ts"
import { coresIn, hostSteps, makeCores } from "../src/query/HostSteps.ts"
import { allMeasures, lookbackOf, type Measured, makeMeasurer } from "../src/query/Increases.ts"
import type { Scrape } from "../src/sinks/storage/Scrape.ts"
import { seededRandom } from "./Seeded.ts"
import { busyOf, coresOver } from "./Truth.ts"
import { exporters } from "./TruthRows.ts"
import { same } from "./TruthSame.ts"
import { labelOf, type Seen, seenOf, stepsOf, valueOf } from "./TruthSteps.ts"
import { vectors } from "./TruthVectors.ts"
import { generated } from "./TruthWorld.ts"

const host = exporters.find((exporter) => exporter.host !== undefined)!
const known = (value: number | null) => value ?? Number.NaN

/** What of a row is compared: by its moment and group. */
type Row = Readonly<Record<string, number | null>>

/** Ids for names of labels. */
const makeIds = () => {
  const ids = new Map<string, number>()
  return (name: string) => {
    if (!ids.has(name)) ids.set(name, ids.size + 1)
    return ids.get(name)!
  }
}

const scrapesOf = ({ exporter, rows }: Seen, columns: ReadonlyArray<string>, id: (name: string) => number) => {
  const labels = Object.entries(exporter.table.columns).flatMap(([name, { kind }]) => (kind === "label" ? [name] : []))
  return [...Map.groupBy(rows, ({ timestamp }) => timestamp)].map(
    ([at, here]): Scrape => ({
      at,
      since: Number.NaN,
      sinceOf: Float64Array.from(here, ({ countersSince }) => known(countersSince)),
      labels: labels.map((name) => Int32Array.from(here, (row) => id(labelOf(exporter, row, name)))),
      values: columns.map((name) => Float64Array.from(here, (row) => known(valueOf(exporter, row, name))))
    })
  )
}

/** Whether a row is the first that was seen of its series since its counters began. */
const firstsOf = ({ exporter, series }: Seen, id: (name: string) => number) => {
  const firsts = new Set<string>()
  for (const rows of series.values()) {
    for (const { countersSince: since, timestamp, values } of rows) {
      const seen = rows.some((row) => row.timestamp >= known(since) && row.timestamp < timestamp)
      const labels = Object.values(exporter.table.columns).flatMap(({ kind }, n) =>
        kind === "label" ? [values[n]] : []
      )
      if (!seen) firsts.add(`${timestamp} ${labels.map((name) => id(name as string)).join(" ")}`)
    }
  }
  return (at: number, series: number | string) => firsts.has(`${at} ${series}`)
}

/** By moment and group: for each counter the increase, its rate, and what it is counted as. */
const measuredRows = (measured: ReadonlyArray<Measured>, counters: ReadonlyArray<string>): ReadonlyMap<string, Row> =>
  new Map(
    measured.flatMap((scrape) =>
      Array.from(scrape.groups, (group, n): readonly [string, Row] => [
        `${scrape.at} ${group}`,
        Object.fromEntries(
          counters.flatMap((counter, c) => {
            const increase = scrape.increases[c]![n]!
            return [
              [counter, Number.isNaN(increase) ? null : increase],
              [`rate of ${counter}`, Number.isNaN(increase) ? null : scrape.rates[c]![n]!],
              [`resets of ${counter}`, scrape.resets[c]?.[n] ?? 0],
              [`clamped of ${counter}`, scrape.clamped[c]?.[n] ?? 0],
              [`unknown of ${counter}`, scrape.unknown[c]?.[n] ?? 0]
            ]
          })
        )
      ])
    )
  )

const truthRows = (
  seen: Seen,
  counters: ReadonlyArray<string>,
  coresAt: (at: number) => number | null,
  id: (name: string) => number
): ReadonlyMap<string, Row> => {
  const { exporter } = seen
  const keyOf = (row: Snapshot) =>
    `${row.timestamp} ${exporter.top === undefined ? 0 : id(labelOf(exporter, row, exporter.top.per))}`
  const steps = counters.map((counter) => Map.groupBy(stepsOf(seen, counter, coresAt), ({ row }) => keyOf(row)))
  return new Map(
    [...new Set(seen.rows.map(keyOf))].map((key) => [
      key,
      Object.fromEntries(
        counters.flatMap((counter, c) => {
          const here = steps[c]!.get(key) ?? []
          const told = here.filter(({ increase }) => increase !== null)
          const sum = (value: (step: (typeof here)[number]) => number) =>
            told.length === 0 ? null : told.reduce((all, step) => all + value(step), 0)
          return [
            [counter, sum(({ increase }) => increase!)],
            [`rate of ${counter}`, sum(({ increase, seconds }) => increase! / seconds)],
            [`resets of ${counter}`, here.filter(({ reset }) => reset).length],
            [`clamped of ${counter}`, here.filter(({ clamped }) => clamped).length],
            [`unknown of ${counter}`, here.length - told.length]
          ]
        })
      )
    ])
  )
}

/** Compares all that an exporter's rows say, measured whole and in pieces. */
const compare = (rows: ReadonlyArray<Snapshot>, exporter: Exporter, cuts: ReadonlyArray<number>): void => {
  const seen = seenOf(rows, exporter, "s")
  if (seen.rows.length === 0) return
  const id = makeIds()
  const measures = allMeasures(exporter)
  const measurer = makeMeasurer(exporter, measures)
  const hostSeen = seenOf(rows, host, "s")
  const cores = makeCores(coresIn(scrapesOf(hostSeen, [host.host!.cores], id), 0))
  const scrapes = scrapesOf(seen, measurer.columns, id)
  const isFirst = firstsOf(seen, id)
  const bounds = [seen.times[0]! - 1, ...cuts, seen.times.at(-1)!].sort((a, b) => a - b)
  const lookback = lookbackOf(exporter)
  const pieces = bounds.slice(1).flatMap((upto, n) => {
    const after = bounds[n]!
    return measurer.measure(
      scrapes.filter(({ at }) => at > after - lookback && at <= upto),
      { after, upto, cores, isFirst }
    )
  })
  const expected = truthRows(seen, measures.counters, coresOver(hostSeen), id)
  const actual = measuredRows(pieces, measures.counters)
  assert.strictEqual(actual.size, expected.size)
  for (const [key, row] of expected) same(actual.get(key), row, `${exporter.name} ${key}`)
  if (exporter !== host) return
  same(
    hostSteps(
      pieces,
      host.host!.cpuBusy.map((column) => measures.counters.indexOf(column)),
      cores
    ).map(({ busy, from, to, unknown }) => ({ begin: from, at: to, busy: unknown ? null : busy })),
    busyOf(seen),
    "steps of the host"
  )
}

describe("the rule for increases is the reference computation, row by row", () => {
  for (const { name, rows } of vectors) {
    it(`of vector ${name}`, () => {
      for (const exporter of exporters) compare(rows("s"), exporter, [])
    })
  }

  for (let seed = 1; seed <= 20; seed++) {
    it(`of generated rows, seed ${seed}, measured in pieces`, () => {
      const rows = generated("s", seed, 2)
      const next = seededRandom(seed)
      const cuts = Array.from({ length: 12 }, () => rows[Math.floor(next() * rows.length)]!.timestamp)
      for (const exporter of exporters) compare(rows, exporter, cuts)
    })
  }
})
