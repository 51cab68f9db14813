/** `nodepulse migrate` and `token …`: what an administrator does with the database at hand. */
import { Console, DateTime, Effect, Layer, Option, Redacted } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import * as Storage from "../Storage.ts"
import * as Migrations from "../sinks/Migrations.ts"
import { Servers, Tokens } from "../sinks/Servers.ts"
import * as ServersPostgres from "../sinks/ServersPostgres.ts"
import * as TokensPostgres from "../sinks/TokensPostgres.ts"
import { CommandFailed } from "./Input.ts"

const address = Storage.DatabaseAddress.layerShared
const ports = Layer.mergeAll(ServersPostgres.layer, TokensPostgres.layer).pipe(
  Layer.provide(Storage.migratedClient),
  Layer.provide(address)
)

export const migrateCommand = Command.make(
  "migrate",
  {},
  Effect.fnUntraced(function* () {
    const migrated = yield* Effect.flatMap(Storage.migrations, Migrations.migrate).pipe(
      Effect.provide(Storage.client.pipe(Layer.provide(address)))
    )
    for (const name of migrated.applied) yield* Console.log(`applied ${name}`)
    yield* Console.log(
      migrated.applied.length === 0
        ? `nothing to do: all ${migrated.alreadyApplied} migrations are applied`
        : `${migrated.applied.length} applied, ${migrated.alreadyApplied} were there already`
    )
  })
).pipe(Command.withDescription("Bring the database up to date. The server does it too when it starts."))

/** To the minute, UTC. */
export const day = (millis: number) => DateTime.formatIso(DateTime.makeUnsafe(millis)).slice(0, 16).replace("T", " ")

const createToken = Command.make(
  "create",
  {
    kind: Flag.Literals("kind", ["agent", "read", "admin"]).pipe(
      Flag.withDescription("What it is for: push for one server, read everything, or administer"),
      Flag.withDefault("agent" as const)
    ),
    server: Flag.String("server").pipe(
      Flag.withDescription("The server that an agent's token belongs to: its id, or the name of a new one"),
      Flag.optional
    ),
    note: Flag.String("note").pipe(Flag.withDescription("Whose it is, for the list"), Flag.withDefault(""))
  },
  Effect.fnUntraced(function* ({ kind, note, server }) {
    const servers = yield* Servers
    const tokens = yield* Tokens
    if (kind !== "agent") {
      if (Option.isSome(server)) {
        return yield* new CommandFailed({ reason: `--server goes with --kind agent, not with --kind ${kind}` })
      }
      const { info, token } = yield* tokens.create({ kind, note })
      return yield* print(token, `token ${info.tokenId}, kind ${kind}`)
    }
    if (Option.isNone(server)) {
      return yield* new CommandFailed({ reason: "name the server that the agent runs on: --server web-1" })
    }
    const known = yield* Effect.option(servers.get(server.value))
    if (Option.isSome(known)) {
      const { info, token } = yield* tokens.create({ kind, serverId: known.value.serverId, note })
      return yield* print(token, `token ${info.tokenId} for server ${known.value.serverId}`)
    }
    const registered = yield* servers.register(server.value)
    yield* print(registered.token, `new server ${registered.server.serverId}, called ${registered.server.name}`)
  }, Effect.provide(ports))
).pipe(
  Command.withDescription("Make a token. It is printed once, on standard output; only a hash of it is stored."),
  Command.withExamples([
    { command: "nodepulse token create --server web-1 > web-1.token", description: "For the agent of a new server" },
    { command: "nodepulse token create --kind read --note grafana", description: "For somebody who only reads" }
  ])
)

/** The token alone goes to standard output, so that it can be piped into a file. */
const print = (token: Redacted.Redacted<string>, what: string) =>
  Effect.andThen(Console.error(what), Console.log(Redacted.value(token)))

const revokeToken = Command.make(
  "revoke",
  { id: Argument.String("id").pipe(Argument.withDescription("As `token list` shows it")) },
  Effect.fnUntraced(function* ({ id }) {
    yield* (yield* Tokens).revoke(id)
    yield* Console.log(`revoked ${id}; it is refused everywhere within seconds`)
  }, Effect.provide(ports))
).pipe(Command.withDescription("Take a token back"))

const listTokens = Command.make(
  "list",
  {},
  Effect.fnUntraced(function* () {
    const all = yield* (yield* Tokens).list
    if (all.length === 0) yield* Console.log("there are no tokens")
    for (const { createdAt, kind, note, revokedAt, serverId, tokenId } of all) {
      const state = revokedAt === null ? "" : `  revoked ${day(revokedAt)}`
      yield* Console.log(
        `${tokenId}  ${kind.padEnd(5)}  ${(serverId ?? "-").padEnd(24)}  ${day(createdAt)}  ${note}${state}`
      )
    }
  }, Effect.provide(ports))
).pipe(Command.withDescription("List all tokens, without the tokens themselves"))

export const tokenCommand = Command.make("token").pipe(
  Command.withDescription("Make, list and revoke tokens for agents, readers and administrators"),
  Command.withSubcommands([createToken, listTokens, revokeToken])
)
