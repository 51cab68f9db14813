/** The streams in which rows wait for digest: how full each is, and who reads it. */
import { useState } from "react"
import type { Answer } from "../ask/Api.ts"
import { bytes, duration, number } from "../parts/Format.ts"
import { legible } from "../parts/Legible.ts"
import { Table } from "../parts/Table.tsx"
import { type Fact, Facts } from "./Facts.tsx"

type Stream = NonNullable<Answer<"pipeline.snapshot">["streams"]>[number]

/** So many are looked at without asking for more. */
const STREAMS_SHOWN = 16

const isUnread = ({ isOwnerKnown, owner }: Stream) => owner === null && isOwnerKnown

/** Those that somebody should look at come first, where not all are shown. */
const need = (one: Stream): number =>
  isUnread(one) ? Number.POSITIVE_INFINITY : one.rows === null ? Number.MAX_VALUE : (one.oldestSeconds ?? 0)

/** Where rows wait for digest: each stream, with who reads it. */
export const Streams = ({ streams }: { readonly streams: Answer<"pipeline.snapshot">["streams"] }) => {
  const [all, showAll] = useState(false)
  const many = streams !== null && streams.length > STREAMS_SHOWN
  const shown = !many || all ? (streams ?? []) : [...streams].sort((a, b) => need(b) - need(a) || a.stream - b.stream)
  return (
    <section className="card flush" aria-label="Streams">
      <Facts
        of="streams"
        facts={streams !== null && (streams.length > 1 || waitingIn(streams) > 0) ? streamFacts(streams) : undefined}
      >
        {streams === null && <p className="muted">Neither their storage nor the database tells in time how they do.</p>}
      </Facts>
      {streams !== null && (
        <Table
          label="Each stream"
          className="stages"
          columns={{
            Stream: "text",
            Rows: "num",
            "In flight": "num",
            "Oldest entry": "num",
            Memory: "num",
            "Read by": "text"
          }}
        >
          {(many && !all ? shown.slice(0, STREAMS_SHOWN) : shown).map((one) => (
            <StreamRow key={one.stream} one={one} />
          ))}
        </Table>
      )}
      {many && (
        <p className="pager">
          <button type="button" className="button small" onClick={() => showAll(!all)}>
            {all ? `The ${STREAMS_SHOWN} that wait longest` : `All ${streams.length} streams`}
          </button>
        </p>
      )}
    </section>
  )
}

const StreamRow = ({ one }: { readonly one: Stream }) => (
  <tr>
    <th scope="row" className={isUnread(one) || one.rows === null ? "bad" : undefined}>
      {one.stream}
    </th>
    {one.rows === null ? (
      <td className="error bad" colSpan={4}>
        its storage does not answer
      </td>
    ) : (
      <>
        <td className="num">
          <span title={one.bound === null ? undefined : `Of at most ${number(one.bound)}`}>{number(one.rows)}</span>
        </td>
        <td className="num">{number(one.pending)}</td>
        <td className={(one.oldestSeconds ?? 0) > OLDEST_MAX_SECONDS ? "num warm" : "num"}>
          {one.oldestSeconds === null ? <span className="muted">–</span> : duration(one.oldestSeconds)}
        </td>
        <td className="num">{one.bytes === null ? <span className="muted">–</span> : bytes(one.bytes)}</td>
      </>
    )}
    <td className={isUnread(one) ? "bad" : undefined}>
      {one.owner !== null ? (
        <>
          {legible(one.owner)}
          {one.ownedForSeconds !== null && <span className="muted"> for {duration(one.ownedForSeconds)}</span>}
        </>
      ) : one.isOwnerKnown ? (
        "nobody"
      ) : (
        <span className="muted">unknown</span>
      )}
    </td>
  </tr>
)

/** Rows that wait for a node of the database. */
const waitingIn = (streams: ReadonlyArray<Stream>): number =>
  streams.reduce((sum, { waiting }) => sum + (waiting ?? 0), 0)

const streamFacts = (streams: ReadonlyArray<Stream>): ReadonlyArray<Fact> => {
  const readers = new Set(streams.flatMap(({ owner }) => owner ?? []))
  const unread = streams.filter(isUnread).length
  const silent = streams.filter(({ rows }) => rows === null).length
  const waiting = waitingIn(streams)
  const oldest = Math.max(0, ...streams.map(({ oldestSeconds }) => oldestSeconds ?? 0))
  return [
    ["Streams", number(streams.length)],
    ["Digests", number(readers.size)],
    ["Rows", number(streams.reduce((sum, { rows }) => sum + (rows ?? 0), 0))],
    ["Oldest entry", oldest === 0 ? "–" : duration(oldest), oldest > OLDEST_MAX_SECONDS],
    ...(waiting === 0 ? [] : [["Wait for a node", number(waiting), true] as const]),
    ...(unread === 0 ? [] : [["Read by nobody", number(unread), true] as const]),
    ...(silent === 0 ? [] : [["Do not answer", number(silent), true] as const])
  ]
}

/** Rows are on the page within 30 s where digest keeps up. */
const OLDEST_MAX_SECONDS = 30
