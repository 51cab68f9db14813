/**
 * A host that acts, played: it polls a server as `nodepulse hands` does, with an agent's token, answers previews and says what became
 * of orders. Nothing is done to any machine. For the demonstration and for tests of the page.
 *
 * Guarantee: an order counts only with signatures that hold, of so many approvers as its rule wants: by the code that hosts have
 * (`src/protocol/Approvals.ts`). What else hosts look at it leaves out.
 */
import { randomUUID } from "node:crypto"
import { Effect } from "effect"
import { holds } from "../src/protocol/Approvals.ts"
import type {
  Approval,
  Approver,
  Offer,
  Order,
  Outcome,
  Poll,
  PollAnswer,
  Preview,
  PreviewProcess,
  PreviewRequest,
  PreviewUnit,
  SignedOrder
} from "../src/protocol/Orders.ts"
import { ORDER_LIMITS } from "../src/protocol/OrderText.ts"

export interface PlayedApprover extends Approver {
  readonly publicKey: Uint8Array
}

export interface PlayedHost {
  readonly server: string
  readonly bootId: string
  /** Read anew with each poll: people come and go. */
  readonly approvers: ReadonlyArray<PlayedApprover>
  readonly rules: Poll["rules"]
  readonly unit: PreviewUnit | null
  readonly processes: ReadonlyArray<PreviewProcess>
  readonly shares: ReadonlyArray<string>
  readonly offers: ReadonlyArray<Offer>
  /** Whom it answers at all; undefined: everybody. */
  readonly answers?: (request: PreviewRequest) => boolean
  /** What becomes of an order whose signatures hold. */
  readonly does: (order: Order) => Pick<Outcome, "result" | "code" | "message" | "reverts_at">
  readonly waitSeconds?: number
}

const seconds = (): number => Math.floor(Date.now() / 1_000)

const previewOf = (host: PlayedHost, { id, target }: PreviewRequest): Preview => {
  const { bootId, offers, processes, server, shares, unit } = host
  const common = { version: 1, id, server, boot_id: bootId, at: seconds(), target } as const
  const isAbout =
    "unit" in target
      ? unit?.unit === target.unit
      : "group" in target
        ? processes.some(({ name }) => name === target.group)
        : processes.some(({ pid }) => pid === target.pid)
  if (!isAbout) {
    const refusal = { code: "not-allowed", message: "this host's file does not allow it" } as const
    const nothing = { unit: null, processes: [], processes_more: 0, shares: [], offers: [], approvers: [] }
    return { ...common, ...nothing, refusal }
  }
  return {
    ...common,
    refusal: null,
    unit,
    processes,
    processes_more: 0,
    shares,
    offers,
    approvers: host.approvers.map(({ key, name, role }) => ({ key, name, role }))
  }
}

/** Who has signed it so that it counts. */
const signersOf = (
  { approvers }: PlayedHost,
  order: Order,
  approvals: ReadonlyArray<Approval>
): ReadonlyArray<string> =>
  approvals.flatMap((approval) => {
    const approver = approvers.find(({ key, name }) => key === approval.key && name === approval.by)
    const isInTime = approval.expires > seconds() && approval.expires <= seconds() + ORDER_LIMITS.approvalSeconds + 5
    return approver !== undefined && isInTime && holds(order, approval, approver.publicKey) ? [approver.name] : []
  })

const outcomeOf = (host: PlayedHost, { approvals, order }: SignedOrder): Outcome => {
  const by = [...new Set(signersOf(host, order, approvals))]
  const offer = host.offers.find(({ verb }) => verb === order.verb)
  const common = { id: randomUUID(), order: order.id, at: seconds(), by }
  if (by.length === 0) {
    const message = "its signature does not hold for this order"
    return { ...common, result: "refused", code: "bad-signature", message, reverts_at: null }
  }
  if (offer?.second_person === true && by.length < 2) {
    const message = "a second person has to sign it"
    return { ...common, result: "refused", code: "second-person-needed", message, reverts_at: null }
  }
  return { ...common, ...host.does(order) }
}

/** Polls for ever; a poll that fails is tried again a second later. */
export const playHands = (url: string, token: string, host: PlayedHost): Effect.Effect<never> =>
  Effect.gen(function* () {
    let previews: ReadonlyArray<Preview> = []
    let outcomes: ReadonlyArray<Outcome> = []
    const poll = Effect.tryPromise(async (signal) => {
      const body: Poll = {
        version: 1,
        server: host.server,
        boot_id: host.bootId,
        wait_seconds: previews.length + outcomes.length > 0 ? 0 : (host.waitSeconds ?? 5),
        rules_digest: "A".repeat(43),
        rules: host.rules,
        approvers: host.approvers.map(({ key, name, role }) => ({ key, name, role })),
        previews,
        outcomes
      }
      const response = await fetch(`${url}/api/hands/poll`, {
        method: "POST",
        headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
        body: JSON.stringify(body),
        signal
      })
      if (!response.ok) throw new Error(`${response.status} ${await response.text()}`)
      return (await response.json()) as PollAnswer
    })
    return yield* Effect.forever(
      poll.pipe(
        Effect.tap((answer) =>
          Effect.sync(() => {
            const requests = answer.previews as ReadonlyArray<PreviewRequest>
            previews = requests.filter((one) => host.answers?.(one) !== false).map((one) => previewOf(host, one))
            const told = outcomes.filter(({ id }) => !answer.recorded.includes(id))
            outcomes = [...told, ...(answer.orders as ReadonlyArray<SignedOrder>).map((one) => outcomeOf(host, one))]
          })
        ),
        // The allowance of a host is two polls a second.
        Effect.andThen(Effect.sleep("500 millis")),
        Effect.catch(() => Effect.sleep("1 second"))
      )
    )
  })
