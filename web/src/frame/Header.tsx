/** The bar at the top: where one is, whether what is shown is fresh, and the few settings. */
import { useState } from "react"
import { ask } from "../ask/Api.ts"
import { BASE } from "../ask/Base.ts"
import { useHeart, useNow } from "../ask/Refresh.tsx"
import { usePlace } from "../ask/Url.ts"
import { useWho } from "../ask/WhoContext.ts"
import { ago, duration } from "../parts/Format.ts"
import { legible } from "../parts/Legible.ts"
import { Link } from "../parts/Link.tsx"
import { FiringBadge } from "../watch/FiringBadge.tsx"
import { setTheme, type Theme, useTheme } from "./Theme.ts"

export const Header = ({ onHelp, onSignedOut }: { readonly onHelp: () => void; readonly onSignedOut: () => void }) => {
  const { path } = usePlace()
  const at = path[0] ?? ""
  return (
    <header className="top">
      <div className="top-inner">
        <Link href="/" className="brand" aria-label="NodePulse, all servers">
          <img src={`${BASE}/pulse.svg`} alt="" width="24" height="24" />
          <span>NodePulse</span>
        </Link>
        <nav aria-label="Main">
          <Link href="/" aria-current={["", "servers", "compare"].includes(at) ? "page" : undefined}>
            Servers
          </Link>
          <Link href="/processes" aria-current={at === "processes" ? "page" : undefined}>
            Processes
          </Link>
          <Link href="/watch" aria-current={at === "watch" ? "page" : undefined}>
            Watch
            <FiringBadge />
          </Link>
        </nav>
        <HeartbeatSign />
        <Link
          className="icon wide-only"
          href="/pipeline"
          aria-current={at === "pipeline" ? "page" : undefined}
          aria-label="Pipeline: how NodePulse itself does"
          title="Pipeline: how NodePulse itself does (p)"
        >
          <svg viewBox="0 0 20 20" aria-hidden="true">
            <path d="M4 4.5h4.4v4H4zM11.6 11.5H16v4h-4.4zM6.2 8.5v5h5.4" />
          </svg>
        </Link>
        <ThemeButton />
        <button
          type="button"
          className="icon wide-only"
          onClick={onHelp}
          aria-label="Keyboard and help"
          title="Keyboard and help (?)"
        >
          <svg viewBox="0 0 20 20" aria-hidden="true">
            <path d="M7.3 7.4a2.7 2.7 0 1 1 4 2.4c-.9.5-1.3 1-1.3 1.9v.3M10 14.6v.2" />
          </svg>
        </button>
        <AccessLink current={at === "access"} />
        <button
          type="button"
          className="icon"
          onClick={() => void ask("session.signOut").then(onSignedOut, onSignedOut)}
          aria-label="Sign out"
          title="Sign out"
        >
          <svg viewBox="0 0 20 20" aria-hidden="true">
            <path d="M8 4H5v12h3M9 10h8m-3-3 3 3-3 3" />
          </svg>
        </button>
      </div>
    </header>
  )
}

/** Tokens, sessions and the audit; for whoever may only read, their own sessions. */
const AccessLink = ({ current }: { readonly current: boolean }) => {
  const { kind, name, principal } = useWho()
  const what =
    kind === "read" ? "Your sessions" : kind === "operator" ? "Tokens and your sessions" : "Tokens, sessions, audit"
  return (
    <Link
      className="icon"
      href="/access"
      aria-current={current ? "page" : undefined}
      aria-label={`Access: ${what.toLowerCase()}`}
      title={`${what}. You are ${legible(name || principal, 80)}`}
    >
      <svg viewBox="0 0 20 20" aria-hidden="true">
        <path d="M12.6 4a3.4 3.4 0 1 0 0 6.8 3.4 3.4 0 0 0 0-6.8M10.2 9.8 4.5 15.5m1.6-1.6 1.8 1.8m.7-4.3 1.8 1.8" />
      </svg>
    </Link>
  )
}

/** A pulse with each refresh, and how old what is shown is. A click pauses it. */
const HeartbeatSign = () => {
  const { busy, failure, freshAt, hidden, nextAt, paused, refresh, setPaused, tick } = useHeart()
  const now = useNow()
  const age = freshAt === undefined ? undefined : now - freshAt
  const state = paused
    ? "paused"
    : failure !== undefined
      ? "failing"
      : age !== undefined && age > 40_000
        ? "late"
        : "fresh"
  const text =
    state === "paused"
      ? "Paused"
      : state === "failing"
        ? `${failure?.title ?? "Failing"}; next try in ${duration(Math.max(0, (nextAt - now) / 1000))}`
        : freshAt === undefined
          ? "Loading"
          : ago(freshAt, now)
  const [announced] = useState("Refreshes every 15 seconds")
  return (
    <div className={`heartbeat ${state}`}>
      <button
        type="button"
        className="beat"
        onClick={() => (paused ? (setPaused(false), refresh()) : setPaused(true))}
        aria-pressed={paused}
        aria-label={paused ? "Refresh is paused: go on" : "Pause the refresh"}
        title={paused ? "Resume" : announced}
      >
        <span key={tick} className={hidden ? "pulse still" : "pulse"} data-tick={tick} />
      </button>
      <span className="beat-text" role={state === "failing" ? "status" : undefined}>
        {state === "fresh" && freshAt !== undefined && <span className="wide-only">Updated </span>}
        {text}
        {freshAt !== undefined && state === "failing" && <span className="muted"> · shown: {ago(freshAt, now)}</span>}
      </span>
      <span className="visually-hidden">{busy > 0 ? "Refreshing" : ""}</span>
    </div>
  )
}

const NEXT: Readonly<Record<Theme, Theme>> = { system: "light", light: "dark", dark: "system" }
const ICON: Readonly<Record<Theme, string>> = {
  system: "M10 3.5a6.5 6.5 0 1 0 0 13zM10 3.5a6.5 6.5 0 0 1 0 13",
  light:
    "M10 6.6a3.4 3.4 0 1 0 0 6.8 3.4 3.4 0 0 0 0-6.8M10 2v1.6M10 16.4V18M2 10h1.6M16.4 10H18M4.3 4.3l1.2 1.2M14.5 14.5l1.2 1.2M4.3 15.7l1.2-1.2M14.5 5.5l1.2-1.2",
  dark: "M16 11.8A6.6 6.6 0 0 1 8.2 4 6.6 6.6 0 1 0 16 11.8"
}
const ThemeButton = () => {
  const theme = useTheme()
  return (
    <button
      type="button"
      className="icon"
      onClick={() => setTheme(NEXT[theme])}
      aria-label={`Theme: ${theme}`}
      title={`Theme: ${theme}. Next: ${NEXT[theme]}`}
    >
      <svg viewBox="0 0 20 20" aria-hidden="true">
        <path d={ICON[theme]} />
      </svg>
    </button>
  )
}
