/** An alert, as a post-mortem: what fired and how much, what ran before and when it fired, what else happened, and who knows. */
import { useState } from "react"
import { useSending } from "../access/Field.tsx"
import { ask } from "../ask/Api.ts"
import { useAsk, useHeart, useNow } from "../ask/Refresh.tsx"
import { useMay } from "../ask/WhoContext.ts"
import { Crumbs } from "../parts/Crumbs.tsx"
import { Failure, ShownAsOf } from "../parts/Failure.tsx"
import { ago, duration, moment, words } from "../parts/Format.ts"
import { legible } from "../parts/Legible.ts"
import { Link } from "../parts/Link.tsx"
import { Name } from "../parts/Name.tsx"
import { RecordingOf } from "../recordings/RecordingOf.tsx"
import { Chips, Who } from "./Alerts.tsx"
import { type Alert, fires, isWebAddress, lastedText, valueText } from "./AlertWords.ts"
import { rulePath } from "./RuleList.tsx"
import { Severity } from "./Severity.tsx"
import { SilenceForm } from "./SilenceForm.tsx"
import { type Story, StoryOf } from "./StoryOf.tsx"

export const AlertPage = ({ id }: { readonly id: string }) => {
  const { refresh } = useHeart()
  const [again, setAgain] = useState(0)
  const asked = useAsk("alerts.get", { id }, { again })
  const { failure, loading, value } = asked
  return (
    <article className="alert-page">
      <Crumbs>
        <Link href="/watch">Watch</Link>
      </Crumbs>
      <ShownAsOf asked={asked} />
      {loading && <div className="card skeleton tall" role="status" aria-label="Loading" />}
      {failure !== undefined && value === undefined && (
        <Failure alone what="This alert" failure={failure} onRetry={refresh} />
      )}
      {value !== undefined && <Told story={value} onChanged={() => setAgain((n) => n + 1)} />}
    </article>
  )
}

const Told = ({ onChanged, story }: { readonly story: Story; readonly onChanged: () => void }) => (
  <>
    <div className="title-line">
      <Severity severity={story.severity} over={!fires(story)} />
      <h1>
        <Name value={story.rule} />
      </h1>
      <span className={fires(story) ? "badge silent" : "badge unsure"}>{fires(story) ? "fires" : "over"}</span>
      <Chips alert={story} />
    </div>
    <p className="rule-sentence">{legible(story.sentence, 400)}</p>
    <Facts story={story} />
    <Acts alert={story} onChanged={onChanged} />
    <Course alert={story} />
    <StoryOf story={story} />
  </>
)

const Facts = ({ story: alert }: { readonly story: Story }) => {
  const now = useNow()
  const value = valueText(alert)
  return (
    <dl className="facts alert-facts">
      <div>
        <dt>Who</dt>
        <dd className="alert-who">
          <Who alert={alert} />
        </dd>
      </div>
      {value !== undefined && (
        <div>
          <dt>{alert.metric === null ? "Value" : words(alert.metric)} when it fired</dt>
          <dd>{value}</dd>
        </div>
      )}
      <div>
        <dt>Fired</dt>
        <dd>{moment(Date.parse(alert.fired_at), now, true)}</dd>
      </div>
      <div>
        <dt>{fires(alert) ? "Fires for" : "Fired for"}</dt>
        <dd>{lastedText(alert, now)}</dd>
      </div>
      {alert.owners.length > 0 && (
        <div>
          <dt>{alert.owners.length === 1 ? "Owner" : "Owners"}</dt>
          <dd>{alert.owners.map((owner) => legible(owner, 60)).join(", ")}</dd>
        </div>
      )}
    </dl>
  )
}

const Acts = ({ alert, onChanged }: { readonly alert: Story; readonly onChanged: () => void }) => {
  const mayEdit = useMay("operator")
  const [silencing, setSilencing] = useState(false)
  const runbook = alert.runbook !== null && isWebAddress(alert.runbook) ? alert.runbook : undefined
  return (
    <div className="alert-acts">
      {runbook !== undefined && (
        <a className="button" href={runbook} target="_blank" rel="noreferrer" title={runbook}>
          Runbook
        </a>
      )}
      {alert.server_id !== null && (
        <Link className="button" href={alert.link}>
          The server at that time
        </Link>
      )}
      {alert.server_id !== null && <RecordingOf serverId={alert.server_id} moment={Date.parse(alert.fired_at)} />}
      <Link className="button" href={rulePath(alert.rule)}>
        The rule
      </Link>
      {mayEdit && fires(alert) && (
        <>
          <button type="button" className="button" onClick={() => setSilencing(true)}>
            Silence…
          </button>
          {alert.acknowledged === null && <Acknowledge alert={alert} onDone={onChanged} />}
        </>
      )}
      {silencing && (
        <SilenceForm
          from={{ rule: alert.rule, server: alert.server_id ?? "", group: alert.group }}
          onClose={() => setSilencing(false)}
          onMade={onChanged}
        />
      )}
    </div>
  )
}

const Acknowledge = ({ alert, onDone }: { readonly alert: Alert; readonly onDone: () => void }) => {
  const { refresh } = useHeart()
  const [note, setNote] = useState("")
  const { busy, failure, onSubmit } = useSending(async () => {
    const said = note.trim()
    await ask("alerts.acknowledge", { id: alert.alert_id }, { body: said === "" ? {} : { note: said } })
    refresh()
    onDone()
  })
  return (
    <form className="joined acknowledge" onSubmit={onSubmit}>
      <input
        type="text"
        aria-label="Note of the acknowledgement"
        placeholder="I am on it"
        maxLength={500}
        value={note}
        onChange={(event) => setNote(event.target.value)}
      />
      <button type="submit" className="button primary" disabled={busy}>
        Acknowledge
      </button>
      <span className="problem" role="alert">
        {failure}
      </span>
    </form>
  )
}

/** What became of it, step by step. */
const Course = ({ alert }: { readonly alert: Story }) => {
  const now = useNow()
  const { acknowledged, fired_at, resolved_at } = alert
  const fired = Date.parse(fired_at)
  return (
    <section className="card" aria-labelledby="course">
      <h2 id="course">Course</h2>
      <ol className="course">
        {alert.held_since !== null && (
          <li>
            <b>Pending</b> <span className="muted">{moment(Date.parse(alert.held_since), now, true)}</span> it began to
            hold, and did so for {duration((fired - Date.parse(alert.held_since)) / 1000)}
          </li>
        )}
        <li className={alert.severity}>
          <b>Fired</b> <span className="muted">{moment(fired, now, true)}</span>
          {valueText(alert) !== undefined && <> at {valueText(alert)}</>}
        </li>
        {acknowledged !== null && (
          <li>
            <b>Acknowledged</b> <span className="muted">{moment(Date.parse(acknowledged.at), now, true)}</span> by{" "}
            <Name value={acknowledged.by} />
            {acknowledged.note !== "" && <>: {legible(acknowledged.note, 500)}</>}
          </li>
        )}
        {resolved_at === null ? (
          <li className="open">
            <b>{alert.unknown ? "Nobody knows" : "Still fires"}</b>{" "}
            <span className="muted">
              {alert.unknown ? "whether it still holds: too little was seen lately, " : ""}since {ago(fired, now)}
            </span>
          </li>
        ) : (
          <li className="ended">
            <b>Over</b> <span className="muted">{moment(Date.parse(resolved_at), now, true)}</span> after{" "}
            {duration((Date.parse(resolved_at) - fired) / 1000)}
          </li>
        )}
      </ol>
    </section>
  )
}
