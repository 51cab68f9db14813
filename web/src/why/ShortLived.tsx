/** Which commands no scrape saw, how often they ran, what they used and who started them: "1 312 × ls, 96 %, from make". */
import type { Answer, Exporter, Group } from "../ask/Api.ts"
import { useRange } from "../ask/Range.ts"
import { seldom, useAsk } from "../ask/Refresh.tsx"
import { lookedAtQuery } from "../ask/Spans.ts"
import { serverPath } from "../ask/Url.ts"
import { inUnit, number } from "../parts/Format.ts"
import { Link } from "../parts/Link.tsx"
import { Name } from "../parts/Name.tsx"
import { countOf, valuesOf } from "../server/Membership.ts"
import { groupsOf, numberOf } from "../server/Ranked.ts"

const TOLD = 3

interface Props {
  readonly id: string
  readonly answer: Answer<"breakdown.breakdown">
  readonly exporters: ReadonlyArray<Exporter>
  /** How far apart the server's scrapes are. */
  readonly pace: number
}

export const ShortLived = ({ answer, exporters, id, pace }: Props) => {
  const range = useRange()
  const exporter = exporters.find(({ resource }) => resource === answer.resources.short_lived)
  const off = exporter === undefined || answer.short_lived.length === 0
  const asked = useAsk(
    "rankings.top",
    { id, resource: exporter?.resource ?? "-", limit: TOLD, ...lookedAtQuery(range, pace) },
    { off, ...seldom(1) }
  )
  if (off || asked.value === undefined) return null
  const commands = groupsOf(asked.value, exporter.resource).flatMap((row) => {
    const runs = answer.short_lived.find(({ name }) => name === row.name)?.runs ?? 0
    return runs > 0 ? [{ row, runs }] : []
  })
  if (commands.length === 0) return null
  return (
    <p className="small why-short">
      <span className="muted">Short-lived: </span>
      {commands.map(({ row, runs }, n) => (
        <span key={row.name}>
          {n === 0 ? "" : "; "}
          {number(Math.round(runs))} × <Name value={row.name} />, {inUnit(averageOf(exporter, row), "percent")}
          <From exporter={exporter} row={row} />
        </span>
      ))}
      {". "}
      <Link href={serverPath(id, `/${exporter.resource}${window.location.search}`)}>All of them</Link>
    </p>
  )
}

const averageOf = ({ top }: Exporter, row: Group): number | null =>
  numberOf(row[top?.rankings.find(({ key }) => key === top.default)?.fields.average ?? ""])

/** Who started it, of those that are known. */
const From = ({ exporter: { top }, row }: { readonly exporter: Exporter; readonly row: Group }) =>
  (top?.labels ?? []).map((label) => {
    const [first] = valuesOf(row, label)
    if (first === undefined) return null
    const more = countOf(row, label) - 1
    return (
      <span key={label.name}>
        , from <Name value={first} />
        {more > 0 && ` and ${number(more)} more`}
      </span>
    )
  })
