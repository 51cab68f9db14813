/** The fields of a rule, in the order in which its sentence has them; what is wrong with one stands at it. */
import { type ReactNode, useId } from "react"
import type { Exporter } from "../ask/Api.ts"
import { useCatalog } from "../ask/CatalogContext.ts"
import { words } from "../parts/Format.ts"
import { ASKS, type Asks, type Draft, type Metric, metricsOf } from "./RuleDraft.ts"

export interface FormProps {
  readonly draft: Draft
  readonly problems: ReadonlyMap<string, string>
  readonly mayEdit: boolean
  readonly change: (changed: Partial<Draft>) => void
}

/** Units as a sentence has them. */
const UNITS: Readonly<Record<string, string>> = {
  percent: "%",
  mb: "MiB",
  mb_per_second: "MiB/s",
  per_second: "a second"
}

export const RuleForm = (props: FormProps) => {
  const { draft } = props
  const { exporters } = useCatalog()
  const exporter = exporters.find(({ resource }) => resource === draft.resource)
  return (
    <div className="rule-form">
      <Whom {...props} exporters={exporters} exporter={exporter} />
      <What {...props} metrics={exporter === undefined ? [] : metricsOf(exporter)} />
      <HowLong {...props} />
      <Told {...props} />
    </div>
  )
}

const Whom = (
  props: FormProps & { readonly exporters: ReadonlyArray<Exporter>; readonly exporter: Exporter | undefined }
) => {
  const { change, draft, exporter, exporters } = props
  const grouped = exporter === undefined || exporter.top !== null
  return (
    <fieldset>
      <legend>Whom</legend>
      <Choice
        {...props}
        field="resource"
        label="Of"
        value={draft.resource}
        options={exporters.map(({ resource, title }) => [resource, title])}
        onChange={(resource) => {
          const next = exporters.find((one) => one.resource === resource)
          change({ resource, metric: (next && metricsOf(next)[0]?.key) ?? "", of: "core" })
        }}
      />
      {grouped && draft.asks !== "silent" && (
        <Field
          {...props}
          field="group"
          label="Group"
          placeholder="any, such as postgres*"
          value={draft.group}
          onChange={(group) => change({ group })}
        />
      )}
      <Field
        {...props}
        field="server"
        label="On server"
        placeholder="any, such as db-*"
        value={draft.server}
        onChange={(server) => change({ server })}
      />
    </fieldset>
  )
}

const What = (props: FormProps & { readonly metrics: ReadonlyArray<Metric> }) => {
  const { change, draft, metrics } = props
  const { asks } = draft
  const metric = metrics.find(({ key }) => key === draft.metric)
  const hasValue = asks === "above" || asks === "below"
  return (
    <fieldset>
      <legend>What</legend>
      <Choice
        {...props}
        field="asks"
        label="Fires where it"
        value={asks}
        options={ASKS}
        onChange={(value) => change({ asks: value as Asks })}
      />
      {hasValue && (
        <Choice
          {...props}
          field="metric"
          label="Measured by"
          value={draft.metric}
          options={metrics.map(({ key }) => [key, words(key)])}
          onChange={(key) => change({ metric: key, of: "core" })}
        />
      )}
      {(hasValue || asks === "restarts_above") && (
        <Field
          {...props}
          field="threshold"
          label={asks === "restarts_above" ? "Times" : `Threshold${unitOf(metric, draft.of)}`}
          numeric
          value={draft.threshold}
          onChange={(threshold) => change({ threshold })}
        />
      )}
      {hasValue && metric?.share != null && (
        <Choice
          {...props}
          field="of"
          label="Part of"
          value={draft.of}
          options={[
            ["core", metric.share === "cpu" ? "one core" : "nothing: as it is"],
            ["machine", "the whole machine"]
          ]}
          onChange={(of) => change({ of })}
        />
      )}
      {hasValue && (
        <Field
          {...props}
          field="resolve"
          label="Resolves at"
          placeholder="the same"
          numeric
          value={draft.resolve}
          onChange={(resolve) => change({ resolve })}
        />
      )}
    </fieldset>
  )
}

const unitOf = (metric: Metric | undefined, of: string): string => {
  if (metric === undefined) return ""
  const unit =
    of === "machine" ? "% of the machine" : metric.share === "cpu" ? "% of a core" : (UNITS[metric.unit] ?? metric.unit)
  return unit === "" ? "" : `, ${unit}`
}

const HowLong = (props: FormProps) => {
  const { change, draft } = props
  const window = draft.asks === "silent" ? "For" : draft.asks === "restarts_above" ? "Within" : "Averaged over"
  return (
    <fieldset>
      <legend>How long</legend>
      <Field
        {...props}
        field="over"
        label={window}
        placeholder="1m"
        value={draft.over}
        onChange={(over) => change({ over })}
      />
      {draft.asks !== "silent" && draft.asks !== "restarts_above" && (
        <Field
          {...props}
          field="for"
          label="Held for"
          placeholder="0s"
          value={draft.for}
          onChange={(held) => change({ for: held })}
        />
      )}
      <Field
        {...props}
        field="keep_firing_for"
        label="Over after"
        placeholder="0s"
        value={draft.keepFiringFor}
        onChange={(keepFiringFor) => change({ keepFiringFor })}
      />
    </fieldset>
  )
}

const Told = (props: FormProps) => {
  const { change, draft } = props
  return (
    <fieldset>
      <legend>Told as</legend>
      <Field {...props} field="name" label="Name" wide value={draft.name} onChange={(name) => change({ name })} />
      <Choice
        {...props}
        field="severity"
        label="Severity"
        value={draft.severity}
        options={[
          ["info", "info"],
          ["warning", "warning"],
          ["critical", "critical"]
        ]}
        onChange={(severity) => change({ severity })}
      />
      <Field
        {...props}
        field="runbook"
        label="Runbook"
        placeholder="https://…"
        wide
        value={draft.runbook}
        onChange={(runbook) => change({ runbook })}
      />
      <Field
        {...props}
        field="owners"
        label="Owners"
        placeholder="dba, on-call"
        value={draft.owners}
        onChange={(owners) => change({ owners })}
      />
    </fieldset>
  )
}

interface Labelled extends FormProps {
  /** As the problems name it. */
  readonly field: string
  readonly label: string
  readonly value: string
  readonly onChange: (value: string) => void
}

const Around = ({
  children,
  field,
  label,
  problems,
  wide = false
}: Pick<Labelled, "field" | "label" | "problems"> & {
  readonly wide?: boolean
  readonly children: (
    id: string,
    wrong: { readonly "aria-invalid"?: true; readonly "aria-describedby"?: string }
  ) => ReactNode
}) => {
  const id = useId()
  const problem = problems.get(field)
  return (
    <div className={wide ? "rule-field wide" : "rule-field"}>
      <label htmlFor={id}>{label}</label>
      {children(id, problem === undefined ? {} : { "aria-invalid": true, "aria-describedby": `${id}-problem` })}
      {problem !== undefined && (
        <p className="problem" id={`${id}-problem`}>
          {problem}
        </p>
      )}
    </div>
  )
}

const Field = (
  props: Labelled & { readonly placeholder?: string; readonly numeric?: boolean; readonly wide?: boolean }
) => {
  const { mayEdit, numeric = false, onChange, placeholder, value } = props
  return (
    <Around {...props}>
      {(id, wrong) => (
        <input
          id={id}
          type="text"
          {...wrong}
          {...(numeric ? { inputMode: "decimal" as const } : {})}
          readOnly={!mayEdit}
          placeholder={placeholder}
          maxLength={500}
          spellCheck={false}
          autoComplete="off"
          value={value}
          onChange={(event) => onChange(event.target.value)}
        />
      )}
    </Around>
  )
}

const Choice = (props: Labelled & { readonly options: ReadonlyArray<readonly [string, string]> }) => {
  const { mayEdit, onChange, options, value } = props
  return (
    <Around {...props}>
      {(id, wrong) => (
        <select id={id} {...wrong} disabled={!mayEdit} value={value} onChange={(event) => onChange(event.target.value)}>
          {options.map(([key, text]) => (
            <option key={key} value={key}>
              {text}
            </option>
          ))}
        </select>
      )}
    </Around>
  )
}
