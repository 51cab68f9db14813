/**
 * The package of the program that acts, `nodepulse-hands`: one command, and nothing of collector or server, so that it bundles into one
 * small file. The same command is part of `nodepulse`, as `nodepulse hands`.
 */
import { Command } from "effect/cli"
import { handsCommand } from "./commands/HandsCommand.ts"
import { runProgram } from "./commands/Program.ts"

runProgram(Command.withSubcommands(Command.make("nodepulse-hands"), [handsCommand]))
