/** An alert, as a post-mortem: what fired and how much, what ran before and when it fired, what else happened, and who knows. */
import { useAsk, useHeart, useNow } from "../ask/Refresh.tsx"
import { Failure, ShownAsOf } from "../parts/Failure.tsx"
import { ago, duration, moment, words } from "../parts/Format.ts"
import { legible } from "../parts/Legible.ts"
import { Link } from "../parts/Link.tsx"
import { Name } from "../parts/Name.tsx"
import { Chips, Who } from "./Alerts.tsx"
import { type Alert, fires, lastedText, valueText } from "./AlertWords.ts"
import { Severity } from "./Severity.tsx"
import { type Story, StoryOf } from "./StoryOf.tsx"

export const AlertPage = ({ id }: { readonly id: string }) => {
  const { refresh } = useHeart()
  const asked = useAsk("alerts.get", { id })
  const { failure, loading, value } = asked
  return (
    <article className="alert-page">
      <p className="crumbs">
        <Link href="/watch">Watch</Link> <span aria-hidden="true">/</span>
      </p>
      <ShownAsOf asked={asked} />
      {loading && <div className="card skeleton tall" role="status" aria-label="Loading" />}
      {failure !== undefined && value === undefined && (
        <Failure alone what="This alert" failure={failure} onRetry={refresh} />
      )}
      {value !== undefined && <Told story={value} />}
    </article>
  )
}

const Told = ({ story }: { readonly story: Story }) => (
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
    <Facts alert={story} />
    <Acts alert={story} />
    <Course alert={story} />
    <StoryOf story={story} />
  </>
)

const Facts = ({ alert }: { readonly alert: Alert }) => {
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
    </dl>
  )
}

const Acts = ({ alert }: { readonly alert: Story }) =>
  alert.server_id === null ? null : (
    <div className="alert-acts">
      <Link className="button" href={alert.link}>
        The server at that time
      </Link>
    </div>
  )

/** What became of it, step by step. */
const Course = ({ alert }: { readonly alert: Alert }) => {
  const now = useNow()
  const { fired_at, resolved_at } = alert
  const fired = Date.parse(fired_at)
  return (
    <section className="card" aria-labelledby="course">
      <h2 id="course">Course</h2>
      <ol className="course">
        <li className={alert.severity}>
          <b>Fired</b> <span className="muted">{moment(fired, now, true)}</span>
          {valueText(alert) !== undefined && <> at {valueText(alert)}</>}
        </li>
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
