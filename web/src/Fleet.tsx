/** All servers at a glance: who lives, who works hardest, and at what. One request, also for a thousand of them. */
import { useCallback, useMemo, useState } from "react"
import { AddServer, FirstSteps } from "./AddServer.tsx"
import type { Fleet, FleetServer } from "./Api.ts"
import { Failure } from "./Failure.tsx"
import { ago, bytes, duration, moment, number, percent } from "./Format.ts"
import { useKeys } from "./Keys.ts"
import { Link } from "./Link.tsx"
import { Name } from "./Name.tsx"
import { useNarrow } from "./Narrow.ts"
import { useAsk, useHeart, useNow } from "./Refresh.tsx"
import { type Sorted, SortHead, sortedBy } from "./Sort.tsx"
import { Spark } from "./Spark.tsx"
import { STATES, State } from "./State.tsx"
import { go, serverPath, usePlace } from "./Url.ts"
import { VirtualRows } from "./Virtual.tsx"

const MIB = 1024 * 1024
const share = (part: number | null, whole: number | null) =>
  part === null || whole === null || whole === 0 ? null : part / whole
const cpuShare = (server: FleetServer) =>
  server.cpu_percent === null ? null : share(server.cpu_percent / 100, server.cpu_cores)
const memoryShare = (server: FleetServer) => share(server.memory_used_mb, server.memory_total_mb)
const ORDER = { live: 2, stale: 1, silent: 0 } as const

const COLUMNS: Readonly<Record<string, (server: FleetServer) => number | string | null>> = {
  name: ({ name }) => name.toLowerCase(),
  state: ({ state }) => ORDER[state],
  cpu: cpuShare,
  memory: memoryShare,
  load: ({ cpu_cores, load }) => share(load, cpu_cores),
  busiest: ({ busiest }) => busiest?.value ?? null
}

/** The list, and the dialog over it: the dialog must outlive the list's coming and going, since it shows a token once. */
export const FleetPage = ({ admin }: { readonly admin: boolean }) => {
  const [adding, setAdding] = useState(false)
  return (
    <>
      <Servers admin={admin} onAdd={() => setAdding(true)} />
      {adding && <AddServer onClose={() => setAdding(false)} />}
    </>
  )
}

const Servers = ({ admin, onAdd }: { readonly admin: boolean; readonly onAdd: () => void }) => {
  const { at, failure, loading, value } = useAsk("overview.fleet", {})
  const { refresh } = useHeart()
  const { query, set } = usePlace()
  const narrow = useNarrow()
  const [chosen, setChosen] = useState(-1)
  const sort: Sorted = { by: query.get("sort") ?? "cpu", up: query.get("dir") === "up" }
  const search = query.get("q") ?? ""
  const only = query.get("state")

  const shown = useMemo(() => {
    const wanted = search.toLowerCase()
    const found = (value?.servers ?? []).filter(
      (server) =>
        (only === null || server.state === only) &&
        (wanted === "" ||
          server.name.toLowerCase().includes(wanted) ||
          server.server_id.includes(wanted) ||
          (server.busiest?.name.toLowerCase().includes(wanted) ?? false))
    )
    return sortedBy(found, COLUMNS[sort.by] ?? cpuShare, sort.up, ({ server_id }) => server_id)
  }, [value, search, only, sort.by, sort.up])

  useKeys(
    useCallback(
      (key) => {
        if (key === "ArrowDown" || key === "ArrowUp")
          setChosen((at) => Math.max(0, Math.min(shown.length - 1, at + (key === "ArrowDown" ? 1 : -1))))
        else if (
          key === "Enter" &&
          shown[chosen] !== undefined &&
          !(document.activeElement instanceof HTMLButtonElement) &&
          !(document.activeElement instanceof HTMLAnchorElement)
        )
          go(serverPath(shown[chosen].server_id))
        else if (key === "Escape") {
          setChosen(-1)
          if (search !== "") set({ q: undefined }, true)
          ;(document.activeElement as HTMLElement | null)?.blur()
        } else return false
        return true
      },
      [shown, chosen, search, set]
    )
  )

  if (value === undefined) {
    if (failure !== undefined) return <Failure failure={failure} what="The list of servers" onRetry={refresh} />
    return loading ? <FleetSkeleton /> : null
  }
  if (value.servers.length === 0) return <FirstSteps admin={admin} onAdd={onAdd} />
  const onSort = (by: string, up: boolean) =>
    set({ sort: by === "cpu" ? undefined : by, dir: up ? "up" : undefined }, true)
  const head = (by: string, label: string, className?: string) => (
    <SortHead
      by={by}
      label={label}
      sort={sort}
      onSort={onSort}
      upFirst={by === "name" || by === "state"}
      {...(className === undefined ? {} : { className })}
    />
  )
  return (
    <>
      <div className="page-head">
        <h1>Servers</h1>
        <StateFilter servers={value.servers} only={only} onOnly={(state) => set({ state }, true)} />
        <span className="spring" />
        <label className="search">
          <span className="visually-hidden">Search servers</span>
          <input
            type="search"
            placeholder="Search servers"
            value={search}
            onChange={(event) => set({ q: event.target.value || undefined }, true)}
          />
          <span className="key" aria-hidden="true">
            /
          </span>
        </label>
        {admin && (
          <button type="button" className="button" onClick={onAdd}>
            Add a server
          </button>
        )}
      </div>
      {failure !== undefined && at !== undefined && (
        <p className="banner" role="status">
          Shown as of {moment(at, Date.now(), true)}: {failure.message || failure.title}
        </p>
      )}
      <div className="card flush">
        <table className="fleet">
          <caption className="visually-hidden">All servers with their state, CPU, memory and load</caption>
          <thead>
            <tr>
              {head("name", "Server", "wide")}
              {head("cpu", "CPU")}
              {head("memory", "Memory")}
              {head("load", "Load", "num")}
              <th scope="col" className="trend">
                Last hour
              </th>
              {head("busiest", "Busiest process", "busiest")}
            </tr>
          </thead>
          <VirtualRows
            count={shown.length}
            rowHeight={narrow ? 176 : 61}
            columns={6}
            reveal={chosen}
            render={(index) => {
              const server = shown[index]
              return server === undefined ? null : (
                <FleetRow
                  key={server.server_id}
                  server={server}
                  fleet={value}
                  query={search}
                  chosen={index === chosen}
                />
              )
            }}
          />
        </table>
        {shown.length === 0 && (
          <p className="nothing">
            No server matches.{" "}
            <button type="button" className="link" onClick={() => set({ q: undefined, state: undefined }, true)}>
              Show all {value.servers.length}
            </button>
          </p>
        )}
      </div>
    </>
  )
}

const FleetRow = ({
  chosen,
  fleet,
  query,
  server
}: {
  readonly server: FleetServer
  readonly fleet: Fleet
  readonly query: string
  readonly chosen: boolean
}) => {
  const now = useNow()
  const { busiest, cpu_cores: cores, server_id: id } = server
  const cpu = cpuShare(server)
  const memory = memoryShare(server)
  const seen = server.last_seen === null ? undefined : Date.parse(server.last_seen)
  const dated = server.state === "live" ? "" : " dated"
  return (
    <tr className={`${chosen ? "chosen" : ""}${dated}`} aria-selected={chosen}>
      <th scope="row" className="wide">
        <Link href={serverPath(id)} className="row-link">
          <State state={server.state} />
          <span className="two-lines">
            <Name value={server.name} query={query} />
            <span className="sub">
              {server.state === "live"
                ? `${cores === null ? "" : `${cores} cores · `}up ${duration(server.uptime_seconds)}`
                : seen === undefined
                  ? "never reported"
                  : `${STATES[server.state].word} · last seen ${ago(seen, now)}`}
            </span>
          </span>
        </Link>
      </th>
      <td data-label="CPU">
        <Meter value={cpu} label="CPU" text={cpu === null ? "–" : `${percent(cpu * 100)} %`} />
      </td>
      <td data-label="Memory">
        <Meter
          value={memory}
          label="Memory"
          text={memory === null ? "–" : `${percent(memory * 100)} %`}
          {...(server.memory_total_mb === null ? {} : { sub: `of ${bytes(server.memory_total_mb * MIB)}` })}
        />
      </td>
      <td className="num" data-label="Load" title={cores === null ? undefined : `on ${cores} cores`}>
        {number(server.load)}
      </td>
      <td className="trend" data-label="Last hour">
        <Spark
          values={server.trend}
          top={(cores ?? 1) * 100}
          width={120}
          height={30}
          label={`CPU of the last hour${cpu === null ? "" : `, now ${percent(cpu * 100)} %`}`}
        />
      </td>
      <td className="busiest" data-label="Busiest">
        {busiest === null || fleet.busiest_of === null ? (
          <span className="muted">–</span>
        ) : (
          <Link
            href={serverPath(id, `?open=${encodeURIComponent(busiest.name.slice(0, 2_000))}`)}
            className="two-lines quiet"
          >
            <Name value={busiest.name} query={query} />
            <span className="sub">{percent(busiest.value)} % of a core</span>
          </Link>
        )}
      </td>
    </tr>
  )
}

/** A share as a bar with its number; it changes colour where it becomes tight. */
export const Meter = ({
  label,
  sub,
  text,
  value
}: {
  readonly value: number | null
  readonly label: string
  readonly text: string
  readonly sub?: string
}) => {
  const part = value === null ? 0 : Math.max(0, Math.min(1, value))
  return (
    <div className="meter">
      <span className="meter-text">
        <b>{text}</b>
        {sub !== undefined && <span className="sub">{sub}</span>}
      </span>
      <svg
        className={`meter-bar ${part >= 0.9 ? "tight" : part >= 0.75 ? "warm" : ""}`}
        role="img"
        aria-label={`${label} ${text}`}
        preserveAspectRatio="none"
        viewBox="0 0 100 4"
      >
        <rect className="meter-all" width="100" height="4" />
        <rect className="meter-part" width={part * 100} height="4" />
      </svg>
    </div>
  )
}

const StateFilter = ({
  only,
  onOnly,
  servers
}: {
  readonly servers: ReadonlyArray<FleetServer>
  readonly only: string | null
  readonly onOnly: (state: string | undefined) => void
}) => (
  <fieldset className="states">
    <legend className="visually-hidden">Only servers that are</legend>
    {(["live", "stale", "silent"] as const).map((state) => {
      const count = servers.filter((server) => server.state === state).length
      if (count === 0 && only !== state) return null
      return (
        <button
          key={state}
          type="button"
          className="chip"
          aria-pressed={only === state}
          onClick={() => onOnly(only === state ? undefined : state)}
          title={STATES[state].meaning}
        >
          <State state={state} />
          {count} {state}
        </button>
      )
    })}
  </fieldset>
)

const FleetSkeleton = () => (
  <>
    <div className="page-head">
      <h1>Servers</h1>
    </div>
    <div className="card skeleton tall" role="status" aria-label="Loading" />
  </>
)
