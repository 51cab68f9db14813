/** Who may come in, and sign: tokens, sessions, keys and the audit, as far as the role of whoever looks reaches. */
import "./access.css"
import { KeysOfBrowser } from "../acting/KeysOfBrowser.tsx"
import { AskFailed } from "../ask/Api.ts"
import { useMay, useWho } from "../ask/WhoContext.ts"
import { Failure } from "../parts/Failure.tsx"
import { Link } from "../parts/Link.tsx"
import { Name } from "../parts/Name.tsx"
import { Audit } from "./Audit.tsx"
import { Sessions } from "./Sessions.tsx"
import { Tokens } from "./Tokens.tsx"
import { ROLE_WORDS } from "./Words.ts"

/** `part` is what the address names behind `/access`. */
export const AccessPage = ({ part }: { readonly part: string | undefined }) => {
  const mayToken = useMay("operator")
  const mayAudit = useMay("admin")
  const { kind, name, principal } = useWho()
  const parts = [
    ...(mayToken ? [{ key: "tokens", label: "Tokens", View: Tokens }] : []),
    { key: "sessions", label: "Sessions", View: Sessions },
    ...(mayToken ? [{ key: "keys", label: "Keys of this browser", View: KeysOfBrowser }] : []),
    ...(mayAudit ? [{ key: "audit", label: "Audit", View: Audit }] : [])
  ]
  const shown = part === undefined ? parts[0] : parts.find(({ key }) => key === part)
  return (
    <>
      <div className="page-head access-head">
        <h1>Access</h1>
        {parts.length > 1 && (
          <nav className="segments" aria-label="Access">
            {parts.map(({ key, label }) => (
              <Link
                key={key}
                href={key === parts[0]?.key ? "/access" : `/access/${key}`}
                aria-current={key === shown?.key ? "page" : undefined}
              >
                {label}
              </Link>
            ))}
          </nav>
        )}
        <span className="spring" />
        <p className="muted">
          You are <Name value={name === "" ? principal : name} />, {ROLE_WORDS[kind]}
        </p>
      </div>
      {shown === undefined ? (
        <Failure
          what="This page"
          failure={
            new AskFailed(404, "Page not found", "There is nothing at this address, or it is not for your role.")
          }
        />
      ) : (
        <shown.View />
      )}
    </>
  )
}
