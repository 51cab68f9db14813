/** The rules in their order, each with what it takes. Alt with an arrow moves the one that is edited. */
import { type KeyboardEvent, useEffect, useRef, useState } from "react"
import type { Change, DraftRule, Previewed } from "./Draft.ts"

interface Props {
  readonly rules: ReadonlyArray<DraftRule>
  readonly preview: Previewed
  readonly mayEdit: boolean
  readonly onChange: (change: Change) => void
}

export const Rules = ({ mayEdit, onChange, preview, rules }: Props) => {
  const [said, setSaid] = useState("")
  const list = useRef<HTMLOListElement>(null)
  const move = (key: number, n: number, by: -1 | 1) => {
    if (rules[n + by] === undefined) return
    onChange({ do: "move", key, by })
    setSaid(`Rule ${n + 1} is rule ${n + 1 + by} now`)
  }
  /** What nothing was written into yet is none of the server's rules. */
  const numbers = new Map<number, number>()
  for (const { key, match, name } of rules) if (match !== "" || name !== "") numbers.set(key, numbers.size + 1)
  const added = useRef(rules.length)
  useEffect(() => {
    const inputs = list.current?.querySelectorAll<HTMLInputElement>("li:last-child input")
    if (rules.length === added.current + 1 && inputs?.[0]?.value === "") inputs[0].focus()
    added.current = rules.length
  }, [rules.length])
  return (
    <>
      <p className="visually-hidden" role="status">
        {said}
      </p>
      <ol className="grouping-rules" ref={list}>
        {rules.map((rule, n) => {
          const number = numbers.get(rule.key)
          const refused = number !== undefined && preview.failure?.rule === number ? preview.failure.message : undefined
          return (
            <RuleRow
              key={rule.key}
              n={n}
              rule={rule}
              isLast={n === rules.length - 1}
              mayEdit={mayEdit}
              refused={refused}
              taken={
                number === undefined || preview.failure !== undefined ? undefined : preview.value?.taken[number - 1]
              }
              onChange={onChange}
              onMove={(by) => move(rule.key, n, by)}
            />
          )
        })}
      </ol>
      {rules.length === 0 && <p className="muted">No rules: every name keeps its own.</p>}
      {mayEdit && (
        <button type="button" className="button small" onClick={() => onChange({ do: "add" })}>
          Add a rule
        </button>
      )}
    </>
  )
}

const RuleRow = ({
  isLast,
  mayEdit,
  n,
  onChange,
  onMove,
  refused,
  rule,
  taken
}: {
  readonly n: number
  readonly rule: DraftRule
  readonly isLast: boolean
  readonly mayEdit: boolean
  readonly refused: string | undefined
  readonly taken: number | undefined
  readonly onChange: (change: Change) => void
  readonly onMove: (by: -1 | 1) => void
}) => {
  const { key, match, name } = rule
  const onKeyDown = (event: KeyboardEvent) => {
    if (!event.altKey || (event.key !== "ArrowUp" && event.key !== "ArrowDown")) return
    event.preventDefault()
    onMove(event.key === "ArrowUp" ? -1 : 1)
  }
  const which = `rule ${n + 1}`
  const described = refused === undefined ? undefined : `refused-${key}`
  const field = { mayEdit, described, onKeyDown }
  return (
    <li>
      <div className="grouping-rule">
        <Field
          {...field}
          label="Names that match"
          name={`Pattern of ${which}`}
          most={300}
          example="^python3 (\w+?)_\d+\.py"
          value={match}
          onChange={(match) => onChange({ do: "edit", key, match })}
        />
        <Field
          {...field}
          label="are shown as"
          name={`Name of ${which}`}
          most={200}
          example="python $1"
          value={name}
          onChange={(name) => onChange({ do: "edit", key, name })}
        />
        {mayEdit && (
          <span className="grouping-acts">
            <Act sign="↑" name={`Move ${which} up`} off={n === 0} onAct={() => onMove(-1)} />
            <Act sign="↓" name={`Move ${which} down`} off={isLast} onAct={() => onMove(1)} />
            <Act sign="×" name={`Remove ${which}`} onAct={() => onChange({ do: "remove", key })} />
          </span>
        )}
      </div>
      {refused !== undefined ? (
        <p className="problem" id={described}>
          {refused}
        </p>
      ) : (
        taken !== undefined && (
          <p className="muted">
            takes {taken} {taken === 1 ? "name" : "names"}
          </p>
        )
      )}
    </li>
  )
}

const Field = (props: {
  readonly label: string
  readonly name: string
  readonly most: number
  readonly example: string
  readonly value: string
  readonly mayEdit: boolean
  /** The id of what says that it is wrong. */
  readonly described: string | undefined
  readonly onKeyDown: (event: KeyboardEvent) => void
  readonly onChange: (text: string) => void
}) => (
  <label>
    <span>{props.label}</span>
    <input
      type="text"
      value={props.value}
      readOnly={!props.mayEdit}
      maxLength={props.most}
      spellCheck={false}
      autoCapitalize="off"
      autoComplete="off"
      placeholder={props.example}
      aria-label={props.name}
      aria-invalid={props.described === undefined ? undefined : true}
      aria-describedby={props.described}
      onKeyDown={props.onKeyDown}
      onChange={(event) => props.onChange(event.target.value)}
    />
  </label>
)

const Act = ({
  name,
  off = false,
  onAct,
  sign
}: {
  readonly sign: string
  readonly name: string
  readonly off?: boolean
  readonly onAct: () => void
}) => (
  <button type="button" className="icon" disabled={off} aria-label={name} onClick={onAct}>
    {sign}
  </button>
)
