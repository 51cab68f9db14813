/**
 * Questions that are under way are not asked again: whoever asks for what somebody else is waiting for gets the same answer.
 *
 * Guarantee: an answer is never older than the question that it was first given to, since nothing is kept once it is there.
 * Only readers with the same rights share. Whoever goes away takes nobody along; when all have gone, the question is
 * cancelled. A failure is everybody's, and the next question is asked anew. Bound: the requests under way.
 */
import { Cache, Effect, Equal, Hash } from "effect"
import type { HttpServerRequest, HttpServerResponse } from "effect/http"
import type { Reader } from "../api/Access.ts"

type Answer = Effect.Effect<HttpServerResponse.HttpServerResponse>

/** What is asked, and by whom. The way to the answer is that of whoever asks first. */
class Question implements Equal.Equal {
  readonly key: string
  readonly answer: Answer
  constructor(key: string, answer: Answer) {
    this.key = key
    this.answer = answer
  }
  [Equal.symbol](that: Equal.Equal): boolean {
    return that instanceof Question && that.key === this.key
  }
  [Hash.symbol](): number {
    return Hash.string(this.key)
  }
}

/** Answers a request, or waits for the answer to the same one. */
export type Share = (request: HttpServerRequest.HttpServerRequest, reader: Reader, answer: Answer) => Answer

export const makeShare: Effect.Effect<Share> = Effect.map(
  Cache.make({
    lookup: ({ answer }: Question) => answer,
    capacity: Number.POSITIVE_INFINITY,
    // Only while it is under way.
    timeToLive: 0
  }),
  (underWay): Share =>
    ({ method, originalUrl }, { kind }, answer) =>
      Cache.get(underWay, new Question(`${kind} ${method} ${originalUrl}`, answer))
)
