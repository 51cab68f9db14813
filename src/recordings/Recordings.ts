/**
 * Recordings: what the flight recorders of agents have sent, and what they are wanted to send. As a port.
 *
 * Guarantees: a recording belongs to the server of the token that sent it; one that comes twice is stored once. A request is made once
 * for all alerts of a server that fire within {@link REQUEST_MINUTES}, is answered once, and expires. Bounds: {@link RECORDINGS_MAX} a
 * server, for {@link RECORDINGS_DAYS} days; where they are too many, the oldest that somebody asked for gives way first.
 */
import { Context, type Effect, Schema } from "effect"
import type { UnknownServer } from "../access/Servers.ts"
import type { Wanted } from "../protocol/AgentWants.ts"
import type { OomKill, Recording, RecordingReason } from "../protocol/Recording.ts"
import type { Window } from "../query/Rankings.ts"
import type { DatabaseUnavailable } from "../sinks/storage/DatabaseUnavailable.ts"

export const RECORDINGS_MAX = 50
export const RECORDINGS_DAYS = 14
/** How long a request waits for its answer. */
export const REQUEST_MINUTES = 10

/** What is said of a recording beside what is in it; epoch milliseconds. */
export interface RecordingHead {
  readonly id: string
  readonly serverId: string
  readonly serverName: string
  readonly reason: RecordingReason
  readonly from: number
  readonly to: number
  readonly receivedAt: number
  readonly kills: ReadonlyArray<OomKill>
}

/** Epoch milliseconds. */
export interface RecordingRequest extends Wanted {
  /** As the audit calls them; null: alerts did. */
  readonly by: string | null
  readonly askedAt: number
  readonly expiresAt: number
  readonly answeredAt: number | null
}

/** There is no such recording, or it is not kept any more. Not retryable. */
export class UnknownRecording extends Schema.TaggedError<UnknownRecording>()("UnknownRecording", {
  recordingId: Schema.String
}) {
  readonly retryable = false
  override get message(): string {
    return `there is no recording ${JSON.stringify(this.recordingId.slice(0, 100))}: they are kept for ${RECORDINGS_DAYS} days`
  }
}

export class Recordings extends Context.Service<
  Recordings,
  {
    /** Stores one, as this JSON; false where it is there already. */
    readonly put: (
      serverId: string,
      recording: Recording,
      json: string
    ) => Effect.Effect<boolean, UnknownServer | DatabaseUnavailable>
    /** Those of a server, the latest first, and the latest request. */
    readonly of: (
      serverId: string
    ) => Effect.Effect<
      { readonly recordings: ReadonlyArray<RecordingHead>; readonly request: RecordingRequest | undefined },
      UnknownServer | DatabaseUnavailable
    >
    /** Those with samples in a window of a server (epoch microseconds), in order of time. */
    readonly between: (
      serverId: string,
      window: Window
    ) => Effect.Effect<ReadonlyArray<RecordingHead>, DatabaseUnavailable>
    /** One, with its content as JSON. */
    readonly get: (
      recordingId: string
    ) => Effect.Effect<{ readonly head: RecordingHead; readonly json: string }, UnknownRecording | DatabaseUnavailable>
    /** Asks the agent of a server for one; the request that waits already, where there is one. */
    readonly ask: (serverId: string) => Effect.Effect<RecordingRequest, UnknownServer | DatabaseUnavailable>
    /** What is wanted of the agent of a server, as far as this process knows. Asked with each push: it reads nothing. */
    readonly wanted: (serverId: string) => Wanted | undefined
    /** Learns what is wanted, and drops what is too old, once. */
    readonly refresh: Effect.Effect<void, DatabaseUnavailable>
    /** The same for ever. For the supervisor. */
    readonly run: Effect.Effect<never>
  }
>()("nodepulse/recordings/Recordings") {}
