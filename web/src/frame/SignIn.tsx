/** The way in: an identity provider where one is configured, the one-time link from the terminal, or a token. */
import { type FormEvent, useEffect, useId, useState } from "react"
import { AskFailed, ask } from "../ask/Api.ts"
import { BASE } from "../ask/Base.ts"
import { usePlace } from "../ask/Url.ts"
import { Command } from "../parts/Command.tsx"

export const SignIn = ({ onSignedIn }: { readonly onSignedIn: () => Promise<void> }) => {
  const hasProvider = useProvider()
  const { query, set } = usePlace()
  const used = query.get("link") !== null
  return (
    <main className="lonely">
      <div className="signin">
        <h1 className="brand">
          <img src={`${BASE}/pulse.svg`} alt="" width="32" height="32" />
          NodePulse
        </h1>
        <Refused why={query.get("refused")} />
        {hasProvider && (
          <p>
            <a className="button primary" href={`${BASE}/signin/oidc`}>
              Sign in with your organisation
            </a>
          </p>
        )}
        {used && (
          <p className="banner stale" role="alert">
            <b>This sign-in link was already used, or has expired.</b> Each works once, for an hour.
          </p>
        )}
        <p>
          Open the <strong>sign-in link</strong> that NodePulse printed when it started. It works once, for an hour.
        </p>
        <details open={used}>
          <summary>The link is lost or was already used</summary>
          <p>
            Every start prints a new one. Or make one on the machine that runs NodePulse, and open it on this address:
          </p>
          <Command text="npm run nodepulse -- sign-in" />
        </details>
        <TokenForm
          label="Or sign in with a read, operator or admin token"
          onSignedIn={async () => {
            set({ link: undefined, refused: undefined }, true)
            await onSignedIn()
          }}
        />
      </div>
    </main>
  )
}

/** What an identity provider's page led back with, where it let nobody in. */
const REFUSALS: Readonly<Record<string, readonly [string, string]>> = {
  "no-role": [
    "You are known, but may not use NodePulse.",
    "None of your groups has a role here. Ask an administrator to add you to one that has, and sign in again."
  ],
  stale: ["This sign-in was begun in another browser, or too long ago.", "Begin again."],
  provider: [
    "Your organisation's sign-in did not work.",
    "It refused, or cannot be reached: NodePulse's log says why. Try again, or sign in otherwise."
  ]
}

const Refused = ({ why }: { readonly why: string | null }) => {
  if (why === null) return null
  const [what, cure] = REFUSALS[Object.hasOwn(REFUSALS, why) ? why : "provider"] ?? ["", ""]
  return (
    <p className="banner stale" role="alert">
      <b>{what}</b> {cure}
    </p>
  )
}

/** Exchanges a token for a session. */
export const TokenForm = ({
  label,
  onSignedIn
}: {
  readonly label: string
  readonly onSignedIn: () => Promise<void>
}) => {
  const [token, setToken] = useState("")
  const [failure, setFailure] = useState<string>()
  const [busy, setBusy] = useState(false)
  const id = useId()
  const signIn = async (event: FormEvent) => {
    event.preventDefault()
    setBusy(true)
    setFailure(undefined)
    try {
      await ask("session.signInWithToken", {}, { token: token.trim() })
      await onSignedIn()
    } catch (error) {
      setFailure(
        error instanceof AskFailed && error.status === 401
          ? "This token is not known. Is it complete, and not an agent's token?"
          : error instanceof Error
            ? error.message
            : String(error)
      )
    }
    setBusy(false)
  }
  return (
    <form onSubmit={(event) => void signIn(event)}>
      <label htmlFor={id}>{label}</label>
      <div className="joined">
        <input
          id={id}
          type="password"
          autoComplete="current-password"
          value={token}
          onChange={(event) => setToken(event.target.value)}
          aria-invalid={failure !== undefined}
          aria-describedby={`${id}-failure`}
        />
        <button type="submit" className="button primary" disabled={busy || token.trim() === ""}>
          Sign in
        </button>
      </div>
      <p id={`${id}-failure`} className="problem" role="alert">
        {failure}
      </p>
    </form>
  )
}

/** Whether people can sign in with an identity provider here. */
export const useProvider = (): boolean => {
  const [configured, setConfigured] = useState(false)
  useEffect(() => {
    const asked = new AbortController()
    fetch(`${BASE}/signin/oidc/configured`, { signal: asked.signal })
      .then((response) => response.json() as Promise<{ readonly configured?: boolean }>)
      .then((answer) => setConfigured(answer.configured === true))
      .catch(() => {})
    return () => asked.abort()
  }, [])
  return configured
}
