/** `nodepulse act`: asks a host what would happen, gives an order for it, and tells what became of those. Over the API. */
import { Clock, Effect, type Option, Result, Runtime, Schema } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import type { OrderShown } from "../../http/api/ActingAnswer.ts"
import { approve } from "../../protocol/Approvals.ts"
import type { Order, PreviewTarget } from "../../protocol/Orders.ts"
import { ORDER_LIMITS, VERBS } from "../../protocol/OrderText.ts"
import { parseBytes } from "../../YamlValue.ts"
import { CommandFailed, readTyped } from "../Input.ts"
import { endsWithItsReader, room, say, sayAside, sayLines } from "../Terminal.ts"
import {
  isAsTyped,
  isReversible,
  offerOf,
  orderLines,
  orderOf,
  outcomeLine,
  previewLines,
  type Settings
} from "./ActOrder.ts"
import { actShow } from "./ActShow.ts"
import { type ApproverKey, readKey } from "./ApproverKey.ts"
import { given } from "./Options.ts"
import { findServer, type Remote, remote } from "./RemoteApi.ts"
import { moment, table } from "./Table.ts"

const LOOK_EVERY = "1 second"

const fail = (reason: string) => new CommandFailed({ reason })

/** An order was given, and was not carried out: 2 refused, 3 nobody knows, or not any more. */
class NotActed extends Schema.TaggedError<NotActed>()("NotActed", { reason: Schema.String, code: Schema.Int }) {
  override get [Runtime.errorExitCode](): number {
    return this.code
  }
  override get message(): string {
    return this.reason
  }
}

const json = Flag.Boolean("json").pipe(Flag.withDescription("The API's answer as it is"), Flag.withDefault(false))
const yes = Flag.Boolean("yes").pipe(
  Flag.withDescription("Do not ask, where what is done can be taken back"),
  Flag.withDefault(false)
)

const about = {
  server: Argument.String("server").pipe(Argument.withDescription("The id or name of a server")),
  unit: Flag.String("unit").pipe(Flag.withDescription("A service or scope, such as nginx"), Flag.optional),
  pid: Flag.Int("pid").pipe(Flag.withDescription("A process"), Flag.optional),
  name: Flag.String("name").pipe(Flag.withDescription("The processes of a name, as top lists them"), Flag.optional)
}

interface About {
  readonly unit: Option.Option<string>
  readonly pid: Option.Option<number>
  readonly name: Option.Option<string>
}

/** What a preview is asked of: with a name, a pid chooses among its processes. */
const targetOf = ({ name, pid, unit }: About): Effect.Effect<PreviewTarget, CommandFailed> => {
  const [ofUnit, ofPid, ofName] = [given(unit), given(pid), given(name)]
  if (ofUnit !== undefined && (ofPid ?? ofName) !== undefined)
    return Effect.fail(fail("--unit does not go with --pid and --name"))
  if (ofUnit !== undefined)
    return Effect.succeed({ unit: /\.(service|scope)$/.test(ofUnit) ? ofUnit : `${ofUnit}.service` })
  if (ofName !== undefined) return Effect.succeed({ group: ofName })
  return ofPid === undefined
    ? Effect.fail(fail("say what it is about: one of --unit, --pid and --name"))
    : Effect.succeed({ pid: ofPid })
}

/** The host's answer. */
const previewed = Effect.fnUntraced(function* ({ ask }: Remote, server: string, target: PreviewTarget) {
  const { hands, server_name } = yield* ask((client) => client.acting.get({ params: { id: server } }))
  if (hands === null)
    return yield* fail(`nothing acts on ${server_name}: nodepulse hands is off unless its owner wants it`)
  const asked = yield* ask((client) => client.acting.preview({ params: { id: server }, payload: { target } }))
  for (;;) {
    const shown = yield* ask((client) => client.acting.previewed({ params: { id: asked.preview_id } }))
    if (shown.state === "answered") return { shown, preview: shown.preview!, server_name }
    if (shown.state === "expired")
      return yield* fail(`${server_name} does not answer; it was heard last at ${hands.heard_at}`)
    yield* Effect.sleep(LOOK_EVERY)
  }
})

const preview = Command.make(
  "preview",
  { ...about, json },
  Effect.fnUntraced(function* ({ json, server, ...what }) {
    const target = yield* targetOf(what)
    const there = yield* remote
    const { server_id } = yield* findServer(there, server)
    const { shown } = yield* previewed(there, server_id, target)
    yield* say(json ? JSON.stringify(shown, null, 2) : previewLines(shown).join("\n"))
  })
).pipe(
  Command.withDescription(
    "Ask a host what would happen. Nothing is done of it. It needs an operator's or an admin token."
  )
)

/** Asks whoever is there: the host's id, which is what is signed, where it cannot be taken back. */
export const confirmed = Effect.fnUntraced(function* (order: Order, yes: boolean) {
  if (isReversible(order.verb)) {
    if (yes) return
    const typed = yield* readTyped("Sign it? (yes)")
    return typed === "yes" ? undefined : yield* fail("not signed")
  }
  if (yes) return yield* fail(`${order.verb} cannot be taken back: --yes does not go with it`)
  const typed = yield* readTyped(`It cannot be taken back. Type the host's id, ${order.server}, to sign it`)
  if (typed !== order.server) yield* fail(`not signed: that is not ${order.server}`)
})

/** A signature made now. */
export const signedNow = (order: Order, { name, privateKey }: ApproverKey) =>
  Effect.map(Clock.currentTimeMillis, (now) =>
    approve(order, name, Math.floor(now / 1_000) + ORDER_LIMITS.approvalSeconds, privateKey)
  )

/** Looks until it is known what becomes of an order, or it waits for somebody else. */
export const settled = Effect.fnUntraced(function* ({ ask }: Remote, first: OrderShown, json: boolean) {
  let shown = first
  while (shown.state === "approved" || shown.state === "sent") {
    yield* Effect.sleep(LOOK_EVERY)
    shown = yield* ask((client) => client.acting.ordered({ params: { id: first.order_id } }))
  }
  if (json) yield* say(JSON.stringify(shown, null, 2))
  const line = outcomeLine(shown)
  if (shown.state === "done") return json ? undefined : yield* say(line)
  if (shown.state === "failed") return yield* fail(line)
  return yield* new NotActed({ reason: line, code: shown.state === "refused" ? 2 : 3 })
})

const order = Command.make(
  "order",
  {
    server: about.server,
    verb: Argument.Literals("verb", VERBS).pipe(Argument.withDescription(`One of ${VERBS.join(", ")}`)),
    unit: about.unit,
    pid: about.pid,
    name: about.name,
    reason: Flag.String("reason").pipe(Flag.withDescription("Why, for whoever wonders")),
    nice: Flag.Int("nice").pipe(Flag.withDescription("Of nice: 0 to 19"), Flag.optional),
    io: Flag.Literals("io", ["unchanged", "best-effort", "idle"]).pipe(
      Flag.withDescription("Of nice: the I/O class"),
      Flag.optional
    ),
    weight: Flag.Int("weight").pipe(Flag.withDescription("Of weight: CPUWeight"), Flag.optional),
    percent: Flag.Int("percent").pipe(Flag.withDescription("Of quota: percent of one core"), Flag.optional),
    bytes: Flag.String("bytes").pipe(Flag.withDescription("Of memory_high: such as 512MiB"), Flag.optional),
    minutes: Flag.Int("minutes").pipe(
      Flag.withDescription("Of weight, quota, memory_high: then it is taken back"),
      Flag.optional
    ),
    yes,
    json
  },
  Effect.fnUntraced(function* ({ json, reason, server, verb, yes, ...what }) {
    const target = yield* targetOf(what)
    const settings = yield* settingsOf(what)
    const key = yield* readKey
    const there = yield* remote
    const { server_id } = yield* findServer(there, server)
    const { preview, server_name, shown } = yield* previewed(there, server_id, target)
    const offer = offerOf(preview, verb, given(what.pid))
    if (Result.isFailure(offer)) return yield* new NotActed({ reason: offer.failure, code: 2 })
    const made = orderOf(preview, offer.success, settings, reason)
    if (Result.isFailure(made)) return yield* fail(made.failure)
    const order = made.success
    yield* sayAside([...orderLines(order, server_name), `would    ${offer.success.would}`].join("\n"))
    if (key === undefined)
      yield* sayAside("There is no key of yours here: others sign it (nodepulse approve --new-key makes one)")
    if (yes && !isAsTyped(order, server, target, given(what.pid)))
      yield* sayAside("It is not by its id what you named: --yes does not go with it")
    yield* confirmed(order, yes && isAsTyped(order, server, target, given(what.pid)))
    const approval = key === undefined ? undefined : yield* signedNow(order, key)
    const payload = { preview_id: shown.preview_id, order, ...(approval === undefined ? {} : { approval }) }
    const first = yield* there.ask((client) => client.acting.order({ params: { id: server_id }, payload }))
    yield* settled(there, first, json)
  })
).pipe(
  Command.withDescription(
    "Give an order, as a preview offers it, sign it with the key of `nodepulse approve`, and tell what becomes of it. Exits with 0 where it was done, 2 where it was refused, 3 where it waits for somebody else, expired, or nobody knows, 1 where it failed."
  ),
  Command.withExamples([
    {
      command: 'nodepulse act order web-1 restart --unit nginx --reason "leaks"',
      description: "It asks for the host's id"
    },
    {
      command: 'nodepulse act order web-1 quota --unit backup --percent 50 --minutes 60 --reason "busy hour" --yes',
      description: "Half a core for an hour"
    }
  ])
)

const settingsOf = Effect.fnUntraced(function* (typed: {
  readonly nice: Option.Option<number>
  readonly io: Option.Option<string>
  readonly weight: Option.Option<number>
  readonly percent: Option.Option<number>
  readonly bytes: Option.Option<string>
  readonly minutes: Option.Option<number>
}) {
  const settings: Record<string, number | string> = {}
  for (const name of ["nice", "io", "weight", "percent", "minutes"] as const) {
    const value = given<number | string>(typed[name])
    if (value !== undefined) settings[name] = value
  }
  const size = given(typed.bytes)
  if (size === undefined) return settings satisfies Settings as Settings
  const bytes = parseBytes(size)
  if (bytes === undefined) return yield* fail(`--bytes ${size} is no size such as 512MiB`)
  return { ...settings, bytes } as Settings
})

const list = Command.make(
  "list",
  {
    server: Argument.String("server").pipe(
      Argument.withDescription("Of this server; of all unless given"),
      Argument.optional
    ),
    limit: Flag.Int("limit").pipe(
      Flag.withDescription("How many, 1 to 1000; 20 unless given"),
      Flag.filter(
        (limit) => limit >= 1 && limit <= 1_000,
        (limit) => `--limit is ${limit}, but must be 1 to 1000`
      ),
      Flag.withDefault(20)
    ),
    json
  },
  Effect.fnUntraced(function* ({ json, limit, server }) {
    yield* endsWithItsReader
    const there = yield* remote
    const named = given(server)
    const of = named === undefined ? {} : { server: (yield* findServer(there, named)).server_id }
    const answer = yield* there.ask((client) => client.acting.orders({ query: { limit, ...of } }))
    if (json) return yield* say(JSON.stringify(answer, null, 2))
    if (answer.orders.length === 0) return yield* say("no order was given")
    const now = yield* Clock.currentTimeMillis
    const rows = answer.orders.map(({ asked_at, asked_by, order, server_name, state, ...shown }) => [
      { text: moment(asked_at, now) },
      { text: server_name },
      { text: state },
      { text: asked_by },
      {
        text: `${order.verb} ${"unit" in order.target ? order.target.unit : `${order.target.pid} (${order.target.name})`}: ${shown.outcome?.message || order.reason}`
      }
    ])
    yield* sayLines(table(["ASKED", "SERVER", "STATE", "BY", "WHAT"], rows, (yield* room).columns))
  })
).pipe(Command.withDescription("List orders and what became of them. It needs an operator's or an admin token."))

export const actCommand = Command.make("act").pipe(
  Command.withDescription("Have something done on a host, where its owner allows it: docs/acting.md"),
  Command.withSubcommands([preview, order, list, actShow])
)
