/**
 * A pipeline: producer -> processor -> one batcher for each key -> writers, declared as one value.
 *
 * ```
 *           demand                mailbox                  mailbox                  mailbox
 * source <────────── producer ──>│ ││ │── processor ─┬──>│ ││ │── batcher:key ──>│ ││ │── writer:key ──> write
 *    ^                                               │                                     │
 *    │ acknowledge                                   └──>│ ││ │── rejecter <────────────────┘ rejected
 *    └── release                                                     └──> record
 * ```
 *
 * Guarantees (`Pipeline.test.ts`, `Contract.test.ts`):
 * - Every message asked for is settled exactly once: accepted after its batch was written, rejected after its rejection
 *   was recorded, or kept, so that its source delivers it again. `Ledger` keeps the books.
 * - At most `producer.inFlight` messages are under way, whatever waits for whatever: nothing is asked for beyond.
 * - A write that fails for now is tried again until it succeeds or the pipeline stops; one that fails for good, or dies,
 *   is halved until the guilty message is alone. A write that does not answer within `writer.timeout` has failed for
 *   now, so writes must be idempotent.
 * - A message that is not to be written here, or not now (`isKept`), is kept, and holds up none of its batch.
 * - A slow key has its own batcher, writers and mailbox: it holds up others only once its mailbox is full.
 * - On interruption it drains: no more demand, mailboxes end in order, begun batches are written; what is not settled
 *   within `drainWithin` is kept.
 *
 * It does not keep the order of messages, and knows nothing of what they carry.
 */
import { Deferred, Duration, Effect, type Result, Semaphore } from "effect"
import { Ledger } from "./Acknowledgement.ts"
import * as Batcher from "./Batcher.ts"
import * as Mailbox from "./Mailbox.ts"
import { countOf, cut, type Message, type Parcels, type Rejection, SINGLE, totalOf } from "./Message.ts"
import * as Processor from "./Processor.ts"
import * as Producer from "./Producer.ts"
import * as Rejecter from "./Rejecter.ts"
import * as Settlement from "./Settlement.ts"
import { Stage } from "./Stage.ts"
import * as Supervisor from "./Supervisor.ts"
import * as Writer from "./Writer.ts"

export interface Definition<A, B, K extends string, T, R> {
  readonly name: string
  readonly producer: {
    readonly source: Settlement.Source<A, T, R>
    /** Messages asked for at once. */
    readonly demand: number
    /** Messages under way at most. At least `demand`. */
    readonly inFlight: number
  }
  /** Where a value may stand for several messages that travel together. Every number here counts messages. */
  readonly parcels?: Parcels<A | B | T>
  readonly processor: {
    /** Pure: the message's new value, or why it can never succeed. */
    readonly process: (value: A) => Result.Result<B, string>
    readonly mailbox: number
  }
  readonly batcher: {
    readonly keys: ReadonlyArray<K>
    readonly key: (value: B) => K
    readonly size: number
    readonly flushAfter: Duration.Input
    readonly mailbox: number
  }
  readonly writer: {
    /** Writes all values or none, each with its ticket. Idempotent. */
    readonly write: (
      key: K,
      values: ReadonlyArray<B>,
      tickets: ReadonlyArray<T>
    ) => Effect.Effect<unknown, Writer.WriteError, R>
    /** Batches of one key that are written at once; as many again wait in the mailbox. */
    readonly concurrency: number
    readonly timeout: Duration.Input
    readonly backoff: { readonly from: Duration.Input; readonly to: Duration.Input }
  }
  readonly rejecter: {
    /** Records what can never succeed. Idempotent; tried until it succeeds. */
    readonly record: (
      rejected: ReadonlyArray<{ readonly ticket: T; readonly reason: string }>
    ) => Effect.Effect<unknown, unknown, R>
    readonly mailbox: number
  }
  /**
   * Whether an error of `write` or `record` says that this message, unlike others, is not to be written here, or not now: it is
   * kept, and the rest is written again without it. Says no where it is absent.
   */
  readonly isKept?: (error: unknown, ticket: T) => boolean
  readonly drainWithin: Duration.Input
}

/** The tree of a pipeline: all that a tree can have. */
export type PipelineView = Required<Supervisor.TreeView>

export interface Pipeline<R> {
  readonly name: string
  /** Runs until interrupted, then drains. May be run again, but not twice at once. */
  readonly run: Effect.Effect<void, Supervisor.Escalated, R>
  readonly view: () => PipelineView
}

/** What lives as long as one run. */
interface Running<A, B, K extends string, T, R> {
  readonly room: Semaphore.Semaphore
  readonly stop: Deferred.Deferred<void>
  readonly drained: Deferred.Deferred<void>
  readonly settlement: Settlement.Settlement<T, R>
  readonly processing: Mailbox.Mailbox<Message<A, T>>
  readonly batching: ReadonlyMap<K, Mailbox.Mailbox<Message<B, T>>>
  readonly writing: ReadonlyMap<K, Mailbox.Mailbox<ReadonlyArray<Message<B, T>>>>
  readonly rejecting: Mailbox.Mailbox<Rejection<T>>
  /** Stages that may still reject; the last one ends the rejecter's mailbox. */
  rejecters: number
}

/** See the head of this file. Throws where a bound makes no sense. */
export const make = <A, B, K extends string, T, R>(definition: Definition<A, B, K, T, R>): Pipeline<R> => {
  assertBounds(definition)
  const { batcher, isKept = () => false, name, processor, producer, rejecter, writer } = definition
  const parcels: Parcels<A | B | T> = definition.parcels ?? SINGLE
  const ledger = new Ledger<T>()
  const stages = stagesOf(batcher.keys)
  const everyStage = () => [
    stages.producer,
    stages.processor,
    ...stages.batchers.values(),
    ...stages.writers.values(),
    stages.rejecter
  ]
  let running: Running<A, B, K, T, R>

  const start = Effect.gen(function* () {
    const room = yield* Semaphore.make(producer.inFlight)
    const batching = new Map<K, Mailbox.Mailbox<Message<B, T>>>()
    const writing = new Map<K, Mailbox.Mailbox<ReadonlyArray<Message<B, T>>>>()
    for (const key of batcher.keys) {
      const before = yield* Mailbox.make<Message<B, T>>({
        name: `batcher:${key}`,
        capacity: batcher.mailbox,
        size: countOf
      })
      const after = yield* Mailbox.make<ReadonlyArray<Message<B, T>>>({
        name: `writer:${key}`,
        capacity: writer.concurrency
      })
      batching.set(key, before)
      writing.set(key, after)
      stages.batchers.get(key)!.mailbox = before
      stages.writers.get(key)!.mailbox = after
    }
    running = {
      room,
      stop: yield* Deferred.make<void>(),
      drained: yield* Deferred.make<void>(),
      settlement: Settlement.make({ source: producer.source, ledger, room }),
      processing: yield* Mailbox.make<Message<A, T>>({ name: "processor", capacity: processor.mailbox, size: countOf }),
      batching,
      writing,
      rejecting: yield* Mailbox.make<Rejection<T>>({
        name: "rejecter",
        capacity: rejecter.mailbox,
        size: ({ message }) => countOf(message)
      }),
      rejecters: 1 + batcher.keys.length * writer.concurrency
    }
    stages.processor.mailbox = running.processing
    stages.rejecter.mailbox = running.rejecting
  })

  const noMoreRejections = Effect.suspend(() => (--running.rejecters === 0 ? running.rejecting.end : Effect.void))

  /**
   * Stages hold messages, and a successor would not know of them. They die of nothing but a defect of ours; then the whole
   * run ends, which keeps all that is open in the ledger, and whoever runs the pipeline starts it again.
   */
  const stage = { completes: true, escalates: true }

  const children: Array<Supervisor.Child<R>> = [
    {
      name: "producer",
      completes: true,
      run: Effect.suspend(() =>
        Producer.run({
          ...producer,
          room: running.room,
          ledger,
          parcels,
          to: running.processing,
          stage: stages.producer,
          stop: running.stop
        })
      )
    },
    {
      name: "processor",
      ...stage,
      run: Effect.suspend(() =>
        Processor.run({
          process: processor.process,
          key: batcher.key,
          cut: (message, at) => cut(message, at, ledger, parcels),
          from: running.processing,
          to: running.batching,
          rejected: running.rejecting,
          stage: stages.processor
        }).pipe(Effect.andThen(noMoreRejections))
      )
    },
    ...batcher.keys.flatMap((key): ReadonlyArray<Supervisor.Child<R>> => {
      return [
        {
          name: `batcher:${key}`,
          ...stage,
          run: Effect.suspend(() =>
            Batcher.run({
              size: batcher.size,
              flushAfterMillis: Duration.toMillis(batcher.flushAfter),
              count: countOf,
              cut: (message, at) => cut(message, at, ledger, parcels),
              from: running.batching.get(key)!,
              to: running.writing.get(key)!,
              stage: stages.batchers.get(key)!
            })
          )
        },
        ...Array.from({ length: writer.concurrency }, (_, n) => ({
          name: `writer:${key}#${n + 1}`,
          ...stage,
          run: Effect.suspend(() =>
            Writer.run({
              ...writer,
              write: (values: ReadonlyArray<B>, tickets: ReadonlyArray<T>) => writer.write(key, values, tickets),
              isKept,
              cut: (message, at) => cut(message, at, ledger, parcels),
              from: running.writing.get(key)!,
              rejected: running.rejecting,
              settlement: running.settlement,
              stage: stages.writers.get(key)!
            }).pipe(Effect.andThen(noMoreRejections))
          )
        }))
      ]
    }),
    {
      name: "rejecter",
      ...stage,
      run: Effect.suspend(() =>
        Rejecter.run({
          record: rejecter.record,
          isKept,
          from: running.rejecting,
          settlement: running.settlement,
          stage: stages.rejecter
        }).pipe(Effect.andThen(Effect.suspend(() => Deferred.succeed(running.drained, undefined))))
      )
    }
  ]

  /** It failed and will be started again, perhaps only when the time to drain is over. It holds nothing then. */
  const producerWaits = () =>
    supervisor.view().children.some((child) => child.name === "producer" && child.state === "waiting")

  const supervisor: Supervisor.Supervisor<R> = Supervisor.make<R>({
    name,
    children,
    maxRestarts: 10,
    backoff: { from: "100 millis", to: "10 seconds" },
    healthyAfter: "1 minute",
    stopWithin: definition.drainWithin,
    // What is left after the drain is given back, wherever it is: no order helps.
    stopTogether: true,
    drain: Effect.suspend(() =>
      Deferred.succeed(running.stop, undefined).pipe(
        Effect.andThen(Effect.suspend(() => (producerWaits() ? running.processing.end : Effect.void))),
        Effect.andThen(Deferred.await(running.drained))
      )
    )
  })

  const close = Effect.suspend(() => {
    const mailboxes = [
      closeMailbox(running.processing, stages.processor, totalOf),
      ...batcher.keys.flatMap((key) => [
        closeMailbox(running.batching.get(key)!, stages.batchers.get(key)!, totalOf),
        closeMailbox(running.writing.get(key)!, stages.writers.get(key)!, (batches) => totalOf(batches.flat()))
      ]),
      closeMailbox(running.rejecting, stages.rejecter, (rejections) =>
        totalOf(rejections.map(({ message }) => message))
      )
    ]
    return Effect.all(mailboxes, { discard: true }).pipe(
      Effect.andThen(
        Effect.sync(() => {
          for (const stage of everyStage()) stage.keepInHand()
        })
      ),
      Effect.andThen(running.settlement.keepAll),
      Effect.tap((kept) =>
        kept > 0 ? Effect.logInfo(`${name}: ${kept} messages are left to be delivered again`) : Effect.void
      )
    )
  })

  return {
    name,
    run: Effect.andThen(
      start,
      Effect.onExit(supervisor.run, () => close)
    ),
    view: () => ({
      name,
      bounds: {
        demand: producer.demand,
        inFlight: producer.inFlight,
        batchSize: batcher.size,
        concurrency: writer.concurrency
      },
      books: ledger.counts(),
      stages: everyStage().map((stage) => stage.view()),
      children: supervisor.view().children
    })
  }
}

const stagesOf = <K extends string>(keys: ReadonlyArray<K>) => ({
  producer: new Stage("producer"),
  processor: new Stage("processor"),
  batchers: new Map(keys.map((key) => [key, new Stage(`batcher:${key}`)])),
  writers: new Map(keys.map((key) => [key, new Stage(`writer:${key}`)])),
  rejecter: new Stage("rejecter")
})

/** What waits in the mailbox was received by nobody: its stage has it now, and keeps it. */
const closeMailbox = <M>(
  mailbox: Mailbox.Mailbox<M>,
  stage: Stage,
  count: (left: ReadonlyArray<M>) => number
): Effect.Effect<void> =>
  Effect.map(mailbox.close, (left) => {
    stage.received += count(left)
    stage.inHand += count(left)
  })

const assertBounds = <A, B, K extends string, T, R>(definition: Definition<A, B, K, T, R>): void => {
  const { batcher, name, processor, producer, rejecter, writer } = definition
  const bounds = {
    "producer.demand": producer.demand,
    "producer.inFlight": producer.inFlight,
    "processor.mailbox": processor.mailbox,
    "batcher.size": batcher.size,
    "batcher.mailbox": batcher.mailbox,
    "writer.concurrency": writer.concurrency,
    "rejecter.mailbox": rejecter.mailbox
  }
  for (const [bound, value] of Object.entries(bounds)) {
    if (!Number.isSafeInteger(value) || value < 1) {
      throw new Error(`pipeline "${name}": ${bound} is ${value}, but must be a whole number of at least 1`)
    }
  }
  if (producer.inFlight < producer.demand) {
    throw new Error(
      `pipeline "${name}": producer.inFlight (${producer.inFlight}) is less than producer.demand (${producer.demand})`
    )
  }
}
