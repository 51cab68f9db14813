/**
 * NodePulse's own inside: the live supervision tree with every stage's rates, depths against bounds, restarts and last
 * errors, and what could not be stored.
 *
 * The tree's shape is the engine's: what is not where it is expected is left out, not guessed.
 */
import { Failure } from "./Failure.tsx"
import { ago, duration, moment, number, percent } from "./Format.ts"
import { legible, Name } from "./Name.tsx"
import { useAsk, useHeart, useNow } from "./Refresh.tsx"
import { Scroller } from "./Scroller.tsx"
import { usePlace } from "./Url.ts"

interface Mailbox {
  readonly depth: number
  readonly capacity: number
  readonly highWater: number
}
interface Stage {
  readonly stage: string
  readonly received: number
  readonly passed: number
  readonly rejected: number
  readonly kept: number
  readonly inHand: number
  readonly retries: number
  readonly lastError: { readonly at: number; readonly reason: string } | null
  readonly mailbox: Mailbox | null
  /** Over the last minute; null at the very start. */
  readonly perSecond?: { readonly passed: number; readonly overSeconds: number } | null
}
interface Child {
  readonly name: string
  readonly state: string
  readonly since: number
  readonly restarts: number
  readonly lastError: { readonly at?: number; readonly reason?: string; readonly message?: string } | string | null
  readonly retryAt: number | null
  readonly tree: Tree | null
}
interface Tree {
  readonly name: string
  readonly bounds?: Readonly<Record<string, number>>
  readonly books?: Readonly<Record<string, number>>
  readonly stages?: ReadonlyArray<Stage>
  readonly children?: ReadonlyArray<Child>
}

const isTree = (value: unknown): value is Tree => typeof value === "object" && value !== null && "name" in value

export const PipelinePage = () => {
  const { at, failure, value } = useAsk("pipeline.snapshot", {})
  const { refresh } = useHeart()
  const now = useNow()
  if (!isTree(value)) {
    return failure === undefined ? (
      <div className="card skeleton tall" role="status" aria-label="Loading" />
    ) : (
      <Failure failure={failure} what="The pipeline" onRetry={refresh} />
    )
  }
  return (
    <>
      <div className="page-head">
        <h1>Pipeline</h1>
        <p className="muted">How rows come from agents into the database, right now.</p>
      </div>
      {failure !== undefined && at !== undefined && (
        <p className="banner" role="status">
          Shown as of {moment(at, now, true)}: {failure.message || failure.title}
        </p>
      )}
      <Flow tree={value} />
      <div className="two-columns">
        <section className="card flush tree" aria-label="Supervision tree">
          <h2>Supervision tree</h2>
          <ul className="branches">
            <Branch
              child={{
                name: value.name,
                state: "running",
                since: 0,
                restarts: 0,
                lastError: null,
                retryAt: null,
                tree: value
              }}
              root
            />
          </ul>
        </section>
        <DeadLetters />
      </div>
    </>
  )
}

const pipelinesOf = (tree: Tree): ReadonlyArray<Tree> => [
  ...(tree.stages === undefined ? [] : [tree]),
  ...(tree.children ?? []).flatMap((child) => (child.tree === null ? [] : pipelinesOf(child.tree)))
]

const Flow = ({ tree }: { readonly tree: Tree }) => (
  <>
    {pipelinesOf(tree).map((pipeline) => (
      <PipelineFlow key={pipeline.name} pipeline={pipeline} />
    ))}
  </>
)

const PipelineFlow = ({ pipeline }: { readonly pipeline: Tree }) => {
  const now = useNow()
  const books = pipeline.books ?? {}
  return (
    <section className="card flush" aria-label={`Pipeline ${pipeline.name}`}>
      <div className="flow-head">
        <h2>{pipeline.name}</h2>
        <dl className="facts">
          {Object.entries(books).map(([name, count]) => (
            <div key={name}>
              <dt>{WORDS[name] ?? name}</dt>
              <dd>{number(count)}</dd>
            </div>
          ))}
        </dl>
      </div>
      <Scroller label={`Stages of ${pipeline.name}`}>
        <table className="stages">
          <thead>
            <tr>
              <th scope="col">Stage</th>
              <th scope="col" className="num">
                Passed
              </th>
              <th scope="col" className="num">
                Per second
              </th>
              <th scope="col" className="num">
                In hand
              </th>
              <th scope="col">Mailbox</th>
              <th scope="col" className="num">
                Rejected
              </th>
              <th scope="col" className="num">
                Kept
              </th>
              <th scope="col" className="num">
                Retries
              </th>
              <th scope="col">Last error</th>
            </tr>
          </thead>
          <tbody>
            {(pipeline.stages ?? []).map((stage) => (
              <tr key={stage.stage}>
                <th scope="row">{stage.stage}</th>
                <td className="num">{number(stage.passed)}</td>
                <td className="num">
                  {stage.perSecond == null ? (
                    "…"
                  ) : (
                    <span title={`Over the last ${duration(stage.perSecond.overSeconds)}`}>
                      {number(stage.perSecond.passed)}
                    </span>
                  )}
                </td>
                <td className="num">{number(stage.inHand)}</td>
                <td>{stage.mailbox === null ? <span className="muted">–</span> : <Depth mailbox={stage.mailbox} />}</td>
                <td className={stage.rejected > 0 ? "num bad" : "num"}>{number(stage.rejected)}</td>
                <td className="num">{number(stage.kept)}</td>
                <td className={stage.retries > 0 ? "num warm" : "num"}>{number(stage.retries)}</td>
                <td className="error">
                  {stage.lastError === null ? (
                    <span className="muted">none</span>
                  ) : (
                    <>
                      {legible(stage.lastError.reason, 160)}{" "}
                      <span className="muted">({ago(stage.lastError.at, now)})</span>
                    </>
                  )}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </Scroller>
    </section>
  )
}

const WORDS: Readonly<Record<string, string>> = {
  inFlight: "In flight",
  received: "Received",
  accepted: "Accepted",
  rejected: "Rejected",
  kept: "Kept"
}

/** How full a mailbox is, and was at most. */
const Depth = ({ mailbox }: { readonly mailbox: Mailbox }) => {
  const part = mailbox.capacity === 0 ? 0 : mailbox.depth / mailbox.capacity
  const high = mailbox.capacity === 0 ? 0 : mailbox.highWater / mailbox.capacity
  const text = `${number(mailbox.depth)} of ${number(mailbox.capacity)}`
  return (
    <span className="depth" title={`At most ${number(mailbox.highWater)} so far (${percent(high * 100)} %)`}>
      <svg
        className={`meter-bar ${part > 0.9 ? "tight" : part > 0.6 ? "warm" : ""}`}
        role="img"
        aria-label={`Depth ${text}`}
        preserveAspectRatio="none"
        viewBox="0 0 100 4"
      >
        <rect className="meter-all" width="100" height="4" />
        <rect className="meter-high" width={Math.min(1, high) * 100} height="4" />
        <rect className="meter-part" width={Math.min(1, part) * 100} height="4" />
      </svg>
      {text}
    </span>
  )
}

const errorOf = (error: Child["lastError"]): { readonly text: string; readonly at: number | undefined } | undefined => {
  if (error === null || error === undefined) return undefined
  if (typeof error === "string") return { text: error, at: undefined }
  return { text: error.reason ?? error.message ?? JSON.stringify(error), at: error.at }
}

const Branch = ({ child, root = false }: { readonly child: Child; readonly root?: boolean }) => {
  const now = useNow()
  const error = errorOf(child.lastError)
  const children = child.tree?.children ?? []
  const well = child.state === "running"
  return (
    <li>
      <div className="branch">
        <span
          className={`dot ${well ? "well" : child.state === "completed" || child.state === "done" ? "over" : "ill"}`}
          aria-hidden="true"
        />
        <span className="branch-name">{child.name}</span>
        <span className="muted">
          {child.state}
          {!root && child.since > 0 ? ` for ${duration((now - child.since) / 1000)}` : ""}
        </span>
        {child.restarts > 0 && (
          <span className="restarts">{child.restarts === 1 ? "1 restart" : `${child.restarts} restarts`}</span>
        )}
        {child.retryAt !== null && child.retryAt > now && (
          <span className="muted">next try in {duration((child.retryAt - now) / 1000)}</span>
        )}
        {error !== undefined && (
          <span className="branch-error">
            {legible(error.text, 200)}
            {error.at === undefined ? "" : ` (${ago(error.at, now)})`}
          </span>
        )}
      </div>
      {children.length > 0 && (
        <ul>
          {children.map((below) => (
            <Branch key={below.name} child={below} />
          ))}
        </ul>
      )}
    </li>
  )
}

const PER_PAGE = 50

const DeadLetters = () => {
  const { query, set } = usePlace()
  const now = useNow()
  const before = query.get("before") ?? undefined
  const { failure, value } = useAsk("deadLetters.list", { limit: PER_PAGE, before })
  return (
    <section className="card flush" aria-label="Dead letters">
      <div className="flow-head">
        <h2>Dead letters</h2>
        <p className="muted">
          {value === undefined
            ? ""
            : value.total === 0
              ? "none: everything that was taken in could be stored"
              : `${number(value.total)} rows that could not be stored, newest first`}
        </p>
      </div>
      {value === undefined && failure !== undefined && <Failure failure={failure} what="Dead letters" />}
      {value !== undefined && value.dead_letters.length > 0 && (
        <Scroller label="Dead letters">
          <table className="dead">
            <thead>
              <tr>
                <th scope="col">When</th>
                <th scope="col">Server</th>
                <th scope="col">Exporter</th>
                <th scope="col">Reason</th>
                <th scope="col">Payload</th>
              </tr>
            </thead>
            <tbody>
              {value.dead_letters.map((letter) => (
                <tr key={letter.id}>
                  <td title={letter.created_at}>{ago(Date.parse(letter.created_at), now)}</td>
                  <td>
                    <Name value={letter.server_id} />
                  </td>
                  <td>
                    <Name value={letter.exporter} />
                  </td>
                  <td className="error">{legible(letter.reason, 300)}</td>
                  <td>
                    <code className="payload" title={legible(letter.payload, 2_000)}>
                      {legible(letter.payload, 120)}
                    </code>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </Scroller>
      )}
      {value !== undefined && (value.next !== null || before !== undefined) && (
        <p className="pager">
          {before !== undefined && (
            <button type="button" className="button small" onClick={() => set({ before: undefined })}>
              Newest
            </button>
          )}
          {value.next !== null && (
            <button type="button" className="button small" onClick={() => set({ before: value.next ?? undefined })}>
              Older
            </button>
          )}
        </p>
      )}
    </section>
  )
}
