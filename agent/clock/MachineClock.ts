/**
 * The clocks of this machine: one that goes evenly, for when to do things, and what is known of the one on the wall.
 *
 * Guarantees:
 * - A step of the wall clock of a second or more is noticed at the next scrape or push, also one that happened while the
 *   machine was suspended or, in the same boot, while the agent was not running: one line in the log, counted, and told to
 *   the server with the next push. Suspended time is no step.
 * - `steadyMillis` never jumps: ticks, retries and pauses follow it.
 * - A record that the server refused for its time gets a corrected one (`ClockEras.ts`), the same each time it is sent, over
 *   restarts too.
 *
 * Bound: 32 eras, kept in one file beside the spool, written when something is learned.
 */
import { Clock, Context, Duration, Effect, Layer, Schema } from "effect"
import type { ClockStep } from "../../src/protocol/AgentHello.ts"
import { AgentStatus } from "../AgentStatus.ts"
import { AgentConfig } from "../config/AgentConfig.ts"
import { readMachine } from "../Machine.ts"
import { Spool } from "../spool/Spool.ts"
import { stateFile } from "../spool/StateFile.ts"
import { BootClock } from "./BootClock.ts"
import { correctionOf, type Era, type Eras, measured, moved, refused, resumed } from "./ClockEras.ts"

const FILE = "clock.json"
/** A skew is told from here on, and no longer from half of it. */
const SKEW_TOLD_MILLIS = 30_000
/** An answer that took longer says too little about its time. */
const ROUND_TRIP_MILLIS_MAX = 10_000
/** `Date` has no fractions: the server's clock was somewhere in that second. */
const DATE_MILLIS = 1_000
/** What is learned of the skew is kept where it changes by more. */
const SKEW_KEPT_MILLIS = 2_000
/** Both clocks are read within this, or again. */
const READ_WITHIN_MILLIS = 20
const READS_MAX = 5

export class MachineClock extends Context.Service<
  MachineClock,
  {
    /** Epoch milliseconds as the wall clock would tell them had it not been set since the start. */
    readonly steadyMillis: () => number
    /** Looks whether the wall clock was set. */
    readonly notice: Effect.Effect<void>
    /** The last step that was noticed. */
    readonly step: () => ClockStep | undefined
    /** Learns from the `Date` of an answer, the wall clock at its head and the time since the request. */
    readonly answered: (answer: {
      readonly date: string | undefined
      readonly at: number
      readonly roundTripMillis: number
    }) => Effect.Effect<void>
    /** The server has refused these records for their times. */
    readonly refused: (ids: ReadonlyArray<number>) => Effect.Effect<void>
    /** Milliseconds that are added to the times of a record. */
    readonly correctionOf: (id: number) => number
  }
>()("nodepulse/agent/MachineClock") {
  static readonly layer: Layer.Layer<MachineClock, never, AgentConfig | AgentStatus | Spool> = Layer.effect(
    MachineClock,
    Effect.suspend(() => make)
  )
}

const EraFile = Schema.Struct({
  eras: Schema.Array(
    Schema.Struct({
      untilId: Schema.NullOr(Schema.Finite),
      boot: Schema.String,
      offset: Schema.Finite,
      skew: Schema.NullOr(Schema.Finite),
      correction: Schema.NullOr(Schema.Finite)
    })
  )
})

const make = Effect.gen(function* () {
  const { buffer } = yield* AgentConfig
  const status = yield* AgentStatus
  const spool = yield* Spool
  const clock = yield* Clock.Clock
  const bootMillis = yield* BootClock
  const { boot } = yield* readMachine
  const file = stateFile(buffer.path, FILE, EraFile)
  const monotonic = () => Number(clock.monotonicTimeNanosUnsafe() / 1_000n) / 1_000
  const startedAt = clock.currentTimeMillisUnsafe() - monotonic()

  /** Wall clock less boot clock. */
  const offset = (): number => {
    for (let reads = 1; ; reads++) {
      const before = bootMillis(clock)
      const wall = clock.currentTimeMillisUnsafe()
      const after = bootMillis(clock)
      if (after - before <= READ_WITHIN_MILLIS || reads >= READS_MAX) return wall - (before + after) / 2
    }
  }

  let eras: Eras
  let step: ClockStep | undefined
  let told = false
  let keptSkew: number | null = null

  const keep = Effect.suspend(() => file.write({ eras: [...eras] }))

  const stepped = (stepMillis: number, when: string) =>
    Effect.gen(function* () {
      const seconds = Math.round(stepMillis) / 1_000
      step = { seconds, at: clock.currentTimeMillisUnsafe() / 1_000 }
      yield* status.clockStepped(seconds)
      yield* Effect.logWarning(
        `this machine's clock was set ${seconds > 0 ? "forward" : "back"} by ${spoken(stepMillis)}${when}: scrapes go on by its new time, and the server is told`
      )
      yield* keep
    })

  const before: ReadonlyArray<Era> = (yield* file.read)?.eras ?? []
  const start = resumed(before, boot, offset(), spool.level().lastId)
  eras = start.eras
  if (start.stepMillis !== 0) yield* stepped(start.stepMillis, " while the agent was not running")
  else yield* keep

  const notice = Effect.gen(function* () {
    const look = moved(eras, offset(), spool.level().lastId)
    eras = look.eras
    if (look.stepMillis !== 0) yield* stepped(look.stepMillis, "")
  })

  const tell = (skew: number) =>
    Effect.gen(function* () {
      yield* status.clockSkew(skew)
      if (!told && Math.abs(skew) >= SKEW_TOLD_MILLIS) {
        told = true
        yield* Effect.logWarning(
          `this machine's clock is ${spoken(skew)} ${skew > 0 ? "ahead of" : "behind"} the server's: set it right (timedatectl, chrony, systemd-timesyncd), here or there`
        )
      } else if (told && Math.abs(skew) < SKEW_TOLD_MILLIS / 2) {
        told = false
        yield* Effect.log("this machine's clock agrees with the server's again")
      }
    })

  return MachineClock.of({
    steadyMillis: () => startedAt + monotonic(),
    notice,
    step: () => step,
    answered: ({ at, date, roundTripMillis }) =>
      Effect.gen(function* () {
        const server = date === undefined ? Number.NaN : Date.parse(date)
        if (!Number.isFinite(server) || roundTripMillis > ROUND_TRIP_MILLIS_MAX) return
        const skew = at - roundTripMillis / 2 - (server + DATE_MILLIS / 2)
        const bound = roundTripMillis / 2 + DATE_MILLIS / 2
        const sure = Math.abs(skew) <= bound ? 0 : skew
        eras = measured(eras, sure)
        yield* tell(sure)
        if (keptSkew !== null && Math.abs(sure - keptSkew) < SKEW_KEPT_MILLIS) return
        keptSkew = sure
        yield* keep
      }),
    refused: (ids) =>
      Effect.gen(function* () {
        const known = eras
        for (const id of ids) eras = refused(eras, id)
        if (eras.some((era, index) => era.correction !== known[index]?.correction)) yield* keep
      }),
    correctionOf: (id) => correctionOf(eras, id)
  })
})

/** To the second: nobody reads more. */
const spoken = (millis: number): string => Duration.format(Duration.seconds(Math.round(Math.abs(millis) / 1_000)))
