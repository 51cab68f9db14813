/**
 * The audit: who changed what, when and from where, newest first. Looked through by who, what and days, all of them in the
 * address. What is not shown is said, and one press away.
 */
import { useMemo, useState } from "react"
import { AskFailed, addressOf, ask, type Query } from "../ask/Api.ts"
import { useAsk, useHeart } from "../ask/Refresh.tsx"
import { linkWith, usePlace } from "../ask/Url.ts"
import { download } from "../charts/Picture.ts"
import { copyText } from "../parts/Clipboard.ts"
import { Failure, ShownAsOf } from "../parts/Failure.tsx"
import { legible } from "../parts/Legible.ts"
import { Name } from "../parts/Name.tsx"
import { useSaid } from "../parts/Said.ts"
import { csvOf, joined, KINDS, markdownOf, type Page } from "./AuditList.ts"
import { DETAIL_MAX, type Entry, sentenceOf } from "./AuditSentence.ts"
import { When } from "./Tokens.tsx"

const PAGE = 100

/** Midnight of a day as the browser has it, so many days later; undefined for what is no day. */
const midnight = (day: string | null, later = 0): string | undefined => {
  const parts = /^(\d{4})-(\d\d)-(\d\d)$/.exec(day ?? "")
  if (parts === null) return undefined
  const at = new Date(Number(parts[1]), Number(parts[2]) - 1, Number(parts[3]) + later)
  return Number.isNaN(at.getTime()) ? undefined : at.toISOString()
}

/** The filter of the address, as the API takes it. */
const useFilter = (): Query => {
  const { query } = usePlace()
  const [who, what, from, to] = ["who", "what", "from", "to"].map((name) => query.get(name))
  return useMemo(
    () => ({
      who: who?.slice(0, 200) || undefined,
      action: /^[a-z-]{1,40}(\.[a-z-]{1,40})?$/.test(what ?? "") ? (what ?? undefined) : undefined,
      since: midnight(from ?? null),
      until: midnight(to ?? null, 1)
    }),
    [who, what, from, to]
  )
}

/** The newest entries, kept fresh, and older ones as far as somebody asked for them. */
const useEntries = (filter: Query) => {
  const key = addressOf("audit.list", filter)
  const [read, setRead] = useState<{ readonly key: string; readonly page: Page }>()
  const [failure, setFailure] = useState<AskFailed>()
  const newest = useAsk("audit.list", { ...filter, limit: PAGE })
  const page = newest.value === undefined ? undefined : joined(newest.value, read?.key === key ? read.page : undefined)
  const readOlder = async () => {
    if (page?.next == null) return
    try {
      const older = await ask("audit.list", { ...filter, limit: PAGE, before: page.next })
      setRead({ key, page: { entries: [...page.entries, ...older.entries], next: older.next } })
      setFailure(undefined)
    } catch (error) {
      setFailure(error instanceof AskFailed ? error : new AskFailed(0, "The answer cannot be read", String(error)))
    }
  }
  return { newest, page, failure, readOlder }
}

export const Audit = () => {
  const filter = useFilter()
  const { failure, newest, page, readOlder } = useEntries(filter)
  const { refresh } = useHeart()
  return (
    <>
      <div className="toolbar">
        <Filter />
        <span className="spring" />
        {page !== undefined && page.entries.length > 0 && <TakeAway page={page} />}
      </div>
      <ShownAsOf asked={newest} />
      {page === undefined && newest.failure !== undefined && (
        <Failure failure={newest.failure} what="The audit" onRetry={refresh} />
      )}
      {page !== undefined && (
        <section className={newest.previous ? "card flush previous" : "card flush"} aria-label="Audit">
          <ol className="audit">
            {page.entries.map((entry) => (
              <Line key={entry.id} entry={entry} />
            ))}
          </ol>
          <p className="more-rows" role="status">
            <span className="muted">{countOf(page)}</span>
            {page.next !== null && (
              <button type="button" className="button small" onClick={() => void readOlder()}>
                Show older
              </button>
            )}
            {failure !== undefined && <span className="problem">{legible(failure.message, 200)}</span>}
          </p>
        </section>
      )}
    </>
  )
}

const countOf = ({ entries, next }: Page): string => {
  if (entries.length === 0) return "Nothing matches."
  const count = entries.length === 1 ? "1 entry" : `${entries.length} entries`
  return next === null ? `${count}: that is all.` : `The newest ${count} are shown. There are older ones.`
}

const Line = ({ entry }: { readonly entry: Entry }) => {
  const { more, parts } = sentenceOf(entry)
  return (
    <li>
      <span className="audit-when">
        <When at={entry.at} />
      </span>
      <span className="audit-what">
        <span className="sentence">
          {parts.map((part, at) =>
            // biome-ignore lint/suspicious/noArrayIndexKey: the parts of a sentence have places, and no names.
            typeof part === "string" ? <span key={at}>{part}</span> : <Name key={at} value={part.name} />
          )}
        </span>
        {more !== "" && <span className="muted small">{legible(more, DETAIL_MAX)}</span>}
      </span>
    </li>
  )
}

const Filter = () => {
  const { query, set } = usePlace()
  const what = query.get("what") ?? ""
  const change = (name: string) => (event: { readonly target: { readonly value: string } }) =>
    set({ [name]: event.target.value || undefined }, true)
  return (
    <fieldset className="filter">
      <legend className="visually-hidden">Which entries</legend>
      <label className="search">
        <span className="visually-hidden">Who: a part of a name or address</span>
        <input
          type="search"
          placeholder="Who, or from where"
          maxLength={200}
          value={query.get("who") ?? ""}
          onChange={change("who")}
        />
        <span className="key" aria-hidden="true">
          /
        </span>
      </label>
      <select aria-label="What" value={what} onChange={change("what")}>
        <option value="">Everything</option>
        {Object.entries(KINDS).map(([key, label]) => (
          <option key={key} value={key}>
            {label}
          </option>
        ))}
        {what !== "" && !Object.hasOwn(KINDS, what) && <option value={what}>{legible(what, 40)}</option>}
      </select>
      <label>
        From <input type="date" value={query.get("from") ?? ""} onChange={change("from")} />
      </label>
      <label>
        to <input type="date" value={query.get("to") ?? ""} onChange={change("to")} />
      </label>
    </fieldset>
  )
}

const TakeAway = ({ page }: { readonly page: Page }) => {
  const [said, tell] = useSaid()
  return (
    <>
      <span className="muted" role="status">
        {said}
      </span>
      <button
        type="button"
        className="button"
        onClick={() =>
          void copyText(markdownOf(page, linkWith({}))).then((worked) =>
            tell(worked ? "Copied" : "This browser does not let the page copy")
          )
        }
      >
        Copy as Markdown
      </button>
      <button
        type="button"
        className="button"
        onClick={() => {
          download("audit.csv", new Blob([csvOf(page)], { type: "text/csv;charset=utf-8" }))
          tell("Saved")
        }}
      >
        Save as CSV
      </button>
    </>
  )
}
