/**
 * NodePulse's own inside: whether it can do its work, the live supervision tree with every stage's rates, depths against
 * bounds, restarts and last errors, and what could not be stored.
 */
import type { ChildState, PipelineChild, PipelineStage, PipelineTree } from "../../../src/http/api/PipelineAnswer.ts"
import type { Answer } from "../ask/Api.ts"
import { useAsk, useHeart, useNow } from "../ask/Refresh.tsx"
import { usePlace } from "../ask/Url.ts"
import { Failure, ShownAsOf } from "../parts/Failure.tsx"
import { ago, bytes, duration, inUnit, number, percent } from "../parts/Format.ts"
import { legible } from "../parts/Legible.ts"
import { Name } from "../parts/Name.tsx"
import { Table } from "../parts/Table.tsx"
import { type Fact, Facts } from "./Facts.tsx"
import { Streams } from "./Streams.tsx"

export const PipelinePage = () => {
  const asked = useAsk("pipeline.snapshot", {})
  const readiness = useAsk("pipeline.readiness", {}, { aside: true })
  const { failure, value } = asked
  const { refresh } = useHeart()
  // Both at once: what comes later would push the rest down.
  if (value === undefined || (readiness.value === undefined && readiness.failure === undefined)) {
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
        <p className="muted">How rows get from the agents into the database, right now.</p>
      </div>
      <ShownAsOf asked={asked} />
      <Checks readiness={readiness.value} />
      <Answering answer={value} />
      <Flow tree={value} />
      <Streams streams={value.streams} />
      <Alerts alerts={value.alerts} />
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

/** What `/readyz` says, part by part. */
const Checks = ({ readiness: value }: { readonly readiness: Answer<"pipeline.readiness"> | undefined }) => {
  if (value === undefined) return <div className="card checks" />
  return (
    <section className="card checks" aria-label="Readiness">
      <h2>{value.ready ? "Ready" : "Not ready"}</h2>
      <ul>
        {value.checks.map(({ name, ready, reason }) => (
          <li key={name}>
            <span className={`dot ${ready ? "well" : "ill"}`} aria-hidden="true" />
            <b>{name}</b>{" "}
            {ready ? (
              <span className="muted">{reason === null ? "works" : legible(reason)}</span>
            ) : (
              <span className="branch-error">{legible(reason ?? "")}</span>
            )}
          </li>
        ))}
      </ul>
    </section>
  )
}

/** Which process this is all of, where it is not the only one; and how far the replica is behind that it reads from. */
const Answering = ({ answer: { process, replica } }: { readonly answer: Answer<"pipeline.snapshot"> }) => {
  const { host, pid, roles } = process
  const isWhole = roles.length === ALL_ROLES
  if (isWhole && replica === null) return null
  return (
    <p className="muted" role="note">
      {!isWhole && (
        <>
          Process {pid} on {legible(host)} answers, with the role {roles.join(" and ")}: what is counted below is its
          own. {!roles.includes("digest") && "Other processes store rows and ask rules. "}
        </>
      )}
      {replica?.isUsed === true && `Questions are read from a replica, ${duration(replica.lagSeconds ?? 0)} behind.`}
      {replica?.isUsed === false &&
        `The database answers, since the replica ${legible(replica.reason ?? "is not used")}.`}
    </p>
  )
}

const ALL_ROLES = 3

const pipelinesOf = (tree: PipelineTree): ReadonlyArray<PipelineTree> => [
  ...(tree.stages === undefined ? [] : [tree]),
  ...tree.children.flatMap((child) => (child.tree === null ? [] : pipelinesOf(child.tree)))
]

const Flow = ({ tree }: { readonly tree: PipelineTree }) => (
  <>
    {pipelinesOf(tree).map((pipeline) => (
      <PipelineFlow key={pipeline.name} pipeline={pipeline} />
    ))}
  </>
)

const PipelineFlow = ({ pipeline }: { readonly pipeline: PipelineTree }) => {
  const now = useNow()
  return (
    <section className="card flush" aria-label={`Pipeline ${pipeline.name}`}>
      <Facts
        of={pipeline.name}
        facts={BOOKS.flatMap(([name, word]) =>
          pipeline.books === undefined ? [] : [[word, number(pipeline.books[name])]]
        )}
      />
      <Table
        label={`Stages of ${pipeline.name}`}
        className="stages"
        columns={{
          Stage: "text",
          Passed: "num",
          "Per second": "num",
          "In flight": "num",
          Mailbox: "text",
          Rejected: "num",
          Kept: "num",
          Retries: "num",
          "Last error": "text"
        }}
      >
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
                  {legible(stage.lastError.reason, 160)} <span className="muted">({ago(stage.lastError.at, now)})</span>
                </>
              )}
            </td>
          </tr>
        ))}
      </Table>
    </section>
  )
}

const BOOKS: ReadonlyArray<readonly [keyof NonNullable<PipelineTree["books"]>, string]> = [
  ["received", "Received"],
  ["accepted", "Accepted"],
  ["rejected", "Rejected"],
  ["kept", "Kept"],
  ["inFlight", "In flight"]
]

/** Whether rules are asked in time, and people told. */
const Alerts = ({ alerts }: { readonly alerts: Answer<"pipeline.snapshot">["alerts"] }) => (
  <section className="card flush" aria-label="Alerts">
    <Facts of="alerts" facts={alerts === null ? undefined : factsOf(alerts)}>
      {alerts === null && <p className="muted">The database does not tell in time how they do.</p>}
    </Facts>
  </section>
)

/** Rules are asked every 15 s, some seconds after the moment. */
const BEHIND_MAX_SECONDS = 60

const factsOf = ({ asking, delivery }: NonNullable<Answer<"pipeline.snapshot">["alerts"]>): ReadonlyArray<Fact> => {
  const { behindSeconds: behind, firing, pass } = asking
  const { dead, oldestSeconds: oldest, waiting } = delivery
  return [
    ["Rules asked", behind === null ? "not yet" : `${duration(behind)} ago`, (behind ?? 0) > BEHIND_MAX_SECONDS],
    ...(pass === null
      ? []
      : [
          ["Took", inUnit(pass.seconds, "seconds")] as const,
          ["Moments", number(pass.moments), pass.moments > 1] as const,
          ["Rules", number(pass.rules)] as const,
          ["Servers", number(pass.watches)] as const,
          ["Memory", bytes(pass.bytes)] as const
        ]),
    ["Fire", number(firing)],
    ["Messages waiting", oldest === null ? number(waiting) : `${number(waiting)}, for ${duration(oldest)}`],
    ["Given up", number(dead), dead > 0]
  ]
}

/** How full a mailbox is, and was at most. */
const Depth = ({ mailbox }: { readonly mailbox: NonNullable<PipelineStage["mailbox"]> }) => {
  const part = mailbox.capacity === 0 ? 0 : mailbox.depth / mailbox.capacity
  const high = mailbox.capacity === 0 ? 0 : mailbox.highWater / mailbox.capacity
  const amount = mailbox.unit === "bytes" ? bytes : number
  const text = `${amount(mailbox.depth)} of ${amount(mailbox.capacity)}`
  return (
    <span className="depth" title={`At most ${amount(mailbox.highWater)} so far (${percent(high * 100)} %)`}>
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

const SIGNS: Readonly<Record<ChildState, "well" | "ill" | "over">> = {
  starting: "over",
  running: "well",
  waiting: "ill",
  finished: "over",
  stopped: "over",
  failed: "ill"
}

const Branch = ({ child, root = false }: { readonly child: PipelineChild; readonly root?: boolean }) => {
  const now = useNow()
  const { lastError: error, retryAt } = child
  const children = child.tree?.children ?? []
  return (
    <li>
      <div className="branch">
        <span className={`dot ${SIGNS[child.state]}`} aria-hidden="true" />
        <span className="branch-name">{child.name}</span>
        <span className="muted">
          {child.state}
          {!root && child.since > 0 ? ` for ${duration((now - child.since) / 1000)}` : ""}
        </span>
        {child.restarts > 0 && (
          <span className="restarts">{child.restarts === 1 ? "1 restart" : `${child.restarts} restarts`}</span>
        )}
        {retryAt !== null && retryAt > now && (
          <span className="muted">next try in {duration((retryAt - now) / 1000)}</span>
        )}
        {error !== null && (
          <span className="branch-error">
            {legible(error.reason, 200)} ({ago(error.at, now)})
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
      <Facts of="Dead letters">
        <p className="muted">
          {value === undefined
            ? ""
            : value.total === 0
              ? "none: everything that was received could be stored"
              : `${number(value.total)} rows that could not be stored, newest first`}
        </p>
      </Facts>
      {value === undefined && failure !== undefined && <Failure failure={failure} what="Dead letters" />}
      {value !== undefined && value.dead_letters.length > 0 && (
        <Table
          label="Rows that could not be stored"
          className="dead"
          columns={{ When: "text", Server: "text", Exporter: "text", Reason: "text", Payload: "text" }}
        >
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
        </Table>
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
