/** What stands out, said in sentences: which server, at what, and how much more or less than the others. */
import type { ReactNode } from "react"
import type { Comparison } from "../ask/Api.ts"
import { inUnit, number } from "../parts/Format.ts"
import { Name } from "../parts/Name.tsx"

/** A value beside the median of several servers. */
export interface OddOne {
  readonly value: number
  readonly median: number
  /** Of how many servers that is the median. */
  readonly of: number
}

/** "3.1 ×": how often the median goes into a value, in two digits; undefined where that says nothing. */
export const timesOf = (value: number, median: number): string | undefined =>
  value <= 0 || median <= 0 || value / median >= 1_000
    ? undefined
    : `${number(Number((value / median).toPrecision(2)))}\u202f×`

/** A value in the unit of an answer. */
export const shownIn = (value: number | null, unit: string): string =>
  inUnit(value, unit === "percent_of_machine" ? "percent" : unit)

/** A sign for above and below the others: shape and text, not colour alone. */
export const Mark = ({ above }: { readonly above: boolean }) => (
  <svg className="odd-mark" viewBox="0 0 10 10" role="img" aria-label={above ? "Stands out above" : "Stands out below"}>
    <path d={above ? "M5 1.2 9.4 8.8H.6Z" : "M5 8.8.6 1.2h8.8Z"} />
  </svg>
)

/** "postgres on db-7 is 3.1 × the median of 12", with what that is in numbers. */
export const OddSentence = ({
  odd: { median, of, value },
  subject,
  unit
}: {
  readonly odd: OddOne
  readonly subject: ReactNode
  readonly unit: string
}) => {
  const times = timesOf(value, median)
  return (
    <>
      <Mark above={value > median} />
      <span>
        {subject}{" "}
        {times === undefined ? (
          <>
            uses <b>{value === 0 ? "nothing" : shownIn(value, unit)}</b>: the median of {of} is {shownIn(median, unit)}
          </>
        ) : (
          <>
            is <b>{times}</b> the median of {of}{" "}
            <span className="muted">
              ({shownIn(value, unit)} against {shownIn(median, unit)})
            </span>
          </>
        )}
      </span>
    </>
  )
}

const SAID = 3

/** The largest differences of a comparison, in sentences. */
export const Findings = ({ answer }: { readonly answer: Comparison }) => {
  const { odd, servers, total, unit } = answer
  const known = total.values.filter((value) => value !== null).length
  const nameOf = (id: string) => servers.find(({ server_id }) => server_id === id)?.name ?? id
  return (
    <section className="findings" aria-label="What stands out" role="status">
      {odd.length === 0 && (
        <p className="muted">
          {known < 3
            ? "Which one is odd can be said of three servers or more that were seen."
            : "No server stands out: all are within the usual spread."}
        </p>
      )}
      {odd.slice(0, SAID).map(({ name, server_id, ...one }) => (
        <p key={`${name} ${server_id}`}>
          <OddSentence
            odd={one}
            unit={unit}
            subject={
              name === null ? (
                <>
                  <b className="subject">
                    <Name value={nameOf(server_id)} />
                  </b>{" "}
                  as a whole
                </>
              ) : (
                <>
                  <b className="subject">
                    <Name value={name} />
                  </b>{" "}
                  on{" "}
                  <b className="subject">
                    <Name value={nameOf(server_id)} />
                  </b>
                </>
              )
            }
          />
        </p>
      ))}
      {odd.length > SAID && <p className="muted">and {odd.length - SAID} more, marked in the table</p>}
    </section>
  )
}
