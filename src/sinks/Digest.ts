/**
 * Digest: from the stream to the rows, as one pipeline. Every bound of it is a literal on this screen.
 *
 * Guarantees: those of the engine (`src/engine/README.md`) and of the ports it connects. What an entry says is checked
 * again here, since anyone may write to the stream; what can never be stored becomes a dead letter with its reason, and
 * only then leaves the stream. An entry that has been handed out `DELIVERIES_MAX` times has taken its consumer down with
 * it again and again: it becomes a dead letter unread.
 *
 * The sizes were chosen by `bench/pipeline.ts`: batches of 5 000, two of them in flight, reading ahead.
 */
import { createHash } from "node:crypto"
import { type Duration, Effect, Result } from "effect"
import * as Pipeline from "../engine/Pipeline.ts"
import { Registry } from "../plugins/Registry.ts"
import type { Snapshot } from "../plugins/Snapshot.ts"
import { makeSnapshotCodec } from "../plugins/SnapshotCodec.ts"
import { makeWires } from "../plugins/Wire.ts"
import { DeadLetters } from "./DeadLetters.ts"
import { SnapshotRows } from "./SnapshotRows.ts"
import { type Delivery, SnapshotStream, StreamUnavailable, type Subscription } from "./SnapshotStream.ts"

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
}): Effect.Effect<Digest, never, SnapshotStream | SnapshotRows | DeadLetters | Registry> =>
  Effect.gen(function* () {
    const registry = yield* Registry
    const stream = yield* SnapshotStream
    const rows = yield* SnapshotRows
    const deadLetters = yield* DeadLetters
    const codec = makeSnapshotCodec(makeWires(registry.exporters))

    let subscription: Subscription | undefined
    const subscribed = <A>(use: (subscription: Subscription) => Effect.Effect<A, StreamUnavailable>) =>
      Effect.suspend(() =>
        subscription === undefined
          ? Effect.fail(new StreamUnavailable({ operation: "read", cause: "not subscribed" }))
          : use(subscription)
      )
    const ids = (deliveries: ReadonlyArray<Delivery>) => deliveries.map((delivery) => delivery.id)

    const pipeline = Pipeline.make<Delivery, Snapshot, string, Delivery, never>({
      name: "digest",
      producer: {
        source: {
          ask: (demand) =>
            subscribed((s) => s.read(demand)).pipe(
              Effect.map((deliveries) => deliveries.map((delivery) => ({ value: delivery, ticket: delivery })))
            ),
          acknowledge: (deliveries) => subscribed((s) => s.acknowledge(ids(deliveries))),
          release: (deliveries) => subscribed((s) => s.release(ids(deliveries)))
        },
        demand: 5_000,
        inFlight: 40_000
      },
      processor: {
        process: (delivery) =>
          delivery.deliveries > DELIVERIES_MAX
            ? Result.fail(`handed out ${delivery.deliveries} times without an outcome`)
            : codec.decode(delivery),
        mailbox: 10_000
      },
      batcher: {
        keys: registry.exporters.map((exporter) => exporter.name),
        key: (snapshot) => snapshot.exporter,
        size: 5_000,
        flushAfter: "50 millis",
        mailbox: 10_000
      },
      writer: {
        write: (exporter, snapshots) => rows.insert(exporter, snapshots),
        concurrency: 2,
        timeout: "2 minutes",
        backoff: { from: "100 millis", to: "10 seconds" }
      },
      rejecter: {
        record: (rejected) =>
          deadLetters.put(
            rejected.map(({ reason, ticket }) => ({
              key: letterKey(ticket),
              exporter: ticket.exporterName,
              serverId: ticket.serverId,
              payload: ticket.snapshot,
              reason
            }))
          ),
        mailbox: 1_000
      },
      drainWithin: options.drainWithin ?? "8 seconds"
    })

    const run = Effect.scoped(
      Effect.gen(function* () {
        subscription = yield* stream.subscribe(options.consumer)
        yield* pipeline.run
      })
    )
    return { run, view: pipeline.view }
  })

/** By content: an entry that is delivered again, or sent again by its agent, stays one letter. */
const letterKey = ({ exporterName, serverId, snapshot }: Delivery): string =>
  createHash("sha256")
    .update(JSON.stringify([exporterName, serverId, snapshot]))
    .digest("hex")
