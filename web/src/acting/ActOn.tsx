/**
 * The closed line "Act on this" of a panel. Absent for readers, and where the host's own file says nothing of what is looked at. All
 * else is loaded, and the host is asked, when it is opened.
 */
import { useState } from "react"
import { useGrouping } from "../ask/Grouping.ts"
import { seldom, useAsk, useNow } from "../ask/Refresh.tsx"
import { useMay } from "../ask/WhoContext.ts"
import { ago } from "../parts/Format.ts"
import { late } from "../parts/Late.tsx"
import { isAllowed, type Subject } from "./Allowed.ts"

const Acting = late(async () => (await import("./Acting.tsx")).Acting)

export const ActOn = (props: { readonly id: string; readonly subject: Subject }) =>
  useMay("operator") ? <Line {...props} /> : null

const Line = ({ id, subject }: { readonly id: string; readonly subject: Subject }) => {
  const now = useNow()
  const grouping = useGrouping()
  const [open, setOpen] = useState(false)
  const { value } = useAsk("acting.get", { id }, { aside: true, ...seldom(1) })
  const hands = value?.hands
  if (hands == null || !isAllowed(hands.rules, subject)) return null
  const isSilent = hands.state === "silent"
  return (
    <details className="act-on" onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>
        Act on this
        {isSilent && (
          <span className="muted"> · nothing listens there, last heard of {ago(Date.parse(hands.heard_at), now)}</span>
        )}
      </summary>
      {open &&
        (grouping !== undefined && "group" in subject.target ? (
          <p className="muted">
            A host knows its processes by their own names: choose <b>Names as they are</b> above the table, and open one
            of those.
          </p>
        ) : (
          <Acting id={id} target={subject.target} silentSince={isSilent ? hands.heard_at : undefined} />
        ))}
    </details>
  )
}
