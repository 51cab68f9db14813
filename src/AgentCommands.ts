/**
 * The command line of the agent's own package, `nodepulse-agent <command>`: what a monitored machine needs, and nothing
 * of the server, so that it bundles into one small file. The same commands are part of `nodepulse`.
 */
import { Command } from "effect/cli"
import { agentCommand } from "./commands/AgentCommand.ts"
import { agentDoctorCommand } from "./commands/DoctorAgent.ts"
import { expositionCommand } from "./commands/ExpositionCommand.ts"
import { pluginsCommand } from "./commands/PluginsCommand.ts"
import { runProgram } from "./commands/Program.ts"

const nodepulseAgent = Command.make("nodepulse-agent").pipe(
  Command.withDescription("Scrape this machine's exporters and push to a NodePulse server"),
  Command.withSubcommands([agentCommand, agentDoctorCommand, pluginsCommand, expositionCommand])
)

runProgram(nodepulseAgent)
