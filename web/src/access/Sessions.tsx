/**
 * Who is signed in, how, since when and from where; signing out, here and everywhere; links for others. Whoever is no
 * administrator sees and ends their own.
 */
import { useState } from "react"
import { type Answer, ask } from "../ask/Api.ts"
import { useAsk } from "../ask/Refresh.tsx"
import { type Role, useMay, useWho } from "../ask/WhoContext.ts"
import { Command } from "../parts/Command.tsx"
import { Dialog } from "../parts/Dialog.tsx"
import { Failure, ShownAsOf } from "../parts/Failure.tsx"
import { legible } from "../parts/Legible.ts"
import { Name } from "../parts/Name.tsx"
import { Scroller } from "../parts/Scroller.tsx"
import { Choice, Confirm, FormEnd, TextField, useSending } from "./Field.tsx"
import { When } from "./Tokens.tsx"
import { ROLE_WORDS, type Session, SIGN_IN_WORDS } from "./Words.ts"

const EVERY_BEATS = 4
const STEP = 100

type Doing =
  | { readonly what: "link" }
  | { readonly what: "one"; readonly session: Session }
  | { readonly what: "all"; readonly principal: string; readonly called: string }

export const Sessions = () => {
  const [again, setAgain] = useState(0)
  const [doing, setDoing] = useState<Doing>()
  const { name, principal } = useWho()
  const mayLink = useMay("admin")
  const asked = useAsk("sessions.list", {}, { everyBeats: EVERY_BEATS, again })
  const changed = () => setAgain((now) => now + 1)
  const sessions = asked.value?.sessions.toReversed() ?? []
  return (
    <>
      <div className="toolbar">
        <p className="muted">A session ends seven days after signing in, or with the token that opened it.</p>
        <span className="spring" />
        {mayLink && (
          <button type="button" className="button" onClick={() => setDoing({ what: "link" })}>
            Make a sign-in link
          </button>
        )}
        <button
          type="button"
          className="button"
          onClick={() => setDoing({ what: "all", principal, called: name === "" ? principal : name })}
        >
          Sign out everywhere
        </button>
      </div>
      <ShownAsOf asked={asked} />
      {asked.value === undefined && asked.failure !== undefined && (
        <Failure failure={asked.failure} what="Sessions" onRetry={changed} />
      )}
      {asked.value !== undefined && <List sessions={sessions} onDo={setDoing} />}
      <Dialogs doing={doing} onClose={() => setDoing(undefined)} onChanged={changed} />
    </>
  )
}

interface ListProps {
  readonly sessions: ReadonlyArray<Session>
  readonly onDo: (doing: Doing) => void
}

const List = ({ onDo, sessions }: ListProps) => {
  const [most, setMost] = useState(STEP)
  return (
    <div className="card flush">
      <Scroller label="Sessions">
        <table className="listed">
          <thead>
            <tr>
              <th scope="col">Who</th>
              <th scope="col">Signed in by</th>
              <th scope="col">Since</th>
              <th scope="col">Last seen</th>
              <th scope="col">From</th>
              <th scope="col">Ends</th>
              <th scope="col">
                <span className="visually-hidden">What to do</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {sessions.slice(0, most).map((session) => (
              <Row
                key={session.session_id}
                session={session}
                many={sessions.filter((other) => other.principal === session.principal).length > 1}
                onDo={onDo}
              />
            ))}
          </tbody>
        </table>
      </Scroller>
      {sessions.length > most && (
        <p className="more-rows">
          <button type="button" className="button small" onClick={() => setMost(most + STEP)}>
            Show {Math.min(STEP, sessions.length - most)} of {sessions.length - most} more
          </button>
        </p>
      )}
    </div>
  )
}

const calledOf = ({ name, principal }: Session): string => (name === "" ? principal : name)

const Row = ({
  many,
  onDo,
  session
}: {
  readonly session: Session
  readonly many: boolean
  readonly onDo: (doing: Doing) => void
}) => {
  const others = useMay("admin")
  const { principal } = session
  const called = calledOf(session)
  return (
    <tr className={session.current ? "chosen" : undefined}>
      <th scope="row">
        <span className="two-lines">
          <span>
            <Name value={called} />
            {session.current && <span className="badge live">this session</span>}
          </span>
          <span className="sub">
            {ROLE_WORDS[session.kind]}
            {called === principal ? "" : " · "}
            {called !== principal && <Name value={principal} />}
          </span>
        </span>
      </th>
      <td data-label="Signed in by">{SIGN_IN_WORDS[session.signed_in_by]}</td>
      <td data-label="Since">
        <When at={session.created_at} />
      </td>
      <td data-label="Last seen">
        <When at={session.last_used_at} />
      </td>
      <td data-label="From">
        <span className="two-lines">
          {session.address ?? "unknown"}
          <span className="sub browser">
            <Name value={session.browser === "" ? "no browser named" : session.browser} />
          </span>
        </span>
      </td>
      <td data-label="Ends">
        <When at={session.expires_at} />
      </td>
      <td className="row-actions">
        <button type="button" className="button small" onClick={() => onDo({ what: "one", session })}>
          Sign out<span className="visually-hidden"> {legible(called, 80)}</span>
        </button>
        {others && many && (
          <button type="button" className="button small" onClick={() => onDo({ what: "all", principal, called })}>
            Everywhere<span className="visually-hidden">: sign {legible(called, 80)} out of all sessions</span>
          </button>
        )}
      </td>
    </tr>
  )
}

const Dialogs = ({
  doing,
  onChanged,
  onClose
}: {
  readonly doing: Doing | undefined
  readonly onChanged: () => void
  readonly onClose: () => void
}) => {
  const who = useWho()
  if (doing === undefined) return null
  if (doing.what === "link") return <NewLink onClose={onClose} />
  const [title, action, text] =
    doing.what === "one"
      ? [
          `Sign ${legible(calledOf(doing.session), 80)} out?`,
          "Sign out",
          doing.session.current ? "This is the session that you are using." : "They have to sign in again there."
        ]
      : [
          doing.principal === who.principal
            ? "Sign out everywhere?"
            : `Sign ${legible(doing.called, 80)} out everywhere?`,
          "Sign out everywhere",
          doing.principal === who.principal
            ? "All your sessions end, this one too, and links of yours that nobody has opened."
            : "All their sessions end, and links of theirs that nobody has opened."
        ]
  return (
    <Confirm
      title={title}
      action={action}
      onClose={onClose}
      onConfirm={async () => {
        if (doing.what === "one") await ask("sessions.revoke", { id: doing.session.session_id })
        else await ask("sessions.revokeAll", { principal: doing.principal })
        // Nothing of what was seen stays where somebody means to leave.
        if (doing.what === "one" ? doing.session.current : doing.principal === who.principal) window.location.reload()
        else onChanged()
      }}
    >
      <p>{text} It takes at most five seconds to hold everywhere.</p>
    </Confirm>
  )
}

const NewLink = ({ onClose }: { readonly onClose: () => void }) => {
  const [name, setName] = useState("")
  const [role, setRole] = useState<Role>("read")
  const [made, setMade] = useState<Answer<"session.newLink">>()
  const { busy, failure, onSubmit } = useSending(async () => {
    setMade(await ask("session.newLink", { for: name.trim(), role }))
  })
  return (
    <Dialog title={made === undefined ? "Make a sign-in link" : "The link"} onClose={onClose}>
      {made === undefined ? (
        <form className="fields" onSubmit={onSubmit}>
          <TextField
            label="Who is it for?"
            hint="What they do is in the audit under this name."
            value={name}
            required
            maxLength={80}
            placeholder="Ada"
            onChange={setName}
          />
          <Choice
            label="As what"
            value={role}
            options={(["read", "operator", "admin"] as const).map((one) => [one, ROLE_WORDS[one].replace(/^an? /, "")])}
            onChange={(chosen) => setRole(chosen as Role)}
          />
          <FormEnd failure={failure} disabled={busy || name.trim() === ""}>
            Make it
          </FormEnd>
        </form>
      ) : (
        <>
          <p>
            It signs in whoever opens it first, <b>once, within an hour</b>. It is shown only now.
          </p>
          <Command text={`${window.location.origin}${made.path}`} />
        </>
      )}
    </Dialog>
  )
}
