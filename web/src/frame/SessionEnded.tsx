/**
 * Over the page, when the session ends while it is open. Nothing below is taken away, so that what was typed is there when the
 * same person signs in again, here or in another tab; and nothing of it can be seen until then.
 */
import { useCallback, useEffect, useRef, useState } from "react"
import { AskFailed, ask } from "../ask/Api.ts"
import { BASE } from "../ask/Base.ts"
import type { Who } from "../ask/WhoContext.ts"
import { TokenForm, useProvider } from "./SignIn.tsx"

export const SessionEnded = ({ onSignedIn }: { readonly onSignedIn: (who: Who) => void }) => {
  const dialog = useRef<HTMLDialogElement>(null)
  const [said, setSaid] = useState("")
  const hasProvider = useProvider()
  useEffect(() => dialog.current?.showModal(), [])
  const goOn = useCallback(async () => {
    try {
      onSignedIn(await ask("session.whoAmI"))
    } catch (error) {
      const signedOut = error instanceof AskFailed && error.status === 401
      setSaid(signedOut ? "Nobody is signed in yet." : error instanceof Error ? error.message : String(error))
    }
  }, [onSignedIn])
  return (
    <dialog
      ref={dialog}
      className="session-ended"
      aria-labelledby="session-ended-title"
      onCancel={(event) => event.preventDefault()}
    >
      <div className="dialog-inner signin">
        <h2 id="session-ended-title">Your session has ended</h2>
        <p>It has expired, or somebody ended it. What you typed is kept: sign in again, and go on.</p>
        {hasProvider && (
          <p>
            <a className="button primary" href={`${BASE}/signin/oidc`} target="_blank" rel="noreferrer">
              Sign in with your organisation, in a new tab
            </a>
          </p>
        )}
        <TokenForm label="Sign in with a read, operator or admin token" onSignedIn={goOn} />
        <p className="muted">
          Or open a sign-in link in another tab, and{" "}
          <button type="button" className="link" onClick={() => void goOn()}>
            go on here
          </button>
          .
        </p>
        <p className="problem" role="alert">
          {said}
        </p>
      </div>
    </dialog>
  )
}
