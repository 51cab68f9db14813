/** A token that was just made: shown this once, with what to type. */
import type { Answer } from "../ask/Api.ts"
import { BASE } from "../ask/Base.ts"
import { Command } from "../parts/Command.tsx"

type MadeToken = Answer<"tokens.create">

export const Made = ({ made }: { readonly made: MadeToken }) => (
  <>
    <p>
      <b>It is shown only once.</b> Copy it now: NodePulse keeps no more of it than <code>{made.prefix}…</code>
    </p>
    <Command text={made.token} />
    <Use made={made} />
  </>
)

const store = (file: string, token: string) => `sudo install -m 600 /dev/stdin ${file} <<< '${token}'`

const Use = ({ made: { kind, token } }: { readonly made: MadeToken }) => {
  const server = `${window.location.origin}${BASE}`
  if (kind === "agent") {
    return (
      <>
        <p>On its server, where the agent reads it within seconds:</p>
        <Command text={store("/etc/nodepulse/token", token)} />
      </>
    )
  }
  if (kind === "enrolment") {
    return (
      <>
        <p>On each new machine:</p>
        <Command
          text={`${store("/etc/nodepulse/enrolment.token", token)}\nsudo nodepulse agent enroll --server ${server} --token-file /etc/nodepulse/enrolment.token --out /etc/nodepulse/token`}
        />
      </>
    )
  }
  return (
    <>
      <p>At a terminal, which asks for it; on this page, sign in with it; in a program, send it as a header:</p>
      <Command text={`nodepulse login ${server}`} />
      <Command text="Authorization: Bearer <token>" />
    </>
  )
}
