/** `GET /api/pipeline`: the live supervision tree, as the engine tells it; `GET /api/readiness`: what is missing. */
import { Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { Api } from "../api/Api.ts"
import { PipelineView } from "../live/PipelineView.ts"
import { Readiness } from "../server/Readiness.ts"

export const pipelineHandlers = HttpApiBuilder.group(
  Api,
  "pipeline",
  Effect.fnUntraced(function* (handlers) {
    const view = yield* PipelineView
    const readiness = yield* Readiness
    return handlers.handleAll({
      snapshot: () => view.snapshot,
      readiness: () => Effect.map(readiness.checks, (checks) => ({ ready: checks.every(({ ready }) => ready), checks }))
    })
  })
)
