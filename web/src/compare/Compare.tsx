/**
 * Two to eight servers side by side: what stands out in sentences, a chart of each on one scale, and the matrix of groups and
 * servers. The address is its state: `/compare?s=web-1,web-2&metric=cpu`.
 */
import "./compare.css"
import { COMPARED_MAX, COMPARED_MIN, useCompared } from "../ask/Compared.ts"
import { useGrouping } from "../ask/Grouping.ts"
import { useRange } from "../ask/Range.ts"
import { useAsk, useHeart } from "../ask/Refresh.tsx"
import { windowQuery } from "../ask/Spans.ts"
import { GroupedBy } from "../frame/GroupNames.tsx"
import { Crumbs } from "../parts/Crumbs.tsx"
import { Failure, ShownAsOf } from "../parts/Failure.tsx"
import { legible } from "../parts/Legible.ts"
import { Link } from "../parts/Link.tsx"
import { Name } from "../parts/Name.tsx"
import { AddOne } from "./AddOne.tsx"
import { CompareBar, type ComparedBy, useComparedBy, useScale } from "./Bar.tsx"
import { Matrix } from "./Matrix.tsx"
import { Multiples } from "./Multiples.tsx"
import { Findings } from "./Odd.tsx"

export const ComparePage = () => {
  const by = useComparedBy()
  return by === undefined ? <p className="nothing card">Nothing here can be ranked.</p> : <Comparing {...by} />
}

const Comparing = ({ exporter, ranking }: ComparedBy) => {
  const range = useRange()
  const { refresh } = useHeart()
  const { ids, isFull, toggle } = useCompared()
  const scale = useScale(ranking)
  const compared = ids.slice(0, COMPARED_MAX)
  const enough = compared.length >= COMPARED_MIN
  const grouping = useGrouping()
  const asked = useAsk(
    "comparison.compare",
    {
      resource: exporter.resource,
      server: compared,
      grouping,
      metric: ranking.key,
      scale,
      points: 60,
      ...windowQuery(range)
    },
    { off: !enough }
  )
  const { failure, previous } = asked
  const value = enough ? asked.value : undefined
  const nameOf = (id: string) => value?.servers.find(({ server_id }) => server_id === id)?.name ?? id
  return (
    <>
      <Crumbs>
        <Link href="/">Servers</Link>
      </Crumbs>
      <h1>{enough ? `${compared.length} servers side by side` : "Compare servers"}</h1>
      <div className="compared">
        <ul aria-label="Compared servers">
          {compared.map((id) => (
            <li key={id} className="chip">
              <Name value={nameOf(id)} />
              <button type="button" onClick={() => toggle(id)} aria-label={`Leave out ${legible(nameOf(id), 60)}`}>
                ×
              </button>
            </li>
          ))}
        </ul>
        <AddOne key={String(enough)} ids={compared} isFull={isFull} onAdd={toggle} open={!enough} />
      </div>
      {ids.length > COMPARED_MAX && (
        <p className="banner">
          The address names {ids.length} servers; shown are the first {COMPARED_MAX}.
        </p>
      )}
      <CompareBar exporter={exporter} ranking={ranking} window={value?.window} />
      <GroupedBy grouping={value?.grouping} bound={false} />
      <ShownAsOf asked={asked} />
      {!enough ? (
        <p className="nothing card">Two servers or more can be compared, up to {COMPARED_MAX}.</p>
      ) : value === undefined ? (
        failure === undefined ? (
          <div className="card skeleton tall" role="status" aria-label="Loading" />
        ) : (
          <Failure failure={failure} what="The comparison" onRetry={refresh} />
        )
      ) : (
        <div className={previous ? "previous" : ""}>
          <Findings answer={value} />
          <Multiples answer={value} />
          <Matrix answer={value} title={exporter.title} />
        </div>
      )}
    </>
  )
}
