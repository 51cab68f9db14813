/** What went wrong, why, and what helps. */
import type { AskFailed } from "./Api.ts"
import { Link } from "./Link.tsx"

const cureOf = ({ status }: AskFailed): string => {
  if (status === 0) return "It is tried again by itself. If it stays like this, look at the server's terminal or log."
  if (status === 404) return "It may have been renamed or removed, or the link is from somewhere else."
  if (status === 400) return "The address asks for something that the server does not take."
  if (status === 503)
    return "The server is up, a part that it needs is not: /readyz says which. It is tried again by itself."
  if (status === 429) return "Too many questions at once. It is tried again by itself."
  return "It is tried again by itself. The server's log has the cause."
}

interface Props {
  readonly failure: AskFailed
  readonly what: string
  readonly onRetry?: () => void
}

export const Failure = ({ failure, onRetry, what }: Props) => (
  <section className="failure" role="alert">
    <h2>{failure.title}</h2>
    {failure.message !== "" && <p>{failure.message}</p>}
    <p className="muted">
      {what}: {cureOf(failure)}
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
