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

export const PipelineTree: Schema.Codec<PipelineTree> = Schema.Struct({
  name: Schema.String,
  bounds: Schema.optionalKey(Schema.Struct({ demand: Count, inFlight: Count, batchSize: Count, concurrency: Count })),
  books: Schema.optionalKey(
    Schema.Struct({ received: Count, accepted: Count, rejected: Count, kept: Count, inFlight: Count }).annotate({
      description: MESSAGES
    })
  ),
  stages: Schema.optionalKey(Schema.Array(PipelineStage)),
  children: Schema.Array(PipelineChild)
}).annotate({ identifier: "PipelineTree" })
