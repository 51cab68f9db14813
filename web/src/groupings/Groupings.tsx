/** Rule sets that put names together: the rules in order, beside what they do to the names of the last day, and their versions. */
import "./groupings.css"
import { type FormEvent, useEffect, useState } from "react"
import { type Answer, ask } from "../ask/Api.ts"
import { useAsk, useNow } from "../ask/Refresh.tsx"
import { go, serverPath, usePlace } from "../ask/Url.ts"
import { useMay } from "../ask/WhoContext.ts"
import { Crumbs } from "../parts/Crumbs.tsx"
import { Failure } from "../parts/Failure.tsx"
import { moment } from "../parts/Format.ts"
import { Link } from "../parts/Link.tsx"
import { Name } from "../parts/Name.tsx"
import { useDraft, usePreview, written } from "./Draft.ts"
import { PreviewOf } from "./Preview.tsx"
import { Rules } from "./Rules.tsx"

const ONCE = { everyBeats: Number.POSITIVE_INFINITY } as const
const NAME = "[a-z0-9][a-z0-9\\-]{0,39}"

const addressOfSet = (set: string | undefined, server: string | undefined) => {
  const query = new URLSearchParams({
    ...(set === undefined ? {} : { set }),
    ...(server === undefined ? {} : { server })
  })
  return `/groupings${query.size === 0 ? "" : `?${query}`}`
}

export const GroupingsPage = () => {
  const { query } = usePlace()
  const set = query.get("set") ?? undefined
  const server = query.get("server") ?? undefined
  const [saves, setSaves] = useState(0)
  const sets = useAsk("groupings.list", {}, { ...ONCE, again: saves })
  const mayEdit = useMay("operator")
  return (
    <div className="groupings">
      <header className="page-head">
        {server !== undefined && (
          <Crumbs>
            <Link href={serverPath(server, set === undefined ? "" : `?grouping=${set}`)}>
              <Name value={server} />
            </Link>
          </Crumbs>
        )}
        <h1>Group names</h1>
        <p className="muted">
          The first rule that matches a name decides what it is shown as. Nothing that is stored changes: rules apply to
          all of the past, and can be taken back.
        </p>
      </header>
      {sets.failure !== undefined && sets.value === undefined && <Failure failure={sets.failure} what="Rule sets" />}
      <nav className="segments set-list" aria-label="Rule sets">
        {(sets.value?.groupings ?? []).map(({ name }) => (
          <Link key={name} href={addressOfSet(name, server)} aria-current={name === set ? "page" : undefined}>
            {name}
          </Link>
        ))}
        {mayEdit && (
          <Link href={addressOfSet(undefined, server)} aria-current={set === undefined ? "page" : undefined}>
            New set
          </Link>
        )}
      </nav>
      {!mayEdit && <p className="muted">Rules can be read here. An operator or an administrator can change them.</p>}
      {set === undefined ? (
        mayEdit && <Editor key="" server={server} mayEdit onSaved={() => setSaves((n) => n + 1)} />
      ) : (
        <Loaded key={set} set={set} server={server} mayEdit={mayEdit} onSaved={() => setSaves((n) => n + 1)} />
      )}
    </div>
  )
}

interface Props {
  readonly server: string | undefined
  readonly mayEdit: boolean
  readonly onSaved: () => void
}

/** A set that is there. */
const Loaded = ({ set, ...props }: Props & { readonly set: string }) => {
  const [again, setAgain] = useState(0)
  const found = useAsk("groupings.get", { name: set }, { ...ONCE, again, keepPrevious: false })
  const versions = useAsk("groupings.versions", { name: set, limit: 50 }, { ...ONCE, again })
  if (found.failure !== undefined && found.value === undefined) {
    return <Failure failure={found.failure} what={`The rule set ${set}`} />
  }
  if (found.value === undefined) return <div className="card skeleton tall" role="status" aria-label="Loading" />
  const saved = () => {
    setAgain((n) => n + 1)
    props.onSaved()
  }
  return (
    <>
      <Editor key={found.value.version} {...props} from={found.value} onSaved={saved} />
      {versions.value !== undefined && (
        <Versions latest={found.value} versions={versions.value.versions} mayEdit={props.mayEdit} onSaved={saved} />
      )}
    </>
  )
}

const Editor = ({ from, mayEdit, onSaved, server }: Props & { readonly from?: Answer<"groupings.get"> }) => {
  const [draft, change] = useDraft()
  useEffect(() => change({ do: "set", rules: from?.rules ?? [{ match: "", name: "" }] }), [from, change])
  const preview = usePreview(draft.rules, server, !mayEdit)
  const [name, setName] = useState("")
  const [comment, setComment] = useState("")
  const [failure, setFailure] = useState<string>()
  const [busy, setBusy] = useState(false)
  const rules = written(draft.rules)
  const changed = JSON.stringify(rules) !== JSON.stringify(from?.rules ?? [])
  const save = async (event: FormEvent) => {
    event.preventDefault()
    setBusy(true)
    try {
      const body = { name: from?.name ?? name, base_version: from?.version ?? 0, rules, comment }
      const saved = await ask("groupings.save", {}, { body })
      onSaved()
      if (from === undefined) go(addressOfSet(saved.name, server))
    } catch (error) {
      setFailure(error instanceof Error ? error.message : String(error))
      setBusy(false)
    }
  }
  return (
    <div className="grouping-sides">
      <form className="card" onSubmit={(event) => void save(event)}>
        <h2>
          Rules{from !== undefined && <span className="muted"> of {`${from.name}, version ${from.version}`}</span>}
        </h2>
        <Rules rules={draft.rules} preview={preview} mayEdit={mayEdit} onChange={change} />
        {mayEdit && (
          <div className="grouping-save">
            {from === undefined && (
              <label>
                Name of the set
                <input
                  type="text"
                  required
                  pattern={NAME}
                  title="Lower-case letters, digits and hyphens"
                  placeholder="workers"
                  value={name}
                  onChange={(event) => setName(event.target.value)}
                />
              </label>
            )}
            <label>
              Comment
              <input
                type="text"
                maxLength={300}
                placeholder="What for?"
                value={comment}
                onChange={(event) => setComment(event.target.value)}
              />
            </label>
            <button
              type="submit"
              className="button primary"
              disabled={busy || !changed || preview.failure?.rule !== undefined}
            >
              Save as version {(from?.version ?? 0) + 1}
            </button>
            <p className="problem" role="alert">
              {failure}
            </p>
          </div>
        )}
      </form>
      {mayEdit && (
        <PreviewOf
          preview={preview}
          server={server}
          onRule={(rule) => change({ do: "add", rule })}
          ruleCount={draft.rules.length}
        />
      )}
    </div>
  )
}

const Versions = ({
  latest,
  mayEdit,
  onSaved,
  versions
}: {
  readonly latest: Answer<"groupings.get">
  readonly versions: Answer<"groupings.versions">["versions"]
  readonly mayEdit: boolean
  readonly onSaved: () => void
}) => {
  const now = useNow()
  const [failure, setFailure] = useState<string>()
  const goBack = async (version: number) => {
    try {
      const body = { to_version: version, base_version: latest.version }
      await ask("groupings.rollback", { name: latest.name }, { body })
      setFailure(undefined)
      onSaved()
    } catch (error) {
      setFailure(error instanceof Error ? error.message : String(error))
    }
  }
  return (
    <section className="card grouping-versions" aria-label="Versions">
      <h2>Versions</h2>
      <p className="problem" role="alert">
        {failure}
      </p>
      <ol reversed start={latest.version}>
        {versions.map(({ author, comment, retired, rules, saved_at, version }) => (
          <li key={version}>
            <b>Version {version}</b>
            <span className="muted">
              {" "}
              · {rules} {rules === 1 ? "rule" : "rules"} · {moment(Date.parse(saved_at), now)} · {author}
              {retired ? " · retired" : ""}
            </span>
            {comment !== "" && (
              <span>
                {" "}
                <Name value={comment} />
              </span>
            )}
            {mayEdit && version !== latest.version && (
              <button type="button" className="link" onClick={() => void goBack(version)}>
                Go back to this
              </button>
            )}
          </li>
        ))}
      </ol>
    </section>
  )
}
