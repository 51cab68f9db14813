/** Who signs: the key of this browser that the host knows, or what is missing and how to come by it. */
import { type ReactNode, useEffect, useState } from "react"
import type { Verb } from "../../../src/protocol/OrderText.ts"
import { Choice, FormEnd, TextField } from "../access/Field.tsx"
import { legible } from "../parts/Legible.ts"
import { Link } from "../parts/Link.tsx"
import { Name } from "../parts/Name.tsx"
import { type BrowserKey, browserKeys, type Signer, signersOf, whyNot } from "./Keys.ts"
import { type Approver, isFinal } from "./OrderWords.ts"

/** The keys of this browser; undefined until they are read. */
export const useBrowserKeys = (again = 0): ReadonlyArray<BrowserKey> | undefined => {
  const [keys, setKeys] = useState<ReadonlyArray<BrowserKey>>()
  // biome-ignore lint/correctness/useExhaustiveDependencies: `again` reads them anew.
  useEffect(() => {
    let over = false
    browserKeys()
      .catch(() => [])
      .then((found) => {
        if (!over) setKeys(found)
      })
    return () => {
      over = true
    }
  }, [again])
  return keys
}

interface Signing {
  /** Undefined: nobody can sign here. */
  readonly signer: Signer | undefined
  readonly signers: ReadonlyArray<Signer>
  readonly keys: ReadonlyArray<BrowserKey> | undefined
  /** Of keys that the host knows, whose role is not enough. */
  readonly others: ReadonlyArray<Signer>
  readonly choose: (id: string) => void
}

/** `roles`: whose signature counts. */
export const useSigner = (approvers: ReadonlyArray<Approver>, roles: ReadonlyArray<Approver["role"]>): Signing => {
  const keys = useBrowserKeys()
  const [chosen, choose] = useState<string>()
  const known = signersOf(keys ?? [], approvers)
  const counts = ({ approver }: Signer) => roles.length === 0 || roles.includes(approver.role)
  const signers = known.filter(counts)
  return {
    keys,
    signers,
    others: known.filter((one) => !counts(one)),
    signer: signers.find(({ key }) => key.id === chosen) ?? signers[0],
    choose
  }
}

const ROLES = { operator: "an operator", admin: "an administrator" } as const

export const SignAs = ({ signing }: { readonly signing: Signing }) => {
  const { choose, keys, others, signer, signers } = signing
  if (keys === undefined) return null
  if (signer !== undefined) {
    return signers.length > 1 ? (
      <Choice
        label="Sign as"
        value={signer.key.id}
        options={signers.map(({ approver, key }) => [
          key.id,
          `${legible(approver.name, 64)}, ${ROLES[approver.role]} there`
        ])}
        onChange={choose}
      />
    ) : (
      <p className="small">
        You sign as <Name value={signer.approver.name} />, {ROLES[signer.approver.role]} on that host, with the key of
        this browser.
      </p>
    )
  }
  const why = whyNot()
  const [weak] = others
  return (
    <div className="small acting-no-key">
      <p>
        {why !== undefined ? (
          <>
            <b>This browser cannot sign here.</b> {why}
          </>
        ) : keys.length === 0 ? (
          <>
            <b>There is no key in this browser yet.</b> <Link href="/access/keys">Make one</Link>; then the host's owner
            puts its line into <code>hands.yml</code>.
          </>
        ) : weak !== undefined ? (
          <>
            <b>
              <Name value={weak.approver.name} /> is {ROLES[weak.approver.role]} on that host,
            </b>{" "}
            and its file wants another role for this.
          </>
        ) : (
          <>
            <b>That host does not know the key of this browser.</b> Its owner puts{" "}
            <Link href="/access/keys">its line</Link> into <code>hands.yml</code>.
          </>
        )}
      </p>
      <p className="muted">
        The order can be given unsigned. It waits for ten minutes, and whoever has a key signs it in a terminal, with{" "}
        <code>nodepulse approve</code>.
      </p>
    </div>
  )
}

/**
 * The end of a form that signs: the name of the server, typed where nothing brings back what is ended; what went wrong; the button,
 * which says what it does.
 */
export const SignEnd = ({
  children,
  disabled,
  failure,
  server,
  verb
}: {
  readonly verb: Verb
  /** As the order names it. */
  readonly server: string
  readonly failure: string | undefined
  readonly disabled: boolean
  readonly children: ReactNode
}) => {
  const [typed, setTyped] = useState("")
  const final = isFinal(verb)
  return (
    <>
      {final && (
        <TextField
          label={`Type ${server} to confirm`}
          hint="Nothing brings back what is ended."
          required
          maxLength={300}
          value={typed}
          onChange={setTyped}
        />
      )}
      <FormEnd failure={failure} disabled={disabled || (final && typed !== server)} danger={final}>
        {children}
      </FormEnd>
    </>
  )
}
