/**
 * `POST /metrics/prometheus` as a route of the definition. Requests from outside never come this far: `Boundary.ts` hands
 * them to `Ingest` before a route is looked for. Whoever mounts the API without the boundary gets the same answers.
 */
import { Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { Api } from "../api/Api.ts"
import { Ingest } from "../ingest/Ingest.ts"

export const ingestHandlers = HttpApiBuilder.group(
  Api,
  "ingest",
  Effect.fnUntraced(function* (handlers) {
    const ingest = yield* Ingest
    return handlers.handleRaw("ingest", ({ request }) => ingest.answer(request))
  })
)
