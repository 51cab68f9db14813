/** What an alert tells beside that it fired: what ran before and then, the host's pressure, and what else happened. */
import type { ReactNode } from "react"
import type { Answer } from "../ask/Api.ts"
import { useNow } from "../ask/Refresh.tsx"
import { whatOf } from "../marks/Happened.ts"
import { Command } from "../parts/Command.tsx"
import { inUnit, moment, window as windowText, words } from "../parts/Format.ts"
import { legible } from "../parts/Legible.ts"
import { Name } from "../parts/Name.tsx"

export type Story = Answer<"alerts.get">

/** Of restarts, and of what else happened. */
const LISTED_MAX = 12
/** Percent of the time; below, nobody waited for long. */
const PRESSURE_TOLD = 1

export const StoryOf = ({ story }: { readonly story: Story }) => (
  <>
    {story.ranked !== null && <BeforeAndAfter story={story} ranked={story.ranked} />}
    <Pressure
      pressure={story.pressure.filter(({ after, before }) => after >= PRESSURE_TOLD || before >= PRESSURE_TOLD)}
    />
    <Around story={story} />
    <details className="alert-text">
      <summary>As text</summary>
      <Command text={story.text} />
    </details>
  </>
)

/** What is next to nothing has no sign. */
const signed = (value: number, unit: string): string => {
  const size = inUnit(Math.abs(value), unit)
  return `${value === 0 || size.startsWith("<") ? "" : value > 0 ? "+" : "\u2212"}${size}`
}

const BeforeAndAfter = ({
  ranked: { metric, unit },
  story
}: {
  readonly story: Story
  readonly ranked: NonNullable<Story["ranked"]>
}) => {
  const now = useNow()
  const { other, partial, split, tops, total, unaccounted, window } = story
  const [from, middle, to] = [window.from, split, window.to].map((time) => Date.parse(time))
  return (
    <section className="card flush" aria-labelledby="before-after">
      <div className="list-head">
        <h2 id="before-after">{words(metric)} before and when it fired</h2>
        <span className="muted small">
          {windowText(from!, middle!, now)}, then {windowText(middle!, to!, now)}
        </span>
      </div>
      {partial && <p className="banner">Less than four fifths of these times were seen.</p>}
      {tops.length === 0 && <p className="nothing muted">Nothing was seen there.</p>}
      {tops.length > 0 && (
        <table className="before-after">
          <thead>
            <tr>
              <th scope="col">Group</th>
              <th scope="col" className="num">
                Before
              </th>
              <th scope="col" className="num">
                Then
              </th>
              <th scope="col" className="num">
                Change
              </th>
            </tr>
          </thead>
          <tbody>
            {tops.map((line) => (
              <Line key={line.group} line={line} unit={unit} chosen={line.subject}>
                <Name value={line.group} />
                {line.appeared && <span className="life">new</span>}
                {line.gone && <span className="life">gone</span>}
                {line.restarted && <span className="life">restarted</span>}
              </Line>
            ))}
          </tbody>
          <tfoot>
            {other !== null && (
              <Line line={other} unit={unit}>
                {other.groups} others
              </Line>
            )}
            {unaccounted !== null && (
              <Line line={unaccounted} unit={unit}>
                Unaccounted
              </Line>
            )}
            {total !== null && (
              <Line line={total} unit={unit} chosen>
                {total.of === "host" ? "The host" : "All groups"}
              </Line>
            )}
          </tfoot>
        </table>
      )}
    </section>
  )
}

interface Difference {
  readonly before: number
  readonly after: number
  readonly difference: number
}

const Line = ({
  children,
  chosen = false,
  line: { after, before, difference },
  unit
}: {
  readonly line: Difference
  readonly unit: string
  readonly chosen?: boolean
  readonly children: ReactNode
}) => (
  <tr className={chosen ? "chosen" : undefined}>
    <th scope="row">{children}</th>
    <td className="num">{inUnit(before, unit)}</td>
    <td className="num">{inUnit(after, unit)}</td>
    <td className="num change">{signed(difference, unit)}</td>
  </tr>
)

const Pressure = ({ pressure }: { readonly pressure: Story["pressure"] }) =>
  pressure.length === 0 ? null : (
    <section className="card" aria-labelledby="pressure">
      <h2 id="pressure">Pressure of the host</h2>
      <ul className="around">
        {pressure.map(({ after, before, what }) => (
          <li key={what}>
            {words(what)}: {inUnit(before, "percent")} of the time before, <b>{inUnit(after, "percent")}</b> then
          </li>
        ))}
      </ul>
    </section>
  )

/** Notes, restarts and the like in the times that are compared. */
const Around = ({ story: { events, notes, restarts } }: { readonly story: Story }) => {
  const now = useNow()
  const happened = [
    ...notes.map(({ at, author, text }) => ({ key: `note ${at} ${author}`, at, what: legible(text, 500), by: author })),
    ...events.map((event) => ({
      key: `${event.kind} ${event.exporter} ${event.at}`,
      at: event.at,
      what: eventText(event),
      by: ""
    }))
  ].toSorted((a, b) => (a.at < b.at ? -1 : 1))
  const nothing = happened.length === 0 && restarts.length === 0
  return (
    <section className="card" aria-labelledby="around">
      <h2 id="around">What else happened</h2>
      {nothing && <p className="muted">No restarts, reboots or notes around that time.</p>}
      <ul className="around">
        {restarts.length > 0 && (
          <li>
            Restarted:{" "}
            {restarts.slice(0, LISTED_MAX).map((name, n) => (
              <span key={name}>
                {n > 0 && ", "}
                <Name value={name} />
              </span>
            ))}
            {restarts.length > LISTED_MAX && ` and ${restarts.length - LISTED_MAX} more`}
          </li>
        )}
        {happened.slice(0, LISTED_MAX).map(({ at, by, key, what }) => (
          <li key={key}>
            <span className="muted">{moment(Date.parse(at), now, true)}</span> {what}
            {by !== "" && <span className="muted"> · {legible(by, 80)}</span>}
          </li>
        ))}
      </ul>
      {happened.length > LISTED_MAX && <p className="muted small">and {happened.length - LISTED_MAX} more</p>}
    </section>
  )
}

const eventText = ({ at, by_seconds, exporter, kind, until }: Story["events"][number]): string =>
  whatOf(kind === "clock" ? { kind, at, exporter, by_seconds: by_seconds ?? 0 } : { kind, at, exporter, until })
