/** Servers that are ticked in the fleet's list, to be compared. Nothing of it is there until one is. */
import { COMPARED_MAX, COMPARED_MIN, comparePath, useCompared } from "../ask/Compared.ts"
import { Link } from "../parts/Link.tsx"

/** The tick of a row: seen where the row is looked at, and wherever one is ticked. */
export const Pick = ({ id, name }: { readonly id: string; readonly name: string }) => {
  const { ids, isFull, toggle } = useCompared()
  const ticked = ids.includes(id)
  const title = isFull && !ticked ? `At most ${COMPARED_MAX} servers can be compared` : "Tick, to compare (x)"
  return (
    <label className="pick" title={title}>
      <input
        type="checkbox"
        checked={ticked}
        disabled={isFull && !ticked}
        onChange={() => toggle(id)}
        aria-label={`Compare ${name}`}
      />
    </label>
  )
}

/** What can be done with those that are ticked. */
export const PickBar = () => {
  const { clear, ids, isFull } = useCompared()
  if (ids.length === 0) return null
  return (
    <section className="pick-bar" aria-label="Ticked servers">
      <p role="status">
        {ids.length < COMPARED_MIN
          ? `${ids[0]}: tick another one to compare`
          : isFull
            ? `${COMPARED_MAX} servers, the most that fit side by side`
            : ids.join(", ")}
      </p>
      {ids.length >= COMPARED_MIN && (
        <Link className="button primary" href={comparePath(ids)}>
          Compare {ids.length} servers
        </Link>
      )}
      <button type="button" className="button" onClick={clear}>
        Clear
      </button>
    </section>
  )
}
