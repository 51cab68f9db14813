/** `nodepulse agent`: scrape this machine's exporters and push to a server. */
import { Effect, Option } from "effect"
import { Command, Flag } from "effect/cli"
import { AgentConfig, DEFAULT_CONFIG_PATH } from "../../agent/config/AgentConfig.ts"
import { redactedUrl } from "../../agent/config/ShownUrl.ts"
import { configurationOf, runAgent } from "./AgentRun.ts"
import { enrollCommand } from "./EnrollCommand.ts"

/** Of `agent` and of `start`. */
export const configFlag = Flag.String("config").pipe(
  Flag.withAlias("c"),
  Flag.withDescription(`The agent's configuration; ${DEFAULT_CONFIG_PATH} where none is named`),
  Flag.optional
)

const check = Flag.Boolean("check").pipe(
  Flag.withDescription("Read the configuration, say what is wrong with it, and end"),
  Flag.withDefault(false)
)

export const agentCommand = Command.make(
  "agent",
  { check, config: configFlag },
  Effect.fnUntraced(function* ({ check, config }) {
    const path = Option.getOrUndefined(config)
    if (check) {
      return yield* Effect.gen(function* () {
        const { exporters, server, warnings } = yield* AgentConfig
        for (const warning of warnings) yield* Effect.logWarning(warning)
        const names = exporters.map(({ exporter }) => exporter.name).join(", ")
        yield* Effect.logInfo(
          `the configuration is valid: ${names || "no exporter"} to ${server === undefined ? "nowhere" : redactedUrl(server.url)}`
        )
      }).pipe(Effect.provide(configurationOf(path)))
    }
    yield* runAgent(path)
  })
).pipe(
  Command.withDescription("Scrape this machine's exporters and push to the server"),
  Command.withExamples([
    { command: "nodepulse agent --config ./nodepulse.yml", description: "With a configuration of your own" }
  ]),
  Command.withSubcommands([enrollCommand])
)
