/**
 * The command line: `nodepulse <command>`. What each does is in `src/commands`; the server's tree in `src/Server.ts`.
 *
 * Exits with 0 where all went well, 1 where not, with the reason on standard error. The first Ctrl-C (or SIGTERM) lets
 * the work under way end; a second one ends at once.
 */
import { NodeRuntime, NodeServices } from "@effect/platform-node"
import { Cause, Console, Effect, Exit, Layer, Logger } from "effect"
import { CliError, Command } from "effect/cli"
import manifest from "../package.json" with { type: "json" }
import config from "../plugins.config.ts"
import { agentCommand } from "./commands/AgentCommand.ts"
import { deadLettersCommand, migrateCommand, tokenCommand } from "./commands/DatabaseCommands.ts"
import { expositionCommand } from "./commands/ExpositionCommand.ts"
import { pluginsCommand } from "./commands/PluginsCommand.ts"
import { serverCommand, startCommand } from "./commands/StartCommand.ts"
import { Registry } from "./plugins/Registry.ts"
import { Settings } from "./Settings.ts"

const nodepulse = Command.make("nodepulse").pipe(
  Command.withDescription("Which processes are eating the CPU and memory of this server, now and over time?"),
  Command.withSubcommands([
    startCommand,
    serverCommand,
    agentCommand,
    migrateCommand,
    tokenCommand,
    deadLettersCommand,
    pluginsCommand,
    expositionCommand
  ])
)

/** One line for people; the stack is for defects only. */
const report = (cause: Cause.Cause<unknown>): Effect.Effect<void> => {
  if (Cause.hasInterruptsOnly(cause)) return Effect.void
  const error = Cause.squash(cause)
  if (CliError.isCliError(error)) return Effect.void
  const message = error instanceof Error && !Cause.hasDies(cause) ? error.message : Cause.pretty(cause)
  return Console.error(`nodepulse: ${message}`)
}

let signals = 0
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.on(signal, () => {
    if (++signals > 1) process.exit(130)
  })
}

Command.run(nodepulse, { version: manifest.version }).pipe(
  Effect.provide(Layer.mergeAll(Registry.layer(config), Settings.layer, Logger.layer([Logger.consolePretty()]))),
  Effect.provide(NodeServices.layer),
  Effect.tapCause(report),
  NodeRuntime.runMain({
    disableErrorReporting: true,
    teardown: (exit, onExit) => onExit(Exit.isSuccess(exit) || Cause.hasInterruptsOnly(exit.cause) ? 0 : 1)
  })
)
