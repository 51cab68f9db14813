/** Silences and maintenances: what nobody is told of, until when and why; those of the last 30 days that are over. */
import { useState } from "react"
import { Confirm } from "../access/Field.tsx"
import { type Answer, ask } from "../ask/Api.ts"
import { useAsk, useHeart, useNow } from "../ask/Refresh.tsx"
import { useMay } from "../ask/WhoContext.ts"
import { Failure, ShownAsOf } from "../parts/Failure.tsx"
import { duration, moment } from "../parts/Format.ts"
import { Link } from "../parts/Link.tsx"
import { Name } from "../parts/Name.tsx"
import { SilenceForm } from "./SilenceForm.tsx"

type Silence = Answer<"silences.list">["silences"][number]

export const SilenceList = () => {
  const { refresh } = useHeart()
  const mayEdit = useMay("operator")
  const mayAudit = useMay("admin")
  const [adding, setAdding] = useState(false)
  const [ending, setEnding] = useState<Silence>()
  const [again, setAgain] = useState(0)
  const asked = useAsk("silences.list", {}, { again })
  const { failure, loading, value } = asked
  const open = value?.silences.filter(({ state }) => state !== "expired") ?? []
  const over = value?.silences.filter(({ state }) => state === "expired") ?? []
  const changed = () => setAgain((n) => n + 1)
  return (
    <>
      <div className="toolbar">
        {mayEdit && (
          <button type="button" className="button primary" onClick={() => setAdding(true)}>
            Silence…
          </button>
        )}
        <span className="spring" />
        {mayAudit && <Link href="/access/audit?what=silence">Who silenced what: the audit</Link>}
      </div>
      <ShownAsOf asked={asked} />
      {failure !== undefined && value === undefined && <Failure failure={failure} what="Silences" onRetry={refresh} />}
      {loading && <div className="card skeleton tall" role="status" aria-label="Loading" />}
      {value !== undefined && (
        <>
          <Listed
            title="In force or announced"
            none="Nothing is silenced: whatever fires is told."
            silences={open}
            onEnd={mayEdit ? setEnding : undefined}
          />
          {over.length > 0 && <Listed title="Over" none="" silences={over} onEnd={undefined} />}
        </>
      )}
      {adding && <SilenceForm onClose={() => setAdding(false)} onMade={changed} />}
      {ending !== undefined && <Ending silence={ending} onClose={() => setEnding(undefined)} onEnded={changed} />}
    </>
  )
}

const Listed = ({
  none,
  onEnd,
  silences,
  title
}: {
  readonly title: string
  readonly none: string
  readonly silences: ReadonlyArray<Silence>
  readonly onEnd: ((silence: Silence) => void) | undefined
}) => (
  <section className="card flush watch-list" aria-label={title}>
    <div className="list-head">
      <h2>{title}</h2>
      <span className="muted">{silences.length}</span>
    </div>
    {silences.length === 0 && <p className="nothing muted">{none}</p>}
    <ul>
      {silences.map((silence) => (
        <Row key={silence.silence_id} silence={silence} onEnd={onEnd} />
      ))}
    </ul>
  </section>
)

const Row = ({
  onEnd,
  silence
}: {
  readonly silence: Silence
  readonly onEnd: ((silence: Silence) => void) | undefined
}) => {
  const now = useNow()
  const { by, comment, from, kind, state, until } = silence
  const ends = Date.parse(until)
  return (
    <li className={state === "expired" ? "silence-row ended" : "silence-row"}>
      <div className="alert-what">
        <b>
          <About silence={silence} />
        </b>
        {kind === "maintenance" && <span className="badge stale">maintenance</span>}
        {state === "pending" && <span className="badge unsure">begins {moment(Date.parse(from), now)}</span>}
        <p className="sub">
          <Name value={comment} /> · <Name value={by} />
        </p>
      </div>
      <p className="num">
        {moment(ends, now)}
        <span className="sub">
          {state === "active"
            ? `${duration((ends - now) / 1000)} left`
            : state === "expired"
              ? `after ${duration((ends - Date.parse(from)) / 1000)}`
              : `for ${duration((ends - Date.parse(from)) / 1000)}`}
        </span>
      </p>
      {onEnd !== undefined && (
        <button type="button" className="button small" onClick={() => onEnd(silence)}>
          {state === "pending" ? "Remove" : "End now"}
        </button>
      )}
    </li>
  )
}

/** "Any rule of postgres* on db-*, critical only". */
const About = ({ silence: { group, rule, server, severity } }: { readonly silence: Silence }) => (
  <>
    {rule === "*" ? "Any rule" : <Name value={rule} />}
    {group !== "*" && (
      <>
        {" "}
        of <Name value={group} />
      </>
    )}{" "}
    on {server === "*" ? "any server" : <Name value={server} />}
    {severity !== null && `, ${severity} only`}
  </>
)

const Ending = ({
  onClose,
  onEnded,
  silence
}: {
  readonly silence: Silence
  readonly onClose: () => void
  readonly onEnded: () => void
}) => (
  <Confirm
    title={silence.state === "pending" ? "Remove it?" : "End it now?"}
    action={silence.state === "pending" ? "Remove" : "End now"}
    onClose={onClose}
    onConfirm={async () => {
      await ask("silences.end", { id: silence.silence_id })
      onEnded()
    }}
  >
    <p>
      <About silence={silence} />. What still fires is told then.
    </p>
  </Confirm>
)
