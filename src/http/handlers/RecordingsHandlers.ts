/** `/api/recordings` and `/api/servers/{id}/recordings`: what flight recorders sent, and asking them for it. */
import { Clock, Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { formatTimestamp } from "../../plugins/Timestamp.ts"
import type { OomKill, Recording } from "../../protocol/Recording.ts"
import { type RecordingHead, type RecordingRequest, Recordings } from "../../recordings/Recordings.ts"
import { Api } from "../api/Api.ts"
import { fromFailure } from "../api/Problem.ts"
import { RecordingIngest } from "../ingest/RecordingIngest.ts"

export const recordingsHandlers = HttpApiBuilder.group(
  Api,
  "recordings",
  Effect.fnUntraced(function* (handlers) {
    const recordings = yield* Recordings
    return handlers.handleAll({
      list: Effect.fnUntraced(function* ({ params }) {
        const found = yield* Effect.mapError(recordings.of(params.id), (failure) => fromFailure(failure))
        const now = yield* Clock.currentTimeMillis
        return {
          server_id: params.id,
          recordings: found.recordings.map(showHead),
          request: found.request === undefined ? null : showRequest(found.request, now)
        }
      }),
      ask: Effect.fnUntraced(function* ({ params }) {
        const request = yield* Effect.mapError(recordings.ask(params.id), (failure) => fromFailure(failure))
        return showRequest(request, yield* Clock.currentTimeMillis)
      }),
      get: Effect.fnUntraced(function* ({ params }) {
        const { head, json } = yield* Effect.mapError(recordings.get(params.id), (failure) => fromFailure(failure))
        return showRecording(head, JSON.parse(json) as Recording)
      })
    })
  })
)

export const sendRecordingHandlers = HttpApiBuilder.group(
  Api,
  "recorder",
  Effect.fnUntraced(function* (handlers) {
    const ingest = yield* RecordingIngest
    return handlers.handleRaw("send", ({ request }) => ingest.answer(request))
  })
)

const timeOf = (millis: number): string => formatTimestamp(Math.round(millis * 1_000))

const showHead = ({ from, id, kills, reason, receivedAt, serverId, serverName, to }: RecordingHead) => ({
  recording_id: id,
  server_id: serverId,
  server_name: serverName,
  reason,
  from: timeOf(from),
  to: timeOf(to),
  received_at: timeOf(receivedAt),
  kills: kills.map(showKill)
})

const showKill = ({ at, limit, memory, ...kill }: OomKill) => ({
  ...kill,
  at: timeOf(at * 1_000),
  memory_bytes: memory,
  limit_bytes: limit
})

const showRequest = ({ answeredAt, askedAt, by, expiresAt, reason }: RecordingRequest, now: number) => ({
  reason,
  by,
  state: answeredAt !== null ? ("answered" as const) : expiresAt > now ? ("waiting" as const) : ("expired" as const),
  asked_at: timeOf(askedAt),
  expires_at: timeOf(expiresAt)
})

const showRecording = (head: RecordingHead, { at, cores, degraded, host, memory, processes, units }: Recording) => ({
  ...showHead(head),
  at,
  cores,
  memory_bytes: memory,
  host,
  processes: processes.map(({ memory, ...process }) => ({ ...process, memory_bytes: memory })),
  units: units.map(({ limit, memory, ...unit }) => ({ ...unit, limit_bytes: limit, memory_bytes: memory })),
  degraded
})
