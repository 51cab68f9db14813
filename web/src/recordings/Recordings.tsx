/** The recordings of a server: what its flight recorder sent and why, and asking it for one. */
import { useState } from "react"
import { useSending } from "../access/Field.tsx"
import { type Answer, ask } from "../ask/Api.ts"
import { useAsk, useHeart, useNow } from "../ask/Refresh.tsx"
import { serverPath } from "../ask/Url.ts"
import { useMay } from "../ask/WhoContext.ts"
import { Crumbs } from "../parts/Crumbs.tsx"
import { Failure, ShownAsOf } from "../parts/Failure.tsx"
import { ago, duration, moment } from "../parts/Format.ts"
import { Link } from "../parts/Link.tsx"
import { Name } from "../parts/Name.tsx"
import { Table } from "../parts/Table.tsx"
import { REASON, recordingPath, victimText } from "./RecordingWords.ts"

type Recordings = Answer<"recordings.list">

export const RecordingsPage = ({ id }: { readonly id: string }) => {
  const { refresh } = useHeart()
  const [again, setAgain] = useState(0)
  const asked = useAsk("recordings.list", { id }, { again })
  const { failure, value } = asked
  return (
    <>
      <Crumbs>
        <Link href="/">Servers</Link>
        <Link href={serverPath(id)}>
          <Name value={id} />
        </Link>
      </Crumbs>
      <div className="title-line">
        <h1>Recordings</h1>
      </div>
      <p className="muted">
        The agent records its machine every second and keeps the last 15 minutes. It sends them when an alert fires,
        when the kernel kills a process for want of memory, and when somebody asks.
      </p>
      <ShownAsOf asked={asked} />
      {failure !== undefined && value === undefined && (
        <Failure alone what="The recordings" failure={failure} onRetry={refresh} />
      )}
      {value !== undefined && <Asking id={id} answer={value} onAsked={() => setAgain((n) => n + 1)} />}
      {value !== undefined && <List recordings={value.recordings} />}
    </>
  )
}

const Asking = ({
  answer: { request },
  id,
  onAsked
}: {
  readonly id: string
  readonly answer: Recordings
  readonly onAsked: () => void
}) => {
  const now = useNow()
  const mayAsk = useMay("operator")
  const { busy, failure, onSubmit } = useSending(async () => {
    await ask("recordings.ask", { id })
    onAsked()
  })
  const isWaiting = request?.state === "waiting"
  return (
    <form className="toolbar" onSubmit={onSubmit}>
      {mayAsk && (
        <button type="submit" className="button" disabled={busy || isWaiting}>
          Ask for a recording
        </button>
      )}
      {request !== null && request.state !== "answered" && (
        <span className="muted" role="status">
          {isWaiting
            ? `Asked ${ago(Date.parse(request.asked_at), now)}. The agent is told with the answer to its next push.`
            : `The last request, ${ago(Date.parse(request.asked_at), now)}, was not answered: does the agent report, and is its recorder enabled?`}
        </span>
      )}
      <span className="problem" role="alert">
        {failure}
      </span>
    </form>
  )
}

const List = ({ recordings }: { readonly recordings: Recordings["recordings"] }) => {
  const now = useNow()
  if (recordings.length === 0) return <p className="card empty">There are no recordings of this server.</p>
  return (
    <div className="card flush">
      <Table label="Recordings" columns={{ Until: "text", Length: "text", Why: "text" }}>
        {recordings.map(({ from, kills, reason, recording_id, to }) => (
          <tr key={recording_id}>
            <th scope="row">
              <Link href={recordingPath(recording_id)}>{moment(Date.parse(to), now, true)}</Link>
            </th>
            <td>{duration((Date.parse(to) - Date.parse(from)) / 1_000)}</td>
            <td>
              {REASON[reason]}
              {kills.length > 0 && <span className="muted"> · {kills.map(victimText).join(", ")}</span>}
            </td>
          </tr>
        ))}
      </Table>
    </div>
  )
}
