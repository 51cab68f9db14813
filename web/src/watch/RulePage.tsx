/** A rule: its fields, the sentence that they make, and what it would have done in the last seven days. */
import { useMemo, useState } from "react"
import { useCatalog } from "../ask/CatalogContext.ts"
import { usePlace } from "../ask/Url.ts"
import { useMay } from "../ask/WhoContext.ts"
import { Command } from "../parts/Command.tsx"
import { Link } from "../parts/Link.tsx"
import { Backtest } from "./Backtest.tsx"
import { useCheck } from "./Checked.ts"
import { type Draft, documentOf, fileOf, prefilled, problemsByField, yamlOf } from "./RuleDraft.ts"
import { RuleForm } from "./RuleForm.tsx"

export const RulePage = () => {
  const { exporters } = useCatalog()
  const { query } = usePlace()
  const [from] = useState(() => prefilled(query, exporters))
  return (
    <>
      <p className="crumbs">
        <Link href="/watch">Watch</Link> <span aria-hidden="true">/</span>
      </p>
      <h1>A new rule</h1>
      <Editor from={from} />
    </>
  )
}

const Editor = ({ from }: { readonly from: Draft }) => {
  const mayEdit = useMay("operator")
  const { exporters } = useCatalog()
  const [draft, setDraft] = useState(from)
  const fields = useMemo(() => documentOf(draft), [draft])
  const text = fileOf(fields)
  const check = useCheck(text)
  const problems = useMemo(() => problemsByField(check.failure?.problems ?? []), [check.failure])
  const change = (changed: Partial<Draft>) => setDraft((now) => ({ ...now, ...changed }))
  const isRight = check.failure === undefined && check.value !== undefined && !check.busy
  return (
    <>
      <Sentence check={check} other={problems.get("")} />
      <div className="rule-sides">
        <div className="card">
          <RuleForm draft={draft} problems={problems} mayEdit={mayEdit} change={change} />
          <details className="rule-file">
            <summary>As a file</summary>
            <Command text={yamlOf(fields)} />
          </details>
        </div>
        {mayEdit && (
          <Backtest
            draft={draft}
            exporter={exporters.find(({ resource }) => resource === draft.resource)}
            text={isRight ? text : undefined}
            onThreshold={(value) => change({ threshold: String(value) })}
          />
        )}
      </div>
    </>
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
