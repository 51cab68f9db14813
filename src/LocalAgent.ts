/**
 * The agent for the very machine that the server runs on: what `nodepulse start` adds, so that the page shows something
 * without any configuration.
 *
 * It is the ordinary agent with a token of its own, over HTTP like every other, and reads the same file by the same rules. The machine is registered once; its token
 * is kept in the data folder, and made anew where the database does not know it (any more). Its spool is there as well.
 */
import { hostname } from "node:os"
import { join } from "node:path"
import { Duration, Effect, Layer, Option, Redacted } from "effect"
import { layerSpool, layerStatus } from "../agent/Agent.ts"
import * as BootClock from "../agent/clock/BootClock.ts"
import * as Collectors from "../agent/collector/CollectorLinux.ts"
import { AgentConfig, type AgentConfigShape } from "../agent/config/AgentConfig.ts"
import { Servers, Tokens } from "./access/Servers.ts"
import { ServerTls } from "./http/server/Tls.ts"
import { forgetSecret, keptSecret, Settings } from "./Settings.ts"
import { whileAway } from "./sinks/postgres/Database.ts"

const TOKEN_FILE = "agent-token"

/** The services of the agent that pushes to `url`, by what its file says (`AgentConfigOptions.embedded`). */
export const layer = (url: string, settings: AgentConfigShape) =>
  layerStatus.pipe(
    Layer.provideMerge(Layer.mergeAll(layerSpool, Collectors.layer)),
    Layer.provideMerge(Layer.effect(AgentConfig, config(url, settings))),
    Layer.provideMerge(BootClock.layer)
  )

const config = (url: string, settings: AgentConfigShape) =>
  Effect.gen(function* () {
    const { dataDir } = yield* Settings
    const token = yield* ownToken
    const tls = yield* ServerTls
    // By the loopback address, whatever the certificate of now is for: it is our own.
    const connection = Effect.sync(() =>
      tls === undefined ? {} : { ca: tls.material().cert, serverName: tls.name() ?? "localhost" }
    )
    return {
      ...settings,
      server: {
        url,
        token: Effect.succeed(token),
        timeout: Duration.seconds(30),
        ca: undefined,
        connection
      },
      buffer: { ...settings.buffer, path: join(dataDir, "spool") },
      selfName: "nodepulse"
    }
  })

const ownToken = Effect.gen(function* () {
  const { dataDir } = yield* Settings
  const servers = yield* Servers
  const tokens = yield* Tokens
  const register = whileAway(servers.register(hostname())).pipe(Effect.map(({ token }) => Redacted.value(token)))
  const kept = yield* keptSecret(dataDir, TOKEN_FILE, register)
  const principal = yield* whileAway(tokens.verify(kept))
  if (Option.isSome(principal) && principal.value.kind === "agent") return kept
  yield* Effect.logInfo("this machine is not known to the database and is registered again")
  yield* forgetSecret(dataDir, TOKEN_FILE)
  return yield* keptSecret(dataDir, TOKEN_FILE, register)
})
