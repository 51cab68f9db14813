/**
 * Digest: from the stream to the rows, as one pipeline. Every bound of it is a literal on this screen.
 *
 * Guarantees: those of the engine (`src/engine/README.md`) and of the ports it connects. A message is a row, whatever entry it
 * came in: rows of one server and exporter travel together, as columns, until one is refused. What an entry says is checked
 * again here, though a stream that others reach is sealed (`SealedStream.ts`); what can never be stored becomes a dead letter with its reason, and
 * only then leaves the stream. Rows of a stream that another digest has taken over meanwhile are neither stored nor acknowledged: they
 * come to that one. Rows of servers that cannot be stored now, though those of others can (a node of the database is away), wait in
 * the stream, and hold up no others. An entry that has been handed out `DELIVERIES_MAX` times has taken its consumer down with
 * it again and again: its rows become dead letters unchecked. A scrape that is not even columns is one dead letter.
 *
 * The sizes were chosen by `bench/pipeline.ts`: batches of 5 000, two of them in flight, reading ahead.
 */
import { createHash } from "node:crypto"
import { type Duration, Effect, Result } from "effect"
import * as Pipeline from "../engine/Pipeline.ts"
import { Registry } from "../plugins/Registry.ts"
import { eachOfScrape, makeSnapshotCodec, type SnapshotCodec } from "../plugins/SnapshotCodec.ts"
import { part, type Snapshots } from "../plugins/Snapshots.ts"
import { makeWires } from "../plugins/Wire.ts"
import { DeadLetters, type NewDeadLetter } from "./storage/DeadLetters.ts"
import { ServersWait, SnapshotRows } from "./storage/SnapshotRows.ts"
import { WriteHealth } from "./storage/WriteHealth.ts"
import { LeaseLost } from "./stream/leases/Fence.ts"
import {
  Delivery,
  type Lease,
  SnapshotStream,
  type StreamLeases,
  StreamUnavailable,
  type Subscription
} from "./stream/SnapshotStream.ts"
import type { ScrapeContent } from "./stream/StreamEntry.ts"

/** Far beyond what restarts and outages cause, far below what a poisonous entry would. */
const DELIVERIES_MAX = 25

export interface Digest {
  /** Joins the consumer group and runs until interrupted, then drains. */
  readonly run: Effect.Effect<void, unknown>
  readonly view: () => Pipeline.PipelineView
}

export const make = (options: {
  /** This process's name in the group: unique among those that run at the same time. */
  readonly consumer: string
  /** How long a stop may take to write what was begun; the rest is given back. Defaults to 8 seconds. */
  readonly drainWithin?: Duration.Input
  /** Which streams it reads; all, shared with other consumers, where it is absent. */
  readonly leases?: StreamLeases | undefined
}): Effect.Effect<Digest, never, SnapshotStream | SnapshotRows | DeadLetters | Registry> =>
  Effect.gen(function* () {
    const registry = yield* Registry
    const stream = yield* SnapshotStream
    const rows = yield* SnapshotRows
    const deadLetters = yield* DeadLetters
    const health = yield* WriteHealth
    const decode = makeDecoder(makeSnapshotCodec(makeWires(registry.exporters)))

    let subscription: Subscription | undefined
    const subscribed = <A>(use: (subscription: Subscription) => Effect.Effect<A, StreamUnavailable>) =>
      Effect.suspend(() =>
        subscription === undefined
          ? Effect.fail(new StreamUnavailable({ operation: "read", cause: "not subscribed" }))
          : use(subscription)
      )

    /** What the next release shall postpone instead. */
    const postponed = new WeakSet<Delivery>()
    const release = (deliveries: ReadonlyArray<Delivery>) =>
      subscribed((s) => {
        const waiting = deliveries.filter((delivery) => postponed.delete(delivery))
        if (waiting.length === 0) return s.release(deliveries)
        const among = new Set(waiting)
        const others = deliveries.filter((delivery) => !among.has(delivery))
        return others.length === 0 ? s.postpone(waiting) : Effect.andThen(s.postpone(waiting), s.release(others))
      })

    /** Tells of the leases that a write finds lost. */
    const noting = <A, E, R>(write: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
      Effect.tapError(write, (error) =>
        Effect.sync(() => {
          if (error instanceof LeaseLost) for (const lease of error.leases) options.leases?.lost(lease)
        })
      )

    const pipeline = Pipeline.make<Delivery, Snapshots, string, Delivery, never>({
      name: "digest",
      parcels: {
        size: ({ length }) => length,
        part: (parcel, from, to) =>
          (parcel instanceof Delivery ? parcel.slice(from, to) : part(parcel, from, to)) as typeof parcel
      },
      producer: {
        source: {
          ask: (demand) =>
            subscribed((s) => s.read(demand)).pipe(
              Effect.map((deliveries) => deliveries.map((delivery) => ({ value: delivery, ticket: delivery })))
            ),
          acknowledge: (deliveries) => subscribed((s) => s.acknowledge(deliveries)),
          release
        },
        demand: 5_000,
        inFlight: 40_000
      },
      processor: {
        process: (delivery) => {
          if (delivery.content.refused !== undefined) return Result.fail(delivery.content.refused)
          return delivery.deliveries > DELIVERIES_MAX
            ? Result.fail(`handed out ${delivery.deliveries} times without an outcome`)
            : decode(delivery)
        },
        mailbox: 10_000
      },
      batcher: {
        keys: registry.exporters.map((exporter) => exporter.name),
        key: ({ exporter }) => exporter,
        size: 5_000,
        flushAfter: "50 millis",
        mailbox: 10_000
      },
      writer: {
        write: (exporter, snapshots, deliveries) =>
          noting(health.watch(`rows of ${exporter}`, rows.insert(exporter, snapshots, leasesOf(deliveries)))).pipe(
            Effect.tapError((error) =>
              Effect.sync(() => {
                if (!(error instanceof ServersWait)) return
                for (const delivery of deliveries) {
                  if (error.servers.has(delivery.content.serverId)) postponed.add(delivery)
                }
              })
            )
          ),
        concurrency: 2,
        timeout: "2 minutes",
        backoff: { from: "100 millis", to: "10 seconds" }
      },
      rejecter: {
        record: (rejected) =>
          noting(
            health.watch(
              "dead letters",
              deadLetters.put(lettersOf(rejected), leasesOf(rejected.map(({ ticket }) => ticket)))
            )
          ),
        mailbox: 1_000
      },
      isKept: (error, { content, receipt }) =>
        (error instanceof LeaseLost && error.covers(receipt.lease)) ||
        (error instanceof ServersWait && error.servers.has(content.serverId)),
      drainWithin: options.drainWithin ?? "8 seconds"
    })

    const run = Effect.scoped(
      Effect.gen(function* () {
        subscription = yield* stream.subscribe(options.consumer, options.leases)
        yield* pipeline.run
      })
    )
    return { run, view: pipeline.view }
  })

/** What the rows of a delivery are. A scrape is read once, also where it is handed out, or refused, in parts. */
const makeDecoder = (codec: SnapshotCodec) => {
  const scrapes = new WeakMap<ScrapeContent, Result.Result<Snapshots, string>>()
  return ({ content, from, to }: Delivery): Result.Result<Snapshots, string> => {
    if ("snapshots" in content) return codec.decodeEach({ ...content, snapshots: content.snapshots.slice(from, to) })
    const read = scrapes.get(content) ?? codec.columnsOfScrape(content)
    scrapes.set(content, read)
    return Result.flatMap(read, (snapshots) => codec.fitting(part(snapshots, from, to)))
  }
}

/** The leases that these were read under, each once. */
const leasesOf = (deliveries: ReadonlyArray<Delivery>): ReadonlyArray<Lease> => {
  const leases = new Set<Lease>()
  for (const { receipt } of deliveries) if (receipt.lease !== undefined) leases.add(receipt.lease)
  return [...leases]
}

/** A letter a row; one where a scrape cannot be taken apart. */
const lettersOf = (
  rejected: ReadonlyArray<{ readonly reason: string; readonly ticket: Delivery }>
): ReadonlyArray<NewDeadLetter> => {
  const apart = new Map<ScrapeContent, ReadonlyArray<string> | undefined>()
  const letters = new Map<string, NewDeadLetter>()
  for (const { reason, ticket } of rejected) {
    const { content, from, to } = ticket
    const { exporterName, serverId } = content
    let texts: ReadonlyArray<string> | undefined
    if ("snapshots" in content) texts = content.snapshots
    else {
      if (!apart.has(content)) apart.set(content, eachOfScrape(content.scrape, content.rows))
      texts = apart.get(content)
    }
    for (const payload of texts?.slice(from, to) ?? [(content as ScrapeContent).scrape]) {
      // By content: a row that is delivered again, in whatever entry, or sent again by its agent, stays one letter.
      const key = createHash("sha256")
        .update(JSON.stringify([exporterName, serverId, payload]))
        .digest("hex")
      letters.set(key, { key, exporter: exporterName, serverId, payload, reason })
    }
  }
  return [...letters.values()]
}
