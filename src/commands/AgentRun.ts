/** What `nodepulse agent` does: the agent under its supervisor, until it is stopped. */
import { Effect, Layer } from "effect"
import { layerSpool, layerStatus, makeAgent } from "../../agent/Agent.ts"
import * as BootClock from "../../agent/clock/BootClock.ts"
import * as Collectors from "../../agent/collector/CollectorLinux.ts"
import { AgentConfig, DEFAULT_CONFIG_PATH } from "../../agent/config/AgentConfig.ts"
import { redactedUrl } from "../../agent/config/ShownUrl.ts"
import * as Supervisor from "../engine/Supervisor.ts"
import * as Systemd from "../Systemd.ts"
import { CommandFailed } from "./Input.ts"

/** The configuration: of the file that was named, else of the usual one. */
export const configurationOf = (path: string | undefined) => AgentConfig.layer(path === undefined ? {} : { path })

/** Runs the agent of that configuration. */
export const runAgent = (path: string | undefined) => {
  const layer = layerStatus.pipe(
    Layer.provideMerge(Layer.mergeAll(layerSpool, Collectors.layer)),
    Layer.provideMerge(configurationOf(path)),
    Layer.provideMerge(BootClock.layer)
  )
  return Effect.gen(function* () {
    const { exporters, server } = yield* AgentConfig
    if (server === undefined) {
      return yield* new CommandFailed({
        reason: `no server is configured: name its url and a token_file under "server" in ${path ?? DEFAULT_CONFIG_PATH}`
      })
    }
    const agent = yield* makeAgent
    yield* Effect.logInfo(
      `scraping ${exporters.map(({ exporter }) => exporter.name).join(", ")} for ${redactedUrl(server.url)}`
    )
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
}
