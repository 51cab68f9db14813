/**
 * `nodepulse hands`: acts on this host as its owner's file allows and as people sign, and never otherwise. `docs/acting.md`.
 *
 * A program of its own beside the agent, whose address, token and certificates it uses. The same command is the package
 * `nodepulse-hands`.
 */
import { Effect, Option } from "effect"
import { Command, Flag } from "effect/cli"
import * as BootClock from "../../agent/clock/BootClock.ts"
import { defaultNames } from "../../agent/collector/names/DefaultNames.ts"
import { DEFAULT_CONFIG_PATH, loadAgentConfig } from "../../agent/config/AgentConfig.ts"
import { redactedUrl } from "../../agent/config/ShownUrl.ts"
import { DEFAULT_HANDS_PATH } from "../../agent/hands/HandsFile.ts"
import { makeHandsHost } from "../../agent/hands/HandsHost.ts"
import { recover } from "../../agent/hands/HandsOrders.ts"
import { fileAt, pollForEver } from "../../agent/hands/HandsPoll.ts"
import { approversInWords, fileInWords } from "../../agent/hands/HandsWords.ts"
import { polkitRules, sudoRules } from "../../agent/hands/PrivilegeRules.ts"
import * as Supervisor from "../engine/Supervisor.ts"
import * as Systemd from "../Systemd.ts"
import { CommandFailed } from "./Input.ts"
import { say } from "./Terminal.ts"

const fileFlag = Flag.String("file").pipe(
  Flag.withDescription("What the owner of this host allows"),
  Flag.withDefault(DEFAULT_HANDS_PATH)
)

const flags = {
  file: fileFlag,
  config: Flag.String("config").pipe(
    Flag.withAlias("c"),
    Flag.withDescription(`The agent's configuration; ${DEFAULT_CONFIG_PATH} where none is named`),
    Flag.optional
  ),
  state: Flag.String("state").pipe(
    Flag.withDescription("Where the journal is kept: what was asked, done and refused"),
    Flag.withDefault("/var/lib/nodepulse-hands")
  ),
  check: Flag.Boolean("check").pipe(
    Flag.withDescription("Say what the file allows and forbids, and end; exits with 1 where it cannot be used"),
    Flag.withDefault(false)
  ),
  rules: Flag.Literals("rules", ["polkit", "sudo"]).pipe(
    Flag.withDescription("Print what lets this program act on the units that the file names, and end"),
    Flag.optional
  ),
  user: Flag.String("user").pipe(
    Flag.withDescription("The user that this program runs as, for --rules"),
    Flag.withDefault("nodepulse-hands")
  )
}

const keysCommand = Command.make(
  "keys",
  { file: fileFlag },
  Effect.fnUntraced(function* ({ file }) {
    yield* say(approversInWords(yield* fileAt(file)))
  })
).pipe(Command.withDescription("List who may sign, with role and key"))

const run = Effect.fnUntraced(function* (path: string, config: string | undefined, state: string) {
  const agent = yield* loadAgentConfig(config === undefined ? {} : { path: config })
  const { server } = agent
  if (server === undefined) {
    return yield* new CommandFailed({
      reason: `no server is configured: name its url and a token_file under "server" in ${config ?? DEFAULT_CONFIG_PATH}`
    })
  }
  const file = fileAt(path)
  const first = yield* file
  const names = agent.processNames ?? defaultNames({ pid: process.pid, name: "nodepulse-hands" })
  const host = yield* makeHandsHost(state, names)
  yield* recover(host, first)
  yield* Effect.logInfo(`acting for ${first.serverId}, as ${path} allows; asking ${redactedUrl(server.url)}`)
  yield* Supervisor.make({
    name: "hands",
    // What it holds is on the disk; but a file that cannot be used ends it.
    children: [
      { name: "orders", run: pollForEver({ host, file, server }), escalates: true },
      ...(yield* Systemd.children)
    ],
    maxRestarts: 5,
    backoff: { from: "1 second", to: "30 seconds" },
    healthyAfter: "1 minute",
    // A restart of a unit that is under way may take so long.
    stopWithin: "10 seconds"
  }).run
})

export const handsCommand = Command.make(
  "hands",
  flags,
  Effect.fnUntraced(function* ({ check, config, file, rules, state, user }) {
    if (check) return yield* say(fileInWords(yield* fileAt(file)))
    if (Option.isSome(rules)) {
      const read = yield* fileAt(file)
      return yield* say(rules.value === "polkit" ? polkitRules(read, user) : sudoRules(read, user))
    }
    yield* Effect.scoped(run(file, Option.getOrUndefined(config), state)).pipe(Effect.provide(BootClock.layer))
  })
).pipe(
  Command.withDescription("Act on this host: as its owner's file allows, and as people sign"),
  Command.withExamples([
    { command: "nodepulse hands --check", description: "What may be done here, by whom, and what may not" },
    { command: "nodepulse hands --rules polkit", description: "The right to act on the units that the file names" },
    { command: "nodepulse hands keys", description: "Who may sign" }
  ]),
  Command.withSubcommands([keysCommand])
)
