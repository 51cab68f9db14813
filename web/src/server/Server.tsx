/** One server: what it is, how its host does, and which of its processes use it. */

import type { Answer, Exporter } from "../ask/Api.ts"
import { useCatalog } from "../ask/CatalogContext.ts"
import { comparePath, lookingAt } from "../ask/Compared.ts"
import { useRange } from "../ask/Range.ts"
import { seldom, useAsk, useHeart, useNow } from "../ask/Refresh.tsx"
import { windowQuery } from "../ask/Spans.ts"
import { serverPath, usePlace } from "../ask/Url.ts"
import { useMay } from "../ask/WhoContext.ts"
import { AgentTrouble } from "../fleet/AgentTrouble.tsx"
import { RangePicker } from "../frame/Toolbar.tsx"
import { Crumbs } from "../parts/Crumbs.tsx"
import { Failure, ShownAsOf } from "../parts/Failure.tsx"
import { ago, bytes, duration, moment, number, percent } from "../parts/Format.ts"
import { late } from "../parts/Late.tsx"
import { Link } from "../parts/Link.tsx"
import { Name } from "../parts/Name.tsx"
import { State } from "../parts/State.tsx"
import { Explorer, hostOf } from "./Explorer.tsx"
import { PanelGrid, stripOf, usePanels } from "./Panels.tsx"

const Why = late(async () => (await import("../why/Why.tsx")).Why)

const STRIP = 6

export const ServerPage = ({ id }: { readonly id: string }) => {
  const { exporters } = useCatalog()
  const { refresh } = useHeart()
  const server = useAsk("servers.get", { id })
  const host = exporters.find((exporter) => exporter.host !== null)
  const ranked = exporters.filter(({ top }) => top !== null)
  const main = ranked[0]
  if (server.failure !== undefined && server.value === undefined) {
    return <Failure alone failure={server.failure} what={`The server ${id}`} onRetry={refresh} />
  }
  // What is wrong with the server stands above all: until that is known nothing is shown that it would push down.
  return (
    <div className={server.value === undefined ? "waiting" : ""}>
      <ServerHead id={id} host={host} main={main} />
      {main === undefined ? <RangePicker /> : <Explorer id={id} exporter={main} pace={paceOf(main, server.value)} />}
      {main !== undefined && server.value?.last_seen != null && <Why id={id} pace={paceOf(main, server.value)} />}
      {host !== undefined && <HostStrip id={id} exporter={host} />}
      <MoreResources
        id={id}
        exporters={exporters.filter((exporter) => exporter !== main && isAskedFor(exporter, server.value))}
      />
    </div>
  )
}

/** One that few servers have is told of where it was heard of. */
const isAskedFor = ({ name, opt_in }: Exporter, server: Answer<"servers.get"> | undefined): boolean =>
  !opt_in || server?.exporters.some((seen) => seen.name === name) === true

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
  const { query } = usePlace()
  const asked = useAsk("servers.get", { id })
  const { failure, value } = asked
  const panels = host === undefined ? [] : stripOf(host, STRIP)
  const strip = usePanels(id, host ?? NO_EXPORTER, panels, 60, extraOf(host), host === undefined)
  const top = useAsk(
    "rankings.top",
    { id, resource: main?.resource, metric: main?.top?.default, limit: 1, ...windowQuery(range) },
    { off: main === undefined, ...seldom(0) }
  )
  const latest = (field: string | null | undefined) =>
    field == null
      ? null
      : (strip.value?.series.find(({ name }) => name === field)?.values.findLast((one) => one !== null) ?? null)
  const seen = value?.last_seen == null ? undefined : Date.parse(value.last_seen)
  return (
    <header className="server-head">
      <Crumbs>
        <Link href="/">Servers</Link>
      </Crumbs>
      <div className="title-line">
        <h1>
          <Name value={value?.name ?? id} />
        </h1>
        {value !== undefined && (
          <span className={failure === undefined ? `badge ${value.state}` : "badge unsure"}>
            {failure === undefined && <State state={value.state} />}
            {failure === undefined ? value.state : `was ${value.state} ${ago(asked.at ?? now, now)}`}
          </span>
        )}
        <Link className="compare-with" href={comparePath([id], lookingAt(query))}>
          Compare with…
        </Link>
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
          title="How much of the time range was observed"
        />
      </dl>
      <ShownAsOf asked={asked} />
      {value !== undefined && <Trouble server={value} now={now} />}
      {value !== undefined && <AgentTrouble notes={value} now={now} />}
    </header>
  )
}

/** How far apart the scrapes of an exporter are, as seen, or else as declared. */
export const paceOf = (exporter: Exporter, server: Answer<"servers.get"> | undefined): number =>
  server?.exporters.find(({ name }) => name === exporter.name)?.interval_seconds ?? exporter.interval_seconds

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
  opt_in: false,
  retention_seconds: null,
  stale_after_seconds: 300,
  columns: [],
  top: null,
  history: [],
  host: null
}

interface TroubleProps {
  readonly server: Answer<"servers.get">
  readonly now: number
}

/** What is wrong with what is shown, since when, and what helps. */
const Trouble = ({ now, server }: TroubleProps) => {
  const { exporters } = useCatalog()
  const { last_seen, state } = server
  if (last_seen === null) {
    return (
      <p className={`banner ${state}`} role="status">
        <b>This server has never reported.</b> Is its agent running, with this server's token and this address?
      </p>
    )
  }
  if (state !== "live") {
    const seen = Date.parse(last_seen)
    return (
      <p className={`banner ${state}`} role="status">
        <b>
          No data since {moment(seen, now, true)} ({ago(seen, now)}).
        </b>{" "}
        What is shown is from then. Is the machine up, and does <code>systemctl status nodepulse-agent</code> say that
        it can reach NodePulse? The agent keeps what it cannot send and sends it later.
      </p>
    )
  }
  return server.exporters
    .filter((seen) => seen.state !== "live")
    .map((seen) => {
      const exporter = exporters.find(({ name }) => name === seen.name)
      return exporter === undefined ? null : (
        <p className="banner stale" role="status" key={seen.name}>
          <b>
            {seen.name} has not answered on {hostOf(exporter.endpoint)} since {moment(Date.parse(seen.last_seen), now)}.
          </b>{" "}
          The server itself reports. On it, <code>curl {exporter.endpoint}</code> tells whether the exporter runs; the
          agent keeps trying.
        </p>
      )
    })
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

const MoreResources = ({ exporters, id }: { readonly id: string; readonly exporters: ReadonlyArray<Exporter> }) => {
  const mayAct = useMay("operator")
  return (
    <nav className="more-resources" aria-label="More of this server">
      {exporters.map(({ history, name, resource, title }) => (
        <Link key={name} href={serverPath(id, `/${resource}${window.location.search}`)} className="card">
          <b>{title}</b>
          <span className="muted">
            {history.length} series · {name}
          </span>
        </Link>
      ))}
      <Link href={serverPath(id, "/recordings")} className="card">
        <b>Recordings</b>
        <span className="muted">the last 15 minutes, a value a second</span>
      </Link>
      {mayAct && (
        <Link href={serverPath(id, "/acts")} className="card">
          <b>Acts</b>
          <span className="muted">what people asked of this host</span>
        </Link>
      )}
    </nav>
  )
}
