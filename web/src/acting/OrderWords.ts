/**
 * Orders, offers and outcomes in words. Pure.
 *
 * What an order asks for is told from the order alone, which is what is signed: {@link orderSentence} takes nothing else.
 */
import { REFUSALS, type RefusalCode, type Verb } from "../../../src/protocol/OrderText.ts"
import type { Answer } from "../ask/Api.ts"
import { bytes, duration } from "../parts/Format.ts"
import { legible } from "../parts/Legible.ts"

export type Preview = NonNullable<Answer<"acting.previewed">["preview"]>
export type PreviewProcess = Preview["processes"][number]
export type Offer = Preview["offers"][number]
export type Approver = Preview["approvers"][number]
export type OrderShown = Answer<"acting.ordered">
export type Order = OrderShown["order"]
type Refused = NonNullable<Offer["refusal"]>

const NAME_MAX = 100
const MIB = 1024 * 1024

/** What a rung of the ladder is called. */
export const OFFERED: Readonly<Record<Verb, string>> = {
  nice: "Lower its priority",
  weight: "Give it less of the CPU, for a while",
  quota: "Limit its CPU, for a while",
  memory_high: "Slow it down where it takes more memory, for a while",
  terminate: "Ask it to end",
  restart: "Restart it",
  kill: "Kill it"
}

export const isUnit = (target: Offer["target"]): target is Extract<Offer["target"], { readonly unit: string }> =>
  "unit" in target

/** Whether nothing brings back what was there before. */
export const isFinal = (verb: Verb): boolean => verb === "terminate" || verb === "restart" || verb === "kill"

/** Clock ticks in a second, as /proc counts them: USER_HZ of every Linux that Node runs on. */
const TICKS = 100

const two = (value: number): string => String(value).padStart(2, "0")

/** When a process started, after the machine did: "6 d 0:20:34 after the boot". To the second: two of a name are told apart by it. */
export const startText = (ticks: number): string => {
  const seconds = Math.floor(ticks / TICKS)
  const days = seconds < 86_400 ? "" : `${Math.floor(seconds / 86_400)}\u202fd `
  const clock = `${Math.floor(seconds / 3_600) % 24}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`
  return `${days}${clock} after the boot`
}

/** A unit by its name, a process as "burner (process 4711)". */
export const targetText = (target: Offer["target"]): string =>
  isUnit(target) ? legible(target.unit, 255) : `${legible(target.name, NAME_MAX)} (process ${target.pid})`

/** All that an order asks for. */
export const orderSentence = (order: Order): string => {
  const what = targetText(order.target)
  switch (order.verb) {
    case "nice": {
      const { io, nice } = order.settings
      const disk = io === "unchanged" ? "" : `, and its class of I/O to ${io}`
      return `Set the nice value of ${what} to ${nice}${disk}`
    }
    case "weight":
      return `Set the CPU weight of ${what} to ${order.settings.weight}, for ${minutesText(order.settings.minutes)}`
    case "quota":
      return `Limit ${what} to ${order.settings.percent} % of one core, for ${minutesText(order.settings.minutes)}`
    case "memory_high":
      return `Slow ${what} down above ${bytes(order.settings.bytes)} of memory, for ${minutesText(order.settings.minutes)}`
    case "terminate":
      return `Ask ${what} to end (SIGTERM)`
    case "restart":
      return `Restart ${what}`
    case "kill":
      return `Kill ${what} (SIGKILL)`
  }
}

const minutesText = (minutes: number): string => duration(minutes * 60)

export const refusalText = ({ code, message }: Refused): string => {
  const known = REFUSALS[code as RefusalCode] ?? code
  const said = message === "" ? known : legible(message, 500)
  return said.charAt(0).toUpperCase() + said.slice(1)
}

/** "an operator", "two persons who are administrators". */
export const signersText = ({ roles, second_person }: Pick<Offer, "roles" | "second_person">): string => {
  const all = roles.length === 0 || roles.length > 1
  const one = all ? "operator or administrator" : roles[0] === "admin" ? "administrator" : "operator"
  return second_person
    ? `two ${one.replace("operator or administrator", "operators or administrators").replace(/(operator|administrator)$/, "$1s")}, each with a key of their own`
    : `an ${one}`
}

export const STATES: Readonly<Record<OrderShown["state"], { readonly word: string; readonly badge: string }>> = {
  waiting: { word: "waits for signatures", badge: "stale" },
  approved: { word: "waits for its host", badge: "stale" },
  sent: { word: "its host has it", badge: "stale" },
  unanswered: { word: "unanswered", badge: "stale" },
  done: { word: "done", badge: "live" },
  failed: { word: "failed", badge: "silent" },
  refused: { word: "refused", badge: "silent" },
  interrupted: { word: "interrupted", badge: "silent" },
  expired: { word: "expired", badge: "unsure" }
}

/** What its state is called, and whose signature it waits for. */
export const stateWord = (shown: Pick<OrderShown, "events" | "needed" | "outcome" | "state">): string => {
  if (shown.state !== "waiting") return STATES[shown.state].word
  if (shown.needed === 1) return "waits for a signature"
  return signedBy(shown).length === 0 ? `waits for ${shown.needed} signatures` : "waits for a second signature"
}

/** Whether something may still happen to it. */
export const isMoving = (state: OrderShown["state"]): boolean =>
  state === "waiting" || state === "approved" || state === "sent"

/** What its state means, in a sentence. */
export const stateSentence = ({ needed, outcome, state }: OrderShown): string => {
  const said = outcome === null || outcome.message === "" ? "" : `: ${legible(outcome.message, 500)}`
  switch (state) {
    case "waiting":
      return needed > 1
        ? `Nothing is done yet: ${needed} persons have to sign it, within one minute.`
        : "Nothing is done yet: nobody has signed it."
    case "approved":
      return "It is signed. Its host takes it when it asks next, within seconds."
    case "sent":
      return "Its host has it, and has not yet said what became of it."
    case "unanswered":
      return "Its host has it, and has said nothing since. Nobody here knows whether it was done; nothing is tried again. Look at the host."
    case "done":
      return `The host has done it${said}.`
    case "failed":
      return `The host tried, and it did not work${said}.`
    case "refused":
      return outcome?.code == null
        ? `The host did not do it${said}.`
        : `The host did not do it (${outcome.code}): ${refusalText({ code: outcome.code, message: outcome.message })}.`
    case "interrupted":
      return `The host stopped while it was at it${said}. Look at the host: nothing is tried again.`
    case "expired":
      return "It was not sent in time, and never will be. Nothing was done."
  }
}

type Event = OrderShown["events"][number]

/** What happened to it, by whom. */
export const eventText = ({ approval, by, event, outcome }: Event): string => {
  const who = legible(by, NAME_MAX)
  switch (event) {
    case "asked":
      return `Given by ${who}`
    case "approved":
      return `Signed by ${approval === null ? who : legible(approval.by, NAME_MAX)}, sent here by ${who}`
    case "sent":
      return "Taken by its host"
    case "expired":
      return "Expired"
    default: {
      const code = outcome?.code == null ? "" : ` (${outcome.code})`
      const said = outcome === null || outcome.message === "" ? "" : `: ${legible(outcome.message, 500)}`
      const word = STATES[event].word
      return `${word.charAt(0).toUpperCase()}${word.slice(1)}${code}${said}`
    }
  }
}

/** Whose signatures there are: those that the host has verified, else those that were given. */
export const signedBy = ({ events, outcome }: Pick<OrderShown, "events" | "outcome">): ReadonlyArray<string> =>
  outcome !== null && outcome.by.length > 0
    ? outcome.by
    : [...new Set(events.flatMap(({ approval }) => (approval === null ? [] : [approval.by])))]

export const actPath = (id: string): string => `/acts/${encodeURIComponent(id)}`

/** A setting of a verb as a field: what it is called, in which unit, within what, and what it begins with. */
export interface Setting {
  readonly key: "nice" | "weight" | "percent" | "bytes" | "minutes"
  readonly label: string
  readonly unit: string
  readonly min: number
  readonly max: number
  readonly first: number
  /** One in the field is so many in the order. */
  readonly scale: number
}

const USUAL: Readonly<Record<Setting["key"], Pick<Setting, "label" | "unit" | "min" | "max" | "first">>> = {
  nice: { label: "Nice value", unit: "19 is the gentlest on others", min: 0, max: 19, first: 10 },
  weight: { label: "CPU weight", unit: "others have 100 unless set", min: 1, max: 10_000, first: 20 },
  percent: { label: "At most", unit: "percent of one core", min: 1, max: 102_400, first: 50 },
  bytes: { label: "Slowed down above", unit: "MiB", min: 1, max: 2 ** 33, first: 512 },
  minutes: {
    label: "For how long",
    unit: "minutes; then what was there before is restored",
    min: 1,
    max: 240,
    first: 30
  }
}

const KEYS: Readonly<Record<Verb, ReadonlyArray<Setting["key"]>>> = {
  nice: ["nice"],
  weight: ["weight", "minutes"],
  quota: ["percent", "minutes"],
  memory_high: ["bytes", "minutes"],
  terminate: [],
  restart: [],
  kill: []
}

/** The settings of an offer, within what its host allows. */
export const settingsOf = ({ settings, verb }: Pick<Offer, "settings" | "verb">): ReadonlyArray<Setting> =>
  KEYS[verb].map((key) => {
    const usual = USUAL[key]
    const scale = key === "bytes" ? MIB : 1
    const allowed = settings[key]
    const min = Math.max(usual.min, Math.ceil((allowed?.min ?? 0) / scale))
    const max = Math.max(min, Math.min(usual.max, Math.floor((allowed?.max ?? Number.MAX_SAFE_INTEGER) / scale)))
    return { ...usual, key, scale, min, max, first: Math.min(max, Math.max(min, usual.first)) }
  })

export const IO_CLASSES = [
  ["unchanged", "as it is"],
  ["best-effort", "best effort, the lowest"],
  ["idle", "idle: only when nobody else wants the disk"]
] as const
