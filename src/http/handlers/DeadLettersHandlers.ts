/** `GET /api/dead-letters`: what was acknowledged and could not be stored, newest first, page by page. */
import { Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { DeadLetters } from "../../sinks/storage/DeadLetters.ts"
import { Api } from "../api/Api.ts"
import { fromFailure } from "../api/Problem.ts"

const LIMIT_DEFAULT = 100

export const deadLettersHandlers = HttpApiBuilder.group(
  Api,
  "deadLetters",
  Effect.fnUntraced(function* (handlers) {
    const deadLetters = yield* DeadLetters
    return handlers.handle("list", ({ query }) => {
      const limit = query.limit ?? LIMIT_DEFAULT
      return deadLetters.list({ limit, ...(query.before === undefined ? {} : { before: query.before }) }).pipe(
        Effect.map(({ letters, total }) => ({
          dead_letters: letters.map((letter) => ({
            id: letter.id,
            exporter: letter.exporter,
            server_id: letter.serverId,
            reason: letter.reason,
            payload: letter.payload,
            created_at: new Date(letter.createdAt).toISOString()
          })),
          total,
          next: letters.length < limit ? null : letters.at(-1)!.id
        })),
        Effect.mapError((failure) => fromFailure(failure))
      )
    })
  })
)
