/**
 * What is signed, in words and as the very text. Both are made of the order that is given here and of nothing else, and whoever shows it
 * signs that same order.
 */
import { canonical } from "../../../src/protocol/OrderText.ts"
import { legible } from "../parts/Legible.ts"
import { Name } from "../parts/Name.tsx"
import { isUnit, type Order, orderSentence, startText } from "./OrderWords.ts"

export const Exactly = ({ order }: { readonly order: Order }) => {
  const { boot_id, reason, server, target } = order
  return (
    <section className="exactly" aria-label="What is signed">
      <p className="exactly-said">
        On <Name value={server} />: {orderSentence(order)}.
      </p>
      <p className="muted small">
        {isUnit(target)
          ? `Only this run of it (${target.invocation.slice(0, 8)}…)`
          : `Only the process that started ${startText(target.start_ticks)}`}
        , and only in this boot ({boot_id.slice(0, 8)}…).
        {reason !== "" && ` Because: ${legible(reason, 500)}`}
      </p>
      <details>
        <summary>The very text that is signed</summary>
        <pre>{legible(canonical(order), 3_000)}</pre>
        <p className="muted small">Beside who signs it and until when that holds, a minute.</p>
      </details>
    </section>
  )
}
