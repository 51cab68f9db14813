/** What was asked of a server, or of all: who, what, why, and what became of it. The latest first. */
import { useState } from "react"
import "../access/access.css"
import { useAsk, useHeart, useNow } from "../ask/Refresh.tsx"
import { serverPath } from "../ask/Url.ts"
import { Crumbs } from "../parts/Crumbs.tsx"
import { Failure, ShownAsOf } from "../parts/Failure.tsx"
import { moment } from "../parts/Format.ts"
import { Link } from "../parts/Link.tsx"
import { Name } from "../parts/Name.tsx"
import { Scroller } from "../parts/Scroller.tsx"
import "./acting.css"
import { actPath, type OrderShown, orderSentence, STATES, signedBy, stateWord } from "./OrderWords.ts"

const PAGE = 50

/** `id`: of one server; of all where there is none. */
export const ActsPage = ({ id }: { readonly id?: string }) => {
  const { refresh } = useHeart()
  const [befores, setBefores] = useState<ReadonlyArray<string>>([])
  const before = befores.at(-1)
  const asked = useAsk("acting.orders", { server: id, before, limit: PAGE })
  const { failure, value } = asked
  return (
    <>
      {id !== undefined && (
        <Crumbs>
          <Link href="/">Servers</Link>
          <Link href={serverPath(id)}>
            <Name value={id} />
          </Link>
        </Crumbs>
      )}
      <div className="title-line">
        <h1>Acts</h1>
      </div>
      <p className="muted">
        What people asked of {id === undefined ? "hosts" : "this host"}, and what became of it. It is only ever added
        to. A host decides by its own file, and by who has signed.
      </p>
      <ShownAsOf asked={asked} />
      {failure !== undefined && value === undefined && (
        <Failure alone what="The acts" failure={failure} onRetry={refresh} />
      )}
      {value !== undefined && <List orders={value.orders} isOfAll={id === undefined} />}
      {(befores.length > 0 || value?.next != null) && (
        <p className="more-rows">
          {befores.length > 0 && (
            <button type="button" className="button small" onClick={() => setBefores(befores.slice(0, -1))}>
              Later
            </button>
          )}
          {value?.next != null && (
            <button type="button" className="button small" onClick={() => setBefores([...befores, value.next!])}>
              Earlier
            </button>
          )}
        </p>
      )}
    </>
  )
}

const List = ({ isOfAll, orders }: { readonly orders: ReadonlyArray<OrderShown>; readonly isOfAll: boolean }) => {
  if (orders.length === 0) {
    return (
      <p className="card empty">
        Nothing was asked. Where a host's <code>nodepulse hands</code> allows something, “Act on this” stands in the
        panel of a process or unit.
      </p>
    )
  }
  return (
    <div className="card flush">
      <Scroller label="Acts">
        <table className="listed acts">
          <thead>
            <tr>
              <th scope="col">What</th>
              {isOfAll && <th scope="col">Server</th>}
              <th scope="col">When</th>
              <th scope="col">Given by</th>
              <th scope="col">Signed by</th>
              <th scope="col">What became of it</th>
            </tr>
          </thead>
          <tbody>
            {orders.map((shown) => (
              <Row key={shown.order_id} shown={shown} isOfAll={isOfAll} />
            ))}
          </tbody>
        </table>
      </Scroller>
    </div>
  )
}

const Row = ({ isOfAll, shown }: { readonly shown: OrderShown; readonly isOfAll: boolean }) => {
  const now = useNow()
  const { badge } = STATES[shown.state]
  const by = signedBy(shown)
  return (
    <tr>
      <th scope="row">
        <span className="two-lines">
          <Link href={actPath(shown.order_id)}>{orderSentence(shown.order)}</Link>
          <span className="sub">
            <Name value={shown.order.reason} />
          </span>
        </span>
      </th>
      {isOfAll && (
        <td data-label="Server">
          <Link href={serverPath(shown.server_id, "/acts")}>
            <Name value={shown.server_name} />
          </Link>
        </td>
      )}
      <td data-label="When">{moment(Date.parse(shown.asked_at), now, true)}</td>
      <td data-label="Given by">
        <Name value={shown.asked_by} />
      </td>
      <td data-label="Signed by">{by.length === 0 ? "nobody" : <Name value={by.join(" and ")} />}</td>
      <td data-label="What became">
        <span className={`badge ${badge}`}>{stateWord(shown)}</span>
        {shown.state === "waiting" && <span className="sub">until {moment(Date.parse(shown.expires_at), now)}</span>}
        {shown.outcome?.code != null && <span className="sub">{shown.outcome.code}</span>}
      </td>
    </tr>
  )
}
