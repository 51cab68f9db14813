/** `/api/audit`: who changed what, for administrators. */
import { Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { Audit } from "../../access/Audit.ts"
import { Api } from "../api/Api.ts"
import { fromFailure } from "../api/Problem.ts"

const LIMIT_DEFAULT = 100

export const auditHandlers = HttpApiBuilder.group(
  Api,
  "audit",
  Effect.fnUntraced(function* (handlers) {
    const audit = yield* Audit
    return handlers.handle("list", ({ query: { limit = LIMIT_DEFAULT, since, until, ...rest } }) =>
      audit.list({ ...rest, limit, ...spanOf(since, until) }).pipe(
        Effect.map(({ entries, next }) => ({
          entries: entries.map(({ at, ...entry }) => ({ ...entry, at: new Date(at).toISOString() })),
          next
        })),
        Effect.mapError((failure) => fromFailure(failure))
      )
    )
  })
)

/** In epoch milliseconds, of microseconds. */
const spanOf = (since: number | undefined, until: number | undefined) => ({
  ...(since === undefined ? {} : { since: since / 1_000 }),
  ...(until === undefined ? {} : { until: until / 1_000 })
})
