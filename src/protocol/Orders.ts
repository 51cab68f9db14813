/**
 * What is asked of a host that acts, what it answers, and how both travel: `nodepulse hands` polls the server, which relays.
 *
 * ```
 * hands  -> POST /api/hands/poll  Poll        what it allows, answers to previews, outcomes of orders
 * server -> 200                   PollAnswer  previews asked for, orders with their approvals, outcomes that are recorded
 * ```
 *
 * - A *preview* is what the host says would happen, of a unit, of a process, or of the processes of a group.
 * - An *order* names one verb and one target as the preview told it: a process by pid, start and name, a unit by its invocation.
 * - An *approval* is a person's Ed25519 signature over {@link approvalBytes} of the order (`OrderText.ts`, `Approvals.ts`). The server
 *   has no key that counts, so it can neither make nor change an order.
 * - An *outcome* says what became of an order. It is sent until the server has recorded it, so it may come twice.
 *
 * Guarantee: every field is bounded in size; unknown fields are errors where {@link STRICT} is used, as both ends do. What a peer sends
 * within these bounds is still another program's: names and messages are shown, never believed.
 *
 * Moments are whole epoch seconds, sizes bytes. A list of orders or previews is read one by one, so that one that cannot be read takes
 * no other with it.
 */
import { Schema } from "effect"
import { ORDER_LIMITS, REFUSALS, type RefusalCode, VERBS } from "./OrderText.ts"
import { isPrintable } from "./PrintableText.ts"

/** For the decoders of everything here: an unknown field is an error. */
export const STRICT = { onExcessProperty: "error" } as const

const Whole = (minimum: number, maximum: number = Number.MAX_SAFE_INTEGER) =>
  Schema.Int.check(Schema.isBetween({ minimum, maximum }))

/** A text on one line that hides nothing. */
const Text = (least: number, most: number) =>
  Schema.String.check(
    Schema.makeFilter((text: string) => text.length >= least && text.length <= most && isPrintable(text), {
      expected: `a text of ${least} to ${most} characters, without control or invisible characters`
    })
  )

const Pattern = (pattern: RegExp, expected: string) => Schema.String.check(Schema.isPattern(pattern, { expected }))

const Uuid = Pattern(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/, "a UUID in small letters")
/** 32 bytes. */
const Base64Url32 = Pattern(/^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$/, "32 bytes in base64url")
const ServerId = Text(1, 256)
const Moment = Whole(0, 99_999_999_999)
const Message = Text(0, ORDER_LIMITS.messageLength)
const Role = Schema.Literals(["operator", "admin"])
export const Verb = Schema.Literals(VERBS)
const Refusal = Schema.Literals(Object.keys(REFUSALS) as ReadonlyArray<RefusalCode>)

/** Services and scopes: whoever acts on a slice acts on units that nobody named. */
export const UnitName = Pattern(/^(?=.{1,255}$)[A-Za-z0-9:_.@\\-]+\.(service|scope)$/, "the name of a service or scope")
/** The kernel's name of a process (`comm`), made printable: 15 bytes, each of which may become 6 characters. */
const ProcessName = Text(0, 96)
/** A name that the page knows processes by. */
const GroupName = Text(1, 256)
const PersonName = Text(1, 64)

/** Kernels allow 2^22 at most. */
const Pid = Whole(1, 4_194_304)

export const ProcessTarget = Schema.Struct({
  pid: Pid,
  start_ticks: Whole(0).annotate({
    description: "When it started, clock ticks since the boot, as the kernel says it."
  }),
  name: ProcessName
})
export type ProcessTarget = typeof ProcessTarget.Type

export const UnitTarget = Schema.Struct({
  unit: UnitName,
  invocation: Pattern(/^[0-9a-f]{32}$/, "32 hexadecimal digits").annotate({
    description: "Of the run that was shown, as systemd says it: another after each start."
  })
})
export type UnitTarget = typeof UnitTarget.Type

const Minutes = Whole(1, ORDER_LIMITS.minutes).annotate({
  description: "After them, what was there before is restored."
})
const NiceSettings = Schema.Struct({ nice: Whole(0, 19), io: Schema.Literals(["unchanged", "best-effort", "idle"]) })
const WeightSettings = Schema.Struct({ weight: Whole(1, ORDER_LIMITS.weight), minutes: Minutes })
const QuotaSettings = Schema.Struct({
  percent: Whole(1, ORDER_LIMITS.quotaPercent).annotate({ description: "Of one core." }),
  minutes: Minutes
})
const MemorySettings = Schema.Struct({ bytes: Whole(ORDER_LIMITS.memoryBytesLeast), minutes: Minutes })
/** A struct without fields would take everything. */
const NoSettings = Schema.Struct({}).check(
  Schema.makeFilter(
    (value: unknown) => typeof value === "object" && !Array.isArray(value) && Object.keys(value ?? {}).length === 0,
    { expected: "{}" }
  )
)

const common = {
  version: Schema.Literal(1),
  id: Uuid,
  server: ServerId,
  boot_id: Uuid,
  reason: Text(1, ORDER_LIMITS.reasonLength),
  nonce: Pattern(/^[A-Za-z0-9_-]{21}[AQgw]$/, "16 bytes in base64url").annotate({
    description: "Drawn anew for each order."
  })
}

export const Order = Schema.Union([
  Schema.Struct({ ...common, verb: Schema.Literal("nice"), target: ProcessTarget, settings: NiceSettings }),
  Schema.Struct({ ...common, verb: Schema.Literal("weight"), target: UnitTarget, settings: WeightSettings }),
  Schema.Struct({ ...common, verb: Schema.Literal("quota"), target: UnitTarget, settings: QuotaSettings }),
  Schema.Struct({ ...common, verb: Schema.Literal("memory_high"), target: UnitTarget, settings: MemorySettings }),
  Schema.Struct({ ...common, verb: Schema.Literal("terminate"), target: ProcessTarget, settings: NoSettings }),
  Schema.Struct({ ...common, verb: Schema.Literal("kill"), target: ProcessTarget, settings: NoSettings }),
  Schema.Struct({ ...common, verb: Schema.Literal("restart"), target: UnitTarget, settings: NoSettings })
])
export type Order = typeof Order.Type

export const Approval = Schema.Struct({
  by: PersonName.annotate({ description: "As the host's file calls the approver." }),
  key: Base64Url32.annotate({ description: "SHA-256 of the raw public key." }),
  expires: Moment,
  signature: Pattern(/^[A-Za-z0-9_-]{85}[AQgw]$/, "64 bytes in base64url")
})
export type Approval = typeof Approval.Type

/** An order on its way. Without approvals it is refused, and that is said. */
export const SignedOrder = Schema.Struct({
  order: Order,
  approvals: Schema.Array(Approval).check(Schema.isMaxLength(ORDER_LIMITS.approvals))
})
export type SignedOrder = typeof SignedOrder.Type

/** What a preview is asked of. */
export const PreviewTarget = Schema.Union([
  Schema.Struct({ unit: UnitName }),
  Schema.Struct({ pid: Pid }),
  Schema.Struct({ group: GroupName })
])
export type PreviewTarget = typeof PreviewTarget.Type

export const PreviewRequest = Schema.Struct({ id: Uuid, target: PreviewTarget })
export type PreviewRequest = typeof PreviewRequest.Type

export const PreviewProcess = Schema.Struct({
  ...ProcessTarget.fields,
  group: Schema.NullOr(GroupName).annotate({ description: "The name that the page knows it by, as the agent has it." }),
  parent: Whole(0, 4_194_304),
  user: Text(0, 64),
  state: Text(1, 1).annotate({ description: "As /proc says it: R, S, D, Z, T, …" }),
  command: Text(0, 300).annotate({ description: "The program's path, never its arguments." }),
  unit: Schema.NullOr(Text(0, 255)),
  threads: Whole(0),
  nice: Whole(-20, 19),
  children: Whole(0),
  memory_bytes: Whole(0),
  cpu_seconds: Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })),
  container: Schema.Boolean.annotate({ description: "In a PID namespace of its own; the pid is the host's." })
})
export type PreviewProcess = typeof PreviewProcess.Type

export const PreviewUnit = Schema.Struct({
  ...UnitTarget.fields,
  description: Text(0, 300),
  active: Text(0, 32),
  restart: Text(0, 32).annotate({ description: "Its Restart=: whether systemd starts it again by itself." }),
  main_pid: Schema.NullOr(Pid),
  processes: Whole(0),
  dependants: Schema.Array(Text(1, 255))
    .check(Schema.isMaxLength(ORDER_LIMITS.dependantsShown))
    .annotate({ description: "Active units that require it, so stop with it." }),
  dependants_more: Whole(0),
  /** Null: not set. */
  weight: Schema.NullOr(Whole(0)),
  quota_percent: Schema.NullOr(Whole(0)),
  memory_high_bytes: Schema.NullOr(Whole(0)),
  memory_bytes: Schema.NullOr(Whole(0))
})
export type PreviewUnit = typeof PreviewUnit.Type

/** Who may sign. */
export const Approver = Schema.Struct({ name: PersonName, role: Role, key: Base64Url32 })
export type Approver = typeof Approver.Type

/** The values of a setting that the file allows. */
const Span = Schema.Struct({ min: Whole(0), max: Whole(0) })

/** A verb that the file mentions for this target: it would be done, or why not. */
export const Offer = Schema.Struct({
  verb: Verb,
  target: Schema.Union([ProcessTarget, UnitTarget]),
  refusal: Schema.NullOr(Schema.Struct({ code: Refusal, message: Message })).annotate({
    description: "Null: it would be done now, if it were signed."
  }),
  roles: Schema.Array(Role).check(Schema.isMaxLength(2)),
  second_person: Schema.Boolean,
  left_this_hour: Whole(0),
  would: Message.annotate({ description: "In words: what would be done." }),
  settings: Schema.Struct({
    nice: Schema.optionalKey(Span),
    weight: Schema.optionalKey(Span),
    percent: Schema.optionalKey(Span),
    bytes: Schema.optionalKey(Span),
    minutes: Schema.optionalKey(Span)
  }).annotate({ description: "What the file allows of each setting." })
})
export type Offer = typeof Offer.Type

/** What the host says would happen. */
export const Preview = Schema.Struct({
  version: Schema.Literal(1),
  id: Uuid,
  server: ServerId,
  boot_id: Uuid,
  at: Moment.annotate({ description: "By the host's clock." }),
  target: PreviewTarget,
  refusal: Schema.NullOr(Schema.Struct({ code: Refusal, message: Message })).annotate({
    description: "Of the whole: there is no such target, or nobody may act on it."
  }),
  unit: Schema.NullOr(PreviewUnit),
  processes: Schema.Array(PreviewProcess).check(Schema.isMaxLength(ORDER_LIMITS.processesShown)),
  processes_more: Whole(0),
  shares: Schema.Array(Text(0, 300))
    .check(Schema.isMaxLength(ORDER_LIMITS.list))
    .annotate({ description: "What else is in the unit's control group and would be touched with it." }),
  offers: Schema.Array(Offer).check(Schema.isMaxLength(ORDER_LIMITS.offers)),
  approvers: Schema.Array(Approver).check(Schema.isMaxLength(ORDER_LIMITS.approvers))
})
export type Preview = typeof Preview.Type

/** What became of an order. There is one of each that was read. */
export const Outcome = Schema.Struct({
  id: Uuid.annotate({ description: "Of this outcome: the same where it is sent again." }),
  order: Schema.NullOr(Uuid).annotate({ description: "Null: so malformed that it has no id." }),
  result: Schema.Literals(["done", "failed", "refused", "interrupted"]).annotate({
    description: "`failed`: tried, and it did not work. `interrupted`: the host stopped while it was at it."
  }),
  code: Schema.NullOr(Refusal).annotate({ description: "Of a refusal." }),
  message: Message,
  at: Moment,
  by: Schema.Array(PersonName).check(Schema.isMaxLength(ORDER_LIMITS.approvals)).annotate({
    description: "Whose signatures the host has verified."
  }),
  reverts_at: Schema.NullOr(Moment)
})
export type Outcome = typeof Outcome.Type

/** A rule of the host's file, for people to read. */
export const RuleShown = Schema.Struct({
  verbs: Schema.Array(Verb).check(Schema.isMaxLength(VERBS.length)),
  units: Schema.Array(Text(1, 255)).check(Schema.isMaxLength(ORDER_LIMITS.list)),
  names: Schema.Array(Text(1, 255)).check(Schema.isMaxLength(ORDER_LIMITS.list)),
  roles: Schema.Array(Role).check(Schema.isMaxLength(2)),
  second_person: Schema.Boolean,
  per_hour: Whole(1, 1_000),
  hours: Schema.NullOr(Text(11, 11))
})
export type RuleShown = typeof RuleShown.Type

export const Poll = Schema.Struct({
  version: Schema.Literal(1),
  server: ServerId.annotate({ description: "What the host's file says it is." }),
  boot_id: Uuid,
  wait_seconds: Whole(0, ORDER_LIMITS.pollWaitSeconds).annotate({
    description: "How long the answer may take where there is nothing to do."
  }),
  rules_digest: Base64Url32.annotate({ description: "SHA-256 of the file: another where it has changed." }),
  rules: Schema.Array(RuleShown).check(Schema.isMaxLength(ORDER_LIMITS.rules)),
  approvers: Schema.Array(Approver).check(Schema.isMaxLength(ORDER_LIMITS.approvers)),
  previews: Schema.Array(Preview).check(Schema.isMaxLength(ORDER_LIMITS.previews)),
  outcomes: Schema.Array(Outcome).check(Schema.isMaxLength(ORDER_LIMITS.outcomes))
})
export type Poll = typeof Poll.Type

/** `previews` and `orders` are read one by one, as {@link PreviewRequest} and {@link SignedOrder}. */
export const PollAnswer = Schema.Struct({
  version: Schema.Literal(1),
  server: ServerId.annotate({ description: "Whose token it was: the host stops where its file says another." }),
  previews: Schema.Array(Schema.Unknown).check(Schema.isMaxLength(ORDER_LIMITS.previews)),
  orders: Schema.Array(Schema.Unknown).check(Schema.isMaxLength(ORDER_LIMITS.orders)),
  recorded: Schema.Array(Uuid)
    .check(Schema.isMaxLength(ORDER_LIMITS.outcomes))
    .annotate({ description: "Outcomes of earlier polls, and of this one, that need not come again." })
})
export type PollAnswer = typeof PollAnswer.Type
