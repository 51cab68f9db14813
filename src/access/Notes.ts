/**
 * Notes: what a person or a deploy says happened, on one server or on all of them. As a port.
 *
 * Guarantee: a note and its entry in the audit are one transaction. Bound: {@link NOTES_MAX} notes an answer, the latest ones.
 */
import { Context, type Effect, Schema } from "effect"
import type { DatabaseUnavailable } from "../sinks/storage/DatabaseUnavailable.ts"
import type { UnknownServer } from "./Servers.ts"

export const NOTES_MAX = 1_000

export interface Note {
  readonly noteId: string
  /** The server that it is about; null: all of them. */
  readonly serverId: string | null
  /** Epoch microseconds. */
  readonly at: number
  readonly text: string
  /** As the audit calls them. */
  readonly author: string
}

/** There is no such note. Not retryable. */
export class UnknownNote extends Schema.TaggedError<UnknownNote>()("UnknownNote", { noteId: Schema.String }) {
  readonly retryable = false
  override get message(): string {
    return `there is no note ${JSON.stringify(this.noteId)}`
  }
}

/** Notes are removed by whoever wrote them, or by an administrator. Not retryable. */
export class NoteOfSomebodyElse extends Schema.TaggedError<NoteOfSomebodyElse>()("NoteOfSomebodyElse", {
  author: Schema.String
}) {
  readonly retryable = false
  override get message(): string {
    return `the note is by ${JSON.stringify(this.author)}: they or an administrator can remove it`
  }
}

export class Notes extends Context.Service<
  Notes,
  {
    readonly add: (note: {
      readonly serverId: string | null
      readonly at: number
      readonly text: string
    }) => Effect.Effect<Note, UnknownServer | DatabaseUnavailable>
    /** `own`: only where whoever asks wrote it. */
    readonly remove: (
      noteId: string,
      whose: "own" | "any"
    ) => Effect.Effect<void, UnknownNote | NoteOfSomebodyElse | DatabaseUnavailable>
    /** Those of a server and those of all servers in (from, to], in order of time. */
    readonly between: (
      serverId: string,
      window: { readonly from: number; readonly to: number }
    ) => Effect.Effect<ReadonlyArray<Note>, DatabaseUnavailable>
  }
>()("nodepulse/access/Notes") {}
