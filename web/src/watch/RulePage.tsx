/** A rule: its fields, the sentence that they make, and what it would have done in the last seven days. */
import { type FormEvent, useMemo, useState } from "react"
import { Confirm } from "../access/Field.tsx"
import { AskFailed, ask } from "../ask/Api.ts"
import { useAsk, useHeart, useNow } from "../ask/Refresh.tsx"
import { go, usePlace } from "../ask/Url.ts"
import { useMay } from "../ask/WhoContext.ts"
import { Command } from "../parts/Command.tsx"
import { Crumbs } from "../parts/Crumbs.tsx"
import { Failure } from "../parts/Failure.tsx"
import { moment } from "../parts/Format.ts"
import { Link } from "../parts/Link.tsx"
import { Name } from "../parts/Name.tsx"
import { Backtest } from "./Backtest.tsx"
import { useCheck } from "./Checked.ts"
import { ResourcesContext, useResources } from "./Resources.ts"
import { documentOf, draftOf, type Fields, fileOf, fitsForm, prefilled, problemsByField, yamlOf } from "./RuleDraft.ts"
import { RuleForm } from "./RuleForm.tsx"
import { type Rule, rulePath } from "./RuleList.tsx"

export const RulePage = () => {
  const { query } = usePlace()
  const { refresh } = useHeart()
  const name = query.get("name")
  const { failure, loading, value } = useAsk("rules.resources", {}, { everyBeats: Number.POSITIVE_INFINITY })
  return (
    <ResourcesContext value={value?.resources ?? []}>
      <Crumbs>
        <Link href="/watch/rules">Rules</Link>
      </Crumbs>
      {loading && <div className="card skeleton tall" role="status" aria-label="Loading" />}
      {failure !== undefined && value === undefined && (
        <Failure alone what="What rules may ask" failure={failure} onRetry={refresh} />
      )}
      {value !== undefined && (name === null ? <NewRule /> : <KnownRule key={name} name={name} />)}
    </ResourcesContext>
  )
}

const NewRule = () => {
  const resources = useResources()
  const { query } = usePlace()
  const [from] = useState(() => documentOf(prefilled(query, resources)))
  // So that the head of the page knows that the server answers.
  useAsk("rules.list", {})
  return (
    <>
      <h1>A new rule</h1>
      <Editor fields={from} rule={undefined} mayEdit={useMay("operator")} onSaved={() => undefined} />
    </>
  )
}

const KnownRule = ({ name }: { readonly name: string }) => {
  const { refresh } = useHeart()
  const [again, setAgain] = useState(0)
  const mayChange = useMay("operator")
  const { failure, loading, value } = useAsk("rules.list", {}, { again })
  const rule = value?.rules.find((one) => one.name === name)
  if (loading) return <div className="card skeleton tall" role="status" aria-label="Loading" />
  if (rule === undefined) {
    return (
      <Failure
        alone
        what="This rule"
        failure={failure ?? new AskFailed(404, "Rule not found", "There is no rule of this name any more.")}
        onRetry={refresh}
      />
    )
  }
  const mayEdit = mayChange && rule.source.kind !== "file"
  return (
    <>
      <div className="title-line">
        <h1>
          <Name value={name} />
        </h1>
        {!rule.enabled && <span className="badge unsure">off</span>}
        {rule.firing > 0 && (
          <Link className="badge silent" href="/watch">
            {rule.firing === 1 ? "fires" : `fires ${rule.firing} ×`}
          </Link>
        )}
      </div>
      <Origin rule={rule} />
      <Editor
        key={`${rule.source.kind} ${rule.source.version}`}
        fields={rule.document}
        rule={rule}
        mayEdit={mayEdit}
        onSaved={() => setAgain((n) => n + 1)}
      />
    </>
  )
}

const Origin = ({ rule: { replaces, source } }: { readonly rule: Rule }) => {
  const now = useNow()
  return (
    <p className="muted">
      {source.kind === "default" ? (
        "Shipped with NodePulse. What you save takes its place."
      ) : source.kind === "file" ? (
        <>
          From the file <Name value={source.file ?? ""} /> on the server, and changed there.
        </>
      ) : (
        <>
          Version {source.version}, saved by <Name value={source.by ?? ""} />
          {source.at !== null && `, ${moment(Date.parse(source.at), now)}`}
          {replaces.includes("default") ? ", in place of the shipped rule" : ""}.
        </>
      )}
    </p>
  )
}

interface EditorProps {
  readonly fields: Fields
  /** The rule as it is; undefined where it is a new one. */
  readonly rule: Rule | undefined
  readonly mayEdit: boolean
  readonly onSaved: () => void
}

/** What is edited: by the form, or as JSON where the form has no field for what it asks. */
const useDraft = (from: Fields) => {
  const [draft, setDraft] = useState(() => draftOf(from))
  const [json, setJson] = useState<string | undefined>(() =>
    fitsForm(from) ? undefined : JSON.stringify(from, null, 2)
  )
  const fields = useMemo(() => (json === undefined ? documentOf(draft) : parsed(json)), [draft, json])
  return {
    draft,
    fields,
    json,
    setJson,
    change: (changed: Partial<typeof draft>) => setDraft((now) => ({ ...now, ...changed })),
    toJson: () => setJson(JSON.stringify(documentOf(draft), null, 2)),
    toForm: () => {
      if (fields !== undefined) setDraft(draftOf(fields))
      setJson(undefined)
    }
  }
}

/** Undefined where it is no object in JSON. */
const parsed = (text: string): Fields | undefined => {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Fields) : undefined
  } catch {
    return undefined
  }
}

const NO_JSON = new Map([["json", "This is no JSON object."]])

const Editor = ({ fields: from, mayEdit, onSaved, rule }: EditorProps) => {
  const resources = useResources()
  const edited = useDraft(from)
  const { change, draft, fields, json, setJson, toForm, toJson } = edited
  const text = fields === undefined ? undefined : fileOf(fields)
  const check = useCheck(text)
  const problems = useMemo(
    () => (text === undefined ? NO_JSON : problemsByField(check.failure?.problems ?? [])),
    [check.failure, text]
  )
  const isRight = text !== undefined && check.failure === undefined && check.value !== undefined && !check.busy
  const tried = json === undefined || fields === undefined ? draft : draftOf(fields)
  return (
    <>
      <Sentence check={check} other={problems.get("")} />
      <div className="rule-sides">
        <div className="card">
          {json === undefined ? (
            <RuleForm draft={draft} problems={problems} mayEdit={mayEdit} change={change} />
          ) : (
            <JsonField json={json} problems={problems} mayEdit={mayEdit} onChange={setJson} />
          )}
          {mayEdit && fields !== undefined && (
            <Saving fields={fields} rule={rule} isRight={isRight} onSaved={onSaved} />
          )}
          <p className="rule-modes">
            {json === undefined ? (
              <button type="button" className="link" onClick={toJson}>
                {mayEdit ? "Edit as JSON" : "Show as JSON"}
              </button>
            ) : (
              fields !== undefined &&
              fitsForm(fields) && (
                <button type="button" className="link" onClick={toForm}>
                  Back to the form
                </button>
              )
            )}
          </p>
          <details className="rule-file">
            <summary>As a file</summary>
            <Command text={fields === undefined ? "" : yamlOf(fields)} />
          </details>
        </div>
        {useMay("operator") && (
          <Backtest
            draft={tried}
            resource={resources.find(({ resource }) => resource === tried.resource)}
            text={isRight ? text : undefined}
            onThreshold={mayEdit && json === undefined ? (value) => change({ threshold: String(value) }) : undefined}
          />
        )}
      </div>
    </>
  )
}

const JsonField = ({
  json,
  mayEdit,
  onChange,
  problems
}: {
  readonly json: string
  readonly problems: ReadonlyMap<string, string>
  readonly mayEdit: boolean
  readonly onChange: (json: string) => void
}) => (
  <div className="rule-field">
    <label htmlFor="rule-json">The rule as JSON</label>
    <textarea
      id="rule-json"
      className="rule-text"
      rows={16}
      spellCheck={false}
      readOnly={!mayEdit}
      aria-invalid={problems.size > 0 || undefined}
      aria-describedby="rule-json-problems"
      value={json}
      onChange={(event) => onChange(event.target.value)}
    />
    <ul id="rule-json-problems">
      {[...problems].map(([field, problem]) => (
        <li key={field} className="problem">
          {field === "" || field === "json" ? problem : `${field}: ${problem}`}
        </li>
      ))}
    </ul>
  </div>
)

interface SavingProps {
  readonly fields: Fields
  readonly rule: Rule | undefined
  readonly isRight: boolean
  readonly onSaved: () => void
}

/** A stored rule is changed from the version that is shown; under another name it is another rule. */
const save = async (fields: Fields, rule: Rule | undefined) => {
  const name = String(fields.name)
  const base = rule !== undefined && rule.name === name ? (rule.source.version ?? 0) : 0
  await ask("rules.save", { name }, { body: { document: fields, base_version: base } })
  return name
}

const Saving = ({ fields, isRight, onSaved, rule }: SavingProps) => {
  const { refresh } = useHeart()
  const [state, setState] = useState<{ readonly busy?: boolean; readonly failure?: string; readonly saved?: boolean }>(
    {}
  )
  const [removing, setRemoving] = useState(false)
  const send = async (changed: Fields) => {
    setState({ busy: true })
    try {
      const name = await save(changed, rule)
      setState({ saved: true })
      refresh()
      if (name === rule?.name) onSaved()
      else go(rulePath(name))
    } catch (error) {
      const problems = error instanceof AskFailed ? error.problems : []
      setState({ failure: problems.join("; ") || (error instanceof Error ? error.message : String(error)) })
    }
  }
  const submit = (event: FormEvent) => {
    event.preventDefault()
    void send(fields)
  }
  const isStored = rule?.source.kind === "stored"
  return (
    <>
      <form className="rule-saving" onSubmit={submit}>
        <button type="submit" className="button primary" disabled={!isRight || state.busy === true}>
          {rule === undefined || rule.name === fields.name ? "Save" : "Save as another rule"}
        </button>
        {rule !== undefined && (
          <button
            type="button"
            className="button"
            disabled={state.busy === true}
            onClick={() => void send({ ...rule.document, enabled: !rule.enabled })}
          >
            {rule.enabled ? "Switch off" : "Switch on"}
          </button>
        )}
        {isStored && (
          <button type="button" className="button danger" onClick={() => setRemoving(true)}>
            {rule.replaces.includes("default") ? "Back to the shipped rule" : "Delete"}
          </button>
        )}
        <span role="status" className="muted">
          {state.saved === true ? "Saved. It is asked from the next 15 seconds on." : ""}
        </span>
        <p className="problem" role="alert">
          {state.failure}
        </p>
      </form>
      {removing && rule !== undefined && <Removing rule={rule} onClose={() => setRemoving(false)} />}
    </>
  )
}

const Removing = ({ onClose, rule }: { readonly rule: Rule; readonly onClose: () => void }) => {
  const { refresh } = useHeart()
  return (
    <Confirm
      title={`Delete ${rule.name}?`}
      action="Delete"
      onClose={onClose}
      onConfirm={async () => {
        await ask("rules.remove", { name: rule.name, base_version: rule.source.version ?? undefined })
        refresh()
        go("/watch/rules")
      }}
    >
      <p>
        Its alerts end.{" "}
        {rule.replaces.includes("default")
          ? "The rule of this name that is shipped counts again."
          : "The audit keeps it."}
      </p>
    </Confirm>
  )
}

/** The rule to be read aloud, as the server reads it; or that it cannot be read, where no field says why. */
const Sentence = ({
  check,
  other
}: {
  readonly check: ReturnType<typeof useCheck>
  readonly other: string | undefined
}) => {
  const { busy, failure, value } = check
  const isProblem = failure !== undefined && failure.status !== 422
  return (
    <p className={busy ? "rule-sentence busy" : "rule-sentence"} role="status">
      {isProblem ? (
        <span className="problem">{failure.message || failure.title}</span>
      ) : failure !== undefined ? (
        <span className="problem">{other ?? "Something in the rule is not right yet: it stands at its field."}</span>
      ) : (
        (value?.rules[0]?.sentence ?? "…")
      )}
    </p>
  )
}
