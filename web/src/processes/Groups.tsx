/**
 * What runs on all servers together, over any range: which processes used most, on which server, and which grow. Also those
 * that are gone: a search that finds nothing in the range says when there was something.
 */
import type { Answer, Exporter, Ranking } from "../ask/Api.ts"
import { useCatalog } from "../ask/CatalogContext.ts"
import { useGrouping } from "../ask/Grouping.ts"
import { formatWindow, useRange } from "../ask/Range.ts"
import { useAsk, useHeart, useNow } from "../ask/Refresh.tsx"
import { windowQuery } from "../ask/Spans.ts"
import { groupsPath, usePlace } from "../ask/Url.ts"
import { Spark } from "../charts/Spark.tsx"
import { GroupedBy, GroupNames, isBound } from "../frame/GroupNames.tsx"
import { RangePicker, RankingPicker, SearchField } from "../frame/Toolbar.tsx"
import { Failure, ShownAsOf } from "../parts/Failure.tsx"
import { ago, bytes, inUnit, number, percent, window as windowText, words } from "../parts/Format.ts"
import { Link } from "../parts/Link.tsx"
import { Name } from "../parts/Name.tsx"
import { offsetIn, usePart, useSettled } from "../parts/Part.ts"
import { SortHead } from "../parts/Sort.tsx"
import { LongTable } from "./LongTable.tsx"
import { type Order, useOrder } from "./Order.ts"
import { totalWords } from "./Units.ts"
import "./processes.css"

type Groups = Answer<"groups.ranked">
type Group = Groups["groups"][number]

/** More rankings than this are not shown beside each other: names need their room. */
const TOTALS_MAX = 2
const MIB = 1024 * 1024

export const GroupsPage = ({ resource }: { readonly resource: string | undefined }) => {
  const { exporters } = useCatalog()
  const ranked = exporters.filter(({ top }) => top !== null)
  const exporter = ranked.find((one) => one.resource === resource) ?? ranked[0]
  return exporter === undefined ? (
    <p className="nothing">No exporter that is enabled ranks anything.</p>
  ) : (
    <Ranked key={exporter.name} exporter={exporter} others={ranked} />
  )
}

const Ranked = ({ exporter, others }: { readonly exporter: Exporter; readonly others: ReadonlyArray<Exporter> }) => {
  const range = useRange("24h")
  const { query, set } = usePlace()
  const { refresh } = useHeart()
  const order = useOrder(exporter)
  const grouping = useGrouping()
  const search = useSettled(query.get("q") ?? "")
  const { onRange, part } = usePart()
  const asked = useAsk("groups.ranked", {
    resource: exporter.resource,
    ...windowQuery(range),
    metric: order.metric,
    by: order.by,
    grouping,
    search: search === "" ? undefined : search.slice(0, 200),
    limit: part.limit,
    offset: part.offset === 0 ? undefined : part.offset
  })
  const { failure, loading, value } = asked
  const rankings = exporter.top!.rankings
  return (
    <>
      <div className="page-head">
        <h1>{exporter.title}</h1>
        {others.length > 1 && <Of all={others} current={exporter} />}
        <span className="spring" />
        <SearchField of={exporter.title} />
      </div>
      <div className="toolbar">
        <RankingPicker
          rankings={rankings}
          current={order.metric}
          onChoose={(key) => set({ metric: key === exporter.top!.default ? undefined : key, by: undefined }, true)}
        />
        <RangePicker usual="24h" />
        <GroupNames />
        <span className="spring" />
        {value !== undefined && <Seen groups={value} />}
      </div>
      <GroupedBy grouping={value?.grouping} bound={isBound(value?.groups)} />
      <ShownAsOf asked={asked} />
      {failure !== undefined && value === undefined && (
        <Failure failure={failure} what="The list of processes" onRetry={refresh} />
      )}
      {loading && <div className="card skeleton tall" role="status" aria-label="Loading" />}
      {value !== undefined && (
        <>
          <p className="visually-hidden" role="status">
            {search === "" ? "" : `${value.matching} of ${value.all} match`}
          </p>
          <List
            exporter={exporter}
            groups={value}
            offset={offsetIn(value, asked.previous, part.offset)}
            onRange={onRange}
            order={order}
            search={search}
          />
        </>
      )}
    </>
  )
}

/** What else can be listed. */
const Of = ({ all, current }: { readonly all: ReadonlyArray<Exporter>; readonly current: Exporter }) => (
  <nav className="of" aria-label="Of">
    {all.map(({ name, resource, title }) => (
      <Link key={name} href={groupsPath(resource)} aria-current={name === current.name ? "true" : undefined}>
        {title}
      </Link>
    ))}
  </nav>
)

/** What the answer is about: always in the same words, on one line. */
const Seen = ({ groups }: { readonly groups: Groups }) => {
  const now = useNow()
  const { beyond, servers, window } = groups
  return (
    <p className="seen muted">
      {windowText(Date.parse(window.from), Date.parse(window.to), now)} · coverage {Math.round(servers.coverage * 100)}
      {"\u202f"}% · {number(servers.seen)} of {number(servers.all)} {servers.all === 1 ? "server" : "servers"}
      {beyond > 0 && <b> · {number(beyond)} times a group too many to be told apart: only the sums count it</b>}
    </p>
  )
}

const List = ({
  exporter,
  groups,
  offset,
  onRange,
  order,
  search
}: {
  readonly exporter: Exporter
  readonly groups: Groups
  readonly offset: number
  readonly onRange: (first: number, last: number) => void
  readonly order: Order
  readonly search: string
}) => {
  const rankings = exporter.top!.rankings
  const current = rankings.find(({ key }) => key === order.metric)!
  const totals = [current, ...rankings.filter((one) => one !== current && !one.on_demand)]
    .slice(0, TOTALS_MAX)
    .sort((a, b) => rankings.indexOf(a) - rankings.indexOf(b))
  const columns = totals.length + (order.canGrow ? 6 : 5)
  return (
    <LongTable
      caption={`${exporter.title} of all servers, those that used most first`}
      count={groups.matching}
      columns={columns}
      head={<Head current={current} exporter={exporter} groups={groups} order={order} totals={totals} />}
      none={<Nothing groups={groups} search={search} />}
      onRange={onRange}
      row={(index, chosen) => {
        const group = groups.groups[index - offset]
        return group === undefined ? undefined : (
          <Row
            key={group.name}
            canGrow={order.canGrow}
            chosen={chosen}
            current={current}
            exporter={exporter}
            group={group}
            groups={groups}
            index={index}
            search={search}
            totals={totals}
          />
        )
      }}
    />
  )
}

const Head = ({
  current,
  exporter,
  groups,
  order,
  totals
}: {
  readonly current: Ranking
  readonly exporter: Exporter
  readonly groups: Groups
  readonly order: Order
  readonly totals: ReadonlyArray<Ranking>
}) => (
  <>
    <th scope="col" className="wide">
      {words(exporter.top!.per)}
    </th>
    <th scope="col" className="num">
      Servers
    </th>
    {totals.map(({ key }) => (
      <SortHead key={key} {...order.head(key, "total", totalWords(key, groups.units[key]!.total))} />
    ))}
    <SortHead {...order.head(current.key, "peak", `Peak ${words(current.key)}`)} />
    {order.canGrow && <SortHead {...order.growthHead} />}
    <th scope="col" className="worst">
      Most on
    </th>
    <th scope="col" className="trend">
      {words(current.key)}
    </th>
  </>
)

const Row = ({
  canGrow,
  chosen,
  current,
  exporter,
  group,
  groups,
  index,
  search,
  totals
}: {
  readonly canGrow: boolean
  readonly chosen: boolean
  readonly current: Ranking
  readonly exporter: Exporter
  readonly group: Group
  readonly groups: Groups
  readonly index: number
  readonly search: string
  readonly totals: ReadonlyArray<Ranking>
}) => {
  const { query } = usePlace()
  const values = group.values[current.key]!
  const unit = groups.units[current.key]!
  return (
    <tr className={chosen ? "chosen" : ""} data-index={index}>
      <th scope="row" className="wide">
        <Link href={groupsPath(exporter.resource, group.name, rangeOf(query))} className="row-link">
          <Name value={group.name} query={search} />
        </Link>
      </th>
      <td className="num" data-label="Servers">
        {number(group.servers)}
      </td>
      {totals.map(({ key }) => (
        <td key={key} className="num" data-label={totalWords(key, groups.units[key]!.total)}>
          {number(group.values[key]!.total)}
        </td>
      ))}
      <td className="num" data-label={`Peak ${words(current.key)}`} title={`on ${values.highest}`}>
        {inUnit(values.peak, unit.peak)}
      </td>
      {canGrow && (
        <td className="num" data-label="Growth">
          {group.growth === null ? (
            <span className="muted">–</span>
          ) : (
            <span
              title={`on ${number(group.growth.servers)} of ${number(group.servers)}, fastest on ${group.growth.fastest}`}
            >
              {bytes(group.growth.mb_per_hour * MIB)}/h
            </span>
          )}
        </td>
      )}
      <td className="worst" data-label="Most on">
        <MostOn alone={group.servers === 1} total={values.total} worst={values.worst} />
      </td>
      <td className="trend">
        <Spark values={group.trend} width={110} height={28} label={`${words(current.key)} over the range`} />
      </td>
    </tr>
  )
}

/** The server that used most of it, with its share. */
const MostOn = ({
  alone,
  total,
  worst
}: Pick<Group["values"][string], "total" | "worst"> & { readonly alone: boolean }) => (
  <span className="two-lines">
    <Name value={worst.server_id} />
    {!alone && total > 0 && (
      <span className="sub" title={`${number(worst.total)} of ${number(total)}`}>
        {percent((100 * worst.total) / total)}
        {"\u202f"}%
      </span>
    )}
  </span>
)

/** What of the address says when, and by what, for the next page. */
const rangeOf = (query: URLSearchParams): string => {
  const kept = new URLSearchParams()
  for (const name of ["range", "window", "metric", "by", "grouping"]) {
    const value = query.get(name)
    if (value !== null) kept.set(name, value)
  }
  return kept.size === 0 ? "" : `?${kept}`
}

const HOUR = 3_600_000

/** Nothing matches: names that ran at another time, and how to see them then. */
const Nothing = ({ groups, search }: { readonly groups: Groups; readonly search: string }) => {
  const { set } = usePlace()
  const now = useNow()
  return (
    <div className="nothing">
      {search === "" ? <p>Nothing was seen in this time range.</p> : <p>No match in this time range.</p>}
      {groups.gone.length > 0 && (
        <ul className="gone-names">
          {groups.gone.map(({ last_seen, name }) => {
            const at = Date.parse(last_seen)
            const around = { from: at - 12 * HOUR, to: Math.min(at + 12 * HOUR, Date.now()) }
            return (
              <li key={name}>
                <Name value={name} query={search} /> last seen {ago(at, now)}:{" "}
                <button
                  type="button"
                  className="link"
                  onClick={() => set({ window: formatWindow(around), range: undefined })}
                >
                  show then
                </button>
              </li>
            )
          })}
        </ul>
      )}
      {search !== "" && (
        <p>
          <button type="button" className="link" onClick={() => set({ q: undefined }, true)}>
            Show all {number(groups.all)}
          </button>
        </p>
      )}
    </div>
  )
}
