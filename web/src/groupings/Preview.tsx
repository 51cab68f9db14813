/** What the rules do to the names of the last 24 hours: totals before and after, what looks alike, and every name. */
import { inUnit, words } from "../parts/Format.ts"
import { Name } from "../parts/Name.tsx"
import { Table } from "../parts/Table.tsx"
import type { DraftRule, Previewed } from "./Draft.ts"

const NAMES_SHOWN = 200

interface Props {
  readonly preview: Previewed
  readonly server: string | undefined
  readonly ruleCount: number
  readonly onRule: (rule: Omit<DraftRule, "key">) => void
}

export const PreviewOf = ({ onRule, preview, server }: Props) => {
  const { busy, failure, value } = preview
  return (
    <section
      className={busy ? "card grouping-preview busy" : "card grouping-preview"}
      aria-label="Preview"
      aria-busy={busy}
    >
      <h2>
        Names of the last 24 hours
        <span className="muted"> {server === undefined ? "on all servers" : `on ${server}`}</span>
      </h2>
      {failure !== undefined && failure.rule === undefined && <p className="problem">{failure.message}</p>}
      {value === undefined ? (
        failure === undefined && <div className="skeleton tall" role="status" aria-label="Loading the preview" />
      ) : (
        <>
          <p role="status">
            <b>
              {value.before.groups} {value.before.groups === 1 ? "name" : "names"} → {value.after.groups}
            </b>
            <span className="muted">
              {" "}
              · {words(value.metric)} {inUnit(value.before.value, value.unit)} before,{" "}
              {inUnit(value.after.value, value.unit)} after
              {Math.abs(value.before.value - value.after.value) <= 1e-9 * Math.max(1, value.before.value)
                ? ": equal"
                : ""}
              {value.omitted.groups > 0 ? ` · ${value.omitted.groups} small groups more` : ""}
            </span>
          </p>
          <Alike value={value} onRule={onRule} />
          <Names value={value} />
        </>
      )}
    </section>
  )
}

type Value = NonNullable<Previewed["value"]>

const Alike = ({ onRule, value }: { readonly value: Value; readonly onRule: Props["onRule"] }) =>
  value.alike.length === 0 ? null : (
    <>
      <h3>Alike but for digits or hashes</h3>
      <ul className="grouping-alike">
        {value.alike.map(({ names, rule }) => (
          <li key={rule.match}>
            <span>
              <Name value={rule.name} /> <span className="muted">{names} names</span>
            </span>
            <button
              type="button"
              className="link"
              aria-label={`Add a rule for ${rule.name}`}
              onClick={() => onRule(rule)}
            >
              Add a rule
            </button>
          </li>
        ))}
      </ul>
    </>
  )

const Names = ({ value }: { readonly value: Value }) => {
  const shown = value.names.slice(0, NAMES_SHOWN)
  const more = value.before.groups - shown.length
  return (
    <>
      <Table
        label="Names"
        className="grouping-names"
        columns={{ Name: "wide", "Shown as": "wide", Rule: "num", Average: "num" }}
      >
        {shown.map(({ name, rule, shown, value: average }) => (
          <tr key={name}>
            <td className="wide">
              <Name value={name} />
            </td>
            <td className="wide">{rule === null ? <span className="muted">its own</span> : <Name value={shown} />}</td>
            <td className="num">{rule ?? "–"}</td>
            <td className="num">{inUnit(average, value.unit)}</td>
          </tr>
        ))}
      </Table>
      {more > 0 && <p className="muted">And {more} more, which the rules take or leave in the same way.</p>}
    </>
  )
}
