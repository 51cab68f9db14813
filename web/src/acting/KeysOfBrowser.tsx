/** Keys of this browser: make one, show what a host's owner needs of it, forget it. Nothing of it is known to the server. */
import { useState } from "react"
import { Choice, Confirm, FormEnd, TextField, useSending } from "../access/Field.tsx"
import { useNow } from "../ask/Refresh.tsx"
import { useWho } from "../ask/WhoContext.ts"
import { Command } from "../parts/Command.tsx"
import { moment } from "../parts/Format.ts"
import { legible } from "../parts/Legible.ts"
import { Name } from "../parts/Name.tsx"
import "./acting.css"
import { type BrowserKey, fileLine, forgetKey, makeKey, whyNot } from "./Keys.ts"
import { useBrowserKeys } from "./SignAs.tsx"

export const KeysOfBrowser = () => {
  const [again, setAgain] = useState(0)
  const keys = useBrowserKeys(again)
  const changed = () => setAgain((count) => count + 1)
  const why = whyNot()
  return (
    <div className="browser-keys">
      <p className="muted">
        Hosts act only on orders that a person has signed whom their own file names. The key stays in this browser and
        cannot be read out of it; whoever uses this browser as you can sign with it. What hosts allow, and whom, is in
        their <code>/etc/nodepulse/hands.yml</code>.
      </p>
      {why !== undefined ? (
        <p className="banner" role="status">
          <b>This browser cannot keep keys here.</b> {why} Open NodePulse over https or on localhost, or sign in a
          terminal: <code>nodepulse approve</code>.
        </p>
      ) : (
        <>
          {keys?.map((key) => (
            <Key key={key.id} one={key} onForgotten={changed} />
          ))}
          {keys !== undefined && <Make isFirst={keys.length === 0} onMade={changed} />}
        </>
      )}
    </div>
  )
}

const Key = ({ onForgotten, one }: { readonly one: BrowserKey; readonly onForgotten: () => void }) => {
  const now = useNow()
  const [role, setRole] = useState("operator")
  const [forgetting, setForgetting] = useState(false)
  return (
    <section className="card browser-key" aria-label={`Key of ${legible(one.name, 80)}`}>
      <div className="acting-head">
        <div>
          <h2>
            <Name value={one.name} />
          </h2>
          <p className="muted small">Made {moment(one.madeAt, now, true)}, in this browser</p>
        </div>
        <button type="button" className="button small" onClick={() => setForgetting(true)}>
          Forget…<span className="visually-hidden"> the key of {legible(one.name, 80)}</span>
        </button>
      </div>
      <dl className="acting-facts">
        <div>
          <dt>Public key</dt>
          <dd>
            <code>{one.publicKey}</code>
          </dd>
        </div>
        <div>
          <dt>Hosts call it</dt>
          <dd>
            <code>{one.id}</code>
          </dd>
        </div>
      </dl>
      <div className="fields key-line">
        <Choice
          label="For the owner of a host, under approvers: in hands.yml, as"
          value={role}
          options={[
            ["operator", "an operator"],
            ["admin", "an administrator"]
          ]}
          onChange={setRole}
        />
        <Command text={fileLine(one, role)} />
      </div>
      {forgetting && (
        <Confirm
          title={`Forget the key of ${legible(one.name, 80)}?`}
          action="Forget it"
          onClose={() => setForgetting(false)}
          onConfirm={async () => {
            await forgetKey(one.id)
            onForgotten()
          }}
        >
          <p>
            Nothing brings it back. Hosts go on naming it until their owners take its line out of <code>hands.yml</code>
            .
          </p>
        </Confirm>
      )}
    </section>
  )
}

const Make = ({ isFirst, onMade }: { readonly isFirst: boolean; readonly onMade: () => void }) => {
  const { name: called, principal } = useWho()
  const [name, setName] = useState(called === "" ? principal : called)
  const { busy, failure, onSubmit } = useSending(async () => {
    await makeKey(name.trim())
    onMade()
  })
  return (
    <section className="card" aria-label="Make a key">
      <h2>{isFirst ? "Make a key" : "Make another key"}</h2>
      <form className="fields" onSubmit={onSubmit}>
        <TextField
          label="Whose is it?"
          hint="As hosts' files are to call you. Two persons never share a key."
          required
          maxLength={64}
          value={name}
          onChange={setName}
        />
        <FormEnd failure={failure} disabled={busy || name.trim() === ""}>
          Make it
        </FormEnd>
      </form>
    </section>
  )
}
