/**
 * What the pipeline looks like right now, as a port: the tree of its parts with their counts, as plain JSON. The engine
 * provides it; `GET /api/pipeline` shows it.
 */
import { Context, type Effect } from "effect"

export class PipelineView extends Context.Service<PipelineView, { readonly snapshot: Effect.Effect<unknown> }>()(
  "nodepulse/http/PipelineView"
) {}
