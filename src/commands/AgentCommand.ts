/** `nodepulse agent`: scrape this machine's exporters and push to a server. */
import { Effect, Layer, Option } from "effect"
import { Command, Flag } from "effect/cli"
import { layerSpool, makeAgent } from "../../agent/Agent.ts"
import { AgentConfig, DEFAULT_CONFIG_PATH } from "../../agent/AgentConfig.ts"
import { AgentStatus } from "../../agent/AgentStatus.ts"
import * as Collectors from "../../agent/CollectorLinux.ts"
import * as Supervisor from "../engine/Supervisor.ts"
import * as Systemd from "../Systemd.ts"
import { CommandFailed } from "./Input.ts"

const config = Flag.String("config").pipe(
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
  { check, config },
  Effect.fnUntraced(function* ({ check, config }) {
    const configuration = AgentConfig.layer(Option.isSome(config) ? { path: config.value } : {})
    const layer = Layer.mergeAll(layerSpool, AgentStatus.layer, Collectors.layer).pipe(
      Layer.provideMerge(configuration)
    )
    if (check) {
      return yield* Effect.gen(function* () {
        const { exporters, server, warnings } = yield* AgentConfig
        for (const warning of warnings) yield* Effect.logWarning(warning)
        const names = exporters.map(({ exporter }) => exporter.name).join(", ")
        yield* Effect.logInfo(`the configuration is valid: ${names || "no exporter"} to ${server?.url ?? "nowhere"}`)
      }).pipe(Effect.provide(configuration))
    }
    yield* Effect.gen(function* () {
      const { exporters, server } = yield* AgentConfig
      if (server === undefined) {
        return yield* new CommandFailed({
          reason: `no server is configured: name its url and a token_file under "server" in ${Option.getOrElse(config, () => DEFAULT_CONFIG_PATH)}`
        })
      }
      const agent = yield* makeAgent
      yield* Effect.logInfo(`scraping ${exporters.map(({ exporter }) => exporter.name).join(", ")} for ${server.url}`)
      yield* Supervisor.make({
        name: "agent",
        children: [...agent.children, ...(yield* Systemd.children)],
        drain: agent.drain,
        maxRestarts: 10,
        backoff: { from: "100 millis", to: "30 seconds" },
        healthyAfter: "1 minute",
        stopWithin: "5 seconds"
      }).run
    }).pipe(Effect.provide(layer))
  })
).pipe(
  Command.withDescription("Scrape this machine's exporters and push to the server"),
  Command.withExamples([
    { command: "nodepulse agent --config ./nodepulse.yml", description: "With a configuration of your own" }
  ])
)
