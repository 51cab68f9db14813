/** What waits on a server, from PostgreSQL: read as every window is (`WindowReader.ts`), judged in `VerdictTable.ts`. */
import { PgClient } from "@effect/sql-pg"
import { Effect, Layer } from "effect"
import type { Exporter } from "../plugins/Exporter.ts"
import { Registry } from "../plugins/Registry.ts"
import { answering } from "../sinks/postgres/Database.ts"
import { Scrapes } from "../sinks/storage/Scrapes.ts"
import { Aggregate, aggregating } from "./Aggregate.ts"
import type { Measures } from "./Increases.ts"
import type { Window } from "./Rankings.ts"
import { idOf } from "./ServerIds.ts"
import { Verdicts } from "./Verdict.ts"
import { hostMeasures, hostReading, unitMeasures, unitReadings } from "./VerdictReadings.ts"
import { verdictOf } from "./VerdictTable.ts"
import { makeWindowReader } from "./WindowReader.ts"

const make = Effect.gen(function* () {
  const scrapes = yield* Scrapes
  const sql = yield* PgClient.PgClient
  const { host, units } = yield* Registry
  const ofHost = host === undefined ? undefined : yield* makeSums(host, hostMeasures(host), host)
  const ofUnits = units === undefined ? undefined : yield* makeSums(units, unitMeasures(units), host)

  const of: Verdicts["Service"]["of"] = Effect.fn("Verdicts.of")(function* ({ serverId, window }) {
    const server = yield* idOf(sql, serverId)
    const [hostSums, unitSums] = yield* Effect.all(
      [ofHost?.(server, window) ?? Effect.undefined, ofUnits?.(server, window) ?? Effect.undefined],
      { concurrency: 2 }
    )
    const seen = (sums: Aggregate | undefined) => (sums === undefined || sums.scrapes === 0 ? undefined : sums)
    const coverage = ({ covered }: Aggregate) =>
      window.to <= window.from ? 0 : Math.min(1, (covered * 1_000_000) / (window.to - window.from))
    const [one, many] = [seen(hostSums), seen(unitSums)]
    return verdictOf({
      window,
      host: one === undefined ? undefined : hostReading(host!, one, coverage(one)),
      units:
        many === undefined ? undefined : unitReadings(units!, many, yield* scrapes.names(many.groups), coverage(many)),
      resource: units?.resource ?? null
    })
  }, answering("judge what waits"))

  return Verdicts.of({ of })
})

export const layer: Layer.Layer<Verdicts, never, PgClient.PgClient | Registry> = Layer.effect(Verdicts, make).pipe(
  Layer.provide(Scrapes.layer)
)

/** Adds up windows of one server. */
const makeSums = Effect.fnUntraced(function* (exporter: Exporter, measures: Measures, host: Exporter | undefined) {
  const reader = yield* makeWindowReader(exporter, measures, host, { hostSteps: false })
  return (server: number, window: Window) => {
    const sums = new Aggregate(measures.counters.length, measures.gauges.length)
    return Effect.as(
      reader.read([server], window, () => aggregating(sums)),
      sums
    )
  }
})
