/** Whose rules put names together: a quiet choice above a ranking, and the way to the rules. */
import { useEffect, useState } from "react"
import { rememberedGrouping, rememberGrouping, useGrouping } from "../ask/Grouping.ts"
import { useAsk } from "../ask/Refresh.tsx"
import { usePlace } from "../ask/Url.ts"
import { Failure } from "../parts/Failure.tsx"
import { Link } from "../parts/Link.tsx"

/** `id`: the server that the editor's preview is to be of; of the whole fleet, none. */
export const GroupNames = ({ id }: { readonly id?: string }) => {
  const { set } = usePlace()
  const grouping = useGrouping()
  const [open, setOpen] = useState(false)
  const choose = (name: string | undefined) => {
    rememberGrouping(name)
    set({ grouping: name, open: undefined })
    setOpen(false)
  }
  // What was chosen before holds for an address that says nothing, and stands in it from then on.
  // biome-ignore lint/correctness/useExhaustiveDependencies: once, when the ranking is first shown.
  useEffect(() => {
    const remembered = rememberedGrouping()
    if (grouping === undefined && remembered !== undefined) set({ grouping: remembered }, true)
  }, [])
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: Esc closes what is open, wherever in it the focus is.
    <div
      className="range"
      onKeyDown={(event) => {
        if (!open || event.key !== "Escape") return
        event.stopPropagation()
        setOpen(false)
      }}
    >
      <button
        type="button"
        className="button small group-names-button"
        aria-expanded={open}
        onClick={() => setOpen((is) => !is)}
        title="Put names together by rules"
      >
        {grouping === undefined ? "Group names…" : `Names: ${grouping}`}
      </button>
      {open && <Choices id={id} chosen={grouping} onChoose={choose} />}
    </div>
  )
}

interface ChoicesProps {
  readonly id: string | undefined
  readonly chosen: string | undefined
  readonly onChoose: (name: string | undefined) => void
}

const Choices = ({ chosen, id, onChoose }: ChoicesProps) => {
  const sets = useAsk("groupings.list", {}, { everyBeats: Number.POSITIVE_INFINITY, aside: true })
  const names = (sets.value?.groupings ?? []).map(({ name }) => name)
  // A version that a link names, or a set that is offered no more.
  const other = chosen === undefined || names.includes(chosen) ? [] : [chosen]
  const rest = new URLSearchParams()
  if (chosen !== undefined) rest.set("set", chosen.split("@")[0]!)
  if (id !== undefined) rest.set("server", id)
  return (
    <div className="custom-range group-names">
      {sets.failure !== undefined && <Failure failure={sets.failure} what="Rule sets" />}
      <fieldset>
        <legend className="visually-hidden">Group names by</legend>
        {[undefined, ...names, ...other].map((one) => (
          <button key={one ?? ""} type="button" aria-pressed={one === chosen} onClick={() => onChoose(one)}>
            {one ?? "Names as they are"}
          </button>
        ))}
      </fieldset>
      <Link href={`/groupings${rest.size === 0 ? "" : `?${rest}`}`}>Edit rules…</Link>
    </div>
  )
}

/** Whether a peak of any row is a sum of its members' peaks. */
export const isBound = (rows: ReadonlyArray<{ readonly peak_is_bound?: boolean }> | undefined): boolean =>
  rows?.some(({ peak_is_bound }) => peak_is_bound === true) === true

/** Said beside the numbers: by which rules, and what that does to peaks. */
export const GroupedBy = ({
  bound,
  grouping
}: {
  readonly grouping: { readonly name: string; readonly version: number } | undefined
  readonly bound: boolean
}) => {
  const { set } = usePlace()
  if (grouping === undefined) return null
  return (
    <p className="muted">
      Names are grouped by {grouping.name}, version {grouping.version}.
      {bound && " Peaks of groups are upper bounds: their members' highest values, added up."}{" "}
      <button
        type="button"
        className="link"
        onClick={() => {
          rememberGrouping(undefined)
          set({ grouping: undefined, open: undefined })
        }}
      >
        Show names as they are
      </button>
    </p>
  )
}
