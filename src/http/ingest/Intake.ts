/**
 * What all endpoints that agents send data to share: how much may be under way at once (`Admission.ts`), and whose turn it is to be
 * unpacked, parsed and checked (`Turns.ts`). So whoever floods one of them waits at all of them, and holds up nobody else.
 *
 * Whoever has a ticket gives it back; what takes time on the event loop is done in a turn of its server.
 */
import { Clock, Context, Effect, Layer } from "effect"
import { Unavailable } from "../api/Problem.ts"
import { Limits } from "../server/Limits.ts"
import { SelfMetrics } from "../server/SelfMetrics.ts"
import { type Admission, makeAdmission, type Refusal } from "./Admission.ts"
import { makeTurns, type Turns } from "./Turns.ts"

export class Intake extends Context.Service<
  Intake,
  {
    readonly admission: Admission
    readonly turns: Turns
    /** Counts a refusal, and says it to the sender. */
    readonly refuse: (reason: Refusal) => Unavailable
  }
>()("nodepulse/http/Intake") {
  static readonly layer = Layer.effect(
    Intake,
    Effect.suspend(() => make)
  )
}

const make = Effect.gen(function* () {
  const limits = yield* Limits
  const metrics = yield* SelfMetrics
  const clock = yield* Clock.Clock
  const admission = makeAdmission(limits.requestsInFlightMax, limits.bytesInFlightMax)
  const monotonic = () => Number(clock.monotonicTimeNanosUnsafe()) / 1e6
  return Intake.of({
    admission,
    turns: makeTurns(monotonic, () => admission.inFlight().servers <= 1),
    refuse: (reason) => {
      metrics.shed(reason)
      return new Unavailable({ detail: REFUSED[reason] })
    }
  })
})

const REFUSED: Readonly<Record<Refusal, string>> = {
  requests: "too many requests are being taken in",
  bytes: "too many bytes are being taken in",
  server_share: "this server's share of the requests being taken in is used up"
}
