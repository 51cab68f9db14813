/**
 * What a person signs: the one text of an order that browser, command line and host agree on, byte by byte.
 *
 * ```
 * nodepulse order
 * {"by":"ada","expires":1764513660,"order":{"boot_id":"…","id":"…",…}}
 * ```
 *
 * It imports nothing, so that the page can bundle it as it is. Schemas are in `Orders.ts`, signatures in `Approvals.ts`.
 *
 * Guarantee: {@link canonical} gives two values the same text if and only if they are the same, whatever the order of their keys. It
 * throws on whatever has no such text: a fraction, a date, `undefined`, a value nested deeper than {@link DEPTH_MAX}.
 */

/** From the gentlest to the harshest. */
export const VERBS = ["nice", "weight", "quota", "memory_high", "terminate", "restart", "kill"] as const
export type Verb = (typeof VERBS)[number]

/** What is asked of a process; all others are asked of a unit. */
export const PROCESS_VERBS = ["nice", "terminate", "kill"] as const satisfies ReadonlyArray<Verb>

/** What a timer takes back. */
export const REVERTED_VERBS = ["weight", "quota", "memory_high"] as const satisfies ReadonlyArray<Verb>

/** What both ends keep to. Where it is not said: the most. */
export const ORDER_LIMITS = {
  /** An approval holds for so long after it was signed, seconds. */
  approvalSeconds: 60,
  /** And a host forgives its signer's clock so much, seconds, where that runs ahead. */
  aheadSeconds: 5,
  /** Of a poll, and of its answer. */
  pollBytes: 512 * 1024,
  pollAnswerBytes: 256 * 1024,
  /** A poll waits so long for something to do, seconds. */
  pollWaitSeconds: 25,
  reasonLength: 500,
  messageLength: 500,
  /** Of each in one poll or its answer. */
  orders: 8,
  previews: 4,
  outcomes: 32,
  approvals: 4,
  /** In a preview; how many more there are is said. */
  processesShown: 50,
  dependantsShown: 50,
  offers: 250,
  /** Of a host's file. */
  approvers: 50,
  rules: 50,
  list: 100,
  minutes: 240,
  weight: 10_000,
  /** Of one core: 1 024 cores. */
  quotaPercent: 102_400,
  memoryBytesLeast: 1024 * 1024
} as const

/** Why a host does not do what it is asked to, by code. */
export const REFUSALS = {
  malformed: "the order cannot be read",
  unsigned: "no person has signed it",
  "unknown-key": "it is signed with a key that this host does not know",
  "bad-signature": "its signature does not hold for this order",
  expired: "its approval is too old",
  "too-far-ahead": "its approval holds for longer than this host allows, or one of the clocks is wrong",
  replayed: "this host has seen it before",
  "other-host": "it is for another server",
  "other-boot": "this host was started anew since the preview",
  "not-allowed": "this host's file does not allow it",
  "forbidden-target": "nobody may act on this, whatever the file says",
  "target-changed": "the target is not the one of the preview any more",
  "rate-limited": "this host has done as much of it as its file allows in an hour",
  "outside-hours": "this host's file does not allow it at this hour",
  "second-person-needed": "a second person has to sign it",
  "term-first": "a process is killed only after it was asked to end and did not, for 5 seconds"
} as const
export type RefusalCode = keyof typeof REFUSALS

const DEPTH_MAX = 8

/** JSON without blanks, keys in the order of their UTF-16 units. Numbers are whole and exact. */
export const canonical = (value: unknown): string => canonicalAt(value, 0)

const canonicalAt = (value: unknown, depth: number): string => {
  if (depth > DEPTH_MAX) throw new TypeError(`a value nested more than ${DEPTH_MAX} deep has no canonical text`)
  if (value === null || typeof value === "boolean" || typeof value === "string") return JSON.stringify(value)
  if (typeof value === "number" && Number.isSafeInteger(value)) return String(value === 0 ? 0 : value)
  if (Array.isArray(value)) return `[${value.map((one) => canonicalAt(one, depth + 1)).join(",")}]`
  if (typeof value === "object" && [Object.prototype, null].includes(Object.getPrototypeOf(value))) {
    const fields = Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1))
    return `{${fields.map(([key, inner]) => `${JSON.stringify(key)}:${canonicalAt(inner, depth + 1)}`).join(",")}}`
  }
  throw new TypeError(`${typeof value === "number" ? value : typeof value} has no canonical text`)
}

/** What the signature of an approval is over. `expires`: epoch seconds. */
export const approvalBytes = (approval: {
  readonly order: object
  readonly by: string
  readonly expires: number
}): Uint8Array<ArrayBuffer> => {
  const { by, expires, order } = approval
  return new TextEncoder().encode(`nodepulse order\n${canonical({ order, by, expires })}`)
}
