/**
 * An order that was given: what it is, what its state means, who may still sign it, and what became of it. Asked for again while
 * something may still happen to it and the page is seen.
 *
 * Guarantee: what is signed here is the order as it was first shown. One that the server tells otherwise later is not signed.
 */
import { useEffect, useState } from "react"
import { canonical } from "../../../src/protocol/OrderText.ts"
import { useSending } from "../access/Field.tsx"
import { ask } from "../ask/Api.ts"
import { BASE } from "../ask/Base.ts"
import { useAsk, useHeart, useNow } from "../ask/Refresh.tsx"
import { Command } from "../parts/Command.tsx"
import { duration, moment } from "../parts/Format.ts"
import { legible } from "../parts/Legible.ts"
import { Link } from "../parts/Link.tsx"
import { Exactly } from "./Exactly.tsx"
import { signOrder } from "./Keys.ts"
import {
  actPath,
  eventText,
  isMoving,
  type Order,
  type OrderShown,
  STATES,
  stateSentence,
  stateWord
} from "./OrderWords.ts"
import { SignAs, SignEnd, useSigner } from "./SignAs.tsx"

const EVERY_MILLIS = 1_500

/** What became of it since; asked for quickly while something happens. */
export const useOrder = (id: string) => {
  const { hidden } = useHeart()
  const [again, setAgain] = useState(0)
  const asked = useAsk("acting.ordered", { id }, { again, aside: true })
  const moves = !hidden && asked.failure === undefined && (asked.value === undefined || isMoving(asked.value.state))
  useEffect(() => {
    if (!moves) return
    const timer = setInterval(() => setAgain((count) => count + 1), EVERY_MILLIS)
    return () => clearInterval(timer)
  }, [moves])
  return { asked, refresh: () => setAgain((count) => count + 1) }
}

/** In the panel from which it was given. */
export const Followed = ({ onNext, order: first }: { readonly order: OrderShown; readonly onNext: () => void }) => {
  const { asked, refresh } = useOrder(first.order_id)
  const shown = asked.value ?? first
  return (
    <section className="followed" aria-label="The order">
      <State shown={shown} />
      <Exactly order={first.order} />
      <Waiting first={first} shown={shown} onChanged={refresh} />
      <p className="acting-next">
        <Link className="button small" href={actPath(first.order_id)}>
          The order
        </Link>
        <button type="button" className="button small" onClick={onNext}>
          Look again
        </button>
      </p>
    </section>
  )
}

export const State = ({ shown }: { readonly shown: OrderShown }) => {
  const { badge } = STATES[shown.state]
  return (
    <div className="order-state" role="status">
      <span className={`badge ${badge}`}>{stateWord(shown)}</span>
      <p>{stateSentence(shown)}</p>
    </div>
  )
}

interface WaitingProps {
  readonly first: OrderShown
  readonly shown: OrderShown
  readonly onChanged: () => void
}

/** What is still missing, for whoever can give it, and the link for others. */
export const Waiting = ({ first, onChanged, shown }: WaitingProps) => {
  if (shown.state !== "waiting") return null
  if (canonical(shown.order) !== canonical(first.order)) {
    return (
      <p className="problem" role="alert">
        The server tells another order now than the one that was shown first. Sign nothing; ask who runs this server.
      </p>
    )
  }
  return (
    <>
      <Sign order={first.order} shown={shown} onChanged={onChanged} />
      <div className="small acting-share">
        <p>
          Whoever else has a key signs it {shown.needed > 1 ? "within the same minute, " : ""}here, or in a terminal:
        </p>
        <Command text={`${window.location.origin}${BASE}${actPath(first.order_id)}`} />
        <Command text={`nodepulse approve ${first.order_id}`} />
      </div>
    </>
  )
}

const Sign = ({
  onChanged,
  order,
  shown
}: {
  readonly order: Order
  readonly shown: OrderShown
  readonly onChanged: () => void
}) => {
  const { value } = useAsk("acting.get", { id: order.server }, { aside: true })
  const approvers = value?.hands?.approvers
  const signing = useSigner(approvers ?? [], [])
  const { signer } = signing
  const { busy, failure, onSubmit } = useSending(async () => {
    if (signer === undefined) return
    const approval = await signOrder(order, signer.approver.name, signer.key)
    await ask("acting.approve", { id: order.id }, { body: { approval } })
    onChanged()
  })
  if (approvers === undefined) return null
  return (
    <form className="fields give" onSubmit={onSubmit}>
      <Signatures shown={shown} />
      <SignAs signing={signing} />
      {signer !== undefined && (
        <SignEnd verb={order.verb} server={order.server} failure={failure} disabled={busy}>
          {shown.events.some(({ approval }) => approval?.by === signer.approver.name) ? "Sign it again" : "Sign it"}
        </SignEnd>
      )}
    </form>
  )
}

/** Those that were given, and for how long they still hold. */
const Signatures = ({ shown }: { readonly shown: OrderShown }) => {
  const now = useNow()
  const latest = new Map(shown.events.flatMap(({ approval }) => (approval === null ? [] : [[approval.by, approval]])))
  if (latest.size === 0) return null
  return (
    <ul className="signatures small">
      {[...latest.values()].map(({ by, expires }) => {
        const left = expires - now / 1_000
        return (
          <li key={by}>
            {legible(by, 64)} has signed it:{" "}
            {left > 0 ? (
              `it holds for ${duration(left)} more`
            ) : (
              <b>it does not hold any more, and has to be given again</b>
            )}
          </li>
        )
      })}
    </ul>
  )
}

/** All that happened to it, in order of time. */
export const Events = ({ shown }: { readonly shown: OrderShown }) => {
  const now = useNow()
  return (
    <ol className="order-events">
      {shown.events.map((event) => (
        <li key={`${event.event} ${event.at} ${event.by}`}>
          <span className="muted">{moment(Date.parse(event.at), now, true)}</span> {eventText(event)}
        </li>
      ))}
    </ol>
  )
}
