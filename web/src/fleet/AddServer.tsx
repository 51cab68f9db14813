/** How another server comes here: its name, then its token and what to do with it. */
import { type FormEvent, useState } from "react"
import { type Answer, ask } from "../ask/Api.ts"
import { BASE } from "../ask/Base.ts"
import { useHeart } from "../ask/Refresh.tsx"
import { Command } from "../parts/Command.tsx"
import { Dialog } from "../parts/Dialog.tsx"
import { legible } from "../parts/Legible.ts"

export const AddServer = ({ onClose }: { readonly onClose: () => void }) => {
  const { refresh } = useHeart()
  const [name, setName] = useState("")
  const [failure, setFailure] = useState<string>()
  const [made, setMade] = useState<Answer<"servers.register">>()
  const add = async (event: FormEvent) => {
    event.preventDefault()
    try {
      setMade(await ask("servers.register", {}, { body: { name } }))
      refresh()
    } catch (error) {
      setFailure(error instanceof Error ? error.message : String(error))
    }
  }
  return (
    <Dialog
      title={made === undefined ? "Add a server" : `Connect ${legible(made.name, 80)}`}
      onClose={() => {
        onClose()
        if (made !== undefined) refresh()
      }}
    >
      {made === undefined ? (
        <form onSubmit={(event) => void add(event)}>
          <label htmlFor="server-name">What is it called?</label>
          <div className="joined">
            <input
              id="server-name"
              required
              maxLength={200}
              value={name}
              placeholder="web-1"
              onChange={(event) => setName(event.target.value)}
              aria-describedby="server-failure"
            />
            <button type="submit" className="button primary" disabled={name.trim() === ""}>
              Add
            </button>
          </div>
          <p id="server-failure" className="problem" role="alert">
            {failure}
          </p>
        </form>
      ) : (
        <Connect token={made.token} />
      )}
    </Dialog>
  )
}

const Connect = ({ token }: { readonly token: string }) => (
  <ol className="steps">
    <li>
      On that server, store its token. It is shown only once.
      <Command
        text={`sudo install -d -m 755 /etc/nodepulse\nsudo install -m 600 /dev/stdin /etc/nodepulse/token <<< '${token}'`}
      />
    </li>
    <li>
      Tell the agent where to send its data:
      <Command
        text={`sudo tee /etc/nodepulse/nodepulse.yml <<'END'\nserver:\n  url: "${window.location.origin}${BASE}"\n  token_file: "/etc/nodepulse/token"\nEND`}
      />
    </li>
    <li>
      Run it. It scrapes the exporters that answer on their usual ports; on Linux, it reads the machine itself where
      none does.
      <Command text="sudo nodepulse agent" />
    </li>
  </ol>
)

interface FirstStepsProps {
  readonly mayAdd: boolean
  readonly onAdd: () => void
}

/** Where there is no server yet. */
export const FirstSteps = ({ mayAdd, onAdd }: FirstStepsProps) => (
  <section className="empty">
    <img src={`${BASE}/pulse.svg`} alt="" width="56" height="56" />
    <h1>No server reports yet</h1>
    <p>NodePulse is running. Add a server, and its processes show up within half a minute.</p>
    {mayAdd ? (
      <>
        <p>
          <button type="button" className="button primary" onClick={onAdd}>
            Add a server
          </button>
        </p>
        <p className="muted">Or monitor this machine: stop NodePulse, and start it with an agent of its own.</p>
        <Command text="npm start" />
      </>
    ) : (
      <p className="muted">Only an operator or an administrator can add one. Ask one, or sign in with such a token.</p>
    )}
  </section>
)
