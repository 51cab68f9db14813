/** Two cards of a server: where its CPU went, and what waits for what. Both of what is looked at. */
import { useCatalog } from "../ask/CatalogContext.ts"
import { useGrouping } from "../ask/Grouping.ts"
import { useRange } from "../ask/Range.ts"
import { seldom, useAsk } from "../ask/Refresh.tsx"
import { lookedAtQuery } from "../ask/Spans.ts"
import { Failure } from "../parts/Failure.tsx"
import { OVER_EVERY } from "../server/Ranked.ts"
import { Breakdown } from "./Breakdown.tsx"
import { Verdicts } from "./Verdicts.tsx"
import "./why.css"

/** A breakdown of more hours reads so many rows that it is asked for every five minutes. */
const LONG_HOURS = 6

export const Why = ({ id, pace }: { readonly id: string; readonly pace: number }) => {
  const { exporters } = useCatalog()
  const range = useRange()
  const grouping = useGrouping()
  const looked = lookedAtQuery(range, pace)
  const breakdown = useAsk(
    "breakdown.breakdown",
    { id, grouping, limit: 6, ...looked },
    looked.hours > LONG_HOURS ? { everyBeats: OVER_EVERY } : seldom(1)
  )
  const verdict = useAsk("verdict.verdict", { id, ...looked }, seldom(2))
  return (
    <div className="why">
      <section className="card" aria-label="Where the CPU went">
        <h2>Where the CPU went</h2>
        {breakdown.failure !== undefined && breakdown.value === undefined && (
          <Failure failure={breakdown.failure} what="The breakdown" />
        )}
        {breakdown.loading && <div className="why-space" />}
        {breakdown.value !== undefined && (
          <Breakdown id={id} answer={breakdown.value} exporters={exporters} pace={pace} />
        )}
      </section>
      <section className="card" aria-label="What waits">
        <h2>What waits</h2>
        {verdict.failure !== undefined && verdict.value === undefined && (
          <Failure failure={verdict.failure} what="The verdict" />
        )}
        {verdict.loading && <div className="why-space" />}
        {verdict.value !== undefined && <Verdicts id={id} answer={verdict.value} />}
      </section>
    </div>
  )
}
