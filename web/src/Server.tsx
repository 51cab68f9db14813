/** One server: what it is, how its host does, and which of its processes use it. */
import type { Exporter } from "./Api.ts"
import { useCatalog } from "./CatalogContext.ts"
import { Explorer, hostOf } from "./Explorer.tsx"
import { Failure } from "./Failure.tsx"
import { ago, bytes, duration, moment, number, percent } from "./Format.ts"
import { Link } from "./Link.tsx"
import { Name } from "./Name.tsx"
import { PanelGrid, stripOf, usePanels } from "./Panels.tsx"
import { useRange, windowQuery } from "./Range.ts"
import { useAsk, useHeart, useNow } from "./Refresh.tsx"
import { State } from "./State.tsx"
import { RangePicker } from "./Toolbar.tsx"
import { serverPath } from "./Url.ts"

const STRIP = 6

export const ServerPage = ({ id }: { readonly id: string }) => {
  const { exporters } = useCatalog()
  const { refresh } = useHeart()
  const server = useAsk("servers.get", { id })
  const host = exporters.find((exporter) => exporter.host !== null)
  const ranked = exporters.filter(({ top }) => top !== null)
  const main = ranked[0]
  if (server.failure !== undefined && server.value === undefined) {
    return <Failure failure={server.failure} what={`The server ${id}`} onRetry={refresh} />
  }
  return (
    <>
      <ServerHead id={id} host={host} main={main} />
      {host !== undefined && <HostStrip id={id} exporter={host} />}
      {main === undefined ? <RangePicker /> : <Explorer id={id} exporter={main} />}
      <MoreResources id={id} exporters={exporters.filter((exporter) => exporter !== main)} />
    </>
  )
}

const ServerHead = ({
  host,
  id,
  main
}: {
  readonly id: string
  readonly host: Exporter | undefined
  readonly main: Exporter | undefined
}) => {
  const now = useNow()
  const range = useRange()
  const { at, failure, value } = useAsk("servers.get", { id })
  const panels = host === undefined ? [] : stripOf(host, STRIP)
  const strip = usePanels(id, host ?? NO_EXPORTER, panels, 60, extraOf(host), host === undefined)
  const top = useAsk(
    "rankings.top",
    { id, resource: main?.resource, metric: main?.top?.default, limit: 1, ...windowQuery(range) },
    { off: main === undefined, everyBeats: 4 }
  )
  const latest = (field: string | null | undefined) =>
    field == null
      ? null
      : (strip.value?.series.find(({ name }) => name === field)?.values.findLast((one) => one !== null) ?? null)
  const seen = value?.last_seen == null ? undefined : Date.parse(value.last_seen)
  const hostSeen = strip.value?.series.map(({ last_seen }) => (last_seen === null ? 0 : Date.parse(last_seen)))
  return (
    <header className="server-head">
      <p className="crumbs">
        <Link href="/">Servers</Link> <span aria-hidden="true">/</span>
      </p>
      <div className="title-line">
        <h1>{value === undefined ? id : <Name value={value.name} />}</h1>
        {value !== undefined && (
          <span className={`badge ${value.state}`}>
            <State state={value.state} />
            {value.state}
          </span>
        )}
      </div>
      <dl className="facts">
        <Fact term="Cores" value={number(latest(host?.host?.cores) ?? top.value?.host?.cpu_cores)} />
        <Fact
          term="Memory"
          value={bytes(
            latest(host?.host?.memory_total) ??
              (top.value?.host?.memory_total_mb == null ? null : top.value.host.memory_total_mb * 1024 * 1024)
          )}
        />
        <Fact term="Load" value={number(latest(host?.host?.load))} />
        <Fact term="Up" value={duration(latest(host?.host?.uptime))} />
        <Fact
          term="Last seen"
          value={seen === undefined ? "never" : ago(seen, now)}
          title={seen === undefined ? "" : new Date(seen).toLocaleString()}
        />
        <Fact
          term="Coverage"
          value={top.value === undefined ? "–" : `${percent(top.value.coverage * 100)} %`}
          title="How much of the range was seen"
        />
      </dl>
      {failure !== undefined && at !== undefined && (
        <p className="banner" role="status">
          Shown as of {moment(at, now, true)}: {failure.message || failure.title}
        </p>
      )}
      <Trouble
        id={id}
        state={value?.state}
        seen={seen}
        main={main}
        mainSeen={top.value?.last_seen ?? undefined}
        hostSeen={hostSeen === undefined ? undefined : Math.max(0, ...hostSeen)}
        now={now}
      />
    </header>
  )
}

/** Facts of the host that the header shows beside the charts. */
const extraOf = (host: Exporter | undefined): ReadonlyArray<string> =>
  host?.host == null
    ? []
    : [host.host.cores, host.host.memory_total, host.host.load, host.host.uptime].flatMap((field) => field ?? [])

const NO_EXPORTER: Exporter = {
  name: "",
  title: "",
  resource: "-",
  table: "",
  endpoint: "",
  interval_seconds: 15,
  retention_seconds: null,
  stale_after_seconds: 300,
  columns: [],
  top: null,
  history: [],
  host: null
}

interface TroubleProps {
  readonly id: string
  readonly state: "live" | "stale" | "silent" | undefined
  readonly seen: number | undefined
  readonly main: Exporter | undefined
  readonly mainSeen: string | undefined
  readonly hostSeen: number | undefined
  readonly now: number
}

/** What is wrong with what is shown, since when, and what helps. */
const Trouble = ({ hostSeen, main, mainSeen, now, seen, state }: TroubleProps) => {
  if (state === "silent" || state === "stale") {
    return (
      <p className={`banner ${state}`} role="status">
        {seen === undefined ? (
          <>
            <b>This server has never reported.</b> Is its agent running, with this server's token and this address?
          </>
        ) : (
          <>
            <b>
              Nothing was heard since {moment(seen, now, true)} ({ago(seen, now)}).
            </b>{" "}
            What is shown is from then. Is the machine up, and does <code>systemctl status nodepulse-agent</code> say
            that it can reach NodePulse? What it could not send is kept there and follows.
          </>
        )}
      </p>
    )
  }
  const last = mainSeen === undefined ? undefined : Date.parse(mainSeen)
  if (
    state === "live" &&
    main !== undefined &&
    last !== undefined &&
    hostSeen !== undefined &&
    hostSeen - last > main.interval_seconds * 4_000
  ) {
    return (
      <p className="banner stale" role="status">
        <b>
          {main.name} does not answer on {hostOf(main.endpoint)} since {moment(last, now)}.
        </b>{" "}
        The server itself reports. On it, <code>curl {main.endpoint}</code> tells whether the exporter runs; the agent
        asks on by itself.
      </p>
    )
  }
  return null
}

const Fact = ({ term, title, value }: { readonly term: string; readonly value: string; readonly title?: string }) => (
  <div title={title}>
    <dt>{term}</dt>
    <dd>{value}</dd>
  </div>
)

const HostStrip = ({ exporter, id }: { readonly id: string; readonly exporter: Exporter }) => {
  const panels = stripOf(exporter, STRIP)
  const answer = usePanels(id, exporter, panels, 60, extraOf(exporter))
  const cores =
    answer.value?.series.find(({ name }) => name === exporter.host?.cores)?.values.findLast((one) => one !== null) ??
    undefined
  return (
    <section className="strip" aria-label={exporter.title}>
      <div className="toolbar">
        <h2>{exporter.title}</h2>
        <Link className="more" href={serverPath(id, `/${exporter.resource}${window.location.search}`)}>
          All {exporter.history.length} series
        </Link>
      </div>
      <PanelGrid answer={answer} panels={panels} compact cores={cores} />
    </section>
  )
}

const MoreResources = ({ exporters, id }: { readonly id: string; readonly exporters: ReadonlyArray<Exporter> }) =>
  exporters.length === 0 ? null : (
    <nav className="more-resources" aria-label="More of this server">
      {exporters.map(({ history, name, resource, title }) => (
        <Link key={name} href={serverPath(id, `/${resource}${window.location.search}`)} className="card">
          <b>{title}</b>
          <span className="muted">
            {history.length} series · {name}
          </span>
        </Link>
      ))}
    </nav>
  )
