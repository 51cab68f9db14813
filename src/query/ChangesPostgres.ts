/** What changed between two windows, from PostgreSQL: read as every window is (`WindowReader.ts`), compared in `Changes.ts`. */
import { PgClient } from "@effect/sql-pg"
import { Effect, Layer } from "effect"
import { answeredAs, answers, rankingsOf } from "../plugins/Catalog.ts"
import type { Exporter } from "../plugins/Exporter.ts"
import { Registry } from "../plugins/Registry.ts"
import { answering } from "../sinks/postgres/Database.ts"
import { Scrapes } from "../sinks/storage/Scrapes.ts"
import { Aggregate, aggregating } from "./Aggregate.ts"
import { answerShape, orZero, topMeasures } from "./AnswerFields.ts"
import { Changes, type ChangesAnswer, type ChangesRequest, changesOf, ledgerOf } from "./Changes.ts"
import { namesOf, type Regrouping } from "./grouping/Regrouping.ts"
import { idsOf } from "./ServerIds.ts"
import { makeWindowReader } from "./WindowReader.ts"

const make = Effect.gen(function* () {
  const sql = yield* PgClient.PgClient
  const scrapes = yield* Scrapes
  const { exporters, get, host } = yield* Registry
  const readers = new Map<string, Effect.Success<ReturnType<typeof makeSums>>>()
  for (const exporter of exporters) {
    for (const metric of answers(exporter)) {
      readers.set(`${exporter.name} ${metric}`, yield* makeSums(exporter, topMeasures(exporter, metric), host))
    }
  }
  const waitingColumns: ReadonlyArray<string> = Object.values(host?.host?.cpuWaits ?? {})
  const waitingOf =
    host === undefined ? undefined : yield* makeSums(host, { counters: waitingColumns, gauges: [] }, host)

  const between = Effect.fn("Changes.between")(function* (request: ChangesRequest) {
    const exporter = get(request.exporter)
    const ranking =
      exporter === undefined ? undefined : rankingsOf(exporter).find(({ key }) => key === request.metric)?.ranking
    const reader =
      exporter === undefined ? undefined : readers.get(`${exporter.name} ${answeredAs(exporter, request.metric)}`)
    if (exporter === undefined || reader === undefined || ranking === undefined) {
      return yield* Effect.die(new Error(`${request.exporter} has no ranking "${request.metric}"`))
    }
    const asked = [request.before, request.after]
    const found = yield* idsOf(
      sql,
      asked.map(({ serverId }) => serverId)
    )
    const ids = asked.map(({ serverId }) => found.get(serverId)!)
    const isCpu = ranking.by === "rate" && ranking.share === "cpu"
    const [[before, after], waiting] = yield* Effect.all(
      [
        Effect.forEach(asked, ({ window }, n) => reader.read(ids[n]!, window, request.regrouping), {
          concurrency: 2
        }),
        waitingOf === undefined || !isCpu
          ? NOTHING
          : Effect.forEach(asked, ({ window }, n) => waitingOf.read(ids[n]!, window), { concurrency: 2 })
      ],
      { concurrency: 2 }
    )
    const ledger = ledgerOf(
      answerShape(exporter, reader.measures, request.metric),
      request.metric,
      { ...request.before, sums: before! },
      { ...request.after, sums: after! },
      request.limit
    )
    return changesOf(
      ledger,
      yield* namesOf(scrapes, request.regrouping)(ledger.candidates),
      waitingChanges(waitingColumns, waiting)
    )
  }, answering("compare two windows"))

  return Changes.of({ between })
})

export const layer: Layer.Layer<Changes, never, PgClient.PgClient | Registry> = Layer.effect(Changes, make).pipe(
  Layer.provide(Scrapes.layer)
)

const NOTHING = Effect.succeed<ReadonlyArray<Aggregate>>([])

/** Adds up windows of one server. */
const makeSums = Effect.fnUntraced(function* (
  exporter: Exporter,
  measures: ReturnType<typeof topMeasures>,
  host: Exporter | undefined
) {
  const reader = yield* makeWindowReader(exporter, measures, host)
  return {
    measures,
    read: (server: number, window: ChangesRequest["after"]["window"], regrouping?: Regrouping) => {
      const sums = new Aggregate(measures.counters.length, measures.gauges.length)
      return Effect.as(
        reader.read([server], window, () => aggregating(sums), { regrouping }),
        sums
      )
    }
  }
})

/** The host's own waiting, in percent of a core over the time that its exporter covered. */
const waitingChanges = (
  columns: ReadonlyArray<string>,
  [before, after]: ReadonlyArray<Aggregate>
): ChangesAnswer["waiting"] => {
  if (before === undefined || after === undefined) return []
  return columns.map((field, n) => {
    const [was, is] = [before, after].map((sums) =>
      sums.covered === 0 || sums.groups.length === 0
        ? null
        : (100 * orZero(sums.counters[n]!.increase[0]!)) / sums.covered
    ) as [number | null, number | null]
    return { field, before: was, after: is, change: was === null || is === null ? null : is - was }
  })
}
