/**
 * Groups × servers: a value in each cell, tinted by how far it lies from the others. The tint is never alone: what is odd has a
 * mark and says how often it is the median.
 */
import type { Comparison } from "../ask/Api.ts"
import { encoded } from "../ask/Base.ts"
import { lookingAt, spreadPath } from "../ask/Compared.ts"
import { addressed, serverPath, usePlace } from "../ask/Url.ts"
import { number, words } from "../parts/Format.ts"
import { legible } from "../parts/Legible.ts"
import { Link } from "../parts/Link.tsx"
import { Name } from "../parts/Name.tsx"
import { Scroller } from "../parts/Scroller.tsx"
import { Mark, shownIn, timesOf } from "./Odd.tsx"

type Row = Comparison["total"]

/** From which deviation on a cell has which tint; the last one is what is odd. */
const HEAT = [2, 3.5, 5]

export const Matrix = ({ answer, title }: { readonly answer: Comparison; readonly title: string }) => {
  const { groups, metric, odd, other, resource, servers, total, unit } = answer
  const { query } = usePlace()
  const looking = lookingAt(query)
  const isOdd = (name: string | null, place: number) =>
    odd.some((one) => one.name === name && one.server_id === servers[place]?.server_id)
  const cells = (row: Row, name: string | null) =>
    servers.map(({ server_id }, place) => (
      <Cell
        key={server_id}
        row={row}
        place={place}
        odd={isOdd(name, place)}
        unit={unit}
        href={serverPath(server_id, name === null ? `?${looking}` : `?open=${encoded(addressed(name))}&${looking}`)}
      />
    ))
  return (
    <section className="card flush matrix-card" aria-label={`${title} by server`}>
      <Scroller label={`${title} by server, a table`}>
        <table className="matrix">
          <caption className="visually-hidden">
            {words(metric)} of the leading {title.toLowerCase()} on each server, average over the time range
          </caption>
          <thead>
            <tr>
              <th scope="col">{title}</th>
              {servers.map(({ name, server_id }) => (
                <th key={server_id} scope="col" className="num">
                  <Link href={serverPath(server_id, `?${looking}`)}>
                    <Name value={name} />
                  </Link>
                </th>
              ))}
              <th scope="col" className="num">
                Median
              </th>
            </tr>
          </thead>
          <tbody>
            {groups.map((row) => (
              <tr key={row.name}>
                <th scope="row">
                  <GroupName name={row.name} resource={resource} metric={metric} />
                </th>
                {cells(row, row.name)}
                <td className="num muted">{shownIn(row.median, unit)}</td>
              </tr>
            ))}
          </tbody>
          <tfoot>
            {other.groups > 0 && (
              <tr>
                <th scope="row">All others ({other.groups})</th>
                {servers.map(({ server_id }, place) => (
                  <td key={server_id} className="num">
                    {shownIn(other.values[place] ?? null, unit)}
                  </td>
                ))}
                <td />
              </tr>
            )}
            <tr className="total">
              <th scope="row">Together</th>
              {cells(total, null)}
              <td className="num">{shownIn(total.median, unit)}</td>
            </tr>
          </tfoot>
        </table>
      </Scroller>
      <p className="matrix-note muted">
        Averages over the time range. Tinted: far from the median of the row. With a mark: far enough to be worth
        telling.
      </p>
    </section>
  )
}

/** A group's name, which leads to it over all servers; one that is too long for an address leads nowhere. */
const GroupName = ({
  metric,
  name,
  resource
}: {
  readonly name: string
  readonly resource: string
  readonly metric: string
}) => {
  const { query } = usePlace()
  if (addressed(name) !== name) return <Name value={name} />
  return (
    <Link
      className="quiet"
      href={spreadPath(resource, name, metric, lookingAt(query))}
      title={`${legible(name, 60)} over all servers`}
    >
      <Name value={name} />
    </Link>
  )
}

const Cell = ({
  href,
  odd,
  place,
  row,
  unit
}: {
  readonly row: Row
  readonly place: number
  readonly odd: boolean
  readonly unit: string
  readonly href: string
}) => {
  const value = row.values[place] ?? null
  const deviation = row.deviations[place] ?? 0
  if (value === null) {
    return (
      <td className="num unseen" title="Not seen in this time range, or the size of the machine is not known">
        –<span className="visually-hidden"> not known</span>
      </td>
    )
  }
  const above = value > (row.median ?? 0)
  // The strongest tint is of what is odd: where there are two kinds of servers, nothing is.
  const heat = odd ? HEAT.length : Math.min(HEAT.length - 1, HEAT.filter((from) => deviation >= from).length)
  const times = odd && row.median !== null ? timesOf(value, row.median) : undefined
  return (
    <td
      className={`num heat-${heat} ${above ? "above" : "below"}${odd ? " odd" : ""}`}
      title={heat === 0 ? undefined : `${number(deviation)} deviations ${above ? "above" : "below"} the median`}
    >
      <Link className="quiet" href={href}>
        {odd && <Mark above={above} />}
        {times !== undefined && <span className="times">{times}</span>}
        {value === 0 ? <span className="muted">0</span> : shownIn(value, unit)}
      </Link>
    </td>
  )
}
