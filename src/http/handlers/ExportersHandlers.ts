/** `GET /api/exporters`: the catalog, derived from the registry once. */
import { Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { catalog } from "../../plugins/Catalog.ts"
import { Registry } from "../../plugins/Registry.ts"
import { Api } from "../api/Api.ts"

export const exportersHandlers = HttpApiBuilder.group(
  Api,
  "exporters",
  Effect.fnUntraced(function* (handlers) {
    const answer = catalog((yield* Registry).exporters)
    return handlers.handle("catalog", () => Effect.succeed(answer))
  })
)
