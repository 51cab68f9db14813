/** Watch: what fires now and what fired, the rules behind it, what is silenced, and what was sent. */
import "../access/access.css"
import "./watch.css"
import { AskFailed } from "../ask/Api.ts"
import { useMay } from "../ask/WhoContext.ts"
import { Failure } from "../parts/Failure.tsx"
import { Link } from "../parts/Link.tsx"
import { AlertPage } from "./AlertPage.tsx"
import { Alerts } from "./Alerts.tsx"
import { Messages } from "./Messages.tsx"
import { RuleList } from "./RuleList.tsx"
import { RulePage } from "./RulePage.tsx"
import { SilenceList } from "./SilenceList.tsx"

const PARTS = [
  { key: "", label: "Alerts", View: Alerts },
  { key: "rules", label: "Rules", View: RuleList },
  { key: "silences", label: "Silences", View: SilenceList },
  { key: "messages", label: "Messages", View: Messages }
] as const

/** `part` and `id` are what the address names behind `/watch`. */
export const WatchPage = ({
  id,
  part = ""
}: {
  readonly part: string | undefined
  readonly id: string | undefined
}) => {
  const mayEdit = useMay("operator")
  if (part === "alerts" && id !== undefined) return <AlertPage key={id} id={id} />
  if (part === "rule") return <RulePage />
  const shown = PARTS.find(({ key }) => key === part)
  return (
    <>
      <div className="page-head access-head">
        <h1>Watch</h1>
        <nav className="segments" aria-label="Watch">
          {PARTS.map(({ key, label }) => (
            <Link
              key={key}
              href={key === "" ? "/watch" : `/watch/${key}`}
              aria-current={key === shown?.key ? "page" : undefined}
            >
              {label}
            </Link>
          ))}
        </nav>
        <span className="spring" />
        {mayEdit && (
          <Link className="muted small" href="/acts">
            Acts
          </Link>
        )}
        <Link className="muted small" href="/pipeline">
          Pipeline
        </Link>
        {mayEdit && (
          <Link className="button" href="/watch/rule">
            New rule
          </Link>
        )}
      </div>
      {shown === undefined ? (
        <Failure what="This page" failure={new AskFailed(404, "Page not found", "There is nothing at this address.")} />
      ) : (
        <shown.View />
      )}
    </>
  )
}
