/**
 * Delivers recordings to the server: `POST /api/recordings`, with the agent's token.
 *
 * Guarantee: a recording that the server has, or never takes, is sent no more; any other is tried again with full-jitter backoff, or as
 * `Retry-After` says, for {@link GIVEN_UP_MILLIS}. Sending one twice is harmless: it has an id. Bound: the one that is being sent and
 * {@link WAITING_MAX} that waits; the older gives way. Nothing of a recording is on disk.
 */
import { gzip } from "node:zlib"
import { Clock, Duration, Effect, Queue, Random, Result } from "effect"
import { PACKED_BYTES_MAX, type Recording } from "../../src/protocol/Recording.ts"
import type { AgentServer } from "../config/AgentConfig.ts"
import { post } from "../push/Post.ts"
import { backoffMillis, retryAfterMillis } from "../push/PushBatch.ts"

const WAITING_MAX = 1
const GIVEN_UP_MILLIS = 3_600_000
const ANSWER_BYTES = 64 * 1024

interface Packed {
  readonly id: string
  readonly body: Uint8Array
  /** Monotonic milliseconds. */
  readonly madeAt: number
}

export interface RecordingSender {
  /** Packs a recording, and hands it on. Never waits for the server. */
  readonly offer: (recording: Recording) => Effect.Effect<void>
  /** Delivers for ever. */
  readonly run: Effect.Effect<never>
}

/** What a status means for a recording. */
const verdictOf = (status: number): "delivered" | "later" | "refused" => {
  if (status === 201 || status === 200) return "delivered"
  // A token that is wrong now may be mended within the hour.
  return status === 401 || status === 408 || status === 409 || status === 425 || status === 429 || status >= 500
    ? "later"
    : "refused"
}

export const makeSender = Effect.fnUntraced(function* (server: AgentServer) {
  const waiting = yield* Queue.sliding<Packed>(WAITING_MAX)
  const clock = yield* Clock.Clock
  const monotonic = () => Number(clock.monotonicTimeNanosUnsafe() / 1_000_000n)

  const offer = Effect.fnUntraced(function* (recording: Recording) {
    const body = yield* packed(recording)
    if (body === undefined) return yield* Effect.logWarning("a recording is too large to be sent, and is dropped")
    yield* Queue.offer(waiting, { id: recording.id, body, madeAt: monotonic() })
  })

  const send = ({ body }: Packed) =>
    post(server, { url: `${server.url}/api/recordings`, body, bodyLimit: ANSWER_BYTES })

  /** Sends one until the server has it, or never takes it, or it is too old. */
  const deliver = Effect.fnUntraced(function* (one: Packed) {
    for (let retry = 0; ; retry++) {
      const sent = yield* Effect.result(send(one))
      const status = Result.isSuccess(sent) ? sent.success.status : 0
      const verdict = status === 0 ? "later" : verdictOf(status)
      if (verdict === "delivered") return yield* Effect.logInfo(`recording ${one.id} is delivered`)
      const why = Result.isSuccess(sent) ? `the server answers with HTTP ${status}` : sent.failure.message
      if (verdict === "refused") return yield* Effect.logWarning(`recording ${one.id} is dropped: ${why}`)
      if (monotonic() - one.madeAt >= GIVEN_UP_MILLIS) {
        return yield* Effect.logWarning(`recording ${one.id} is dropped after an hour: ${why}`)
      }
      const headers = Result.isSuccess(sent) ? sent.success.headers : {}
      const asked = retryAfterMillis(headers["retry-after"], clock.currentTimeMillisUnsafe(), headers.date)
      yield* Effect.sleep(Duration.millis(Math.max(backoffMillis(retry, yield* Random.next), asked ?? 0)))
    }
  })

  const run: Effect.Effect<never> = Effect.forever(Effect.flatMap(Queue.take(waiting), deliver))
  return { offer, run } satisfies RecordingSender
})

/** The gzip of a recording; with fewer processes and units where it is over the bound, undefined where nothing helps. */
const packed = (recording: Recording): Effect.Effect<Uint8Array | undefined> =>
  Effect.gen(function* () {
    for (const part of [1, 0.5, 0]) {
      const { processes, units } = recording
      const body = yield* gzipped(
        JSON.stringify({
          ...recording,
          processes: processes.slice(0, Math.floor(processes.length * part)),
          units: units.slice(0, Math.floor(units.length * part))
        })
      )
      if (body.byteLength <= PACKED_BYTES_MAX) return body
    }
    return undefined
  })

/** In a thread of its own: some 20 ms of work. */
const gzipped = (text: string): Effect.Effect<Uint8Array> =>
  Effect.callback((resume) => {
    gzip(text, (error, body) => resume(error === null ? Effect.succeed(body) : Effect.die(error)))
  })
