/**
 * The command line: `nodepulse <command>`. What each does is in `src/commands`; the server's tree in `src/Server.ts`.
 * How it runs and how it exits is in `src/commands/Program.ts`.
 */
import { Command } from "effect/cli"
import { agentCommand } from "./commands/AgentCommand.ts"
import {
  auditCommand,
  migrateCommand,
  signInCommand,
  streamKeyCommand,
  tokenCommand
} from "./commands/DatabaseCommands.ts"
import { deadLettersCommand } from "./commands/DeadLettersCommand.ts"
import { doctorCommand } from "./commands/DoctorCommand.ts"
import { expositionCommand } from "./commands/ExpositionCommand.ts"
import { handsCommand } from "./commands/HandsCommand.ts"
import { pluginsCommand } from "./commands/PluginsCommand.ts"
import { runProgram } from "./commands/Program.ts"
import { rollupCommand } from "./commands/RollupCommand.ts"
import { actCommand } from "./commands/remote/ActCommand.ts"
import { alertsCommand } from "./commands/remote/AlertsCommand.ts"
import { approveCommand } from "./commands/remote/ApproveCommand.ts"
import { diffCommand } from "./commands/remote/DiffCommand.ts"
import { groupsCommand } from "./commands/remote/GroupsCommand.ts"
import { loginCommand, logoutCommand } from "./commands/remote/LoginCommand.ts"
import { noteCommand } from "./commands/remote/NoteCommand.ts"
import { notifyCommand } from "./commands/remote/NotifyCommand.ts"
import { rulesCommand } from "./commands/remote/RulesCommand.ts"
import { silencesCommand } from "./commands/remote/SilencesCommand.ts"
import { topCommand } from "./commands/remote/TopCommand.ts"
import { serverCommand, startCommand } from "./commands/StartCommand.ts"
import { Settings } from "./Settings.ts"

const nodepulse = Command.make("nodepulse").pipe(
  Command.withDescription("Which processes are eating the CPU and memory of this server, now and over time?"),
  Command.withSubcommands([
    startCommand,
    serverCommand,
    loginCommand,
    logoutCommand,
    topCommand,
    diffCommand,
    noteCommand,
    groupsCommand,
    alertsCommand,
    silencesCommand,
    rulesCommand,
    notifyCommand,
    actCommand,
    approveCommand,
    agentCommand,
    handsCommand,
    migrateCommand,
    tokenCommand,
    signInCommand,
    auditCommand,
    streamKeyCommand,
    deadLettersCommand,
    rollupCommand,
    doctorCommand,
    pluginsCommand,
    expositionCommand
  ]),
  Command.provide(Settings.layer)
)

runProgram(nodepulse)
