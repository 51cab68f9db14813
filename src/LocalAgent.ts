/**
 * The agent for the very machine that the server runs on: what `nodepulse start` adds, so that the page shows something
 * without any configuration.
 *
 * It is the ordinary agent with a token of its own, over HTTP like every other. The machine is registered once; its token
 * is kept in the data folder, and made anew where the database does not know it (any more). Its spool is there as well.
 */
import { hostname } from "node:os"
import { join } from "node:path"
import { Duration, Effect, Layer, Option, Redacted } from "effect"
import { layerSpool } from "../agent/Agent.ts"
import { AgentConfig, withDefaults } from "../agent/AgentConfig.ts"
import { AgentStatus } from "../agent/AgentStatus.ts"
import * as Collectors from "../agent/CollectorLinux.ts"
import { Registry } from "./plugins/Registry.ts"
import { forgetSecret, keptSecret, Settings } from "./Settings.ts"
import { whileAway } from "./sinks/Database.ts"
import { Servers, Tokens } from "./sinks/Servers.ts"

const TOKEN_FILE = "agent-token"

/** The services of the agent that pushes to `url`. */
export const layer = (url: string) =>
  Layer.mergeAll(layerSpool, AgentStatus.layer, Collectors.layer).pipe(
    Layer.provideMerge(Layer.effect(AgentConfig, config(url)))
  )

const config = (url: string) =>
  Effect.gen(function* () {
    const { exporters } = yield* Registry
    const { dataDir } = yield* Settings
    const token = yield* ownToken
    const shape = withDefaults({}, exporters, undefined, [])
    return {
      ...shape,
      server: { url, token: Effect.succeed(token), timeout: Duration.seconds(30), ca: undefined },
      buffer: { ...shape.buffer, path: join(dataDir, "spool") }
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
