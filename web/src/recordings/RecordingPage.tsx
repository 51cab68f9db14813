/**
 * A recording: the last 15 minutes of a machine, a value a second. Of one with a kill for want of memory: the victim, the limit that was
 * reached, and who grew before.
 */
import { useMemo } from "react"
import { useAsk, useHeart, useNow } from "../ask/Refresh.tsx"
import { serverPath } from "../ask/Url.ts"
import { Chart, type Line } from "../charts/Chart.tsx"
import { type Colours, coloursOf, useDark } from "../frame/Theme.ts"
import { Crumbs } from "../parts/Crumbs.tsx"
import { Failure } from "../parts/Failure.tsx"
import { bytes, duration, inUnit, moment } from "../parts/Format.ts"
import { legible } from "../parts/Legible.ts"
import { Link } from "../parts/Link.tsx"
import { Name } from "../parts/Name.tsx"
import { Table } from "../parts/Table.tsx"
import { grownBefore, mostBy, processesOf, type Recording, type Shown, unitsOf, until } from "./Hottest.ts"
import { type Kill, limitText, REASON, remedyText, victimText } from "./RecordingWords.ts"
import "./recordings.css"

const DRAWN = 6
const LISTED = 8

export const RecordingPage = ({ id }: { readonly id: string }) => {
  const { refresh } = useHeart()
  const { failure, loading, value } = useAsk("recordings.get", { id }, { everyBeats: Number.POSITIVE_INFINITY })
  return (
    <article className="recording">
      {loading && <div className="card skeleton tall" role="status" aria-label="Loading" />}
      {failure !== undefined && value === undefined && (
        <Failure alone what="This recording" failure={failure} onRetry={refresh} />
      )}
      {value !== undefined && <Recorded recording={value} />}
    </article>
  )
}

const Recorded = ({ recording }: { readonly recording: Recording }) => {
  const now = useNow()
  const { at, degraded, from, kills, reason, server_id, server_name, to } = recording
  const whole = useMemo(() => ({ processes: processesOf(recording), units: unitsOf(recording) }), [recording])
  return (
    <>
      <Crumbs>
        <Link href={serverPath(server_id)}>
          <Name value={server_name} />
        </Link>
        <Link href={serverPath(server_id, "/recordings")}>Recordings</Link>
      </Crumbs>
      <div className="title-line">
        <h1>{kills.length === 0 ? REASON[reason] : "Out of memory"}</h1>
      </div>
      <p className="muted recorded-when">
        {duration(-(at[0] ?? 0))} until {moment(Date.parse(to), now, true)}, a value a second, of the hottest processes
        and units. It began at {moment(Date.parse(from), now, true)}.
        {degraded.some(({ level }) => level > 0) && (
          <> To stay within its budget the recorder did less for a part of that time.</>
        )}
      </p>
      {kills.map((kill, n) => (
        <Killed key={`${kill.at} ${kill.pid}`} kill={kill} place={n + 1} recording={recording} />
      ))}
      <HostCharts recording={recording} />
      <Charts recording={recording} what="process" all={whole.processes} />
      <Charts recording={recording} what="unit" all={whole.units} />
      <Hottest what="Process" all={whole.processes} />
      <Hottest what="Unit" all={whole.units} />
    </>
  )
}

/** Who was killed, why, and who grew before. */
const Killed = ({
  kill,
  place,
  recording
}: {
  readonly kill: Kill
  /** Which of the kills it is, from 1 on. */
  readonly place: number
  readonly recording: Recording
}) => {
  const now = useNow()
  const grew = useMemo(() => {
    const before = until(recording, Date.parse(kill.at) / 1_000)
    return { processes: grownBefore(processesOf(before), kill, 5), units: mostBy(unitsOf(before), "grew", 5) }
  }, [recording, kill])
  return (
    <section className="card killed" aria-label={`${victimText(kill)} was killed`}>
      <h2>{victimText(kill)} was killed</h2>
      <p>
        <span className="muted">{moment(Date.parse(kill.at), now, true)}</span> {limitText(kill)}
        {kill.source === "presumed" && (
          <span className="muted">
            {" "}
            Presumed: the agent may not read the kernel's log, and this was the largest process that was gone then.
          </span>
        )}
      </p>
      <p className="muted">{remedyText(kill)}</p>
      <h3>Who grew until then</h3>
      <div className="grew">
        <Grew what="Processes" place={place} all={grew.processes} />
        <Grew what="Units" place={place} all={grew.units} />
      </div>
    </section>
  )
}

const Grew = ({
  all,
  place,
  what
}: {
  readonly what: string
  readonly place: number
  readonly all: ReadonlyArray<Shown>
}) =>
  all.length === 0 ? (
    <p className="muted">{what}: none of those that were recorded.</p>
  ) : (
    <Table label={`${what} that grew until kill ${place}`} columns={{ [what]: "text", "Grew by": "text", To: "text" }}>
      {all.map(({ about, grew, key, name, peakMemory }) => (
        <tr key={key}>
          <th scope="row">
            <Name value={name} /> {about !== "" && <span className="muted">{legible(about, 80)}</span>}
          </th>
          <td className="num">{bytes(grew)}</td>
          <td className="num">{bytes(peakMemory)}</td>
        </tr>
      ))}
    </Table>
  )

interface Drawing {
  readonly title: string
  readonly unit: "percent" | "bytes"
  readonly lines: ReadonlyArray<Line>
  readonly stacked?: boolean
}

const HostCharts = ({ recording }: { readonly recording: Recording }) => {
  const colours = coloursOf(useDark())
  const drawings = useMemo(() => hostDrawings(recording, colours), [recording, colours])
  return <Panels label="The machine" recording={recording} drawings={drawings} />
}

const hostDrawings = ({ host, memory_bytes }: Recording, colours: Colours): ReadonlyArray<Drawing> => {
  const line = (key: keyof Recording["host"], label: string, slot: number): Line => ({
    ...{ key, label, values: host[key] },
    colour: colours.slots[slot] ?? colours.accent
  })
  const used = host.memory_available_bytes.map((value) => (value === null ? null : memory_bytes - value))
  return [
    {
      title: "CPU by mode",
      unit: "percent",
      stacked: true,
      lines: [
        line("cpu_user", "user", 0),
        line("cpu_system", "system", 1),
        line("cpu_irq", "interrupts", 2),
        line("cpu_steal", "steal", 3),
        line("cpu_iowait", "waits for I/O", 4)
      ]
    },
    {
      title: "Memory",
      unit: "bytes",
      lines: [
        { key: "used", label: "used", values: used, colour: colours.slots[0] ?? colours.accent },
        line("swap_used_bytes", "swap used", 3)
      ]
    },
    {
      title: "Pressure: time that tasks waited",
      unit: "percent",
      lines: [
        line("pressure_cpu", "for CPU", 0),
        line("pressure_memory", "for memory", 1),
        line("pressure_io", "for I/O", 2)
      ]
    }
  ]
}

const Charts = ({
  all,
  recording,
  what
}: {
  readonly recording: Recording
  readonly what: "process" | "unit"
  readonly all: ReadonlyArray<Shown>
}) => {
  const colours = coloursOf(useDark())
  const drawings = useMemo((): ReadonlyArray<Drawing> => {
    const lines = (by: "peakCpu" | "peakMemory", of: "cpu" | "memory") =>
      mostBy(all, by, DRAWN).map((one, n) => ({
        key: one.key,
        label: legible(one.about === "" ? one.name : `${one.name} (${one.about})`, 60),
        colour: colours.slots[n] ?? colours.other,
        values: one[of]
      }))
    return [
      { title: `CPU of the hottest ${PLURAL[what]}`, unit: "percent", lines: lines("peakCpu", "cpu") },
      { title: `Memory of the largest ${PLURAL[what]}`, unit: "bytes", lines: lines("peakMemory", "memory") }
    ]
  }, [all, colours, what])
  return <Panels label={PLURAL[what]} recording={recording} drawings={drawings} />
}

const PLURAL = { process: "processes", unit: "units" } as const

const Panels = ({
  drawings,
  label,
  recording
}: {
  readonly label: string
  readonly recording: Recording
  readonly drawings: ReadonlyArray<Drawing>
}) => {
  const end = Date.parse(recording.to) / 1_000
  const times = useMemo(() => recording.at.map((at) => end + at), [recording, end])
  const first = times[0] ?? end
  const kill = recording.kills[0]
  return (
    <section className="recorded" aria-label={label}>
      {drawings
        .filter(({ lines }) => lines.some(({ values }) => values.some((value) => value !== null)))
        .map(({ lines, stacked = false, title, unit }) => (
          <section className="panel card" key={title} aria-label={title}>
            <header>
              <h2>{title}</h2>
            </header>
            <Chart
              label={`${title}, a value a second over ${duration(end - first)}`}
              times={times}
              stepSeconds={1}
              from={first}
              to={end}
              lines={lines}
              stacked={stacked}
              height={180}
              binary={unit === "bytes"}
              format={(value) => inUnit(value, unit)}
              moment={kill === undefined ? undefined : Date.parse(kill.at)}
            />
            <ul className="keys">
              {lines.map(({ colour, key, label }) => (
                <li key={key}>
                  <svg viewBox="0 0 8 8" aria-hidden="true">
                    <rect width="8" height="8" rx="2" fill={colour} />
                  </svg>
                  {label}
                </li>
              ))}
            </ul>
          </section>
        ))}
    </section>
  )
}

const Hottest = ({ all, what }: { readonly what: "Process" | "Unit"; readonly all: ReadonlyArray<Shown> }) => {
  const listed = mostBy(all, "peakCpu", LISTED)
  const others = mostBy(all, "peakMemory", LISTED).filter((one) => !listed.includes(one))
  const rows = [...listed, ...others]
  if (rows.length === 0) return null
  return (
    <div className="card flush">
      <Table
        label={`The hottest: ${what}`}
        columns={{ [what]: "text", "CPU at most": "text", "Memory at most": "text", "Grew by": "text" }}
      >
        {rows.map(({ about, grew, key, name, peakCpu, peakMemory }) => (
          <tr key={key}>
            <th scope="row">
              <Name value={name} /> {about !== "" && <span className="muted">{legible(about, 80)}</span>}
            </th>
            <td className="num">{inUnit(peakCpu, "percent")}</td>
            <td className="num">{bytes(peakMemory)}</td>
            <td className="num">{bytes(grew)}</td>
          </tr>
        ))}
      </Table>
    </div>
  )
}
