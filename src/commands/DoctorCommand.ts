/** `nodepulse doctor`: checks this host, agent and server, each where there is one, and says what to do. */
import { existsSync } from "node:fs"
import { Effect, Option } from "effect"
import { Command, Flag } from "effect/cli"
import { DEFAULT_CONFIG_PATH } from "../../agent/config/AgentConfig.ts"
import { Settings } from "../Settings.ts"
import { conclude } from "./Diagnosis.ts"
import { configFlag, diagnoseAgent } from "./DoctorAgent.ts"
import { diagnoseServer, settingsOf } from "./DoctorServer.ts"
import { readUnit } from "./SystemdUnit.ts"

const part = Flag.Literals("part", ["auto", "agent", "server"]).pipe(
  Flag.withDescription(
    "What to check; auto is the agent where it has a configuration, and the server where it has settings"
  ),
  Flag.withDefault("auto" as const)
)

export const doctorCommand = Command.make(
  "doctor",
  { config: configFlag, part },
  Effect.fnUntraced(function* ({ config, part }) {
    const unit = yield* readUnit("nodepulse-server.service")
    const { dataDir, databaseUrl } = yield* unit === undefined
      ? Settings
      : Effect.catch(settingsOf(unit), () => Settings)
    const configured =
      Option.isSome(config) ||
      existsSync(DEFAULT_CONFIG_PATH) ||
      (yield* readUnit("nodepulse-agent.service")) !== undefined
    const agent = part === "agent" || (part === "auto" && configured)
    // Who names the agent's configuration asks about the agent.
    const settled = unit !== undefined || Option.isSome(databaseUrl) || existsSync(dataDir)
    const server = part === "server" || (part === "auto" && Option.isNone(config) && (settled || !configured))
    yield* conclude([
      ...(agent ? yield* diagnoseAgent(Option.getOrUndefined(config)) : []),
      ...(server ? yield* diagnoseServer(part === "server") : [])
    ])
  })
).pipe(
  Command.withDescription(
    "Check this host: exporters, configuration, spool, server, token and clock for an agent; database, migrations, stream and disk for a server. Says what to do, and exits 1 where something is wrong."
  ),
  Command.withExamples([
    { command: "nodepulse doctor", description: "Whatever of NodePulse is on this host" },
    { command: "nodepulse doctor --config ./nodepulse.yml", description: "The agent, with a configuration of its own" }
  ])
)
