/** Small multiples: each server's own chart, all on one scale and with one crosshair. */
import { useMemo, useState } from "react"
import type { Comparison } from "../ask/Api.ts"
import { lookingAt } from "../ask/Compared.ts"
import { formatWindow } from "../ask/Range.ts"
import { useNow } from "../ask/Refresh.tsx"
import { serverPath, usePlace } from "../ask/Url.ts"
import { Chart, type Line } from "../charts/Chart.tsx"
import { coloursOf, useDark } from "../frame/Theme.ts"
import { moment, percent, words } from "../parts/Format.ts"
import { legible } from "../parts/Legible.ts"
import { Link } from "../parts/Link.tsx"
import { Name } from "../parts/Name.tsx"
import { Mark, shownIn, timesOf } from "./Odd.tsx"

type Server = Comparison["servers"][number]

/** Below this coverage a server's numbers are of a part of the range. */
const COVERAGE_MIN = 0.8

export const Multiples = ({ answer }: { readonly answer: Comparison }) => {
  const { first, servers, step_seconds, steps, window } = answer
  const to = Date.parse(window.to) / 1000
  const times = useMemo(
    () => Array.from({ length: steps }, (_, n) => Math.min(first + n * step_seconds, to)),
    [first, steps, step_seconds, to]
  )
  const top = servers.reduce(
    (most, { host, series }) =>
      [...series, ...(host ?? [])].reduce<number>((high, value) => Math.max(high, value ?? 0), most),
    0
  )
  return (
    <div className={`multiples of-${servers.length}`}>
      {servers.map((server, place) => (
        <OneServer
          key={server.server_id}
          answer={answer}
          server={server}
          place={place}
          times={times}
          top={top * 1.08}
        />
      ))}
    </div>
  )
}

const OneServer = ({
  answer,
  place,
  server,
  times,
  top
}: {
  readonly answer: Comparison
  readonly server: Server
  readonly place: number
  readonly times: ReadonlyArray<number>
  readonly top: number
}) => {
  const { metric, odd, step_seconds, total, unit, window } = answer
  const { query, set } = usePlace()
  const colours = coloursOf(useDark())
  const lines = useMemo((): ReadonlyArray<Line> => {
    const groups = {
      key: "groups",
      label: "all groups",
      colour: colours.slots[0] ?? colours.accent,
      values: server.series
    }
    const host = { key: "host", label: "host", colour: colours.ink, values: server.host ?? [], over: true }
    return server.host?.some((value) => value !== null) === true ? [groups, host] : [groups]
  }, [server, colours])
  const value = total.values[place] ?? null
  const [step, setStep] = useState<number>()
  const now = useNow()
  const finding = odd.find(({ name, server_id }) => name === null && server_id === server.server_id)
  return (
    <section className="panel card" aria-label={legible(server.name, 60)}>
      <header>
        <h2>
          <Link className="quiet" href={serverPath(server.server_id, `?${lookingAt(query)}`)}>
            <Name value={server.name} />
          </Link>
        </h2>
        <p className="panel-now">
          {finding !== undefined && step === undefined && (
            <>
              <Mark above={finding.value > finding.median} />
              <span className="times">{timesOf(finding.value, finding.median)}</span>
            </>
          )}
          {step !== undefined
            ? shownIn(server.series[step] ?? null, unit)
            : value === null
              ? "not known"
              : shownIn(value, unit)}
        </p>
      </header>
      <Chart
        label={`${words(metric)} of ${legible(server.name, 60)} over time, ${shownIn(value, unit)} on average`}
        times={times}
        stepSeconds={step_seconds}
        from={Date.parse(window.from) / 1000}
        to={Date.parse(window.to) / 1000}
        lines={lines}
        filled
        height={132}
        compact
        top={top}
        binary={unit === "mb"}
        format={(amount) => shownIn(amount, unit)}
        onHover={setStep}
        onBrush={(span) => span !== undefined && set({ window: formatWindow(span), range: undefined })}
      />
      <p className="panel-size">
        {step === undefined ? <About server={server} /> : moment((times[step] ?? 0) * 1000, now, step_seconds < 60)}
      </p>
    </section>
  )
}

/** How large it is, and how much of the range was not seen. */
const About = ({ server: { coverage, cpu_cores, memory_total_mb, scrapes } }: { readonly server: Server }) => {
  const size = [
    cpu_cores === null ? "" : `${cpu_cores} cores`,
    memory_total_mb === null ? "" : shownIn(memory_total_mb, "mb")
  ].filter((part) => part !== "")
  return (
    <>
      {size.join(" · ")}
      {coverage < COVERAGE_MIN && (
        <b>
          {size.length > 0 && " · "}
          {scrapes === 0 ? "not seen" : `seen for ${percent(coverage * 100)} % of the range`}
        </b>
      )}
    </>
  )
}
