/**
 * That somebody acted on a group, in its row: who did what, when, and how it ended; a link to the order for those who may see it. Nothing can
 * be done from here.
 */
import { useNow } from "../ask/Refresh.tsx"
import { useMay } from "../ask/WhoContext.ts"
import { type ActMark, actSentence, VERB_WORDS } from "../marks/Happened.ts"
import { Sign } from "../marks/Ticks.tsx"
import { legible } from "../parts/Legible.ts"
import { Link } from "../parts/Link.tsx"

/** As `GET /api/servers/{id}/{resource}/top` has it in a row. */
type Act = Omit<ActMark, "kind">

/** The acts that a row tells of, the latest first. */
const actsOf = (row: object): { readonly acts: ReadonlyArray<Act>; readonly total: number } => {
  const { acts, acts_total } = row as { readonly acts?: ReadonlyArray<Act>; readonly acts_total?: number }
  return { acts: acts ?? [], total: acts_total ?? 0 }
}

export const Acted = ({ row }: { readonly row: object }) => {
  const { acts, total } = actsOf(row)
  const [latest] = acts
  return latest === undefined ? null : <Told acts={acts} latest={latest} total={total} />
}

const Told = ({
  acts,
  latest,
  total
}: {
  readonly acts: ReadonlyArray<Act>
  readonly latest: Act
  readonly total: number
}) => {
  const now = useNow()
  const maySee = useMay("operator")
  const told = acts.map((act) => actSentence(act, now))
  const title = total > acts.length ? [...told, `and ${total - acts.length} before`].join("\n") : told.join("\n")
  const shown = (
    <>
      <Sign kind="act" />
      <span className="acted-said" aria-hidden="true">
        {VERB_WORDS[latest.verb]}
        {latest.result === "done" ? "" : ` ${latest.result}`}
        {latest.by.length > 0 && `, ${latest.by.map((name) => legible(name, 40)).join(" and ")}`}
        {total > 1 && ` (${total})`}
      </span>
      <span className="visually-hidden">{title}</span>
    </>
  )
  return maySee ? (
    <Link
      className="acted"
      title={title}
      href={`/acts/${encodeURIComponent(latest.order_id)}`}
      onClick={(event) => event.stopPropagation()}
    >
      {shown}
    </Link>
  ) : (
    <span className="acted" title={title}>
      {shown}
    </span>
  )
}
