/**
 * What every stage of a pipeline counts and shows.
 *
 * The counters balance: `received = passed + rejected + kept + inHand`, where what waits in the mailbox has not been
 * received yet. They only ever grow (but for `inHand`), also over restarts of the pipeline.
 */
import { Clock, Effect } from "effect"
import type { Gauge } from "./Mailbox.ts"

export interface StageView {
  readonly stage: string
  readonly received: number
  readonly passed: number
  readonly rejected: number
  readonly kept: number
  /** Messages that the stage holds outside its mailbox. */
  readonly inHand: number
  /** Attempts that failed and were repeated. */
  readonly retries: number
  readonly lastError: { readonly at: number; readonly reason: string } | null
  /** What waits before the stage; a writer's mailbox counts batches. */
  readonly mailbox: {
    readonly depth: number
    readonly capacity: number
    readonly highWater: number
    /** Messages unless it says otherwise. */
    readonly unit?: "bytes"
  } | null
}

export class Stage {
  readonly name: string
  mailbox: Gauge | undefined
  received = 0
  passed = 0
  rejected = 0
  kept = 0
  inHand = 0
  retries = 0
  lastError: StageView["lastError"] = null

  constructor(name: string) {
    this.name = name
  }

  /** Notes an attempt that failed and will be repeated. */
  retry(reason: string): Effect.Effect<void> {
    return Effect.map(Clock.currentTimeMillis, (at) => {
      this.retries++
      this.lastError = { at, reason }
    })
  }

  /** What it holds goes back to the source. */
  keepInHand(): void {
    this.kept += this.inHand
    this.inHand = 0
  }

  view(): StageView {
    const { name, received, passed, rejected, kept, inHand, retries, lastError, mailbox } = this
    return {
      stage: name,
      received,
      passed,
      rejected,
      kept,
      inHand,
      retries,
      lastError,
      mailbox:
        mailbox === undefined
          ? null
          : { depth: mailbox.depth(), capacity: mailbox.capacity, highWater: mailbox.highWater() }
    }
  }
}
