/** What `nodepulse act` and `approve` show and make of previews and orders. Pure but for the randomness of an order. */
import { randomBytes, randomUUID } from "node:crypto"
import { Result, Schema } from "effect"
import type { OrderShown, PreviewShown } from "../../http/api/ActingAnswer.ts"
import { type Offer, Order, type Preview, type PreviewTarget } from "../../protocol/Orders.ts"
import { REVERTED_VERBS, type Verb } from "../../protocol/OrderText.ts"
import { clipped } from "../../protocol/PrintableText.ts"

/** Whether nothing is lost by it: a timer takes it back, or it is a matter of turns. */
export const isReversible = (verb: Verb): boolean =>
  verb === "nice" || REVERTED_VERBS.some((reverted) => reverted === verb)

/** What a person typed of the settings that a verb has. */
export type Settings = Readonly<Record<string, number | string>>

/** Which settings a verb has, in the words of the command line, and what those are that may be left out. */
const SETTINGS: Readonly<Record<Verb, { readonly names: ReadonlyArray<string>; readonly given?: Settings }>> = {
  nice: { names: ["nice", "io"], given: { io: "unchanged" } },
  weight: { names: ["weight", "minutes"] },
  quota: { names: ["percent", "minutes"] },
  memory_high: { names: ["bytes", "minutes"] },
  terminate: { names: [] },
  restart: { names: [] },
  kill: { names: [] }
}

/** The one offer of a verb; else what is to be said. `pid`: of which process, where there are several. */
export const offerOf = (preview: Preview, verb: Verb, pid: number | undefined): Result.Result<Offer, string> => {
  if (preview.refusal !== null) return Result.fail(`refused (${preview.refusal.code}): ${preview.refusal.message}`)
  const ofVerb = preview.offers.filter((offer) => offer.verb === verb)
  const offers = ofVerb.filter(({ target }) => pid === undefined || !("pid" in target) || target.pid === pid)
  const [offer, ...more] = offers
  if (offer === undefined) {
    const others = [...new Set(preview.offers.map((one) => one.verb))].join(", ")
    return Result.fail(`the host's file does not allow ${verb} here; it mentions ${others || "nothing"}`)
  }
  if (more.length > 0) {
    const pids = offers.map(({ target }) => ("pid" in target ? target.pid : target.unit)).join(", ")
    return Result.fail(`there are ${offers.length} of them: name one with --pid, of ${pids}`)
  }
  return offer.refusal === null
    ? Result.succeed(offer)
    : Result.fail(`refused (${offer.refusal.code}): ${offer.refusal.message}`)
}

/** The order that an offer becomes; else what is to be said. */
export const orderOf = (
  preview: Preview,
  { target, verb }: Offer,
  settings: Settings,
  reason: string
): Result.Result<Order, string> => {
  const { given = {}, names } = SETTINGS[verb]
  const excess = Object.keys(settings).find((name) => !names.includes(name))
  if (excess !== undefined) return Result.fail(`--${excess} does not go with ${verb}`)
  const all: Settings = { ...given, ...settings }
  const missing = names.find((name) => all[name] === undefined)
  if (missing !== undefined) return Result.fail(`${verb} needs --${missing}`)
  const { boot_id, server } = preview
  const nonce = randomBytes(16).toString("base64url")
  const order = { version: 1, id: randomUUID(), server, boot_id, verb, target, settings: all, reason, nonce }
  return Result.mapError(decode(order), ({ message }) => message)
}

const decode = Schema.decodeUnknownResult(Order)

const targetText = (target: Offer["target"]): string =>
  "unit" in target ? target.unit : `process ${target.pid} (${target.name})`

/** Whether the order is about what a person has typed, so that they need not look: the server may have answered something else. */
export const isAsTyped = (order: Order, server: string, target: PreviewTarget, pid: number | undefined): boolean => {
  if (order.server !== server) return false
  if ("unit" in order.target) return "unit" in target && order.target.unit === target.unit
  return order.target.pid === pid || ("group" in target && order.target.name === target.group)
}

/** An order, field by field, as it is signed: nothing else is. The name is the server's word, and cannot pass for a line of its own. */
export const orderLines = (order: Order, serverName: string): ReadonlyArray<string> => [
  `order    ${order.id}`,
  `server   ${order.server} (called ${clipped(serverName, 256)}), boot ${order.boot_id}`,
  `do       ${order.verb} ${targetText(order.target)}`,
  ...("unit" in order.target
    ? [`run      ${order.target.invocation}`]
    : [`started  ${order.target.start_ticks} ticks after the boot`]),
  ...Object.entries(order.settings).map(([name, value]) => `${name.padEnd(8)} ${value}`),
  `reason   ${order.reason}`
]

const signers = ({ roles, second_person }: Offer): string =>
  `${second_person ? "two persons" : "one person"}: ${roles.join(" or ")}`

/** What a host says would happen, in lines. */
export const previewLines = ({ preview, server_id }: PreviewShown): ReadonlyArray<string> => {
  if (preview === null) return [`${server_id} has not answered`]
  const { offers, processes, processes_more, refusal, shares, unit } = preview
  return [
    ...(refusal === null ? [] : [`refused (${refusal.code}): ${refusal.message}`]),
    ...(unit === null
      ? []
      : [
          `${unit.unit}: ${unit.description}`,
          `  ${unit.active}, ${unit.processes} processes, Restart=${unit.restart}`,
          ...(unit.dependants.length === 0
            ? []
            : [`  stops with it: ${unit.dependants.join(", ")}${moreOf(unit.dependants_more)}`])
        ]),
    ...processes.map(
      ({ children, command, memory_bytes, name, nice, pid, user }) =>
        `process ${pid} (${name}) of ${user}: ${command}, nice ${nice}, ${Math.round(memory_bytes / 1024 ** 2)} MiB, ${children} children`
    ),
    ...(processes_more > 0 ? [`and ${processes_more} more`] : []),
    ...shares.map((share) => `also in its control group: ${share}`),
    ...offers.map(({ refusal, target, verb, would, ...offer }) =>
      refusal === null
        ? `${verb} ${targetText(target)}: ${would} (signed by ${signers({ refusal, target, verb, would, ...offer })})`
        : `${verb} ${targetText(target)}: refused (${refusal.code}): ${refusal.message}`
    )
  ]
}

const moreOf = (more: number): string => (more === 0 ? "" : ` and ${more} more`)

/** What became of an order, in a line. */
export const outcomeLine = ({ expires_at, needed, order_id, outcome, state }: OrderShown): string => {
  if (outcome !== null) {
    const code = outcome.code === null ? "" : ` (${outcome.code})`
    const reverts =
      outcome.reverts_at === null ? "" : `; taken back at ${new Date(outcome.reverts_at * 1_000).toISOString()}`
    return `${outcome.result}${code}${outcome.message === "" ? "" : `: ${outcome.message}`}${reverts}`
  }
  if (state === "expired") return "expired: it was not sent in time, and never will be"
  if (state === "unanswered") return "the host has not said what became of it: look there before you ask again"
  return state === "waiting"
    ? `waits for ${needed === 1 ? "a signature" : "another person's signature"} until ${expires_at}: nodepulse approve ${order_id}`
    : state
}
