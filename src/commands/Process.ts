/**
 * How a program of NodePulse runs as a process: its exporters and log, its signals, and what is said when it fails.
 *
 * Exits with 0 where all went well, 1 (or what the failure says) where not, with the reason on standard error. The first Ctrl-C (or SIGTERM) lets
 * the work under way end, for at most 20 seconds; a second one ends at once.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Cause, Effect, Exit, Layer, Logger, Runtime } from "effect"
import config from "../../plugins.config.ts"
import { Registry } from "../plugins/Registry.ts"
import { makeLogger, sayAside } from "./Terminal.ts"

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
  const message = error instanceof Error && !Cause.hasDies(cause) ? error.message : Cause.pretty(cause)
  return sayAside(`nodepulse: ${message}`)
}

/** Nothing is lost: what was not acknowledged is delivered again. */
const giveUp = () => {
  process.stderr.write(
    `nodepulse: not stopped within ${STOP_WITHIN_SECONDS} s, something does not answer; ending now\n`
  )
  process.exit(1)
}

/** Runs the program with the enabled exporters, and ends the process. `isTold` says of which failures nothing is to be said. */
export const runProcess = <A, E>(
  program: Effect.Effect<A, E, Registry>,
  isTold: (failure: unknown) => boolean = () => false
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
  program.pipe(
    Effect.provide(Layer.mergeAll(Registry.layer(config), Logger.layer([makeLogger()]))),
    Effect.tapCause((cause) => (isTold(Cause.squash(cause)) ? Effect.void : report(cause))),
    NodeRuntime.runMain({
      disableErrorReporting: true,
      teardown: (exit, onExit) =>
        onExit(
          Exit.isSuccess(exit) || Cause.hasInterruptsOnly(exit.cause)
            ? 0
            : Runtime.getErrorExitCode(Cause.squash(exit.cause))
        )
    })
  )
}
