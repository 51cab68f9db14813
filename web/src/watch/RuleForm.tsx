/** The fields of a rule, in the order in which its sentence has them; what is wrong with one stands at it. */
import { type ReactNode, useId } from "react"
import { words } from "../parts/Format.ts"
import { type Metric, type RuleResource, useResources } from "./Resources.ts"
import { type Asks, about, asking, asksOf, type Draft, mayAskHost, metricsFor } from "./RuleDraft.ts"

export interface FormProps {
  readonly draft: Draft
  readonly problems: ReadonlyMap<string, string>
  readonly mayEdit: boolean
  readonly change: (changed: Partial<Draft>) => void
}

/** What keys of metrics do not say by themselves. */
const WORDS: Readonly<Record<string, string>> = {
  busy: "CPU in use",
  iowait: "CPU waiting for disks",
  steal: "CPU taken by other guests",
  unaccounted: "CPU of no process",
  memory_used: "Memory in use",
  memory_available: "Memory available",
  pressure_cpu: "Pressure: CPU",
  pressure_memory: "Pressure: memory",
  pressure_io: "Pressure: disks",
  num_procs: "Processes"
}
const optionOf = ({ key }: Metric): readonly [string, string] => [key, WORDS[key] ?? words(key)]

export const RuleForm = (props: FormProps) => {
  const { draft } = props
  const resources = useResources()
  const resource = resources.find((one) => one.resource === draft.resource)
  return (
    <div className="rule-form">
      <Whom {...props} resources={resources} resource={resource} />
      <What {...props} resource={resource} />
      {mayAskHost(draft.asks) && <OnlyWhile {...props} host={resources.find(({ host }) => host)} resource={resource} />}
      <HowLong {...props} />
      <Told {...props} />
    </div>
  )
}

const Whom = (
  props: FormProps & {
    readonly resources: ReadonlyArray<RuleResource>
    readonly resource: RuleResource | undefined
  }
) => {
  const { change, draft, resource, resources } = props
  const isGrouped = resource === undefined || resource.grouped
  return (
    <fieldset>
      <legend>Whom</legend>
      <Choice
        {...props}
        field="resource"
        label="Of"
        value={draft.resource}
        options={resources.map(({ resource, title }) => [resource, title])}
        onChange={(key) =>
          change(
            about(
              draft,
              resources.find((one) => one.resource === key)
            )
          )
        }
      />
      {((isGrouped && draft.asks !== "silent") || draft.group !== "") && (
        <Field
          {...props}
          field="group"
          label="Group"
          placeholder="any, or postgres*"
          value={draft.group}
          onChange={(group) => change({ group })}
        />
      )}
      <Field
        {...props}
        field="server"
        label="On server"
        placeholder="any, or db-*"
        value={draft.server}
        onChange={(server) => change({ server })}
      />
    </fieldset>
  )
}

const NUMBERS: Partial<Readonly<Record<Asks, string>>> = {
  restarts_above: "Times",
  exhausts_in: "Within, such as 2h"
}

const What = (props: FormProps & { readonly resource: RuleResource | undefined }) => {
  const { change, draft, resource } = props
  const { asks } = draft
  const metrics = metricsFor(resource, asks)
  const metric = metrics.find(({ key }) => key === draft.metric)
  const isValue = asks === "above" || asks === "below"
  const hasMetric = isValue || asks === "growth_above"
  return (
    <fieldset>
      <legend>What</legend>
      <Choice
        {...props}
        field="asks"
        label="Fires where it"
        value={asks}
        options={asksOf(resource)}
        onChange={(value) => change(asking(draft, resource, value as Asks))}
      />
      {hasMetric && (
        <Choice
          {...props}
          field="metric"
          label="Measured by"
          value={draft.metric}
          options={metrics.map(optionOf)}
          onChange={(key) => change({ metric: key, of: "core" })}
        />
      )}
      {(hasMetric || NUMBERS[asks] !== undefined) && (
        <Field
          {...props}
          field="threshold"
          label={NUMBERS[asks] ?? `Threshold${unitOf(metric, draft)}`}
          numeric={asks !== "exhausts_in"}
          value={draft.threshold}
          onChange={(threshold) => change({ threshold })}
        />
      )}
      {isValue && metric?.share != null && (
        <Choice
          {...props}
          field="of"
          label="Part of"
          value={draft.of}
          options={[
            ["core", metric.share === "cpu" ? "one core" : "nothing: as it is"],
            ["machine", "the machine"]
          ]}
          onChange={(of) => change({ of })}
        />
      )}
      {hasMetric && (
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

const unitOf = (metric: Metric | undefined, { asks, of }: Pick<Draft, "asks" | "of">): string => {
  if (metric === undefined) return ""
  if (asks === "growth_above") return `, ${metric.unit} an hour`
  const unit = of === "machine" ? "% of the machine" : metric.unit
  return unit === "" ? "" : `, ${unit}`
}

/** What has to hold of the host beside: one choice as long as nothing does. */
const OnlyWhile = (
  props: FormProps & { readonly host: RuleResource | undefined; readonly resource: RuleResource | undefined }
) => {
  const { change, draft, host, resource } = props
  const isOfItself = resource?.metrics.every(({ drawn }) => drawn === null) ?? false
  if (draft.hostMetric === "" && (host === undefined || isOfItself)) return null
  const metric = host?.metrics.find(({ key }) => key === draft.hostMetric)
  return (
    <fieldset>
      <legend>Only while</legend>
      <Choice
        {...props}
        field="only_while"
        label="The host's"
        value={draft.hostMetric}
        options={[["", "anything: always"], ...(host?.metrics ?? []).map(optionOf)]}
        onChange={(hostMetric) => change({ hostMetric })}
      />
      {draft.hostMetric !== "" && (
        <>
          <Choice
            {...props}
            field="only_while_side"
            label="Is"
            value={draft.hostSide}
            options={[
              ["above", "above"],
              ["below", "below"]
            ]}
            onChange={(hostSide) => change({ hostSide: hostSide as Draft["hostSide"] })}
          />
          <Field
            {...props}
            field="only_while_number"
            label={`Limit${unitOf(metric, { asks: "above", of: "core" })}`}
            numeric
            value={draft.hostThreshold}
            onChange={(hostThreshold) => change({ hostThreshold })}
          />
        </>
      )}
    </fieldset>
  )
}

const WINDOWS: Partial<Readonly<Record<Asks, string>>> = {
  silent: "For",
  restarts_above: "Within",
  growth_above: "Seen over",
  exhausts_in: "As it grew over"
}

const HowLong = (props: FormProps) => {
  const { change, draft } = props
  const { asks } = draft
  return (
    <fieldset>
      <legend>How long</legend>
      <Field
        {...props}
        field="over"
        label={WINDOWS[asks] ?? "Averaged over"}
        placeholder="1m"
        value={draft.over}
        onChange={(over) => change({ over })}
      />
      {((asks !== "silent" && asks !== "restarts_above") || draft.for !== "") && (
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
        field="owners"
        label="Owners"
        placeholder="dba, on-call"
        value={draft.owners}
        onChange={(owners) => change({ owners })}
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
          {withChosen(options, value).map(([key, text]) => (
            <option key={key} value={key}>
              {text}
            </option>
          ))}
        </select>
      )}
    </Around>
  )
}

/** A choice that is not offered, such as a metric of an exporter that is gone, is shown as it is. */
const withChosen = (options: ReadonlyArray<readonly [string, string]>, value: string) =>
  options.some(([key]) => key === value) ? options : [...options, [value, value] as const]
