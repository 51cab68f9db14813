/**
 * `nodepulse rollup rebuild | status`: the buckets that long windows are answered from.
 *
 * A rebuild runs beside everything else and may be interrupted and run again: what it has not come to stays as it was, and
 * answers are right at every moment, since a bucket that is to be computed again is not used until it was.
 */
import { Effect, Layer } from "effect"
import { Command } from "effect/cli"
import * as Storage from "../Storage.ts"
import { type RollupProgress, Rollups } from "../sinks/rollups/Rollups.ts"
import { say } from "./Terminal.ts"

const ports = Rollups.layer.pipe(
  Layer.provide(Storage.migratedClient),
  Layer.provide(Storage.DatabaseAddress.layerShared)
)

const BAR_WIDTH = 30

/** `██████████░░░░░░░░░░ 1024 of 2048 buckets` */
const bar = ({ done, left }: RollupProgress): string => {
  const whole = done + left
  const filled = whole === 0 ? BAR_WIDTH : Math.round((BAR_WIDTH * done) / whole)
  return `${"█".repeat(filled)}${"░".repeat(BAR_WIDTH - filled)} ${done} of ${whole} buckets`
}

/** One line that is written over where a person watches, a line each where a file does. */
const show = (progress: RollupProgress) =>
  Effect.sync(() => {
    if (process.stderr.isTTY) process.stderr.write(`\r\x1b[2K${bar(progress)}${progress.left === 0 ? "\n" : ""}`)
    else process.stderr.write(`${bar(progress)}\n`)
  })

const rebuild = Command.make(
  "rebuild",
  {},
  Effect.fnUntraced(function* () {
    const rollups = yield* Rollups
    const buckets = yield* rollups.rebuild({ progress: show })
    yield* say(`${buckets} buckets were computed anew`)
  }, Effect.provide(ports))
).pipe(
  Command.withDescription(
    "Compute all roll-ups anew from the rows that are there; needed after a change of `staleAfter`. Buckets older than the rows stay."
  )
)

const status = Command.make(
  "status",
  {},
  Effect.fnUntraced(function* () {
    const { buckets, lagSeconds } = yield* (yield* Rollups).stats
    yield* say(
      buckets === 0 ? "up to date" : `${buckets} buckets are waiting, the oldest for ${Math.round(lagSeconds)} s`
    )
  }, Effect.provide(ports))
).pipe(Command.withDescription("Show how far behind the roll-ups are"))

export const rollupCommand = Command.make("rollup").pipe(
  Command.withDescription("Look at the roll-ups, or compute them anew"),
  Command.withSubcommands([status, rebuild])
)
