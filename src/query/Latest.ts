/**
 * The latest scrape of every server, measured: what is true now, for the whole fleet in a few statements.
 *
 * Guarantee: what it says of a server is what the top list of that server says. Bound: the latest three scrapes of each
 * server of the last day are read; those whose groups are not all in the scrape before are read again, further back.
 */
import type { PgClient } from "@effect/sql-pg"
import { Effect } from "effect"
import type { SqlError } from "effect/sql/SqlError"
import type { Exporter } from "../plugins/Exporter.ts"
import { Scrapes } from "../sinks/storage/Scrapes.ts"
import { coresIn, makeCores } from "./HostSteps.ts"
import { isHostCpu, type Measured, type Measures, makeMeasurer } from "./Increases.ts"
import { makeRawReader } from "./RawReader.ts"

/** Older scrapes say nothing about now. */
const NOW_WITHIN_MICROS = 86_400_000_000
/** Senders may be this far ahead. */
const AHEAD_MICROS = 600_000_000
const SCRAPES = 3

export interface LatestReader {
  /** By the id of the server; those without a scrape in the last day are left out. */
  readonly read: (nowMicros: number) => Effect.Effect<ReadonlyMap<number, Measured>, SqlError>
}

export const makeLatestReader = (
  exporter: Exporter,
  measures: Measures,
  host: Exporter | undefined
): Effect.Effect<LatestReader, never, Scrapes | PgClient.PgClient> =>
  Effect.gen(function* () {
    const scrapes = yield* Scrapes
    const measurer = makeMeasurer(exporter, measures)
    const raw = yield* makeRawReader(exporter, measures, host)
    const clamps = host !== undefined && measures.counters.some((counter) => isHostCpu(exporter, counter))

    const read = Effect.fnUntraced(function* (now: number) {
      const after = now - NOW_WITHIN_MICROS
      const upto = now + AHEAD_MICROS
      const [latest, hosts] = yield* Effect.all(
        [
          scrapes.latest(exporter.name, undefined, SCRAPES, after, upto, measurer.columns),
          clamps && host !== undefined
            ? scrapes.latest(host.name, undefined, SCRAPES, after, upto, [host.host!.cores])
            : Effect.succeed(new Map())
        ],
        { concurrency: 2 }
      )
      const found = new Map<number, Measured>()
      /** Those that take more than what was read, by the moment of their scrape. */
      const further = new Map<number, Array<number>>()
      for (const [server, own] of latest) {
        const last = own.at(-1)
        if (last === undefined) continue
        if (measurer.looksFurther(own.slice(-2), last.at - 1)) {
          further.set(last.at, [...(further.get(last.at) ?? []), server])
          continue
        }
        const cores = clamps ? makeCores(coresIn(hosts.get(server) ?? [], 0)) : undefined
        const [measured] = measurer.measure(own, { after: last.at - 1, upto: last.at, cores, isFirst: undefined })
        if (measured !== undefined) found.set(server, measured)
      }
      yield* Effect.forEach(
        further,
        ([at, servers]) =>
          Effect.map(raw.read(servers, [{ after: at - 1, upto: at }]), ([spans]) => {
            for (const [server, { measured }] of spans!) if (measured[0] !== undefined) found.set(server, measured[0])
          }),
        { concurrency: 3, discard: true }
      )
      return found
    })

    return { read }
  })
