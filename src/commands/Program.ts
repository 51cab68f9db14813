/** How a command line of NodePulse runs: what its commands stand on. The process it runs in is `Process.ts`. */
import { NodeServices } from "@effect/platform-node"
import { Effect } from "effect"
import { CliError, Command } from "effect/cli"
import manifest from "../../package.json" with { type: "json" }
import type { Registry } from "../plugins/Registry.ts"
import { runProcess } from "./Process.ts"

/** Runs a command, and ends the process. */
export const runProgram = <Name extends string, Input, E>(
  command: Command.Command<Name, Input, unknown, E, Registry | NodeServices.NodeServices>
): void =>
  runProcess(
    Command.run(command, { version: manifest.version }).pipe(Effect.provide(NodeServices.layer)),
    CliError.isCliError
  )
