/**
 * Sign-ins that failed, in the audit: from where, with what, and why.
 *
 * Bound: of one address ten at once and then twelve an hour, of all together a hundred and one a minute; what is beyond that is
 * counted, and told with the next one that is noted. A database that is away keeps nobody from being refused: then nothing is noted.
 */
import { Clock, Context, Effect, Layer } from "effect"
import { Audit, CurrentAuthor } from "./Audit.ts"
import { makeGuesses } from "./Guesses.ts"
import type { SignInBy } from "./Sessions.ts"

export const NOTED_PER_ADDRESS = { burst: 10, perSecond: 1 / 300 }
const NOTED_IN_ALL = { burst: 100, perSecond: 1 / 60 }

/** Who it was, where nobody knows. */
const SOMEBODY = "somebody"

export class FailedSignIns extends Context.Service<
  FailedSignIns,
  {
    /** `who` is what an identity provider calls them. */
    readonly note: (via: SignInBy, address: string, reason: string, who?: string) => Effect.Effect<void>
  }
>()("nodepulse/access/FailedSignIns") {
  static readonly layer: Layer.Layer<FailedSignIns, never, Audit> = Layer.effect(
    FailedSignIns,
    Effect.gen(function* () {
      const audit = yield* Audit
      const clock = yield* Clock.Clock
      const noted = makeGuesses(() => clock.currentTimeMillisUnsafe(), NOTED_PER_ADDRESS, NOTED_IN_ALL)
      let unnoted = 0
      return FailedSignIns.of({
        note: (via, address, reason, who = SOMEBODY) =>
          Effect.suspend(() => {
            if (noted.wait(address) > 0) {
              unnoted++
              return Effect.void
            }
            noted.failed(address)
            const more = unnoted === 0 ? "" : `; ${unnoted} more before it are not noted`
            unnoted = 0
            return Effect.provideService(
              Effect.ignore(audit.note("session.refuse", `sign-in by ${via}`, `${reason}${more}`)),
              CurrentAuthor,
              { name: who, address: address || null }
            )
          })
      })
    })
  )
}
