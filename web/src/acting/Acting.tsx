/**
 * "Act on this", opened: the host is asked what would happen, and what it says is shown, with the ladder of what it would do. An order
 * that is given from here is followed here.
 */
import { useState } from "react"
import { useNow } from "../ask/Refresh.tsx"
import { serverPath } from "../ask/Url.ts"
import { Failure } from "../parts/Failure.tsx"
import { ago, moment } from "../parts/Format.ts"
import { legible } from "../parts/Legible.ts"
import { Link } from "../parts/Link.tsx"
import "../access/access.css"
import "./acting.css"
import { Followed } from "./Followed.tsx"
import { Ladder } from "./Ladder.tsx"
import { type Looked, useLook } from "./Look.ts"
import { type OrderShown, type Preview, refusalText } from "./OrderWords.ts"
import { Seen } from "./Seen.tsx"

interface Props {
  readonly id: string
  readonly target: Looked["target"]
  /** Its hands was not heard of since then; undefined: it listens. */
  readonly silentSince: string | undefined
}

export const Acting = ({ id, silentSince, target }: Props) => {
  const [anyway, setAnyway] = useState(false)
  const isOff = silentSince !== undefined && !anyway
  const { again, failure, looked } = useLook(id, target, isOff)
  const [given, setGiven] = useState<OrderShown>()
  const next = () => {
    setGiven(undefined)
    again()
  }
  if (isOff) return <Silent since={silentSince} onAnyway={() => setAnyway(true)} />
  return (
    <div className="acting">
      {given !== undefined ? (
        <Followed order={given} onNext={next} />
      ) : failure !== undefined ? (
        <Failure failure={failure} what="What would happen" onRetry={again} />
      ) : (
        <Told looked={looked} onAgain={again} onGiven={setGiven} />
      )}
      <p className="small">
        <Link href={serverPath(id, "/acts")}>All acts on this server</Link>
      </p>
    </div>
  )
}

const Silent = ({ onAnyway, since }: { readonly since: string; readonly onAnyway: () => void }) => {
  const now = useNow()
  return (
    <div className="acting">
      <p role="status">
        <b>Nothing listens on this host.</b> Its <code>nodepulse hands</code> was last heard of{" "}
        {moment(Date.parse(since), now, true)} ({ago(Date.parse(since), now)}). On it,{" "}
        <code>systemctl status nodepulse-hands</code> says why.
      </p>
      <p>
        <button type="button" className="button small" onClick={onAnyway}>
          Ask anyway
        </button>
      </p>
    </div>
  )
}

interface ToldProps {
  readonly looked: Looked | undefined
  readonly onAgain: () => void
  readonly onGiven: (order: OrderShown) => void
}

const Told = ({ looked, onAgain, onGiven }: ToldProps) => {
  const again = (
    <button type="button" className="button small" onClick={onAgain}>
      Look again
    </button>
  )
  if (looked?.state === "expired") {
    return (
      <p role="status">
        <b>The host did not answer within a minute.</b> Does <code>nodepulse hands</code> run there, and can it reach
        this server? {again}
      </p>
    )
  }
  if (looked?.preview == null) {
    return (
      <p className="muted" role="status">
        Asking the host what would happen…
      </p>
    )
  }
  const { preview } = looked
  if (preview.refusal !== null) {
    return (
      <p role="status">
        <b>The host would do nothing here.</b> {refusalText(preview.refusal)}. {again}
      </p>
    )
  }
  return (
    <>
      <div className="acting-head">
        <p className="muted small" role="status">
          As the host saw it at <HostClock preview={preview} />. Nothing was done.
        </p>
        {again}
      </div>
      <Seen preview={preview} />
      <Ladder key={looked.preview_id} looked={looked} preview={preview} onGiven={onGiven} />
    </>
  )
}

/** By its own clock: an approval counts by that, so one that is wrong is told. */
const HostClock = ({ preview: { at, server } }: { readonly preview: Preview }) => {
  const now = useNow()
  const [asked] = useState(now)
  const ahead = Math.round(at - asked / 1_000)
  return (
    <>
      {moment(at * 1_000, now, true)}
      {Math.abs(ahead) > AHEAD_TOLD && (
        <b>
          {" "}
          (the clocks of {legible(server, 80)} and of this browser are {Math.abs(ahead)} s apart: signatures may not
          count)
        </b>
      )}
    </>
  )
}

/** Seconds; less than a signature is forgiven and an answer may take. */
const AHEAD_TOLD = 20
