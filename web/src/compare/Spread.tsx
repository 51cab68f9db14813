/**
 * One group over all servers: a dot for each that ran it, the median, and those that stand out; below it the same as a table.
 * The address is its state: `/compare/process?resource=processes&group=postgres&metric=cpu`.
 */
import "./compare.css"
import type { Exporter, Spread } from "../ask/Api.ts"
import { encoded } from "../ask/Base.ts"
import { COMPARED_MAX, comparePath, lookingAt } from "../ask/Compared.ts"
import { useGrouping } from "../ask/Grouping.ts"
import { useRange } from "../ask/Range.ts"
import { useAsk, useHeart } from "../ask/Refresh.tsx"
import { type Range, windowQuery } from "../ask/Spans.ts"
import { addressed, groupsPath, serverPath, usePlace } from "../ask/Url.ts"
import { GroupedBy } from "../frame/GroupNames.tsx"
import { Crumbs } from "../parts/Crumbs.tsx"
import { Failure, ShownAsOf } from "../parts/Failure.tsx"
import { legible } from "../parts/Legible.ts"
import { Link } from "../parts/Link.tsx"
import { Name } from "../parts/Name.tsx"
import { VirtualRows } from "../parts/Virtual.tsx"
import { CompareBar, type ComparedBy, useComparedBy, useScale } from "./Bar.tsx"
import { Mark, OddSentence, shownIn, timesOf } from "./Odd.tsx"
import { plural, Strip } from "./Strip.tsx"

export const SpreadPage = () => {
  const by = useComparedBy()
  const group = usePlace().query.get("group")
  if (by === undefined || group === null) {
    return (
      <p className="nothing card">
        This address names no process. <Link href="/processes">All processes</Link>
      </p>
    )
  }
  return <OneGroup {...by} group={group} />
}

const OneGroup = ({ exporter, group, ranking }: ComparedBy & { readonly group: string }) => {
  const range = useRange()
  const { query } = usePlace()
  const { refresh } = useHeart()
  const scale = useScale(ranking)
  const grouping = useGrouping()
  const asked = useAsk(
    "comparison.spread",
    { resource: exporter.resource, name: group, grouping, metric: ranking.key, scale, ...windowQuery(range) },
    { everyBeats: 2 }
  )
  const { failure, previous, value } = asked
  return (
    <>
      <Crumbs>
        <Link href={groupsPath(exporter.resource)}>{exporter.title}</Link>
      </Crumbs>
      <div className="title-line">
        <h1>
          <Name value={group} /> <span className="muted">over all servers</span>
        </h1>
        <Link href={rankedPath(exporter, group, range, query)}>Totals and growth</Link>
      </div>
      <CompareBar exporter={exporter} ranking={ranking} window={value?.window} />
      <GroupedBy grouping={value?.grouping} bound={false} />
      <ShownAsOf asked={asked} />
      {value === undefined ? (
        failure === undefined ? (
          <div className="card skeleton tall" role="status" aria-label="Loading" />
        ) : (
          <Failure failure={failure} what="This group" onRetry={refresh} />
        )
      ) : (
        <div className={previous ? "previous" : ""}>
          <Said answer={value} />
          <Strip answer={value} ranking={ranking} />
          <SpreadTable answer={value} />
        </div>
      )}
    </>
  )
}

/** The same of what is looked at here as a list of servers, with growth. */
const rankedPath = (exporter: Exporter, group: string, range: Range, query: URLSearchParams): string => {
  const kept = new URLSearchParams()
  if (query.get("window") === null) kept.set("range", range.key)
  for (const name of ["window", "metric", "grouping"]) {
    const value = query.get(name)
    if (value !== null) kept.set(name, value)
  }
  return groupsPath(exporter.resource, group, `?${kept}`)
}

const nameOf = ({ names, server_ids }: Spread, id: string) => names[server_ids.indexOf(id)] ?? id

/** On how many servers it ran, and which of them stand out. */
const Said = ({ answer }: { readonly answer: Spread }) => {
  const { absent, median, name, odd, of, server_ids, unit, unseen } = answer
  const { query } = usePlace()
  return (
    <section className="findings" aria-label="What stands out" role="status">
      <p>
        {server_ids.length === 0 ? "It ran on no server" : `It ran on ${plural(server_ids.length, "server")}`} in this
        range
        {absent > 0 && <span className="muted"> · not on {absent}</span>}
        {unseen > 0 && <span className="muted"> · {unseen} not seen</span>}
        {median !== null && (
          <span>
            {" "}
            · median <b>{shownIn(median, unit)}</b>
          </span>
        )}
      </p>
      {odd.length === 0 && server_ids.length > 0 && (
        <p className="muted">
          {of < 3 ? "Which one is odd can be said of three servers or more." : "No server stands out."}
        </p>
      )}
      {odd.slice(0, 3).map(({ server_id, value }) => (
        <p key={server_id}>
          <OddSentence
            odd={{ value, median: median ?? 0, of }}
            unit={unit}
            subject={
              <>
                <b className="subject">
                  <Name value={name} />
                </b>{" "}
                on{" "}
                <Link href={serverPath(server_id, `?open=${encoded(addressed(name))}&${lookingAt(query)}`)}>
                  <Name value={nameOf(answer, server_id)} />
                </Link>
              </>
            }
          />
        </p>
      ))}
      {odd.length > 3 && <p className="muted">and {odd.length - 3} more, marked below</p>}
      {odd.length > 0 && (
        <Link className="button small" href={comparePath(oddAndUsual(answer), lookingAt(query))}>
          Compare {odd.length === 1 ? "it" : "them"} with usual ones
        </Link>
      )}
    </section>
  )
}

/** What stands out beside as many servers near the median, as many as can be compared. */
const oddAndUsual = ({ median, odd, server_ids, values }: Spread): ReadonlyArray<string> => {
  const out = odd.slice(0, 3).map(({ server_id }) => server_id)
  const distance = (place: number) => Math.abs((values[place] ?? Number.POSITIVE_INFINITY) - (median ?? 0))
  const usual = server_ids
    .map((id, place) => ({ id, place }))
    .filter(({ id }) => !odd.some(({ server_id }) => server_id === id))
    .sort((a, b) => distance(a.place) - distance(b.place))
    .map(({ id }) => id)
  return [...out, ...usual.slice(0, Math.min(3, COMPARED_MAX - out.length))]
}

/** The servers in order of their values; what a dot is, in words. */
const SpreadTable = ({ answer }: { readonly answer: Spread }) => {
  const { median, name, names, odd, server_ids, unit, values } = answer
  const { query } = usePlace()
  const looking = lookingAt(query)
  const rank = (place: number) => values[place] ?? -1
  const order = server_ids.map((_, place) => place).sort((a, b) => rank(b) - rank(a))
  const max = rank(order[0] ?? 0)
  const isOdd = (id: string) => odd.some(({ server_id }) => server_id === id)
  if (order.length === 0) return null
  return (
    <div className="card flush">
      <table className="spread-table">
        <caption className="visually-hidden">{legible(name, 60)} on each server, those that use most first</caption>
        <thead>
          <tr>
            <th scope="col">Server</th>
            <th scope="col" className="num">
              Average
            </th>
            <th scope="col" className="num">
              Of the median
            </th>
            <th scope="col" className="spread-bar">
              <span className="visually-hidden">As a bar</span>
            </th>
          </tr>
        </thead>
        <VirtualRows
          count={order.length}
          rowHeight={35}
          columns={4}
          render={(index) => {
            const place = order[index] ?? 0
            const id = server_ids[place] ?? ""
            const value = values[place] ?? null
            return (
              <tr key={id}>
                <th scope="row">
                  <Link href={serverPath(id, `?open=${encoded(addressed(name))}&${looking}`)}>
                    <Name value={names[place] ?? id} />
                  </Link>
                </th>
                <td className="num">{shownIn(value, unit)}</td>
                <td className="num">
                  {isOdd(id) && <Mark above={(value ?? 0) > (median ?? 0)} />}{" "}
                  {value === null || median === null ? "–" : (timesOf(value, median) ?? "–")}
                </td>
                <td className="spread-bar">
                  <svg className="meter-bar" aria-hidden="true" preserveAspectRatio="none" viewBox="0 0 100 4">
                    <rect className="meter-part" width={max > 0 ? (100 * (value ?? 0)) / max : 0} height="4" />
                  </svg>
                </td>
              </tr>
            )
          }}
        />
      </table>
    </div>
  )
}
