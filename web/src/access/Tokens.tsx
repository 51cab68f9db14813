/**
 * All tokens: what each is for, who made it, when it ends and when it was used last; making, rotating and revoking them. An
 * operator changes those of machines only.
 *
 * A last use is told to within five minutes, so the list is asked for as often. Bound: {@link STEP} rows, and as many more with
 * each press.
 */
import { useState } from "react"
import { type Answer, ask } from "../ask/Api.ts"
import { useAsk, useNow } from "../ask/Refresh.tsx"
import { serverPath, usePlace } from "../ask/Url.ts"
import { useMay } from "../ask/WhoContext.ts"
import { Dialog } from "../parts/Dialog.tsx"
import { Failure, ShownAsOf } from "../parts/Failure.tsx"
import { ago, moment } from "../parts/Format.ts"
import { Link } from "../parts/Link.tsx"
import { Name } from "../parts/Name.tsx"
import { Scroller } from "../parts/Scroller.tsx"
import { Choice, Confirm, FormEnd, useSending } from "./Field.tsx"
import { Made } from "./Made.tsx"
import { NewToken } from "./NewToken.tsx"
import { KIND_WORDS, LIVES, type Token } from "./Words.ts"

const EVERY_BEATS = 20
const STEP = 100

type Doing = { readonly what: "new" } | { readonly what: "rotate" | "revoke"; readonly token: Token }

export const Tokens = () => {
  const [again, setAgain] = useState(0)
  const [doing, setDoing] = useState<Doing>()
  const asked = useAsk("tokens.list", {}, { everyBeats: EVERY_BEATS, again })
  const changed = () => setAgain((now) => now + 1)
  const close = () => setDoing(undefined)
  return (
    <>
      <ShownAsOf asked={asked} />
      {asked.value === undefined && asked.failure !== undefined && (
        <Failure failure={asked.failure} what="Tokens" onRetry={changed} />
      )}
      {asked.value !== undefined && <Lists all={asked.value.tokens} onDo={setDoing} />}
      {doing?.what === "new" && <NewToken onClose={close} onMade={changed} />}
      {doing?.what === "rotate" && <Rotate token={doing.token} onClose={close} onMade={changed} />}
      {doing?.what === "revoke" && (
        <Confirm
          title={`Revoke ${doing.token.prefix}…?`}
          action="Revoke"
          onClose={close}
          onConfirm={async () => {
            await ask("tokens.revoke", { id: doing.token.token_id })
            changed()
          }}
        >
          <p>{afterRevoking(doing.token)} It takes at most five seconds to hold everywhere, and cannot be undone.</p>
        </Confirm>
      )}
    </>
  )
}

const afterRevoking = ({ kind, server_id }: Token): string => {
  if (kind === "agent") return `The agent of ${server_id} sends nothing any more, until it is given another token.`
  if (kind === "enrolment") return "No machine is taken in with it any more; those that were stay."
  return "Whoever uses it is refused, and the sessions that were opened with it end."
}

/** Until when a token that is over is told apart from one that is good; null: it is good. */
const overOf = (token: Token, now: number): string | null => {
  if (token.revoked_at !== null) return "revoked"
  if (token.expires_at !== null && Date.parse(token.expires_at) <= now) return "expired"
  return token.uses_left === 0 ? "used up" : null
}

const Lists = ({ all, onDo }: { readonly all: ReadonlyArray<Token>; readonly onDo: (doing: Doing) => void }) => {
  const now = useNow()
  const { query, set } = usePlace()
  const search = query.get("q") ?? ""
  const wanted = search.toLowerCase()
  const found = all
    .filter((token) =>
      [token.prefix, token.kind, token.server_id ?? "", token.note, token.created_by].some((text) =>
        text.toLowerCase().includes(wanted)
      )
    )
    .toReversed()
  const good = found.filter((token) => overOf(token, now) === null)
  const over = found.filter((token) => overOf(token, now) !== null)
  const enrolment = good.filter(({ kind }) => kind === "enrolment")
  const others = good.filter(({ kind }) => kind !== "enrolment")
  const showsOver = query.get("over") !== null
  return (
    <>
      <div className="toolbar">
        <label className="search">
          <span className="visually-hidden">Search tokens</span>
          <input
            type="search"
            placeholder="Search tokens"
            value={search}
            onChange={(event) => set({ q: event.target.value || undefined }, true)}
          />
          <span className="key" aria-hidden="true">
            /
          </span>
        </label>
        <span className="spring" />
        <button type="button" className="button primary" onClick={() => onDo({ what: "new" })}>
          Make a token
        </button>
      </div>
      <List title="Tokens" tokens={others} onDo={onDo} none={search === "" ? "There are none." : "No token matches."} />
      {enrolment.length > 0 && <List title="Enrolment tokens" tokens={enrolment} onDo={onDo} enrolment none="" />}
      {over.length > 0 && (
        <p className="over">
          <button
            type="button"
            className="link"
            aria-expanded={showsOver}
            onClick={() => set({ over: showsOver ? undefined : "" }, true)}
          >
            {showsOver ? "Hide" : "Show"} {over.length} that {over.length === 1 ? "is" : "are"} over
          </button>
        </p>
      )}
      {showsOver && over.length > 0 && <List title="Revoked, expired or used up" tokens={over} onDo={onDo} none="" />}
    </>
  )
}

interface ListProps {
  readonly title: string
  readonly tokens: ReadonlyArray<Token>
  readonly none: string
  readonly enrolment?: boolean
  readonly onDo: (doing: Doing) => void
}

const List = ({ enrolment = false, none, onDo, title, tokens }: ListProps) => {
  const [most, setMost] = useState(STEP)
  const more = tokens.length - most
  return (
    <div className="card flush">
      <div className="list-head">
        <h2>{title}</h2>
        <p className="muted">{tokens.length === 0 ? none : tokens.length}</p>
      </div>
      {tokens.length > 0 && (
        <Scroller label={title}>
          <table className="listed">
            <thead>
              <tr>
                <th scope="col">Token</th>
                <th scope="col">For</th>
                <th scope="col">Made</th>
                {enrolment && <th scope="col">Takes in</th>}
                <th scope="col">Ends</th>
                <th scope="col">Last used</th>
                <th scope="col">
                  <span className="visually-hidden">What to do</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {tokens.slice(0, most).map((token) => (
                <Row key={token.token_id} token={token} enrolment={enrolment} onDo={onDo} />
              ))}
            </tbody>
          </table>
        </Scroller>
      )}
      {more > 0 && (
        <p className="more-rows">
          <button type="button" className="button small" onClick={() => setMost(most + STEP)}>
            Show {Math.min(STEP, more)} of {more} more
          </button>
        </p>
      )}
    </div>
  )
}

const Row = ({
  enrolment,
  onDo,
  token
}: {
  readonly token: Token
  readonly enrolment: boolean
  readonly onDo: (doing: Doing) => void
}) => {
  const now = useNow()
  const over = overOf(token, now)
  return (
    <tr>
      <th scope="row">
        <span className="two-lines">
          <code>{token.prefix}…</code>
          {token.note !== "" && (
            <span className="sub">
              <Name value={token.note} />
            </span>
          )}
        </span>
      </th>
      <td data-label="For">
        <span className="two-lines">
          {KIND_WORDS[token.kind]}
          {token.server_id !== null && (
            <Link className="sub" href={serverPath(token.server_id)}>
              <Name value={token.server_id} />
            </Link>
          )}
        </span>
      </td>
      <td data-label="Made">
        <span className="two-lines">
          <When at={token.created_at} />
          <span className="sub">
            by <Name value={token.created_by} />
          </span>
        </span>
      </td>
      {enrolment && (
        <td data-label="Takes in">
          <span className="two-lines">
            {token.uses_left} more
            <span className="sub">{token.networks.length === 0 ? "from anywhere" : token.networks.join(", ")}</span>
          </span>
        </td>
      )}
      <td data-label="Ends">
        {over !== null ? (
          <span className="badge silent">{over}</span>
        ) : token.expires_at === null ? (
          <span className="muted">never</span>
        ) : (
          <When at={token.expires_at} />
        )}
      </td>
      <td data-label="Last used">
        {token.last_used_at === null ? <span className="muted">never</span> : <When at={token.last_used_at} />}
      </td>
      <td className="row-actions">{over === null && <Actions token={token} onDo={onDo} />}</td>
    </tr>
  )
}

/** What whoever looks may do with a token that is good. */
const Actions = ({ onDo, token }: { readonly token: Token; readonly onDo: (doing: Doing) => void }) => {
  const may = useMay(token.kind === "agent" || token.kind === "enrolment" ? "operator" : "admin")
  if (!may) return null
  return (
    <>
      {token.kind !== "enrolment" && (
        <button type="button" className="button small" onClick={() => onDo({ what: "rotate", token })}>
          Rotate<span className="visually-hidden"> {token.prefix}</span>
        </button>
      )}
      <button type="button" className="button small" onClick={() => onDo({ what: "revoke", token })}>
        Revoke<span className="visually-hidden"> {token.prefix}</span>
      </button>
    </>
  )
}

/** A moment near or far, as "3 min ago" or as a date, with the whole of it behind the pointer. */
export const When = ({ at }: { readonly at: string }) => {
  const now = useNow()
  const time = Date.parse(at)
  const near = time <= now && now - time < 86_400_000
  return (
    <time dateTime={at} title={at}>
      {near ? ago(time, now) : moment(time, now)}
    </time>
  )
}

const Rotate = ({
  onClose,
  onMade,
  token
}: {
  readonly token: Token
  readonly onClose: () => void
  readonly onMade: () => void
}) => {
  const [overlap, setOverlap] = useState("86400")
  const [made, setMade] = useState<Answer<"tokens.rotate">>()
  const { busy, failure, onSubmit } = useSending(async () => {
    setMade(await ask("tokens.rotate", { id: token.token_id }, { body: { overlap_seconds: Number(overlap) } }))
    onMade()
  })
  return (
    <Dialog title={made === undefined ? `Rotate ${token.prefix}…` : `Token ${made.prefix}…`} onClose={onClose}>
      {made === undefined ? (
        <form className="fields" onSubmit={onSubmit}>
          <p>A new token takes its place. Both are good for a while, so that nothing is lost while you change over.</p>
          <Choice
            label="The old one is good for"
            value={overlap}
            options={[
              ["0", "No longer"],
              ...LIVES.slice(0, 4).map(([seconds, text]) => [String(seconds), text] as const)
            ]}
            onChange={setOverlap}
          />
          <FormEnd failure={failure} disabled={busy}>
            Rotate
          </FormEnd>
        </form>
      ) : (
        <Made made={made} />
      )}
    </Dialog>
  )
}
