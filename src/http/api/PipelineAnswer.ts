/**
 * The live supervision tree, as `GET /api/pipeline` shows it: the engine's own views, and the rates of each stage.
 *
 * The one source of the page's types. `test/contract.types.ts` holds it to the engine's, field by field.
 */
import { Schema } from "effect"

const Count = Schema.Int

const MESSAGES = "In messages; one of digest is a row, whatever entry of the stream it came in."

/** Times are epoch milliseconds. */
const Trouble = Schema.NullOr(Schema.Struct({ at: Schema.Finite, reason: Schema.String }))

export const PipelineStage = Schema.Struct({
  stage: Schema.String,
  received: Count.annotate({ description: MESSAGES }),
  passed: Count,
  rejected: Count,
  kept: Count,
  inHand: Count.annotate({ description: "Messages that the stage holds outside its mailbox." }),
  retries: Count.annotate({ description: "Attempts that failed and were repeated." }),
  lastError: Trouble,
  mailbox: Schema.NullOr(
    Schema.Struct({
      depth: Schema.Finite,
      capacity: Schema.Finite,
      highWater: Schema.Finite,
      unit: Schema.optionalKey(Schema.Literal("bytes"))
    }).annotate({ description: "In messages, before a writer in batches, unless `unit` says otherwise." })
  ),
  perSecond: Schema.optionalKey(
    Schema.NullOr(
      Schema.Struct({
        received: Schema.Finite,
        passed: Schema.Finite,
        rejected: Schema.Finite,
        overSeconds: Schema.Finite.annotate({ description: "The time that these are means of." })
      })
    ).annotate({ description: "Over the last minute; null at the very start." })
  )
})
export type PipelineStage = typeof PipelineStage.Type

export const ChildState = Schema.Literals(["starting", "running", "waiting", "finished", "stopped", "failed"]).annotate(
  {
    description: "waiting: started again at `retryAt`; failed: given up."
  }
)
export type ChildState = typeof ChildState.Type

export interface PipelineChild {
  readonly name: string
  readonly state: ChildState
  readonly since: number
  readonly restarts: number
  readonly lastError: typeof Trouble.Type
  readonly retryAt: number | null
  readonly tree: PipelineTree | null
}

/** A supervisor, or a pipeline: then with its stages, its bounds and its books. */
export interface PipelineTree {
  readonly name: string
  readonly bounds?: {
    readonly demand: number
    readonly inFlight: number
    readonly batchSize: number
    readonly concurrency: number
  }
  readonly books?: {
    readonly received: number
    readonly accepted: number
    readonly rejected: number
    readonly kept: number
    readonly inFlight: number
  }
  readonly stages?: ReadonlyArray<PipelineStage>
  readonly children: ReadonlyArray<PipelineChild>
}

const PipelineChild: Schema.Codec<PipelineChild> = Schema.Struct({
  name: Schema.String,
  state: ChildState,
  since: Schema.Finite,
  restarts: Count,
  lastError: Trouble,
  retryAt: Schema.NullOr(Schema.Finite),
  tree: Schema.NullOr(Schema.suspend((): Schema.Codec<PipelineTree> => PipelineTree))
})

const tree = {
  name: Schema.String,
  bounds: Schema.optionalKey(Schema.Struct({ demand: Count, inFlight: Count, batchSize: Count, concurrency: Count })),
  books: Schema.optionalKey(
    Schema.Struct({ received: Count, accepted: Count, rejected: Count, kept: Count, inFlight: Count }).annotate({
      description: MESSAGES
    })
  ),
  stages: Schema.optionalKey(Schema.Array(PipelineStage)),
  children: Schema.Array(PipelineChild)
}

export const PipelineTree: Schema.Codec<PipelineTree> = Schema.Struct(tree).annotate({ identifier: "PipelineTree" })

const Seconds = Schema.Finite

/** What becomes of rows once they are stored: rules are asked of them, and people are told. */
const AlertsStage = Schema.Struct({
  firing: Count.annotate({ description: "How many alerts fire." }),
  behindSeconds: Schema.NullOr(Seconds).annotate({
    description: "How long ago the latest moment lies at which any process asked the rules; null where there are none."
  }),
  pass: Schema.NullOr(
    Schema.Struct({
      seconds: Seconds.annotate({ description: "How long it took." }),
      moments: Count.annotate({ description: "At how many moments rules were asked: more than 1 where it was late." }),
      rules: Count,
      watches: Count.annotate({ description: "Servers that it keeps the scrapes of, by exporter that rules ask." }),
      bytes: Count.annotate({ description: "What those scrapes take in memory, about." })
    })
  ).annotate({ description: "Of the latest pass of the process that answers; null where another one asks the rules." })
})

const DeliveryStage = Schema.Struct({
  waiting: Count.annotate({ description: "Messages that are not sent yet, those that are being sent among them." }),
  oldestSeconds: Schema.NullOr(Seconds).annotate({ description: "How long the oldest of them has waited." }),
  dead: Count.annotate({ description: "Messages of the last 30 days that were given up." })
})

const AnsweringProcess = Schema.Struct({
  host: Schema.String,
  pid: Count,
  roles: Schema.Array(Schema.Literals(["ingest", "digest", "api"]))
}).annotate({
  description:
    "The process that answers: the tree and its counts are of this one, and of several behind an address another may answer the next time."
})

const Replica = Schema.Struct({
  isUsed: Schema.Boolean.annotate({ description: "Whether questions about rows are read from it now." }),
  lagSeconds: Schema.NullOr(Seconds).annotate({ description: "How far it is behind; null: nobody knows." }),
  reason: Schema.NullOr(Schema.String).annotate({ description: "Why it is not used." })
})

const StreamAnswer = Schema.Struct({
  stream: Count.annotate({ description: "Its number; a server's rows are always in the same one." }),
  owner: Schema.NullOr(Schema.String).annotate({ description: "The digest that reads it; null where nobody does." }),
  isOwnerKnown: Schema.Boolean.annotate({ description: "False where the database does not tell who reads it." }),
  ownedForSeconds: Schema.NullOr(Seconds),
  fence: Schema.NullOr(Count).annotate({ description: "Grows whenever it changes hands." }),
  rows: Schema.NullOr(Count).annotate({
    description: "Rows in it, unread and unacknowledged; null where its storage does not tell, as the next five."
  }),
  pending: Schema.NullOr(Count).annotate({ description: "Rows handed out and not yet acknowledged." }),
  waiting: Schema.NullOr(Count).annotate({
    description:
      "Rows that wait for a node of the database that is away, while those of other servers are stored; in entries of several rows about."
  }),
  bound: Schema.NullOr(Count).annotate({ description: "The most rows that it takes." }),
  bytes: Schema.NullOr(Count).annotate({ description: "What it takes of its storage's memory." }),
  oldestSeconds: Schema.NullOr(Seconds).annotate({
    description: "Age of its oldest entry; null too where it is empty."
  })
})
export type StreamAnswer = typeof StreamAnswer.Type

export const PipelineAnswer = Schema.Struct({
  ...tree,
  process: AnsweringProcess,
  replica: Schema.NullOr(Replica).annotate({ description: "The read replica; null where this process has none." }),
  streams: Schema.NullOr(Schema.Array(StreamAnswer)).annotate({
    description: "Where rows wait for digest. Null where neither their storage nor the database tells in time."
  }),
  alerts: Schema.NullOr(Schema.Struct({ asking: AlertsStage, delivery: DeliveryStage })).annotate({
    description: "Null where the database does not tell in time."
  })
})
