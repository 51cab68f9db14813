/**
 * What the pipeline looks like right now, as a port: the tree of its parts with their counts and rates. The engine provides
 * it, `PipelineRates.ts` adds the rates; `GET /api/pipeline` shows it.
 */
import { Context, type Effect } from "effect"
import type { PipelineTree } from "../api/PipelineAnswer.ts"

export class PipelineView extends Context.Service<PipelineView, { readonly snapshot: Effect.Effect<PipelineTree> }>()(
  "nodepulse/http/PipelineView"
) {}
