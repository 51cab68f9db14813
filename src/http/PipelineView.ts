/**
 * What the pipeline looks like right now, as a port: the tree of its parts with their counts and rates, as plain JSON. The
 * engine provides it, `PipelineRates.ts` adds the rates; `GET /api/pipeline` shows it.
 */
import { Context, type Effect } from "effect"

export class PipelineView extends Context.Service<PipelineView, { readonly snapshot: Effect.Effect<unknown> }>()(
  "nodepulse/http/PipelineView"
) {}
