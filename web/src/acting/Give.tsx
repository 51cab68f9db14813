/**
 * Gives an order: its settings within what the host allows, a reason, what exactly is signed, and the signature.
 *
 * Guarantee: what is sent and signed is the order that is shown at that moment; each change makes another one, with an id and a nonce of
 * its own. The same one, sent again after an answer was lost, is the same.
 */
import { useMemo, useState } from "react"
import { ORDER_LIMITS } from "../../../src/protocol/OrderText.ts"
import { Choice, Field, TextField, useSending } from "../access/Field.tsx"
import { ask } from "../ask/Api.ts"
import { Exactly } from "./Exactly.tsx"
import { newId, newNonce, signOrder } from "./Keys.ts"
import type { Looked } from "./Look.ts"
import {
  IO_CLASSES,
  type Offer,
  type Order,
  type OrderShown,
  type Preview,
  type Setting,
  settingsOf
} from "./OrderWords.ts"
import { SignAs, SignEnd, useSigner } from "./SignAs.tsx"

interface Props {
  readonly looked: Looked
  readonly preview: Preview
  readonly offer: Offer
  readonly onGiven: (order: OrderShown) => void
}

interface Wanted {
  readonly values: Readonly<Record<string, string>>
  readonly io: string
  readonly reason: string
}

/** The order that what was typed asks for; undefined while a setting is none. */
const orderOf = (
  { boot_id, server }: Preview,
  { target, verb }: Offer,
  wanted: Wanted,
  fields: ReadonlyArray<Setting>
) => {
  const settings: Record<string, number | string> = {}
  for (const { key, max, min, scale } of fields) {
    const value = Number(wanted.values[key])
    if (!Number.isInteger(value) || value < min || value > max) return undefined
    settings[key] = value * scale
  }
  if (verb === "nice") settings.io = wanted.io
  const reason = wanted.reason.trim()
  // Which settings go with which verb the server and the host look at; the types cannot follow.
  return {
    version: 1,
    id: newId(),
    server,
    boot_id,
    verb,
    target,
    settings,
    reason,
    nonce: newNonce()
  } as unknown as Order
}

export const Give = ({ looked, offer, onGiven, preview }: Props) => {
  const fields = useMemo(() => settingsOf(offer), [offer])
  const [wanted, setWanted] = useState<Wanted>(() => ({
    values: Object.fromEntries(fields.map(({ first, key }) => [key, String(first)])),
    io: "unchanged",
    reason: ""
  }))
  const change = (changed: Partial<Wanted>) => setWanted((now) => ({ ...now, ...changed }))
  const order = useMemo(() => orderOf(preview, offer, wanted, fields), [preview, offer, wanted, fields])
  const signing = useSigner(preview.approvers, offer.roles)
  const { signer } = signing
  const { busy, failure, onSubmit } = useSending(async () => {
    if (order === undefined) return
    const approval = signer === undefined ? undefined : await signOrder(order, signer.approver.name, signer.key)
    onGiven(
      await ask("acting.order", { id: order.server }, { body: { preview_id: looked.preview_id, order, approval } })
    )
  })
  return (
    <form className="fields give" onSubmit={onSubmit}>
      {fields.map((field) => (
        <NumberField
          key={field.key}
          field={field}
          value={wanted.values[field.key] ?? ""}
          onChange={(value) => change({ values: { ...wanted.values, [field.key]: value } })}
        />
      ))}
      {offer.verb === "nice" && (
        <Choice label="Class of I/O" value={wanted.io} options={IO_CLASSES} onChange={(io) => change({ io })} />
      )}
      <TextField
        label="Why"
        hint="It is kept with the order, on both sides."
        required
        maxLength={ORDER_LIMITS.reasonLength}
        value={wanted.reason}
        placeholder="It eats the CPU that the shop needs"
        onChange={(reason) => change({ reason })}
      />
      {order === undefined ? <p className="muted small">A setting is missing.</p> : <Exactly order={order} />}
      <SignAs signing={signing} />
      <SignEnd
        verb={offer.verb}
        server={preview.server}
        failure={failure}
        disabled={busy || order === undefined || wanted.reason.trim() === ""}
      >
        {signer === undefined
          ? "Give it unsigned"
          : offer.second_person
            ? "Sign it, for a second person"
            : "Sign and send"}
      </SignEnd>
    </form>
  )
}

const NumberField = ({
  field: { label, max, min, unit },
  onChange,
  value
}: {
  readonly field: Setting
  readonly value: string
  readonly onChange: (value: string) => void
}) => (
  <Field label={label} hint={`${min} to ${max}: ${unit}`}>
    {(id, described) => (
      <input
        id={id}
        type="number"
        aria-describedby={described}
        required
        min={min}
        max={max}
        step={1}
        value={value}
        onChange={(event) => onChange(event.target.value)}
      />
    )}
  </Field>
)
