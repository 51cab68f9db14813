/** The recording that shows what led to an alert, where there is one. */
import { useAsk } from "../ask/Refresh.tsx"
import { Link } from "../parts/Link.tsx"
import { recordingPath, shows } from "./RecordingWords.ts"

export const RecordingOf = ({ moment, serverId }: { readonly serverId: string; readonly moment: number }) => {
  const { value } = useAsk("recordings.list", { id: serverId }, { aside: true })
  // The first one that was made then or afterwards: it reaches back the furthest.
  const found = value?.recordings.findLast((recording) => shows(recording, moment))
  if (found !== undefined) {
    return (
      <Link className="button" href={recordingPath(found.recording_id)}>
        Recording of the 15 minutes before
      </Link>
    )
  }
  return value?.request?.state === "waiting" ? (
    <span className="muted" role="status">
      A recording of the 15 minutes before is asked for.
    </span>
  ) : null
}
