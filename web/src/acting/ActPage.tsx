/** One order: what it asks for, who signed it, what became of it; and once that is known, what changed by it. */
import { useMemo, useState } from "react"
import "../access/access.css"
import { useCatalog } from "../ask/CatalogContext.ts"
import { formatWindow } from "../ask/Range.ts"
import { useAsk, useHeart, useNow } from "../ask/Refresh.tsx"
import { addressed, go, serverPath } from "../ask/Url.ts"
import { sentenceOf } from "../ledger/LedgerHead.tsx"
import { LedgerTable } from "../ledger/LedgerTable.tsx"
import { linesOf } from "../ledger/Lines.ts"
import "../ledger/ledger.css"
import { Crumbs } from "../parts/Crumbs.tsx"
import { Failure, ShownAsOf } from "../parts/Failure.tsx"
import { moment, percent, window as windowText, words } from "../parts/Format.ts"
import { Link } from "../parts/Link.tsx"
import { Name } from "../parts/Name.tsx"
import "./acting.css"
import { Exactly } from "./Exactly.tsx"
import { Events, State, useOrder, Waiting } from "./Followed.tsx"
import { type OrderShown, orderSentence, signedBy } from "./OrderWords.ts"

export const ActPage = ({ id }: { readonly id: string }) => {
  const { refresh: refreshAll } = useHeart()
  const { asked, refresh } = useOrder(id)
  const { failure, loading, value } = asked
  return (
    <article className="act-page">
      <Crumbs>
        <Link href="/">Servers</Link>
        {value !== undefined && (
          <Link href={serverPath(value.server_id)}>
            <Name value={value.server_name} />
          </Link>
        )}
        {value !== undefined && <Link href={serverPath(value.server_id, "/acts")}>Acts</Link>}
      </Crumbs>
      <ShownAsOf asked={asked} />
      {loading && <div className="card skeleton tall" role="status" aria-label="Loading" />}
      {failure !== undefined && value === undefined && (
        <Failure alone what="This order" failure={failure} onRetry={refreshAll} />
      )}
      {value !== undefined && <Told shown={value} onChanged={refresh} />}
    </article>
  )
}

const Told = ({ onChanged, shown }: { readonly shown: OrderShown; readonly onChanged: () => void }) => {
  const now = useNow()
  // What is signed is what was shown first.
  const [first] = useState(shown)
  const by = signedBy(shown)
  return (
    <>
      <div className="title-line">
        <h1>{orderSentence(first.order)}</h1>
      </div>
      <section className="card">
        <State shown={shown} />
        <dl className="acting-facts">
          <div>
            <dt>Given by</dt>
            <dd>
              <Name value={shown.asked_by} />, {moment(Date.parse(shown.asked_at), now, true)}
            </dd>
          </div>
          <div>
            <dt>Because</dt>
            <dd>
              <Name value={first.order.reason} />
            </dd>
          </div>
          <div>
            <dt>Signed by</dt>
            <dd>
              {by.length === 0 && "nobody"}
              {by.map((name, n) => (
                <span key={name}>
                  {n > 0 && " and "}
                  <Name value={name} />
                </span>
              ))}
              {shown.state === "waiting" && `, of ${shown.needed}`}
            </dd>
          </div>
          {shown.outcome?.reverts_at != null && (
            <div>
              <dt>{shown.outcome.reverts_at * 1_000 > now ? "Taken back" : "Was taken back"}</dt>
              <dd>{moment(shown.outcome.reverts_at * 1_000, now, true)}, by a timer of the host</dd>
            </div>
          )}
        </dl>
        <Exactly order={first.order} />
        <Waiting first={first} shown={shown} onChanged={onChanged} />
      </section>
      {shown.ledger !== null && <Changed shown={shown} ledger={shown.ledger} />}
      <section className="card" aria-labelledby="order-events">
        <h2 id="order-events">What happened to it</h2>
        <Events shown={shown} />
      </section>
    </>
  )
}

type Ledger = NonNullable<OrderShown["ledger"]>

/** Five minutes before and after. */
const Changed = ({ ledger, shown }: { readonly ledger: Ledger; readonly shown: OrderShown }) => {
  const now = useNow()
  const acted = Date.parse(ledger.against_at)
  const ends = Date.parse(ledger.at)
  const isReady = ledger.state === "ready" || Date.parse(ledger.ready_at) <= now
  const side = ends - acted
  const address = serverPath(
    shown.server_id,
    `?${new URLSearchParams({
      window: formatWindow({ from: acted - 3 * side, to: Math.min(now - 1_000, ends + 3 * side) }),
      brush: formatWindow({ from: acted, to: ends }),
      against: "previous",
      metric: ledger.metric
    })}`
  )
  return (
    <section className="card flush act-ledger" aria-labelledby="act-ledger">
      <div className="list-head">
        <h2 id="act-ledger">Before and after</h2>
        <span className="muted small">
          {windowText(acted - side, acted, now)}, then {windowText(acted, ends, now)}
        </span>
        <span className="spring" />
        {isReady && (
          <Link className="small" href={address}>
            With its charts
          </Link>
        )}
      </div>
      {isReady ? (
        <Lines shown={shown} ledger={ledger} />
      ) : (
        <p className="nothing muted">
          The five minutes after it are over at {moment(ends, now)}; what changed stands here from{" "}
          {moment(Date.parse(ledger.ready_at), now)} on, by itself.
        </p>
      )}
    </section>
  )
}

const SHOWN = 8

const Lines = ({ ledger, shown }: { readonly ledger: Ledger; readonly shown: OrderShown }) => {
  const { exporters } = useCatalog()
  const exporter = exporters.find(({ resource }) => resource === ledger.resource)
  const ranking = exporter?.top?.rankings.find(({ key }) => key === ledger.metric)
  const { against_at, at, hours, metric, resource } = ledger
  const { failure, value } = useAsk(
    "changes.diff",
    { id: shown.server_id, resource, metric, at, against_at, hours, limit: SHOWN },
    { everyBeats: 4 }
  )
  const lines = useMemo(
    () => (value === undefined || ranking === undefined ? undefined : linesOf(value, ranking, 1)),
    [value, ranking]
  )
  if (failure !== undefined && value === undefined) return <Failure failure={failure} what="What changed" />
  if (value === undefined || lines === undefined || ranking === undefined || exporter === undefined) {
    return <div className="skeleton act-ledger-space" role="status" aria-label="Comparing" />
  }
  const { after, before } = value
  if (before.scrapes === 0 || after.scrapes === 0)
    return <p className="nothing muted">One of the two times was not seen: there is nothing to compare.</p>
  const coverage = Math.min(before.coverage, after.coverage)
  return (
    <>
      {coverage < COVERAGE_TOLD && (
        <p className="banner">Only a part was seen: {percent(coverage * 100)} % of the time.</p>
      )}
      <p className="act-ledger-said">{sentenceOf(value, lines, ranking)}</p>
      <LedgerTable
        answer={value}
        lines={lines}
        name={words(exporter.top?.per ?? "name").replace(/ name$/, "")}
        divisor={1}
        colourOf={undefined}
        open={undefined}
        onOpen={(name) =>
          name !== undefined && go(serverPath(shown.server_id, `?open=${encodeURIComponent(addressed(name))}`))
        }
      />
    </>
  )
}

/** Below it, a ledger says so before any number. */
const COVERAGE_TOLD = 0.8
