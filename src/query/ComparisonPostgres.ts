/**
 * Servers side by side, from PostgreSQL: read as every window is (`WindowReader.ts`), all servers in the same statements.
 * Of each server only the sums of what is asked are held.
 */
import { PgClient } from "@effect/sql-pg"
import { Effect, Layer } from "effect"
import { type RankedBy, rankingsOf } from "../plugins/Catalog.ts"
import type { Exporter } from "../plugins/Exporter.ts"
import { Registry } from "../plugins/Registry.ts"
import { answering } from "../sinks/postgres/Database.ts"
import { Scrapes } from "../sinks/storage/Scrapes.ts"
import { rankingMeasures } from "./AnswerFields.ts"
import { Comparisons, type GroupReading, type TotalSeries } from "./Comparison.ts"
import { GroupSums } from "./GroupSums.ts"
import { stepMicros, usableLevels } from "./History.ts"
import { makeHostFacts } from "./HostFacts.ts"
import { hostTotalOf } from "./HostTotals.ts"
import type { Measures } from "./Increases.ts"
import { idsOf } from "./ServerIds.ts"
import { ONE_SLOT, type Slots, StepSums, stepsOf } from "./StepSums.ts"
import { makeWindowReader, ofWindow, type WindowReader } from "./WindowReader.ts"

/** All groups together. Not `ONE_SLOT`, which says that there are none. */
const ALL_GROUPS: Slots = { count: 1, of: () => 0 }

/** A group that nobody has. */
const NO_GROUP = -1

const make = Effect.gen(function* () {
  const sql = yield* PgClient.PgClient
  const scrapes = yield* Scrapes
  const { exporters, host } = yield* Registry
  const hostFacts = makeHostFacts(scrapes, host)
  const readers = new Map<string, Effect.Success<ReturnType<typeof makeReaders>>>()
  for (const exporter of exporters) {
    for (const ranked of rankingsOf(exporter)) {
      readers.set(`${exporter.name} ${ranked.key}`, yield* makeReaders(exporter, ranked, host))
    }
  }

  const known = (exporter: string, metric: string) => {
    const found = readers.get(`${exporter} ${metric}`)
    return found === undefined ? Effect.die(new Error(`${exporter} has no ranking "${metric}"`)) : Effect.succeed(found)
  }

  const totals: Comparisons["Service"]["totals"] = Effect.fn("Comparisons.totals")(function* (request) {
    const { window } = request
    const { exporter, measures, ranked, reader, total } = yield* known(request.exporter, request.metric)
    const ids = yield* idsOf(sql, request.serverIds)
    const width = stepMicros(exporter, window, request.points, request.interval)
    const steps = stepsOf(window, width)
    const servers = [...ids.values()]
    const read = Effect.fnUntraced(function* (reader: WindowReader, slots: Slots, measures: Measures) {
      const sums = new Map(servers.map((id) => [id, new StepSums(steps, slots, measures)]))
      yield* reader.read(servers, window, (id) => sums.get(id)!, { usable: usableLevels(width) })
      return sums
    })
    const [groups, hosts] = yield* Effect.all(
      [
        read(reader, ALL_GROUPS, measures),
        total === undefined ? Effect.undefined : read(total.reader, ONE_SLOT, total.measures)
      ],
      { concurrency: 2 }
    )
    const { scale } = ranked.fields
    const seriesOf = (id: number): TotalSeries => {
      const sums = groups.get(id)!
      const values = ranked.ranking.by === "rate" ? sums.rates(0, 0, false) : sums.summedLevels(0, 0)
      const own = hosts?.get(id)
      return {
        groups: values.map((value) => (value === null ? null : value * scale)),
        host: own === undefined ? null : total!.values(own, scale)
      }
    }
    return {
      stepSeconds: width / 1_000_000,
      first: steps.first * width,
      steps: steps.count,
      servers: new Map([...ids].map(([serverId, id]) => [serverId, seriesOf(id)]))
    }
  }, answering("compare servers over time"))

  const spread: Comparisons["Service"]["spread"] = Effect.fn("Comparisons.spread")(function* (request) {
    const { name, regrouping, window } = request
    const { presence, ranked, reader } = yield* known(request.exporter, request.metric)
    const ids = yield* idsOf(sql, request.serverIds)
    const servers = [...ids.values()]
    const group = regrouping === undefined ? (yield* scrapes.idsOf([name])).get(name) : undefined
    const isIt = () => regrouping?.groupOf(name) ?? group
    const sums = new Map(servers.map((id) => [id, new GroupSums(isIt, ranked.ranking.by, presence)]))
    const [, facts] = yield* Effect.all(
      [
        reader.read(servers, window, (id) => sums.get(id)!, { group: group ?? NO_GROUP, regrouping }),
        hostFacts(servers, window.to)
      ],
      { concurrency: 2 }
    ).pipe(Effect.mapError(ofWindow(window)))
    const readingOf = (id: number): GroupReading => {
      const { average, covered, ran } = sums.get(id)!
      return {
        coverage: window.to <= window.from ? 0 : Math.min(1, (covered * 1_000_000) / (window.to - window.from)),
        value: average === null ? null : average * ranked.fields.scale,
        ran,
        facts: facts.get(id)
      }
    }
    return new Map([...ids].map(([serverId, id]) => [serverId, readingOf(id)]))
  }, answering("read one group over all servers"))

  return Comparisons.of({ totals, spread })
})

export const layer: Layer.Layer<Comparisons, never, PgClient.PgClient | Registry> = Layer.effect(
  Comparisons,
  make
).pipe(Layer.provide(Scrapes.layer))

const makeReaders = Effect.fnUntraced(function* (exporter: Exporter, ranked: RankedBy, host: Exporter | undefined) {
  const measures = rankingMeasures(exporter, ranked)
  const presence = exporter.top?.presence
  const total = hostTotalOf(host, ranked.ranking.share)
  return {
    exporter,
    ranked,
    measures,
    presence: presence === undefined ? undefined : measures.gauges.indexOf(presence),
    reader: yield* makeWindowReader(exporter, measures, host),
    total:
      total === undefined ? undefined : { ...total, reader: yield* makeWindowReader(total.of, total.measures, host) }
  }
})
