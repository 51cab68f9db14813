import { expect, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import { Audit, CurrentAuthor } from "./Audit.ts"
import { FailedSignIns, NOTED_PER_ADDRESS } from "./FailedSignIns.ts"

const noted: Array<string> = []
const audit = Layer.succeed(Audit, {
  list: () => Effect.succeed({ entries: [], next: null }),
  note: (action, subject, detail) =>
    Effect.map(CurrentAuthor, ({ address, name }) => {
      noted.push([action, subject, name, address, detail].join(" | "))
    })
})

it.layer(FailedSignIns.layer.pipe(Layer.provide(audit)))("sign-ins that failed", (it) => {
  it.effect("are noted so often for an address, and what was left out is told with the next one", () =>
    Effect.gen(function* () {
      const failed = yield* FailedSignIns
      const { burst, perSecond } = NOTED_PER_ADDRESS
      for (let index = 0; index < burst + 3; index++) yield* failed.note("token", "192.0.2.1", "unknown")
      expect(noted).toHaveLength(burst)
      expect(noted[0]).toBe("session.refuse | sign-in by token | somebody | 192.0.2.1 | unknown")
      yield* failed.note("provider", "192.0.2.2", "no role", "oidc:eve")
      expect(noted.at(-1)).toBe(
        "session.refuse | sign-in by provider | oidc:eve | 192.0.2.2 | no role; 3 more before it are not noted"
      )
      yield* TestClock.adjust(1_000 / perSecond)
      yield* failed.note("token", "192.0.2.1", "unknown")
      expect(noted.at(-1)).toBe("session.refuse | sign-in by token | somebody | 192.0.2.1 | unknown")
    })
  )
})
