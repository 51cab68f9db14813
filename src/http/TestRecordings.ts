/** What a test's server keeps of recordings: a list, as the database would have it. */
import { Effect, Layer } from "effect"
import type { Server, UnknownServer } from "../access/Servers.ts"
import type { Recording } from "../protocol/Recording.ts"
import { type RecordingHead, Recordings, UnknownRecording } from "../recordings/Recordings.ts"
import type { DatabaseUnavailable } from "../sinks/storage/DatabaseUnavailable.ts"

export interface KeptRecording {
  readonly serverId: string
  readonly recording: Recording
}

/** What is asked for: by server, the id of the recording. */
export interface RecordingsWorld {
  readonly recordings: Array<KeptRecording>
  readonly wanted: Map<string, string>
}

type Reachable = <A, E>(operation: string, effect: Effect.Effect<A, E>) => Effect.Effect<A, E | DatabaseUnavailable>

export const recordingsPort = (
  world: RecordingsWorld,
  reachable: Reachable,
  find: (serverId: string) => Effect.Effect<Server, UnknownServer>
) => {
  const headOf = ({ recording, serverId }: KeptRecording, index: number): RecordingHead => ({
    id: String(index + 1),
    serverId,
    serverName: serverId.toUpperCase(),
    reason: recording.reason,
    from: (recording.ended + recording.at[0]!) * 1_000,
    to: recording.ended * 1_000,
    receivedAt: recording.ended * 1_000,
    kills: recording.kills
  })
  const heads = (serverId: string) => world.recordings.map(headOf).filter((head) => head.serverId === serverId)
  return Layer.succeed(Recordings, {
    put: (serverId, recording) =>
      reachable(
        "put",
        Effect.sync(() => {
          if (world.recordings.some((one) => one.serverId === serverId && one.recording.id === recording.id))
            return false
          world.recordings.push({ serverId, recording })
          return true
        })
      ),
    of: (serverId) =>
      reachable(
        "of",
        Effect.map(find(serverId), () => ({ recordings: heads(serverId).reverse(), request: undefined }))
      ),
    between: (serverId) =>
      reachable(
        "between",
        Effect.sync(() => heads(serverId))
      ),
    get: (recordingId) =>
      reachable(
        "get",
        Effect.suspend(() => {
          const kept = world.recordings[Number(recordingId) - 1]
          return kept === undefined
            ? Effect.fail(new UnknownRecording({ recordingId }))
            : Effect.succeed({ head: headOf(kept, Number(recordingId) - 1), json: JSON.stringify(kept.recording) })
        })
      ),
    ask: (serverId) =>
      reachable(
        "ask",
        Effect.map(find(serverId), () => {
          const id = "a".repeat(32)
          world.wanted.set(serverId, id)
          const askedAt = Date.now()
          const reason = "asked" as const
          return { id, reason, by: "somebody", askedAt, expiresAt: askedAt + 600_000, answeredAt: null }
        })
      ),
    wanted: (serverId) => {
      const id = world.wanted.get(serverId)
      return id === undefined ? undefined : { id, reason: "asked" }
    },
    refresh: Effect.void,
    run: Effect.never
  })
}
