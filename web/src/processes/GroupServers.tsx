/** One process on every server that ran it: how much on each, where its memory grows, since when, and when it will run out. */
import { type Answer, AskFailed, type Exporter, type Ranking } from "../ask/Api.ts"
import { encoded } from "../ask/Base.ts"
import { useCatalog } from "../ask/CatalogContext.ts"
import { lookingAt, spreadPath } from "../ask/Compared.ts"
import { useGrouping } from "../ask/Grouping.ts"
import { useRange } from "../ask/Range.ts"
import { useAsk, useHeart, useNow } from "../ask/Refresh.tsx"
import { windowQuery } from "../ask/Spans.ts"
import { addressed, groupsPath, serverPath, usePlace } from "../ask/Url.ts"
import { Spark } from "../charts/Spark.tsx"
import { GroupedBy, isBound } from "../frame/GroupNames.tsx"
import { RangePicker, RankingPicker } from "../frame/Toolbar.tsx"
import { Crumbs } from "../parts/Crumbs.tsx"
import { Failure, ShownAsOf } from "../parts/Failure.tsx"
import { ago, bytes, duration, inUnit, moment, number, window as windowText, words } from "../parts/Format.ts"
import { Link } from "../parts/Link.tsx"
import { Name } from "../parts/Name.tsx"
import { offsetIn, usePart } from "../parts/Part.ts"
import { SortHead } from "../parts/Sort.tsx"
import { WatchThis } from "../watch/WatchThis.tsx"
import { LongTable } from "./LongTable.tsx"
import { type Order, useOrder } from "./Order.ts"
import { totalWords } from "./Units.ts"
import "./processes.css"

type Spread = Answer<"groups.servers">
type Row = Spread["servers"][number]
const MIB = 1024 * 1024

export const GroupServersPage = ({ name, resource }: { readonly resource: string; readonly name: string }) => {
  const { exporters } = useCatalog()
  const exporter = exporters.find((one) => one.resource === resource && one.top !== null)
  return exporter === undefined ? (
    <Failure what="This page" failure={new AskFailed(404, "Page not found", `Nothing is called ${resource}.`)} />
  ) : (
    <Servers exporter={exporter} name={name} />
  )
}

const Servers = ({ exporter, name }: { readonly exporter: Exporter; readonly name: string }) => {
  const range = useRange("24h")
  const { query, set } = usePlace()
  const { refresh } = useHeart()
  const now = useNow()
  const order = useOrder(exporter)
  const grouping = useGrouping()
  const { onRange, part } = usePart()
  const asked = useAsk("groups.servers", {
    resource: exporter.resource,
    name,
    ...windowQuery(range),
    metric: order.metric,
    by: order.by,
    grouping,
    limit: part.limit,
    offset: part.offset === 0 ? undefined : part.offset
  })
  const { failure, loading, value } = asked
  const rankings = exporter.top!.rankings
  const current = rankings.find(({ key }) => key === order.metric)!
  const time = query.size === 0 ? "" : `?${query}`
  return (
    <>
      <Crumbs>
        <Link href={groupsPath(exporter.resource) + time}>{exporter.title}</Link>
      </Crumbs>
      <Title
        exporter={exporter}
        metric={order.metric}
        name={name}
        peak={Math.max(0, ...(value?.servers ?? []).map(({ values }) => values[order.metric]?.peak ?? 0))}
      />
      <div className="toolbar">
        <RankingPicker
          rankings={rankings}
          current={order.metric}
          onChoose={(key) => set({ metric: key === exporter.top!.default ? undefined : key, by: undefined }, true)}
        />
        <RangePicker usual="24h" />
        <span className="spring" />
        {value !== undefined && (
          <p className="seen muted">
            {windowText(Date.parse(value.window.from), Date.parse(value.window.to), now)} · on {number(value.all)}{" "}
            {value.all === 1 ? "server" : "servers"}
          </p>
        )}
      </div>
      <GroupedBy grouping={value?.grouping} bound={isBound(value?.servers)} />
      <ShownAsOf asked={asked} />
      {failure !== undefined && value === undefined && (
        <Failure failure={failure} what="The list of servers" onRetry={refresh} />
      )}
      {loading && <div className="card skeleton tall" role="status" aria-label="Loading" />}
      {value !== undefined && (
        <List
          current={current}
          exporter={exporter}
          name={name}
          offset={offsetIn(value, asked.previous, part.offset)}
          onRange={onRange}
          order={order}
          spread={value}
        />
      )}
      {value !== undefined && order.canGrow && <GrowthSaid spread={value} />}
    </>
  )
}

const GrowthSaid = ({ spread }: { readonly spread: Spread }) => (
  <p className="seen muted">
    Growth is an estimate: a robust line through means over {duration(spread.growth_step_seconds)}, since the number of
    processes last changed. It takes three hours and six means to be told.
  </p>
)

/** Its name, and the way to the same servers as dots. */
const Title = ({
  exporter,
  metric,
  name,
  peak
}: {
  readonly exporter: Exporter
  readonly metric: string
  readonly name: string
  /** The highest on any of its servers that are shown. */
  readonly peak: number
}) => {
  const { key } = useRange("24h")
  const { query } = usePlace()
  return (
    <div className="title-line">
      <h1>
        <Name value={name} />
      </h1>
      {addressed(name) === name && (
        <Link href={spreadPath(exporter.resource, name, metric, spreadQuery(query, key))}>Which server stands out</Link>
      )}
      <WatchThis resource={exporter.resource} metric={metric} group={name} peak={peak} />
    </div>
  )
}

/** What is looked at here, for a page whose usual range is another one. */
const spreadQuery = (query: URLSearchParams, range: string): URLSearchParams => {
  const kept = lookingAt(query)
  if (kept.get("window") === null) kept.set("range", range)
  return kept
}

const List = ({
  current,
  exporter,
  name,
  offset,
  onRange,
  order,
  spread
}: {
  readonly current: Ranking
  readonly exporter: Exporter
  readonly name: string
  readonly offset: number
  readonly onRange: (first: number, last: number) => void
  readonly order: Order
  readonly spread: Spread
}) => {
  const columns = order.canGrow ? 7 : 4
  return (
    <LongTable
      caption="The servers that ran it, those where it used most first"
      count={spread.all}
      columns={columns}
      head={<Head current={current} order={order} spread={spread} />}
      none={<p className="nothing">It ran on no server in this time range.</p>}
      onRange={onRange}
      row={(index, chosen) => {
        const row = spread.servers[index - offset]
        return row === undefined ? undefined : (
          <ServerRow
            key={row.server_id}
            canGrow={order.canGrow}
            chosen={chosen}
            current={current}
            exporter={exporter}
            index={index}
            name={name}
            row={row}
            spread={spread}
          />
        )
      }}
    />
  )
}

const Head = ({
  current,
  order,
  spread
}: {
  readonly current: Ranking
  readonly order: Order
  readonly spread: Spread
}) => (
  <>
    <th scope="col" className="wide">
      Server
    </th>
    <SortHead {...order.head(current.key, "total", totalWords(current.key, spread.units[current.key]!.total))} />
    <SortHead {...order.head(current.key, "peak", `Peak ${words(current.key)}`)} />
    {order.canGrow && <SortHead {...order.growthHead} />}
    {order.canGrow && (
      <th scope="col" className="num">
        Grows since
      </th>
    )}
    {order.canGrow && (
      <th scope="col" className="num" title="Memory available and free swap, at this pace">
        Used up in
      </th>
    )}
    <th scope="col" className="trend">
      {words(current.key)}
    </th>
  </>
)

const ServerRow = ({
  canGrow,
  chosen,
  current,
  exporter,
  index,
  name,
  row,
  spread
}: {
  readonly canGrow: boolean
  readonly chosen: boolean
  readonly current: Ranking
  readonly exporter: Exporter
  readonly index: number
  readonly name: string
  readonly row: Row
  readonly spread: Spread
}) => {
  const now = useNow()
  const pathOf = useServerPath(exporter)
  const values = row.values[current.key]!
  const { peak, total } = spread.units[current.key]!
  const seen = row.last_seen === null ? undefined : Date.parse(row.last_seen)
  // As many minutes as it takes to be sure that it is not only late.
  const isGone = seen !== undefined && seen < Date.parse(spread.window.to) - 1_000 * Math.max(600, spread.step_seconds)
  return (
    <tr className={`${chosen ? "chosen" : ""}${isGone ? " dated" : ""}`} data-index={index}>
      <th scope="row" className="wide">
        <Link href={pathOf(row.server_id, name)} className="row-link">
          <span className="two-lines">
            <Name value={row.server_name} />
            {isGone && <span className="sub">last seen {ago(seen, now)}</span>}
          </span>
        </Link>
      </th>
      <td className="num" data-label={totalWords(current.key, total)}>
        {number(values.total)}
      </td>
      <td className="num" data-label={`Peak ${words(current.key)}`}>
        {inUnit(values.peak, peak)}
      </td>
      {canGrow && <GrowthCells growth={row.growth} />}
      <td className="trend">
        <Spark values={row.trend} width={110} height={28} label={`${words(current.key)} over the range`} />
      </td>
    </tr>
  )
}

const GrowthCells = ({ growth }: { readonly growth: Row["growth"] }) => {
  const now = useNow()
  const none = <span className="muted">–</span>
  return (
    <>
      <td className="num" data-label="Growth">
        {growth === null ? none : `${bytes(growth.mb_per_hour * MIB)}/h`}
      </td>
      <td className="num" data-label="Grows since">
        {growth === null ? none : moment(Date.parse(growth.began), now)}
      </td>
      <td className="num" data-label="Used up in">
        {growth?.exhausts_in_seconds == null ? none : <b>{duration(growth.exhausts_in_seconds)}</b>}
      </td>
    </>
  )
}

/** Where the server shows the groups of the exporter, with this one's panel open, over the same range. */
const useServerPath = (exporter: Exporter) => {
  const { exporters } = useCatalog()
  const { query } = usePlace()
  const isMain = exporters.find(({ top }) => top !== null) === exporter
  return (id: string, name: string): string => {
    const kept = new URLSearchParams()
    const window = query.get("window")
    if (window === null) kept.set("range", query.get("range") ?? "24h")
    else kept.set("window", window)
    for (const said of ["metric", "grouping"]) {
      const value = query.get(said)
      if (value !== null) kept.set(said, value)
    }
    kept.set("open", addressed(name))
    return serverPath(id, `${isMain ? "" : `/${encoded(exporter.resource)}`}?${kept}`)
  }
}
