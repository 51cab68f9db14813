/**
 * How a command line of NodePulse runs: what its commands stand on, its signals, and what is said when it fails.
 *
 * Exits with 0 where all went well, 1 where not, with the reason on standard error. The first Ctrl-C (or SIGTERM) lets
 * the work under way end, for at most 20 seconds; a second one ends at once.
 */
import { NodeRuntime, NodeServices } from "@effect/platform-node"
import { Cause, Console, Effect, Exit, Layer, Logger } from "effect"
import { CliError, Command } from "effect/cli"
import manifest from "../../package.json" with { type: "json" }
import config from "../../plugins.config.ts"
import { Registry } from "../plugins/Registry.ts"

/** Signals within this time are one press of Ctrl-C. */
const ONE_PRESS_SECONDS = 0.7
/**
 * Longer than all that is bounded takes together, and less than the 30 seconds after which others kill. What is left then is
 * a database that hangs: its client waits for answers that cannot be interrupted.
 */
const STOP_WITHIN_SECONDS = 20

/** One line for people; the stack is for defects only. */
const report = (cause: Cause.Cause<unknown>): Effect.Effect<void> => {
  if (Cause.hasInterruptsOnly(cause)) return Effect.void
  const error = Cause.squash(cause)
  if (CliError.isCliError(error)) return Effect.void
  const message = error instanceof Error && !Cause.hasDies(cause) ? error.message : Cause.pretty(cause)
  return Console.error(`nodepulse: ${message}`)
}

/** Nothing is lost: what was not acknowledged is delivered again. */
const giveUp = () => {
  process.stderr.write(
    `nodepulse: not stopped within ${STOP_WITHIN_SECONDS} s, something does not answer; ending now\n`
  )
  process.exit(1)
}

/** Runs a command with the enabled exporters, and ends the process. */
export const runProgram = <Name extends string, Input, E>(
  command: Command.Command<Name, Input, unknown, E, Registry | NodeServices.NodeServices>
): void => {
  let firstSignal: number | undefined
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.on(signal, () => {
      // In a terminal one Ctrl-C arrives twice below npm: once from the terminal, once handed on by npm.
      if (firstSignal !== undefined && process.uptime() - firstSignal > ONE_PRESS_SECONDS) process.exit(130)
      if (firstSignal === undefined) setTimeout(giveUp, STOP_WITHIN_SECONDS * 1_000).unref()
      firstSignal ??= process.uptime()
    })
  }
  Command.run(command, { version: manifest.version }).pipe(
    Effect.provide(Layer.mergeAll(Registry.layer(config), Logger.layer([Logger.consolePretty()]))),
    Effect.provide(NodeServices.layer),
    Effect.tapCause(report),
    NodeRuntime.runMain({
      disableErrorReporting: true,
      teardown: (exit, onExit) => onExit(Exit.isSuccess(exit) || Cause.hasInterruptsOnly(exit.cause) ? 0 : 1)
    })
  )
}
