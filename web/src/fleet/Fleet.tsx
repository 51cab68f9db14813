/** All servers at a glance: who lives, who works hardest, and at what. One request, also for a thousand of them. */

import { useCallback, useState } from "react"
import type { Fleet, FleetServer } from "../ask/Api.ts"
import { encoded } from "../ask/Base.ts"
import { useCompared } from "../ask/Compared.ts"
import { useAsk, useHeart, useNow } from "../ask/Refresh.tsx"
import { addressed, serverPath, usePlace } from "../ask/Url.ts"
import { useMay } from "../ask/WhoContext.ts"
import { Spark } from "../charts/Spark.tsx"
import { useKeys } from "../frame/Keys.ts"
import { useNarrow } from "../frame/Narrow.ts"
import { SearchField } from "../frame/Toolbar.tsx"
import { Failure, ShownAsOf } from "../parts/Failure.tsx"
import { ago, bytes, duration, number, percent } from "../parts/Format.ts"
import { Link } from "../parts/Link.tsx"
import { Name } from "../parts/Name.tsx"
import { offsetIn, usePart, useSettled } from "../parts/Part.ts"
import { type Sorted, SortHead } from "../parts/Sort.tsx"
import { STATES, State } from "../parts/State.tsx"
import { VirtualRows } from "../parts/Virtual.tsx"
import { AddServer, FirstSteps } from "./AddServer.tsx"
import { agentWord } from "./AgentTrouble.tsx"
import { Pick, PickBar } from "./Picks.tsx"

const MIB = 1024 * 1024
const share = (part: number | null, whole: number | null) =>
  part === null || whole === null || whole === 0 ? null : part / whole
const cpuShare = (server: FleetServer) =>
  server.cpu_percent === null ? null : share(server.cpu_percent / 100, server.cpu_cores)
const memoryShare = (server: FleetServer) => share(server.memory_used_mb, server.memory_total_mb)
const SORTS: ReadonlySet<string> = new Set(["name", "state", "cpu", "memory", "load", "busiest"])

/** The list, and the dialog over it: the dialog must outlive the list's coming and going, since it shows a token once. */
export const FleetPage = () => {
  const [adding, setAdding] = useState(false)
  return (
    <>
      <Servers onAdd={() => setAdding(true)} />
      {adding && <AddServer onClose={() => setAdding(false)} />}
    </>
  )
}

/** The part of the list that is seen: searched, ordered and cut by the server, so that a thousand servers cost what fifty do. */
const useFleet = () => {
  const { query } = usePlace()
  const by = query.get("sort") ?? "cpu"
  const sort: Sorted = { by: SORTS.has(by) ? by : "cpu", up: query.get("dir") === "up" }
  const search = useSettled(query.get("q") ?? "")
  const only = query.get("state")
  const { onRange, part } = usePart()
  const asked = useAsk("overview.fleet", {
    sort: sort.by,
    dir: sort.up ? "up" : "down",
    search: search === "" ? undefined : search.slice(0, 200),
    state: only === "live" || only === "stale" || only === "silent" ? only : undefined,
    limit: part.limit,
    offset: part.offset === 0 ? undefined : part.offset
  })
  const offset = offsetIn(asked.value, asked.previous, part.offset)
  return { asked, offset, sort, search, only, onRange }
}

const Servers = ({ onAdd }: { readonly onAdd: () => void }) => {
  const mayAdd = useMay("operator")
  const { asked, offset, onRange, only, search, sort } = useFleet()
  const { failure, loading, value } = asked
  const { refresh } = useHeart()
  const { query, set } = usePlace()
  const narrow = useNarrow()
  const [chosen, setChosen] = useState(-1)
  const matching = value?.matching ?? 0
  const { ids: picked, toggle } = useCompared()
  useKeys(
    useCallback(
      (key) => {
        if (key === "ArrowDown" || key === "ArrowUp")
          setChosen((at) => Math.max(0, Math.min(matching - 1, at + (key === "ArrowDown" ? 1 : -1))))
        else if (key === "Escape") {
          setChosen(-1)
          if (query.get("q") !== null) set({ q: undefined }, true)
          ;(document.activeElement as HTMLElement | null)?.blur()
        } else if (key === "x") {
          const row = document.activeElement?.closest<HTMLElement>("tr[data-index]")?.dataset.index
          const server = value?.servers[Number(row ?? chosen) - offset]
          if (server === undefined) return false
          toggle(server.server_id)
        } else return false
        return true
      },
      [matching, query, set, chosen, value, offset, toggle]
    )
  )

  if (value === undefined) {
    if (failure !== undefined) return <Failure alone failure={failure} what="The list of servers" onRetry={refresh} />
    return loading ? <FleetSkeleton /> : null
  }
  const all = value.states.live + value.states.stale + value.states.silent
  if (all === 0) return <FirstSteps mayAdd={mayAdd} onAdd={onAdd} />
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
        <StateFilter counts={value.states} only={only} onOnly={(state) => set({ state }, true)} />
        <span className="spring" />
        <SearchField of="servers and processes" />
        {mayAdd && (
          <button type="button" className="button" onClick={onAdd}>
            Add a server
          </button>
        )}
      </div>
      <ShownAsOf asked={asked} />
      <p className="visually-hidden" role="status">
        {search === "" ? "" : `${matching} of ${all} servers match`}
      </p>
      <div className="card flush">
        <table className={`fleet${failure === undefined ? "" : " unsure"}${picked.length === 0 ? "" : " picking"}`}>
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
              {head("busiest", search === "" ? "Busiest process" : "Process", "busiest")}
            </tr>
          </thead>
          <VirtualRows
            count={matching}
            rowHeight={narrow ? 176 : 61}
            columns={6}
            reveal={chosen < 0 ? undefined : chosen}
            onRange={onRange}
            render={(index) => {
              const server = value.servers[index - offset]
              return server === undefined ? (
                <tr key={index} className="unloaded-row" data-index={index}>
                  <td colSpan={6} />
                </tr>
              ) : (
                <FleetRow
                  key={server.server_id}
                  index={index}
                  server={server}
                  fleet={value}
                  query={search}
                  chosen={index === chosen}
                  unsure={failure !== undefined}
                />
              )
            }}
          />
        </table>
        {matching === 0 && (
          <p className="nothing">
            No server matches, by its name or by what runs on it now.{" "}
            <button type="button" className="link" onClick={() => set({ q: undefined, state: undefined }, true)}>
              Show all {all}
            </button>
          </p>
        )}
      </div>
      <PickBar />
    </>
  )
}

const stateText = (server: FleetServer, now: number): string => {
  if (server.state === "live") {
    return `${server.cpu_cores === null ? "" : `${server.cpu_cores} cores · `}up ${duration(server.uptime_seconds)}`
  }
  return server.last_seen === null
    ? "never reported"
    : `${STATES[server.state].word} · last seen ${ago(Date.parse(server.last_seen), now)}`
}

const FleetRow = ({
  chosen,
  fleet,
  index,
  query,
  server,
  unsure
}: {
  readonly index: number
  /** Nobody knows how it is now: NodePulse does not answer. */
  readonly unsure: boolean
  readonly server: FleetServer
  readonly fleet: Fleet
  readonly query: string
  readonly chosen: boolean
}) => {
  const now = useNow()
  const { cpu_cores: cores, server_id: id } = server
  const cpu = cpuShare(server)
  const memory = memoryShare(server)
  const dated = server.state === "live" && !unsure ? "" : " dated"
  const trouble = agentWord(server)
  return (
    <tr className={`${chosen ? "chosen" : ""}${dated}`} data-index={index}>
      <th scope="row" className="wide">
        <Pick id={id} name={server.name} />
        <Link href={serverPath(id)} className="row-link">
          <State state={server.state} />
          <span className="two-lines">
            <Name value={server.name} query={query} />
            <span className="sub">
              {unsure ? `was ${server.state}` : stateText(server, now)}
              {trouble !== undefined && <b> · {trouble}</b>}
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
        <Process server={server} ranked={fleet.busiest_of !== null} query={query} />
      </td>
    </tr>
  )
}

/** The process that was searched for, else the busiest one. */
const Process = ({
  query,
  ranked,
  server
}: {
  readonly server: FleetServer
  /** Whether any exporter ranks by CPU. */
  readonly ranked: boolean
  readonly query: string
}) => {
  const shown = server.match ?? server.busiest
  if (shown === null || !ranked) return <span className="muted">–</span>
  return (
    <Link href={serverPath(server.server_id, `?open=${encoded(addressed(shown.name))}`)} className="two-lines quiet">
      <Name value={shown.name} query={query} />
      <span className="sub">{percent(shown.value)} % of a core</span>
    </Link>
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
  counts,
  only,
  onOnly
}: {
  readonly counts: Fleet["states"]
  readonly only: string | null
  readonly onOnly: (state: string | undefined) => void
}) => (
  <fieldset className="states">
    <legend className="visually-hidden">Only servers that are</legend>
    {(["live", "stale", "silent"] as const).map((state) => {
      const count = counts[state]
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
