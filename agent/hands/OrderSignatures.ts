/**
 * Who has signed an order, as far as this host is concerned. Pure.
 *
 * Guarantee: each approval that comes with an order has to hold, by a key that the host's file has under that name, neither expired nor
 * further ahead than it may be, by this host's clock. One that does not is a refusal of the whole: nobody sends such by mistake.
 */
import { holds } from "../../src/protocol/Approvals.ts"
import type { SignedOrder } from "../../src/protocol/Orders.ts"
import { ORDER_LIMITS } from "../../src/protocol/OrderText.ts"
import type { HandsApprover, HandsFile } from "./HandsFile.ts"
import { type Refused, refused } from "./OrderRules.ts"

/** Those who have signed, or why they have not. `now`: epoch seconds, by this host's clock. */
export const signersOf = (
  file: HandsFile,
  { approvals, order }: SignedOrder,
  now: number
): ReadonlyArray<HandsApprover> | Refused => {
  if (approvals.length === 0) return refused("unsigned")
  const signers: Array<HandsApprover> = []
  for (const approval of approvals) {
    const approver = file.approvers.find(({ key }) => key === approval.key)
    if (approver === undefined) return refused("unknown-key", `${approval.by}, key ${approval.key.slice(0, 12)}…`)
    if (approver.name !== approval.by || !holds(order, approval, approver.publicKey)) {
      return refused("bad-signature", approval.by)
    }
    if (approval.expires <= now) return refused("expired", `by ${Math.ceil(now - approval.expires)} s`)
    if (approval.expires > now + ORDER_LIMITS.approvalSeconds + ORDER_LIMITS.aheadSeconds) {
      return refused("too-far-ahead", `${Math.floor(approval.expires - now)} s ahead`)
    }
    signers.push(approver)
  }
  return signers
}
