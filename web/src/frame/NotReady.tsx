/** On every view but the pipeline's own: nothing while all is well, else what is wrong in one line. */
import type { Answer } from "../ask/Api.ts"
import { seldom, useAsk } from "../ask/Refresh.tsx"
import { legible } from "../parts/Legible.ts"
import { Link } from "../parts/Link.tsx"

export const NotReadyLine = () => {
  const { value } = useAsk("pipeline.readiness", {}, { aside: true, ...seldom(2) })
  if (value === undefined || value.ready) return null
  return (
    <p className="banner stale" role="status">
      <b>NodePulse is not ready.</b> {missingOf(value)} Agents keep what they cannot send and send it later.{" "}
      <Link href="/pipeline">Pipeline</Link>
    </p>
  )
}

const missingOf = ({ checks }: Answer<"pipeline.readiness">): string =>
  checks
    .filter(({ ready }) => !ready)
    .map(({ name, reason }) => `${name}: ${legible(reason ?? "no reason given", 160)}.`)
    .join(" ")
