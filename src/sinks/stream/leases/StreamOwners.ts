/** Who reads which stream, for people: asked of the database where streams are leased, and null where the one is in process. */
import { Context, Effect } from "effect"
import type { DatabaseUnavailable } from "../../storage/DatabaseUnavailable.ts"
import type { OwnedStream } from "./LeaseTable.ts"

export const StreamOwners = Context.Reference<Effect.Effect<ReadonlyArray<OwnedStream> | null, DatabaseUnavailable>>(
  "nodepulse/sinks/StreamOwners",
  { defaultValue: () => Effect.succeed(null) }
)
