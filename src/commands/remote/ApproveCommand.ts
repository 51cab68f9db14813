/** `nodepulse approve`: signs an order that somebody gave, with the key of whoever sits here; and makes that key. */
import { Effect, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { isPrintable } from "../../protocol/PrintableText.ts"
import { CommandFailed } from "../Input.ts"
import { say, sayAside } from "../Terminal.ts"
import { confirmed, settled, signedNow } from "./ActCommand.ts"
import { orderLines, outcomeLine } from "./ActOrder.ts"
import { type ApproverKey, makeKey, readKey } from "./ApproverKey.ts"
import { remote } from "./RemoteApi.ts"

const fail = (reason: string) => new CommandFailed({ reason })

/** What a host's file says of an approver. */
const forTheFile = ({ name, publicKey }: ApproverKey): string =>
  `approvers:\n  - {name: ${JSON.stringify(name)}, role: operator, key: "${publicKey}"}`

export const approveCommand = Command.make(
  "approve",
  {
    order: Argument.String("order").pipe(
      Argument.withDescription("The id of an order, as `nodepulse act list --json` has it"),
      Argument.optional
    ),
    newKey: Flag.String("new-key").pipe(
      Flag.withDescription("Make a key for this name, and print what the owner of a host puts into its file"),
      Flag.optional
    ),
    key: Flag.Boolean("key").pipe(Flag.withDescription("Print that again"), Flag.withDefault(false)),
    yes: Flag.Boolean("yes").pipe(
      Flag.withDescription("Do not ask, where what is done can be taken back"),
      Flag.withDefault(false)
    ),
    json: Flag.Boolean("json").pipe(Flag.withDescription("The API's answer as it is"), Flag.withDefault(false))
  },
  Effect.fnUntraced(function* ({ json, key: isShown, newKey, order, yes }) {
    if (Option.isSome(newKey)) return yield* made(newKey.value)
    const key = yield* readKey
    if (key === undefined)
      return yield* fail("there is no key of yours yet: nodepulse approve --new-key <name> makes one")
    if (isShown) return yield* say(forTheFile(key))
    if (Option.isNone(order)) return yield* fail("say which order: nodepulse act list --json has their ids")
    const { ask, ...there } = yield* remote
    const shown = yield* ask((client) => client.acting.ordered({ params: { id: order.value } }))
    if (shown.order.id !== order.value) return yield* fail(`the server shows another order: ${shown.order.id}`)
    if (shown.state !== "waiting") return yield* fail(`it takes no signatures any more: ${outcomeLine(shown)}`)
    yield* sayAside(orderLines(shown.order, shown.server_name).join("\n"))
    yield* confirmed(shown.order, yes)
    const approval = yield* signedNow(shown.order, key)
    const signed = yield* ask((client) => client.acting.approve({ params: { id: order.value }, payload: { approval } }))
    yield* settled({ ask, ...there }, signed, json)
  })
).pipe(
  Command.withDescription(
    "Sign an order with your own key, which no server ever has. Shows exactly what is signed, and asks. Exits as `nodepulse act order` does."
  ),
  Command.withExamples([
    { command: "nodepulse approve --new-key ada", description: "Once: your key, and the lines for hosts' files" },
    { command: "nodepulse approve 0b9d7c1e-8f7a-4c55-9a56-0f3f6f6f1c1b", description: "Signs an order" }
  ])
)

const made = Effect.fnUntraced(function* (name: string) {
  if (name.length < 1 || name.length > 64 || name.trim() !== name || !isPrintable(name))
    return yield* fail("a name is 1 to 64 characters, without blanks around it, control or invisible characters")
  const { file, key } = yield* makeKey(name)
  yield* sayAside(`made ${file}; for the file of each host that shall know you:`)
  yield* say(forTheFile(key))
})
