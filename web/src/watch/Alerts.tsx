/** What fires now, and what fired in the last 30 days, day by day. */
import { useMemo } from "react"
import { useAsk, useHeart, useNow } from "../ask/Refresh.tsx"
import { addressed, serverPath } from "../ask/Url.ts"
import { Failure, ShownAsOf } from "../parts/Failure.tsx"
import { ago, dayOf, moment } from "../parts/Format.ts"
import { legible } from "../parts/Legible.ts"
import { Link } from "../parts/Link.tsx"
import { Name } from "../parts/Name.tsx"
import { type Alert, alertPath, fires, lastedText, valueParts } from "./AlertWords.ts"
import { Severity } from "./Severity.tsx"

const LISTED_MAX = 200
const DAYS = 30

export const Alerts = () => {
  const { refresh } = useHeart()
  const now = useNow()
  // From midnight, so that it is the same question all day.
  const since = new Date(now - DAYS * 86_400_000).setHours(0, 0, 0, 0)
  const asked = useAsk("alerts.list", { from: new Date(since).toISOString(), limit: LISTED_MAX })
  const { failure, loading, value } = asked
  const [firing, over] = useMemo(() => {
    const all = value?.alerts ?? []
    return [all.filter(fires), all.filter((alert) => !fires(alert))]
  }, [value])
  return (
    <>
      <ShownAsOf asked={asked} />
      {failure !== undefined && value === undefined && <Failure failure={failure} what="Alerts" onRetry={refresh} />}
      {loading && <div className="card skeleton tall" role="status" aria-label="Loading" />}
      {value !== undefined && (
        <>
          <Firing alerts={firing} />
          <Fired alerts={over} isCut={value.alerts.length === LISTED_MAX} />
        </>
      )}
    </>
  )
}

const Firing = ({ alerts }: { readonly alerts: ReadonlyArray<Alert> }) => (
  <section className="card flush watch-list" aria-labelledby="fires-now">
    <div className="list-head">
      <h2 id="fires-now">Fires now</h2>
      <span className="muted" role="status">
        {alerts.length === 0 ? "nothing" : alerts.length}
      </span>
    </div>
    {alerts.length === 0 ? (
      <AllQuiet />
    ) : (
      <ul className="alerts">
        {alerts.map((alert) => (
          <AlertRow key={alert.alert_id} alert={alert} />
        ))}
      </ul>
    )}
  </section>
)

/** Says what is watched: that nothing fires means little without. */
const AllQuiet = () => {
  const { value } = useAsk("rules.list", {}, { aside: true, everyBeats: 4 })
  const on = value?.rules.filter(({ enabled }) => enabled).length
  return (
    <p className="nothing muted">
      {on === undefined ? (
        "All quiet."
      ) : on === 0 ? (
        <>
          Nothing is watched: there is no <Link href="/watch/rules">rule</Link> that is on.
        </>
      ) : (
        <>
          All quiet. <Link href="/watch/rules">{on === 1 ? "One rule is" : `${on} rules are`}</Link> asked every 15
          seconds.
        </>
      )}
    </p>
  )
}

const Fired = ({ alerts, isCut }: { readonly alerts: ReadonlyArray<Alert>; readonly isCut: boolean }) => {
  const now = useNow()
  const days = useMemo(() => Map.groupBy(alerts, ({ fired_at }) => new Date(fired_at).toDateString()), [alerts])
  return (
    <section className="card flush watch-list" aria-labelledby="fired">
      <div className="list-head">
        <h2 id="fired">Fired in the last {DAYS} days</h2>
        <span className="muted">{isCut ? `the latest ${alerts.length}` : alerts.length}</span>
      </div>
      {alerts.length === 0 && <p className="nothing muted">Nothing has fired and ended.</p>}
      {[...days].map(([day, own]) => (
        <div key={day}>
          <h3 className="alerts-day">{day === new Date(now).toDateString() ? "Today" : dayOf(new Date(day), now)}</h3>
          <ul className="alerts">
            {own.map((alert) => (
              <AlertRow key={alert.alert_id} alert={alert} />
            ))}
          </ul>
        </div>
      ))}
    </section>
  )
}

const AlertRow = ({ alert }: { readonly alert: Alert }) => {
  const now = useNow()
  const isOver = !fires(alert)
  const value = valueParts(alert)
  const firedAt = Date.parse(alert.fired_at)
  return (
    <li className={isOver ? "alert ended" : `alert ${alert.severity}`}>
      <Severity severity={alert.severity} over={isOver} />
      <div className="alert-what">
        <Link href={alertPath(alert.alert_id)} className="alert-rule">
          <Name value={alert.rule} />
        </Link>
        <Chips alert={alert} />
        <p className="sub">{alert.sentence}</p>
      </div>
      <p className="alert-who">
        <Who alert={alert} />
      </p>
      <p className="alert-value num">
        {value?.[0]}
        {value !== undefined && value[1] !== "" && <span className="sub">{value[1]}</span>}
      </p>
      <p className="alert-when num" title={new Date(firedAt).toLocaleString()}>
        {isOver ? moment(firedAt, firedAt) : ago(firedAt, now)}
        <span className="sub">{isOver ? `for ${lastedText(alert, now)}` : moment(firedAt, now)}</span>
      </p>
    </li>
  )
}

/** What there is to know beside that it fires. */
export const Chips = ({ alert }: { readonly alert: Alert }) =>
  fires(alert) ? (
    <>
      {alert.unknown && (
        <span
          className="badge unsure"
          title="Nobody knows whether it still holds: too little was seen, or the server is silent"
        >
          unknown
        </span>
      )}
      {alert.acknowledged !== null && (
        <span
          className="badge live"
          title={`By ${legible(alert.acknowledged.by, 80)}: ${legible(alert.acknowledged.note, 300)}`}
        >
          acknowledged
        </span>
      )}
      {alert.silenced && <span className="badge unsure">silenced</span>}
    </>
  ) : null

/** The group and its server, each with its way there. */
export const Who = ({ alert: { group, server_id, server_name } }: { readonly alert: Alert }) =>
  server_id === null ? (
    <Link href="/pipeline">NodePulse itself</Link>
  ) : (
    <>
      {group !== "" && (
        <Link href={serverPath(server_id, group.includes("#") ? "" : `?open=${encodeURIComponent(addressed(group))}`)}>
          <Name value={group} />
        </Link>
      )}
      <Link href={serverPath(server_id)} className={group === "" ? undefined : "sub"}>
        <Name value={server_name ?? server_id} />
      </Link>
    </>
  )
