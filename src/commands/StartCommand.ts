/** `nodepulse start` and `nodepulse server`: everything in one process, or its roles in processes of their own. */
import { Effect, Option } from "effect"
import { Command, Flag } from "effect/cli"
import { loadAgentConfig } from "../../agent/config/AgentConfig.ts"
import * as Server from "../Server.ts"
import { Settings } from "../Settings.ts"
import { configFlag } from "./AgentCommand.ts"
import { CommandFailed } from "./Input.ts"

export const startCommand = Command.make(
  "start",
  { config: configFlag },
  Effect.fnUntraced(function* ({ config }) {
    const agent = yield* loadAgentConfig({
      ...(Option.isSome(config) ? { path: config.value } : {}),
      embedded: true
    })
    yield* Server.run({ roles: new Set(["ingest", "digest", "api"]), agent, listen: true })
  })
).pipe(
  Command.withDescription(
    "Run everything in one process, with an agent for this machine, whose exporters are as its configuration says. Without DATABASE_URL and VALKEY_URL it brings its own PostgreSQL and keeps the stream in process."
  )
)

/**
 * Whether what we say ends up in a log that others read (systemd's journal, a container's): a link that signs in has no place
 * there.
 */
const quiet = () =>
  process.env.JOURNAL_STREAM === undefined && process.stdout.isTTY
    ? {}
    : { onReady: (url: string) => Effect.logInfo(`ready on ${url}; nodepulse sign-in makes a link to sign in with`) }

const role = Flag.Literals("role", ["all", "ingest", "digest", "api"]).pipe(
  Flag.withDescription("What this process does: take snapshots, store them, answer questions, or all of it"),
  Flag.withDefault("all" as const)
)

export const serverCommand = Command.make(
  "server",
  { role },
  Effect.fnUntraced(function* ({ role }) {
    const { databaseUrl, valkeyUrl } = yield* Settings
    if (role === "all") {
      return yield* Server.run({ roles: new Set(["ingest", "digest", "api"]), agent: false, listen: true, ...quiet() })
    }
    if (Option.isNone(databaseUrl) || (Option.isNone(valkeyUrl) && role !== "api")) {
      const missing = Option.isNone(databaseUrl) ? "DATABASE_URL" : "VALKEY_URL"
      return yield* new CommandFailed({
        reason: `--role ${role} needs ${missing}: processes can share neither the embedded database nor the stream in process`
      })
    }
    // A digest answers nobody's questions; where it is given a port, it shows its health and metrics there.
    const listen = role !== "digest" || process.env.NODEPULSE_PORT !== undefined
    yield* Server.run({ roles: new Set([role]), agent: false, listen, ...quiet() })
  })
).pipe(
  Command.withDescription("Run the server, or one role of it, without an agent"),
  Command.withExamples([
    { command: "nodepulse server", description: "All roles in one process" },
    { command: "nodepulse server --role digest", description: "Only store what is in the stream" }
  ])
)
