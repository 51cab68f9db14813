/** What a unit is made of: the groups in it, and what is left over of its CPU; and of a group, which units it is in. */
import type { Exporter, Group, Top } from "../ask/Api.ts"
import { useCatalog } from "../ask/CatalogContext.ts"
import { useGroupPath } from "../ask/GroupPath.ts"
import { useRange } from "../ask/Range.ts"
import { seldom, useAsk } from "../ask/Refresh.tsx"
import { lookedAtQuery } from "../ask/Spans.ts"
import { inUnit, number, words } from "../parts/Format.ts"
import { Link } from "../parts/Link.tsx"
import { Name } from "../parts/Name.tsx"
import { countOf, type Membership, membershipsOf, valuesOf } from "./Membership.ts"
import { groupsOf, numberOf } from "./Ranked.ts"

interface Props {
  readonly id: string
  readonly exporter: Exporter
  readonly name: string
  readonly row: Group | undefined
  readonly pace: number
}

/** Rows that are only in scrapes tell in what a group was: so far back they are asked. */
const HOURS_MAX = 24
const LISTED = 8

export const Members = (props: Props) => {
  const { exporters } = useCatalog()
  const memberships = membershipsOf(exporters)
  return (
    <>
      {memberships
        .filter(({ members }) => members === props.exporter)
        .map((membership) => (
          <In key={membership.label.name} membership={membership} {...props} />
        ))}
      {memberships
        .filter(({ of }) => of === props.exporter)
        .map((membership) => (
          <Consists key={membership.members.name} membership={membership} {...props} />
        ))}
    </>
  )
}

const In = ({ id, membership, row }: Props & { readonly membership: Membership }) => {
  const pathTo = useGroupPath(id)
  const { label, of } = membership
  const values = valuesOf(row, label)
  if (values.length === 0) return null
  const more = countOf(row, label) - values.length
  return (
    <p className="group-in">
      <span className="muted">In </span>
      {values.map((value, n) => (
        <span key={value}>
          {n === 0 ? "" : ", "}
          <Link href={pathTo(of.resource, value)}>
            <Name value={value} />
          </Link>
        </span>
      ))}
      {more > 0 && <span className="muted"> and {number(more)} more</span>}
    </p>
  )
}

const Consists = ({ exporter, id, membership, name, pace, row }: Props & { readonly membership: Membership }) => {
  const { label, members } = membership
  const range = useRange()
  const looked = lookedAtQuery(range, pace)
  const tooLong = looked.hours > HOURS_MAX
  const { failure, value } = useAsk(
    "rankings.top",
    { id, resource: members.resource, [label.name]: name, limit: LISTED, ...looked },
    { off: tooLong, ...seldom(2) }
  )
  return (
    <section className="members">
      <h3>{members.title} in it</h3>
      {tooLong ? (
        <p className="muted small">Known for the last {HOURS_MAX} hours only: choose a shorter range.</p>
      ) : value === undefined ? (
        <p className="muted">{failure?.message ?? "…"}</p>
      ) : (
        <MemberTable id={id} members={members} answer={value} left={leftOver(exporter, members, row, value)} />
      )}
    </section>
  )
}

const MemberTable = ({
  answer,
  id,
  left,
  members
}: {
  readonly id: string
  readonly members: Exporter
  readonly answer: Top
  readonly left: number | undefined
}) => {
  const pathTo = useGroupPath(id)
  const rankings = (members.top?.rankings ?? []).filter((one) => !one.on_demand)
  const cells = (values: Readonly<Record<string, unknown>>) =>
    rankings.map(({ by, fields, key, unit }) => (
      <td key={key} className="num">
        {inUnit(numberOf(values[by === "rate" ? fields.average : fields.now]), unit)}
      </td>
    ))
  return (
    <table>
      <thead>
        <tr>
          <th scope="col">{words(members.top?.per ?? "name").replace(/ name$/, "")}</th>
          {rankings.map(({ by, key }) => (
            <th key={key} scope="col" className="num">
              {words(key)} {by === "rate" ? "avg" : "now"}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {groupsOf(answer, members.resource).map((group) => (
          <tr key={group.name}>
            <th scope="row">
              <Link href={pathTo(members.resource, group.name)}>
                <Name value={group.name} />
              </Link>
            </th>
            {cells(group)}
          </tr>
        ))}
        {(answer.other.groups ?? 0) > 0 && (
          <tr className="rest">
            <th scope="row">{number(answer.other.groups)} more</th>
            {cells(answer.other)}
          </tr>
        )}
        {left !== undefined && (
          <tr className="rest" title="Used by processes that ended before a scrape saw all of it">
            <th scope="row">Left over: ended</th>
            {rankings.map(({ key, share, unit }) => (
              <td key={key} className="num">
                {share === "cpu" ? inUnit(Math.max(0, left), unit) : ""}
              </td>
            ))}
          </tr>
        )}
      </tbody>
    </table>
  )
}

const cpuOf = ({ top }: Exporter): string | undefined =>
  top?.rankings.find(({ share }) => share === "cpu")?.fields.average

/** The unit's CPU less that of the groups in it, on average; undefined where one of them is not known. */
const leftOver = (of: Exporter, members: Exporter, row: Group | undefined, answer: Top): number | undefined => {
  const [whole, part] = [cpuOf(of), cpuOf(members)]
  if (row === undefined || whole === undefined || part === undefined) return undefined
  const total = numberOf(row[whole])
  const groups = groupsOf(answer, members.resource)
  const used = groups.reduce((sum, group) => sum + (numberOf(group[part]) ?? 0), answer.other[part] ?? 0)
  return total === null ? undefined : total - used
}
