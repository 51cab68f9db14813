/**
 * What the pipeline looks like right now, as a port: the tree of its parts with their counts and rates. The engine provides
 * it, `PipelineRates.ts` adds the rates; `GET /api/pipeline` shows it.
 */
import { hostname } from "node:os"
import { Context, type Effect } from "effect"
import type { PipelineTree } from "../api/PipelineAnswer.ts"

/** Which process it is: of several behind one address another one may answer the next time. */
export interface ThisProcess {
  readonly host: string
  readonly pid: number
  readonly roles: ReadonlyArray<"ingest" | "digest" | "api">
}

/** By default one that does everything. */
export const ThisProcess = Context.Reference<ThisProcess>("nodepulse/http/ThisProcess", {
  defaultValue: () => processOf(["ingest", "digest", "api"])
})

export const processOf = (roles: ThisProcess["roles"]): ThisProcess => ({ host: hostname(), pid: process.pid, roles })

export class PipelineView extends Context.Service<PipelineView, { readonly snapshot: Effect.Effect<PipelineTree> }>()(
  "nodepulse/http/PipelineView"
) {}
