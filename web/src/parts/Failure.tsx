/** What went wrong, why, and what helps. What several parts of the page suffer from is said once. */
import { useCallback, useId, useSyncExternalStore } from "react"
import type { AskFailed } from "../ask/Api.ts"
import { type Asked, useNow } from "../ask/Refresh.tsx"
import { moment } from "./Format.ts"
import { legible } from "./Legible.ts"
import { Link } from "./Link.tsx"

const cureOf = ({ status }: AskFailed): string => {
  if (status === 0) return "Retrying automatically. If this persists, check the server's log."
  if (status === 404) return "It may have been removed, or the link is from another NodePulse."
  if (status === 400) return "The address contains a value that the server does not accept."
  if (status === 504)
    return "A shorter time range is answered sooner. NODEPULSE_ANSWER_SECONDS_MAX on the server sets the limit. Retrying automatically."
  if (status === 503)
    return "The server is running, but something that it needs is not: /readyz says what. Retrying automatically."
  if (status === 429) return "Too many requests at once. Retrying automatically."
  return "Retrying automatically. The server's log has the cause."
}

/** Who tells of what, by what it says: the first one does, the others know that it is told. */
const tellers = new Map<string, ReadonlyArray<string>>()
const listeners = new Set<() => void>()
const changeTellers = (about: string, change: (ids: ReadonlyArray<string>) => ReadonlyArray<string>) => {
  const ids = change(tellers.get(about) ?? [])
  if (ids.length === 0) tellers.delete(about)
  else tellers.set(about, ids)
  for (const listener of listeners) listener()
}

/** Whether this is the part of the page that tells of it. */
const useTells = (about: string): boolean => {
  const id = useId()
  // The same function in every render: who subscribes anew goes to the end, and then another one tells.
  const subscribe = useCallback(
    (listener: () => void) => {
      listeners.add(listener)
      changeTellers(about, (ids) => [...ids, id])
      return () => {
        listeners.delete(listener)
        changeTellers(about, (ids) => ids.filter((one) => one !== id))
      }
    },
    [about, id]
  )
  return useSyncExternalStore(subscribe, () => tellers.get(about)?.[0] === id)
}

interface Props {
  readonly failure: AskFailed
  readonly what: string
  readonly onRetry?: () => void
  /** Whether it is all that there is to see: then it is the page's own heading. */
  readonly alone?: boolean
}

export const Failure = ({ alone = false, failure, onRetry, what }: Props) => {
  const tells = useTells(`failure ${failure.status} ${failure.title} ${failure.message}`)
  if (!tells) return <p className="failure-too muted">{legible(what)}: the same.</p>
  const Heading = alone ? "h1" : "h2"
  return (
    <section className="failure" role="alert">
      <Heading>{failure.title}</Heading>
      {failure.message !== "" && <p>{legible(failure.message, 1_000)}</p>}
      <p className="muted">
        {legible(what)}: {cureOf(failure)}
      </p>
      <p>
        {onRetry !== undefined && (
          <button type="button" className="button" onClick={onRetry}>
            Try again
          </button>
        )}
        {failure.status === 404 && (
          <Link className="button" href="/">
            All servers
          </Link>
        )}
      </p>
    </section>
  )
}

/** Where an answer could not be refreshed: as of when it is, and why; once on the page for one reason. */
export const ShownAsOf = ({ asked: { at, failure, value } }: { readonly asked: Asked<unknown> }) =>
  failure === undefined || at === undefined || value === undefined ? null : <AsOf at={at} failure={failure} />

const AsOf = ({ at, failure }: { readonly at: number; readonly failure: AskFailed }) => {
  const now = useNow()
  const reason = failure.message || failure.title
  if (!useTells(`as of ${reason}`)) return null
  return (
    <p className="banner" role="status">
      Shown as of {moment(at, now, true)}: {legible(reason, 400)}
    </p>
  )
}
