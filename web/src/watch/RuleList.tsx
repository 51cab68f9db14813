/** All rules, whichever layer they are of: what each asks, whether it is on, and when it last fired. */
import { useMemo } from "react"
import type { Answer } from "../ask/Api.ts"
import { useAsk, useHeart, useNow } from "../ask/Refresh.tsx"
import { Failure, ShownAsOf } from "../parts/Failure.tsx"
import { ago, moment } from "../parts/Format.ts"
import { legible } from "../parts/Legible.ts"
import { Link } from "../parts/Link.tsx"
import { Name } from "../parts/Name.tsx"
import { Severity } from "./Severity.tsx"

export type Rule = Answer<"rules.list">["rules"][number]
const FIRED_MAX = 200

export const rulePath = (name: string): string => `/watch/rule?name=${encodeURIComponent(name.toWellFormed())}`

const LAYERS = {
  default: {
    title: "Shipped",
    about: "Rules that come with NodePulse. Change or switch one off: yours takes its place."
  },
  file: { title: "From files", about: "Files of rules.d on the server. They are changed there." },
  stored: { title: "Saved here", about: "Made or changed on this page, or over the API." }
} as const

export const RuleList = () => {
  const { refresh } = useHeart()
  const asked = useAsk("rules.list", {})
  const alerts = useAsk("alerts.list", { limit: FIRED_MAX })
  const { failure, loading, value } = asked
  const fired = useMemo(() => {
    const last = new Map<string, number>()
    for (const { fired_at, rule } of alerts.value?.alerts ?? [])
      last.set(rule, Math.max(last.get(rule) ?? 0, Date.parse(fired_at)))
    return last
  }, [alerts.value])
  return (
    <>
      <ShownAsOf asked={asked} />
      {failure !== undefined && value === undefined && <Failure failure={failure} what="The rules" onRetry={refresh} />}
      {loading && <div className="card skeleton tall" role="status" aria-label="Loading" />}
      {value?.problems.map((problem) => (
        <p key={problem} className="banner silent rules-problem" role="status">
          {legible(problem, 500)}
        </p>
      ))}
      {value?.rules.length === 0 && (
        <p className="card nothing">No rules yet. Make one here, or put a file into rules.d on the server.</p>
      )}
      {value !== undefined &&
        (["stored", "file", "default"] as const).map((kind) => (
          <Layer
            key={kind}
            kind={kind}
            rules={value.rules.filter(({ source }) => source.kind === kind)}
            fired={fired}
          />
        ))}
    </>
  )
}

const Layer = ({
  fired,
  kind,
  rules
}: {
  readonly kind: keyof typeof LAYERS
  readonly rules: ReadonlyArray<Rule>
  readonly fired: ReadonlyMap<string, number>
}) =>
  rules.length === 0 ? null : (
    <section className="card flush watch-list" aria-labelledby={`rules-${kind}`}>
      <div className="list-head">
        <h2 id={`rules-${kind}`}>{LAYERS[kind].title}</h2>
        <span className="muted small">{LAYERS[kind].about}</span>
      </div>
      <ul>
        {rules.map((rule) => (
          <RuleRow key={rule.name} rule={rule} fired={fired.get(rule.name)} />
        ))}
      </ul>
    </section>
  )

const RuleRow = ({ fired, rule }: { readonly rule: Rule; readonly fired: number | undefined }) => {
  const now = useNow()
  const { enabled, firing, name, replaces, sentence, severity, source } = rule
  return (
    <li className={enabled ? "rule-row" : "rule-row off"}>
      <Severity severity={severity} over={!enabled} />
      <div className="alert-what">
        <Link href={rulePath(name)} className="alert-rule">
          <Name value={name} />
        </Link>
        {!enabled && <span className="badge unsure">off</span>}
        {firing > 0 && <span className="badge silent">{firing === 1 ? "fires" : `fires ${firing} ×`}</span>}
        {replaces.includes("default") && <span className="badge unsure">in place of the shipped one</span>}
        <p className="sub">{legible(sentence, 400)}</p>
      </div>
      <p className="sub">
        {source.file !== null ? (
          <Name value={source.file} />
        ) : source.by === null ? (
          ""
        ) : (
          <>
            <Name value={source.by} />
            {source.at !== null && ` · ${moment(Date.parse(source.at), now)}`}
          </>
        )}
      </p>
      <p className="sub num">{fired === undefined ? "has not fired" : `fired ${ago(fired, now)}`}</p>
    </li>
  )
}
