/** `nodepulse migrate`, `token …`, `sign-in` and `audit`: what an administrator does with the database at hand. */
import { userInfo } from "node:os"
import { PgClient } from "@effect/sql-pg"
import { DateTime, Duration, Effect, Layer, Option, Redacted } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { Audit, CurrentAuthor } from "../access/Audit.ts"
import * as AuditPostgres from "../access/AuditPostgres.ts"
import { record } from "../access/AuditPostgres.ts"
import { isNetwork } from "../access/Networks.ts"
import { type MadeToken, ROLES, Servers, TOKEN_KINDS, type TokenKind, Tokens } from "../access/Servers.ts"
import * as ServersPostgres from "../access/ServersPostgres.ts"
import { Sessions, signInPath } from "../access/Sessions.ts"
import * as SessionsPostgres from "../access/SessionsPostgres.ts"
import * as TokensPostgres from "../access/TokensPostgres.ts"
import { isPrintable } from "../protocol/PrintableText.ts"
import { Settings } from "../Settings.ts"
import * as Storage from "../Storage.ts"
import { answering } from "../sinks/postgres/Database.ts"
import { requireCitus } from "../sinks/storage/Distribution.ts"
import { rotateKeys } from "../sinks/stream/StreamKeys.ts"
import { CommandFailed } from "./Input.ts"
import { say, sayAside } from "./Terminal.ts"

const address = Storage.DatabaseAddress.layerShared
/** What is done from here is done by the user of this shell. */
export const shellAuthor = Layer.succeed(CurrentAuthor, { name: `shell:${userInfo().username}`, address: null })
const ports = Layer.mergeAll(
  ServersPostgres.layer,
  TokensPostgres.layer,
  SessionsPostgres.layer,
  AuditPostgres.layer,
  shellAuthor
).pipe(Layer.provide(Storage.migratedClient), Layer.provide(address))

export const migrateCommand = Command.make(
  "migrate",
  {
    distributed: Flag.Boolean("distributed").pipe(
      Flag.withDescription("Fail, and change nothing, where rows cannot be distributed: the database has no Citus"),
      Flag.withDefault(false)
    )
  },
  Effect.fnUntraced(function* ({ distributed }) {
    const run = distributed ? Effect.andThen(requireCitus, Storage.migrate) : Storage.migrate
    const migrated = yield* run.pipe(Effect.provide(Storage.client.pipe(Layer.provide(address))))
    for (const name of migrated.applied) yield* say(`applied ${name}`)
    for (const name of migrated.distributed) yield* say(`distributed ${name}`)
    yield* say(
      migrated.applied.length === 0 && migrated.distributed.length === 0
        ? `nothing to do: all ${migrated.alreadyApplied} migrations are applied`
        : `${migrated.applied.length} applied, ${migrated.alreadyApplied} were there already`
    )
  })
).pipe(Command.withDescription("Bring the database up to date. The server does it too when it starts."))

/** To the minute, UTC. */
export const day = (millis: number) => DateTime.formatIso(DateTime.makeUnsafe(millis)).slice(0, 16).replace("T", " ")

const kindFlag = Flag.Literals("kind", TOKEN_KINDS).pipe(
  Flag.withDescription(
    "What it is for: push for one server, take in new machines, read everything, run the fleet, or administer"
  ),
  Flag.withDefault("agent" as const)
)

const durationFlag = (name: string) => Flag.String(name).pipe(Flag.optional)

const createToken = Command.make(
  "create",
  {
    kind: kindFlag,
    server: Flag.String("server").pipe(
      Flag.withDescription("The server that an agent's token belongs to: its id, or the name of a new one"),
      Flag.optional
    ),
    note: Flag.String("note").pipe(Flag.withDescription("Whose it is, for the list"), Flag.withDefault("")),
    expires: durationFlag("expires").pipe(
      Flag.withDescription('When it ends, such as "30 days"; never unless given, of enrolment: "1 hour"')
    ),
    uses: Flag.Int("uses").pipe(
      Flag.withDescription("Of enrolment: how many machines it takes in; 1 unless given"),
      Flag.optional
    ),
    network: Flag.String("network").pipe(
      Flag.withDescription("Of enrolment: where they may come from, such as 10.0.0.0/8; may be given several times"),
      Flag.atLeast(0)
    )
  },
  Effect.fnUntraced(function* (flags) {
    const { kind, note, server } = flags
    const servers = yield* Servers
    const tokens = yield* Tokens
    const wrong = misused(kind, Option.isSome(server), flags.network, flags.uses)
    if (wrong !== undefined) return yield* new CommandFailed({ reason: wrong })
    for (const [flag, text] of [["server", Option.getOrElse(server, () => "")] as const, ["note", note] as const]) {
      if (isPrintable(text)) continue
      return yield* new CommandFailed({ reason: `--${flag} ${text} holds control or invisible characters` })
    }
    const lasts = Option.isNone(flags.expires) ? {} : { lastsMillis: yield* durationOf("expires", flags.expires.value) }
    if (kind === "enrolment") {
      const serverId = Option.match(server, { onNone: () => ({}), onSome: (id) => ({ serverId: id }) })
      const uses = Option.getOrElse(flags.uses, () => 1)
      return yield* printMade(
        yield* tokens.create({ kind, note, uses, networks: flags.network, lastsMillis: HOUR, ...lasts, ...serverId })
      )
    }
    if (kind !== "agent") return yield* printMade(yield* tokens.create({ kind, note, ...lasts }))
    const name = Option.getOrElse(server, () => "")
    const known = yield* Effect.option(servers.get(name))
    if (Option.isSome(known)) {
      return yield* printMade(yield* tokens.create({ kind, serverId: known.value.serverId, note, ...lasts }))
    }
    const registered = yield* servers.register(name)
    yield* print(registered.token, `new server ${registered.server.serverId}, called ${registered.server.name}`)
  }, Effect.provide(ports))
).pipe(
  Command.withDescription("Make a token. It is printed once, on standard output; only a hash of it is stored."),
  Command.withExamples([
    { command: "nodepulse token create --server web-1 > web-1.token", description: "For the agent of a new server" },
    { command: "nodepulse token create --kind read --note grafana", description: "For somebody who only reads" },
    {
      command: 'nodepulse token create --kind enrolment --uses 50 --expires "1 day" --network 10.0.0.0/8',
      description: "For fifty new machines, each of which exchanges it for a token of its own: nodepulse agent enroll"
    }
  ])
)

const HOUR = 3_600_000

/** What is wrong with the flags of a kind; undefined where nothing is. */
const misused = (
  kind: TokenKind,
  hasServer: boolean,
  networks: ReadonlyArray<string>,
  uses: Option.Option<number>
): string | undefined => {
  if (kind === "agent" && !hasServer) return "name the server that the agent runs on: --server web-1"
  if (ROLES.some((role) => role === kind) && hasServer)
    return `--server goes with --kind agent, not with --kind ${kind}`
  if (kind !== "enrolment" && (Option.isSome(uses) || networks.length > 0)) {
    return "--uses and --network go with --kind enrolment"
  }
  if (Option.isSome(uses) && (uses.value < 1 || uses.value > 100_000)) return "--uses is a number from 1 to 100000"
  const bad = networks.find((network) => !isNetwork(network))
  return bad === undefined ? undefined : `--network ${bad} is no address, and no network such as 10.0.0.0/8`
}

/** Milliseconds. */
const durationOf = (flag: string, text: string) => {
  const lasts = Duration.fromInput(text as Duration.Input)
  return Option.isSome(lasts) && Duration.isFinite(lasts.value) && Duration.toMillis(lasts.value) > 0
    ? Effect.succeed(Duration.toMillis(lasts.value))
    : Effect.fail(new CommandFailed({ reason: `--${flag} ${text} is no duration such as "30 days" or "1 hour"` }))
}

const printMade = ({ info, token }: MadeToken) =>
  print(
    token,
    [
      `token ${info.tokenId}`,
      info.serverId === null ? `, kind ${info.kind}` : ` for server ${info.serverId}`,
      info.usesLeft === null ? "" : `, for ${info.usesLeft} machines`,
      info.expiresAt === null ? "" : `, until ${day(info.expiresAt)} UTC`
    ].join("")
  )

/** The token alone goes to standard output, so that it can be piped into a file. */
const print = (token: Redacted.Redacted<string>, what: string) =>
  Effect.andThen(sayAside(what), say(Redacted.value(token)))

const revokeToken = Command.make(
  "revoke",
  { id: Argument.String("id").pipe(Argument.withDescription("As `token list` shows it")) },
  Effect.fnUntraced(function* ({ id }) {
    yield* (yield* Tokens).revoke(id)
    yield* say(`revoked ${id}; it is refused everywhere within seconds`)
  }, Effect.provide(ports))
).pipe(Command.withDescription("Take a token back"))

const rotateToken = Command.make(
  "rotate",
  {
    id: Argument.String("id").pipe(Argument.withDescription("As `token list` shows it")),
    overlap: Flag.String("overlap").pipe(
      Flag.withDescription("How long the old token is good beside the new one"),
      Flag.withDefault("1 day")
    )
  },
  Effect.fnUntraced(function* ({ id, overlap }) {
    const millis = yield* durationOf("overlap", overlap)
    yield* printMade(yield* (yield* Tokens).rotate(id, millis))
    yield* sayAside(`token ${id} is good for ${overlap} more`)
  }, Effect.provide(ports))
).pipe(
  Command.withDescription("Put a new token in the place of one; both are good for a while, so that no scrape is lost")
)

const listTokens = Command.make(
  "list",
  {},
  Effect.fnUntraced(function* () {
    const all = yield* (yield* Tokens).list
    if (all.length === 0) yield* say("there are no tokens")
    for (const { createdAt, expiresAt, kind, note, prefix, revokedAt, serverId, tokenId, usedAt, usesLeft } of all) {
      const facts = [
        tokenId.padStart(4),
        kind.padEnd(9),
        `${prefix}…`.padEnd(20),
        (serverId ?? "-").padEnd(24),
        day(createdAt),
        usedAt === null ? "never used" : `used ${day(usedAt)}`,
        ...(usesLeft === null ? [] : [`${usesLeft} uses left`]),
        ...(expiresAt === null ? [] : [`until ${day(expiresAt)}`]),
        ...(revokedAt === null ? [] : [`revoked ${day(revokedAt)}`]),
        note
      ]
      yield* say(facts.join("  ").trimEnd())
    }
  }, Effect.provide(ports))
).pipe(Command.withDescription("List all tokens, without the tokens themselves"))

export const tokenCommand = Command.make("token").pipe(
  Command.withDescription("Make, list, rotate and revoke tokens for agents, machines to be enrolled, and people"),
  Command.withSubcommands([createToken, listTokens, rotateToken, revokeToken])
)

export const signInCommand = Command.make(
  "sign-in",
  {
    role: Flag.Literals("role", ROLES).pipe(
      Flag.withDescription("As what it signs in"),
      Flag.withDefault("admin" as const)
    )
  },
  Effect.fnUntraced(function* ({ role }) {
    const { basePath = "" } = yield* Settings
    const { name } = yield* CurrentAuthor
    const code = yield* (yield* Sessions).newLink({ role, principal: name, name: "", tokenId: null })
    yield* sayAside("open this once, within an hour, on the server's address:")
    yield* say(`${basePath}${signInPath(code)}`)
  }, Effect.provide(ports))
).pipe(Command.withDescription("Make a one-time link that signs in on the page"))

export const auditCommand = Command.make(
  "audit",
  {
    limit: Flag.Int("limit").pipe(Flag.withDescription("How many entries, newest first"), Flag.withDefault(100)),
    before: Flag.String("before").pipe(Flag.withDescription("Only those before this id"), Flag.optional)
  },
  Effect.fnUntraced(function* ({ before, limit }) {
    const page = {
      limit: Math.max(1, Math.min(limit, 10_000)),
      ...Option.match(before, { onNone: () => ({}), onSome: (id) => ({ before: id }) })
    }
    const { entries } = yield* (yield* Audit).list(page)
    if (entries.length === 0) yield* say("nothing was changed yet")
    for (const { action, address, at, author, detail, id, subject } of entries) {
      const from = address === null ? "" : ` from ${address}`
      yield* say(
        `${id.padStart(6)}  ${day(at)}  ${author}${from}  ${action}  ${subject}${detail === "" ? "" : `  ${detail}`}`
      )
    }
  }, Effect.provide(ports))
).pipe(Command.withDescription("Who changed tokens, servers and sessions, when and from where"))

const rotateStreamKey = Command.make(
  "rotate",
  {
    now: Flag.Boolean("now").pipe(
      Flag.withDescription("Accept nothing else from now on: what waits in the stream becomes dead letters"),
      Flag.withDefault(false)
    )
  },
  Effect.fnUntraced(
    function* ({ now }) {
      const sql = yield* PgClient.PgClient
      const beginsAfter = yield* sql
        .withTransaction(
          Effect.tap(rotateKeys({ atOnce: now }), () =>
            record(
              sql,
              "stream-key.rotate",
              "the stream's key",
              now ? "the others are gone" : "the others are still accepted"
            )
          )
        )
        .pipe(answering("rotate the stream's key"))
      yield* say(
        now
          ? "made a new key; it is the only one"
          : `made a new key; it seals from ${Duration.format(beginsAfter)} on, and those before it are still accepted`
      )
    },
    Effect.provide(Layer.mergeAll(Storage.migratedClient.pipe(Layer.provide(address)), shellAuthor))
  )
).pipe(Command.withDescription("Make a new key"))

export const streamKeyCommand = Command.make("stream-key").pipe(
  Command.withDescription("The key that entries in Valkey are sealed with, where the database keeps it"),
  Command.withSubcommands([rotateStreamKey])
)
