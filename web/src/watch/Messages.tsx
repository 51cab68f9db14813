/** Who was told of what: the latest messages, those that wait or could not be sent, and a test of each receiver. */
import { useState } from "react"
import { type Answer, ask } from "../ask/Api.ts"
import { useAsk, useHeart, useNow } from "../ask/Refresh.tsx"
import { useMay } from "../ask/WhoContext.ts"
import { Failure, ShownAsOf } from "../parts/Failure.tsx"
import { ago, duration, moment } from "../parts/Format.ts"
import { legible } from "../parts/Legible.ts"
import { Name } from "../parts/Name.tsx"

type Answered = Answer<"notifications.list">
type Message = Answered["notifications"][number]
type Receiver = Answered["receivers"][number]

const PAGE = 50

export const Messages = () => {
  const { refresh } = useHeart()
  const asked = useAsk("notifications.list", { limit: PAGE })
  const { failure, loading, value } = asked
  const messages = value?.notifications ?? []
  const dead = messages.filter(({ state }) => state === "dead")
  return (
    <>
      <ShownAsOf asked={asked} />
      {failure !== undefined && value === undefined && <Failure failure={failure} what="Messages" onRetry={refresh} />}
      {loading && <div className="card skeleton tall" role="status" aria-label="Loading" />}
      {value?.problems.map((problem) => (
        <p key={problem} className="banner silent rules-problem" role="status">
          {legible(problem, 500)}
        </p>
      ))}
      {value !== undefined && (
        <>
          <Receivers receivers={value.receivers} />
          {dead.length > 0 && <Listed title="Could not be sent" messages={dead} />}
          <Listed
            title="Messages"
            messages={messages.filter(({ state }) => state !== "dead")}
            isCut={value.next !== null}
          />
        </>
      )}
    </>
  )
}

const Receivers = ({ receivers }: { readonly receivers: ReadonlyArray<Receiver> }) => (
  <section className="card flush watch-list" aria-labelledby="receivers">
    <div className="list-head">
      <h2 id="receivers">Receivers</h2>
      <span className="muted">{receivers.length}</span>
    </div>
    {receivers.length === 0 ? (
      <p className="nothing muted">
        Nobody is told yet. Receivers and who is told of what are in <code>notify.yml</code> on the server.
      </p>
    ) : (
      <ul>
        {receivers.map((receiver) => (
          <ReceiverRow key={receiver.name} receiver={receiver} />
        ))}
      </ul>
    )}
  </section>
)

const ReceiverRow = ({ receiver: { kind, name } }: { readonly receiver: Receiver }) => {
  const mayTest = useMay("operator")
  const { refresh } = useHeart()
  const [state, setState] = useState<{ readonly busy?: boolean; readonly said?: string; readonly failed?: string }>({})
  const test = async () => {
    setState({ busy: true })
    try {
      const { error, sent } = await ask("notifications.test", {}, { body: { receiver: name } })
      setState(sent ? { said: "It got there." } : { failed: error ?? "It did not get there." })
      refresh()
    } catch (error) {
      setState({ failed: error instanceof Error ? error.message : String(error) })
    }
  }
  return (
    <li className="receiver-row">
      <div className="alert-what">
        <b>
          <Name value={name} />
        </b>{" "}
        <span className="muted">{kind}</span>
        <p role="status" className="sub">
          {state.busy === true ? "Sending…" : (state.said ?? "")}
        </p>
        <p className="problem" role="alert">
          {state.failed === undefined ? "" : legible(state.failed, 400)}
        </p>
      </div>
      {mayTest && (
        <button
          type="button"
          className="button small"
          disabled={state.busy === true}
          aria-label={`Test ${legible(name, 60)}`}
          onClick={() => void test()}
        >
          Send a test
        </button>
      )}
    </li>
  )
}

const Listed = ({
  isCut = false,
  messages,
  title
}: {
  readonly title: string
  readonly messages: ReadonlyArray<Message>
  readonly isCut?: boolean
}) => (
  <section className="card flush watch-list" aria-label={title}>
    <div className="list-head">
      <h2>{title}</h2>
      <span className="muted">{isCut ? `the latest ${messages.length}` : messages.length}</span>
    </div>
    {messages.length === 0 && <p className="nothing muted">Nothing was sent in the last 30 days.</p>}
    <ul>
      {messages.map((message) => (
        <MessageRow key={message.notification_id} message={message} />
      ))}
    </ul>
  </section>
)

const BADGES = { waiting: "stale", sending: "stale", sent: "live", dead: "silent" } as const

const MessageRow = ({ message }: { readonly message: Message }) => {
  const now = useNow()
  const { attempts, created_at, due_at, error, receiver, route, sent_at, state, title } = message
  const created = Date.parse(created_at)
  return (
    <li className="message-row">
      <span className={`badge ${BADGES[state]}`}>{state}</span>
      <div className="alert-what">
        <b>{legible(title, 200)}</b>
        <p className="sub">
          to <Name value={receiver} /> · route <Name value={route} />
          {attempts > 1 && ` · tried ${attempts} times`}
        </p>
        {error !== null && <p className="problem">{legible(error, 400)}</p>}
      </div>
      <p className="num" title={new Date(created).toLocaleString()}>
        {ago(created, now)}
        <span className="sub">
          {sent_at !== null
            ? `took ${duration((Date.parse(sent_at) - created) / 1000)}`
            : due_at !== null && state === "waiting"
              ? `next at ${moment(Date.parse(due_at), now, true)}`
              : moment(created, now)}
        </span>
      </p>
    </li>
  )
}
