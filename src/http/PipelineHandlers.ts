/** `GET /api/pipeline`: the live supervision tree, as the engine tells it. */
import { Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { Api } from "./Api.ts"
import { PipelineView } from "./PipelineView.ts"

export const pipelineHandlers = HttpApiBuilder.group(
  Api,
  "pipeline",
  Effect.fnUntraced(function* (handlers) {
    const view = yield* PipelineView
    return handlers.handle("snapshot", () => view.snapshot)
  })
)
