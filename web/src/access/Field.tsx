/** Pieces of the dialogs here: a labelled field, a choice, a question before something is taken away. */
import { type FormEvent, type ReactNode, useId, useState } from "react"
import { Dialog } from "../parts/Dialog.tsx"

interface FieldProps {
  readonly label: string
  readonly hint?: string
  readonly children: (id: string, described: string | undefined) => ReactNode
}

export const Field = ({ children, hint, label }: FieldProps) => {
  const id = useId()
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      {children(id, hint === undefined ? undefined : `${id}-hint`)}
      {hint !== undefined && (
        <p id={`${id}-hint`} className="muted small">
          {hint}
        </p>
      )}
    </div>
  )
}

export const TextField = (props: {
  readonly label: string
  readonly hint?: string
  readonly value: string
  readonly onChange: (value: string) => void
  readonly placeholder?: string
  readonly required?: boolean
  readonly maxLength?: number
  readonly numeric?: boolean
}) => {
  const { hint, label, maxLength = 200, numeric = false, onChange, placeholder, required = false, value } = props
  return (
    <Field label={label} {...(hint === undefined ? {} : { hint })}>
      {(id, described) => (
        <input
          id={id}
          type="text"
          {...(numeric ? { inputMode: "numeric" as const } : {})}
          aria-describedby={described}
          required={required}
          maxLength={maxLength}
          placeholder={placeholder}
          value={value}
          onChange={(event) => onChange(event.target.value)}
        />
      )}
    </Field>
  )
}

export const Choice = (props: {
  readonly label: string
  readonly hint?: string
  readonly value: string
  readonly options: ReadonlyArray<readonly [string, string]>
  readonly onChange: (value: string) => void
}) => {
  const { hint, label, onChange, options, value } = props
  return (
    <Field label={label} {...(hint === undefined ? {} : { hint })}>
      {(id, described) => (
        <select id={id} aria-describedby={described} value={value} onChange={(event) => onChange(event.target.value)}>
          {options.map(([key, text]) => (
            <option key={key} value={key}>
              {text}
            </option>
          ))}
        </select>
      )}
    </Field>
  )
}

/** A form whose sending may fail: says why, and keeps what was typed. */
export const useSending = (send: () => Promise<void>) => {
  const [failure, setFailure] = useState<string>()
  const [busy, setBusy] = useState(false)
  const onSubmit = async (event: FormEvent) => {
    event.preventDefault()
    setBusy(true)
    setFailure(undefined)
    try {
      await send()
    } catch (error) {
      setFailure(error instanceof Error ? error.message || error.name : String(error))
    }
    setBusy(false)
  }
  return { failure, busy, onSubmit: (event: FormEvent) => void onSubmit(event) }
}

/** The end of a form: why it could not be sent, and the button that sends it. */
export const FormEnd = (props: {
  readonly failure: string | undefined
  readonly disabled: boolean
  /** What it does cannot be taken back. */
  readonly danger?: boolean
  readonly onCancel?: () => void
  /** What the button says. */
  readonly children: ReactNode
}) => {
  const { children, danger = false, disabled, failure, onCancel } = props
  return (
    <>
      <p className="problem" role="alert">
        {failure}
      </p>
      <p className="actions">
        {onCancel !== undefined && (
          <button type="button" className="button" onClick={onCancel}>
            Cancel
          </button>
        )}
        <button type="submit" className={danger ? "button danger" : "button primary"} disabled={disabled}>
          {children}
        </button>
      </p>
    </>
  )
}

/** Asks before something is taken away, with what follows from it. */
export const Confirm = (props: {
  readonly title: string
  readonly action: string
  readonly onConfirm: () => Promise<void>
  readonly onClose: () => void
  readonly children: ReactNode
}) => {
  const { action, children, onClose, onConfirm, title } = props
  const { busy, failure, onSubmit } = useSending(async () => {
    await onConfirm()
    onClose()
  })
  return (
    <Dialog title={title} onClose={onClose}>
      <form className="fields" onSubmit={onSubmit}>
        {children}
        <FormEnd failure={failure} disabled={busy} danger onCancel={onClose}>
          {action}
        </FormEnd>
      </form>
    </Dialog>
  )
}
