/**
 * What could not be stored, kept for inspection with its reason, as a port. Nothing that was acknowledged disappears:
 * it is a row, or a dead letter.
 */
import { Context, type Effect, Schema } from "effect"
import type { LeaseLost } from "../stream/leases/Fence.ts"
import type { Lease } from "../stream/SnapshotStream.ts"
import type { DatabaseUnavailable } from "./DatabaseUnavailable.ts"

export interface DeadLetter {
  readonly id: string
  readonly exporter: string
  readonly serverId: string
  readonly reason: string
  /** The snapshot as it travelled: `StreamEntry.snapshot`. */
  readonly payload: string
  /** Epoch milliseconds. */
  readonly createdAt: number
}

/** `key` makes a repeated `put` change nothing: the id of the message in its stream, with the stream's name. */
export type NewDeadLetter = Omit<DeadLetter, "id" | "createdAt"> & { readonly key: string }

export class UnknownDeadLetter extends Schema.TaggedError<UnknownDeadLetter>()("UnknownDeadLetter", {
  id: Schema.String
}) {
  override get message(): string {
    return `there is no dead letter "${this.id}"`
  }
}

/** Which letters: all where nothing is said. */
export interface LetterFilter {
  /** Of this exporter. */
  readonly exporter?: string
  /** With this text in their reason, upper and lower case being the same. */
  readonly reason?: string
}

export class DeadLetters extends Context.Service<
  DeadLetters,
  {
    /** `leases`: as of `SnapshotRows.insert`. */
    readonly put: (
      letters: ReadonlyArray<NewDeadLetter>,
      leases?: ReadonlyArray<Lease>
    ) => Effect.Effect<void, DatabaseUnavailable | LeaseLost>
    /** Newest first; `before` is the id to continue after. `total` counts all that pass the filter. */
    readonly list: (
      options: LetterFilter & { readonly limit: number; readonly before?: string }
    ) => Effect.Effect<{ readonly letters: ReadonlyArray<DeadLetter>; readonly total: number }, DatabaseUnavailable>
    readonly get: (id: string) => Effect.Effect<DeadLetter, UnknownDeadLetter | DatabaseUnavailable>
    readonly drop: (ids: ReadonlyArray<string>) => Effect.Effect<number, DatabaseUnavailable>
  }
>()("nodepulse/sinks/DeadLetters") {}
