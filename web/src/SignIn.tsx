/** The way in: the one-time link from the terminal, or a token. */
import { type FormEvent, useState } from "react"
import { AskFailed, ask } from "./Api.ts"
import { Command } from "./Command.tsx"

export const SignIn = ({ onSignedIn }: { readonly onSignedIn: () => Promise<void> }) => {
  const [token, setToken] = useState("")
  const [failure, setFailure] = useState<string>()
  const [busy, setBusy] = useState(false)
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
          ? "This token is not known. Is it whole, and not an agent's?"
          : error instanceof Error
            ? error.message
            : String(error)
      )
    }
    setBusy(false)
  }
  return (
    <main className="lonely">
      <div className="signin">
        <h1 className="brand">
          <img src="/pulse.svg" alt="" width="32" height="32" />
          NodePulse
        </h1>
        <p>
          Open the <strong>sign-in link</strong> that NodePulse printed when it started. It works once, for an hour.
        </p>
        <details>
          <summary>The link is gone or was used</summary>
          <p>Every start prints a fresh one. Or make a token on NodePulse's machine, and sign in with it below:</p>
          <Command text="npm run nodepulse -- token create --kind admin" />
        </details>
        <form onSubmit={(event) => void signIn(event)}>
          <label htmlFor="token">Or sign in with a read or admin token</label>
          <div className="joined">
            <input
              id="token"
              type="password"
              autoComplete="current-password"
              value={token}
              onChange={(event) => setToken(event.target.value)}
              aria-invalid={failure !== undefined}
              aria-describedby="token-failure"
            />
            <button type="submit" className="button primary" disabled={busy || token.trim() === ""}>
              Sign in
            </button>
          </div>
          <p id="token-failure" className="problem" role="alert">
            {failure}
          </p>
        </form>
      </div>
    </main>
  )
}
