/** Makes a token: what it is for, how long, and of enrolment how often and from where. */
import { useState } from "react"
import { type Answer, ask } from "../ask/Api.ts"
import { useMay } from "../ask/WhoContext.ts"
import { Dialog } from "../parts/Dialog.tsx"
import { Choice, FormEnd, TextField, useSending } from "./Field.tsx"
import { Made } from "./Made.tsx"
import { KIND_MEANINGS, KIND_WORDS, LIVES, type Token } from "./Words.ts"

type Kind = Token["kind"]

const NEVER = "never"

interface Wanted {
  readonly kind: Kind
  readonly server: string
  readonly life: string
  readonly uses: string
  readonly networks: string
  readonly note: string
}

/** What the API is asked for: nothing that does not go with the kind. */
const bodyOf = ({ kind, life, networks, note, server, uses }: Wanted) => {
  const listed = networks.split(/[\s,]+/).filter((network) => network !== "")
  return {
    kind,
    note: note.trim(),
    ...(life === NEVER ? {} : { expires_in_seconds: Number(life) }),
    ...((kind === "agent" || kind === "enrolment") && server.trim() !== "" ? { server_id: server.trim() } : {}),
    ...(kind === "enrolment" ? { uses: Number(uses), networks: listed } : {})
  }
}

export const NewToken = ({ onClose, onMade }: { readonly onClose: () => void; readonly onMade: () => void }) => {
  const [made, setMade] = useState<Answer<"tokens.create">>()
  const [wanted, setWanted] = useState<Wanted>({
    kind: "enrolment",
    server: "",
    life: "3600",
    uses: "1",
    networks: "",
    note: ""
  })
  const change = (changed: Partial<Wanted>) => setWanted((now) => ({ ...now, ...changed }))
  const { busy, failure, onSubmit } = useSending(async () => {
    setMade(await ask("tokens.create", {}, { body: bodyOf(wanted) }))
    onMade()
  })
  return (
    <Dialog title={made === undefined ? "Make a token" : `Token ${made.prefix}…`} onClose={onClose}>
      {made === undefined ? (
        <form className="fields" onSubmit={onSubmit}>
          <Fields wanted={wanted} change={change} />
          <FormEnd failure={failure} disabled={busy}>
            Make it
          </FormEnd>
        </form>
      ) : (
        <Made made={made} />
      )}
    </Dialog>
  )
}

interface FieldsProps {
  readonly wanted: Wanted
  readonly change: (changed: Partial<Wanted>) => void
}

const Fields = ({ change, wanted }: FieldsProps) => {
  const mayAll = useMay("admin")
  const { kind, life, note, server } = wanted
  const kinds: ReadonlyArray<Kind> = mayAll
    ? ["enrolment", "agent", "read", "operator", "admin"]
    : ["enrolment", "agent"]
  return (
    <>
      <Choice
        label="What is it for?"
        hint={KIND_MEANINGS[kind]}
        value={kind}
        options={kinds.map((one) => [one, KIND_WORDS[one]])}
        onChange={(chosen) =>
          change({
            kind: chosen as Kind,
            life: chosen === "enrolment" ? "3600" : chosen === "agent" ? NEVER : "7776000"
          })
        }
      />
      {kind === "agent" && (
        <TextField
          label="Id of its server"
          value={server}
          required
          placeholder="web-1"
          onChange={(text) => change({ server: text })}
        />
      )}
      {kind === "enrolment" && <Machines wanted={wanted} change={change} />}
      <Choice
        label="How long"
        value={life}
        options={[
          ...LIVES.map(([seconds, text]) => [String(seconds), text] as const),
          ...(kind === "enrolment" ? [] : [[NEVER, "Until it is revoked"] as const])
        ]}
        onChange={(text) => change({ life: text })}
      />
      <TextField
        label="Note"
        hint="Whose it is, for the list."
        value={note}
        onChange={(text) => change({ note: text })}
      />
    </>
  )
}

/** Of enrolment: how many, and from where. */
const Machines = ({ change, wanted: { networks, uses } }: FieldsProps) => (
  <>
    <TextField
      label="How many machines"
      value={uses}
      required
      numeric
      maxLength={6}
      onChange={(text) => change({ uses: text.replace(/\D/g, "") })}
    />
    <TextField
      label="From which networks"
      hint="Addresses or networks, separated by blanks or commas. Empty: from anywhere."
      value={networks}
      placeholder="10.0.0.0/8"
      maxLength={2_000}
      onChange={(text) => change({ networks: text })}
    />
  </>
)
