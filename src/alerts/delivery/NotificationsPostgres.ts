/** Notifications over PostgreSQL: plans, sends and lists them. What is stored is in `IncidentsPostgres.ts` and `OutboxPostgres.ts`. */
import { createHash, randomUUID } from "node:crypto"
import { PgClient, PgTypes } from "@effect/sql-pg"
import { Clock, Duration, Effect, Layer, Option, Schedule } from "effect"
import { record } from "../../access/AuditPostgres.ts"
import type { Registry } from "../../plugins/Registry.ts"
import { answering } from "../../sinks/postgres/Database.ts"
import { micros } from "../../sinks/postgres/Moments.ts"
import type { DatabaseUnavailable } from "../../sinks/storage/DatabaseUnavailable.ts"
import { Rulebook } from "../Rulebook.ts"
import type { Silences } from "../silences/Silences.ts"
import { AlertStories, type AlertStory } from "../story/Story.ts"
import { storyText } from "../story/StoryText.ts"
import { deliver } from "./Deliver.ts"
import type { NotificationKind } from "./Incidents.ts"
import { makePlanner } from "./IncidentsPostgres.ts"
import type { Message, MessageAlert } from "./Message.ts"
import { notDelivered } from "./NotDelivered.ts"
import { type Notification, Notifications, UnknownReceiver } from "./Notifications.ts"
import { NotifyBook } from "./NotifyBook.ts"
import { type Claimed, isClaimed, makeOutbox } from "./OutboxPostgres.ts"
import type { ToldAlert } from "./ToldAlert.ts"

const PASS_EVERY = Duration.seconds(2)
const RETRY_AFTER = Duration.seconds(10)
const PRUNE_EVERY = Duration.hours(1)
/** Messages that are sent at a time, so that receivers that hang do not hold up the others. */
const SENDERS = 4
/** Of a route that is in no file any more: its messages still go. */
const RATE_OF_OTHERS = 10
/** That a message was sent is noted within as long, or it is sent again. */
/** Of a message, whose claim lasts a minute. */
const STORIES_MAX = 2
const STORY_WITHIN = Duration.seconds(5)
const NOTE_AGAIN = { schedule: Schedule.spaced("1 second"), times: 10 }

export interface NotificationsOptions {
  /** Where people reach NodePulse; undefined where it is not told. */
  readonly publicUrl: string | undefined
}

/** Its page: of an order that waits, where it is signed. */
const pathOf = ({ id, orderId }: ToldAlert): string =>
  orderId === undefined ? `/watch/alerts/${encodeURIComponent(id)}` : `/acts/${encodeURIComponent(orderId)}`

const make = Effect.fnUntraced(function* ({ publicUrl }: NotificationsOptions) {
  const sql = yield* PgClient.PgClient
  const book = yield* NotifyBook
  const rulebook = yield* Rulebook
  const stories = yield* AlertStories
  const planner = yield* makePlanner
  const outbox = yield* makeOutbox

  /** What the first alerts tell, as text. One that cannot be told in time is told without: a message matters more. */
  const storiesOf = Effect.fnUntraced(function* (alerts: ReadonlyArray<ToldAlert>) {
    const found = yield* Effect.forEach(alerts.slice(0, STORIES_MAX), ({ id }) =>
      stories.of(id).pipe(
        Effect.timeoutOption(STORY_WITHIN),
        Effect.map((story) => [id, Option.flatten(story)] as const),
        Effect.catch(() => Effect.succeed([id, Option.none<AlertStory>()] as const))
      )
    )
    return new Map(
      found.flatMap(([id, story]) => (Option.isSome(story) ? [[id, storyText(story.value, publicUrl)]] : []))
    )
  })

  const messageOf = Effect.fnUntraced(function* (claimed: Claimed) {
    // A message without its runbook is better than none.
    const known = yield* Effect.orElseSucceed(rulebook.rules, () => [])
    const rules = new Map(known.map((rule) => [rule.name, rule]))
    const firing = claimed.parts.filter(({ kind }) => kind === "firing" || kind === "repeated")
    // Of an order that waits there is nothing to tell but that: whoever reads it has little time.
    const storied = firing.flatMap(({ alerts }) => alerts).filter(({ orderId }) => orderId === undefined)
    const told = yield* storiesOf(firing.length > 1 ? [] : storied)
    const shown = (alert: ToldAlert): MessageAlert => ({
      ...alert,
      runbook: rules.get(alert.rule)?.runbook,
      owners: rules.get(alert.rule)?.owners ?? [],
      story: told.get(alert.id),
      link: publicUrl === undefined ? undefined : `${publicUrl}${pathOf(alert)}`
    })
    return {
      id: claimed.id,
      route: claimed.route,
      at: yield* Clock.currentTimeMillis,
      isTest: false,
      incidents: claimed.parts.map(({ alerts, incidentId, kind, openedAt, server }) => ({
        key: keyOf([incidentId, claimed.route, server, String(openedAt)]),
        kind,
        server,
        alerts: alerts.map(shown)
      }))
    } satisfies Message as Message
  })

  const bring = Effect.fnUntraced(function* (claimed: Claimed) {
    const { config } = yield* book.state
    const receiver = config?.receivers.find(({ name }) => name === claimed.receiver)
    if (receiver === undefined) return yield* notDelivered("there is no such receiver in notify.yml any more")
    const message = yield* messageOf(claimed)
    const isHeld = yield* Effect.mapError(outbox.isHeld(claimed), ({ message }) => notDelivered(message))
    if (!isHeld) return yield* notDelivered("it took too long to write the message")
    yield* deliver(receiver, message)
  })

  const send = Effect.gen(function* () {
    const { config } = yield* book.state
    if (config === undefined) return false
    const rates = new Map(config.routes.map(({ name, rate }) => [name, rate]))
    const claimed = yield* outbox.claim((route) => rates.get(route) ?? RATE_OF_OTHERS)
    if (claimed === undefined) return false
    yield* Effect.matchEffect(bring(claimed), {
      onSuccess: () => Effect.retry(outbox.sent(claimed), NOTE_AGAIN),
      onFailure: Effect.fnUntraced(function* (failure) {
        const isDead = yield* Effect.retry(outbox.failed(claimed, failure), NOTE_AGAIN)
        const what = `notify: "${claimed.receiver}" was not told: ${failure.reason}`
        if (isDead) yield* Effect.logError(`${what}. It was tried for 24 hours, and is given up`)
        else if (claimed.attempts === 1) yield* Effect.logWarning(`${what}. It is tried again`)
      })
    })
    return true
  })

  const plan = Effect.flatMap(book.state, planner)
  const patient = (self: Effect.Effect<boolean, DatabaseUnavailable>): Effect.Effect<never> =>
    self.pipe(
      Effect.map((more) => (more ? Duration.zero : PASS_EVERY)),
      Effect.catch((error) => Effect.as(Effect.logWarning(error.message), RETRY_AFTER)),
      Effect.flatMap(Effect.sleep),
      Effect.forever
    )
  const pruning = Effect.forever(
    Effect.andThen(
      Effect.catch(outbox.prune, (error) => Effect.logWarning(error.message)),
      Effect.sleep(PRUNE_EVERY)
    )
  )
  const senders = Array.from({ length: SENDERS }, () => patient(send))
  const all: ReadonlyArray<Effect.Effect<never>> = [patient(Effect.as(plan, false)), pruning, ...senders]

  return Notifications.of({
    plan,
    send,
    run: Effect.andThen(Effect.all(all, { concurrency: SENDERS + 2, discard: true }), Effect.never),
    list: Effect.fn("Notifications.list")(function* ({ before, limit }) {
      const last = /^\d{1,15}$/.test(before ?? "") ? Number(before) : Number.MAX_SAFE_INTEGER
      const rows = yield* sql.unsafe<Row>(LIST, [PgTypes.int4(limit), PgTypes.float8(last)])
      return rows.map(fromRow)
    }, answering("list notifications")),
    stats: Effect.gen(function* () {
      const now = yield* Clock.currentTimeMillis
      const [row] = yield* sql.unsafe<StatsRow>(STATS)
      const { dead, oldest, waiting } = row!
      return { waiting, dead, oldestSeconds: oldest === null ? null : Math.max(0, (now - oldest) / 1_000) }
    }).pipe(answering("count notifications")),
    configured: Effect.map(book.state, ({ config, problems }) => ({
      receivers: (config?.receivers ?? []).map(({ name, way }) => ({ name, kind: way.kind })),
      problems
    })),
    test: Effect.fn("Notifications.test")(function* (name: string) {
      const receivers = (yield* book.state).config?.receivers ?? []
      const receiver = receivers.find((one) => one.name === name)
      if (receiver === undefined)
        return yield* new UnknownReceiver({ receiver: name, known: receivers.map((one) => one.name) })
      const at = yield* Clock.currentTimeMillis
      const message = { id: `test-${randomUUID()}`, route: "test", incidents: [], isTest: true, at }
      const failure = yield* Effect.match(deliver(receiver, message), {
        onSuccess: () => undefined,
        onFailure: ({ reason }) => reason
      })
      yield* record(sql, "notification.test", `receiver ${name}`, failure ?? "it got there")
      return failure
    }, answering("note a test of a receiver"))
  })
})

export const layerWith = (
  options: NotificationsOptions
): Layer.Layer<Notifications, never, PgClient.PgClient | Registry | NotifyBook | Rulebook | Silences | AlertStories> =>
  Layer.effect(Notifications, make(options))

/** No other incident has it, of any installation. */
const keyOf = (parts: ReadonlyArray<string>): string =>
  `nodepulse-${createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 40)}`

interface Row {
  readonly id: string
  readonly kind: NotificationKind
  readonly route: string
  readonly receiver: string
  readonly server: string
  readonly title: string
  readonly sending: boolean
  readonly attempts: number
  readonly created: number
  readonly due: number
  readonly sent: number | null
  readonly dead: number | null
  readonly error: string | null
}

const LIST = `select told.id::text as id, told.kind, told.route, told.receiver, incident.server, told.title, told.attempts, told.error,
  coalesce(${isClaimed("told")}, false) as sending,
  ${micros("told.created_at")} / 1000 as created, ${micros("told.due_at")} / 1000 as due,
  ${micros("told.sent_at")} / 1000 as sent, ${micros("told.dead_at")} / 1000 as dead
from admiral.notifications as told join admiral.incidents as incident on incident.id = told.incident_id
where told.id < $2::float8::int8 order by told.id desc limit $1::int4`

interface StatsRow {
  readonly waiting: number
  readonly oldest: number | null
  readonly dead: number
}

const STATS = `select count(*) filter (where told.dead_at is null)::int4 as waiting, count(told.dead_at)::int4 as dead,
  ${micros("min(told.created_at) filter (where told.dead_at is null)")} / 1000 as oldest
from admiral.notifications as told where told.sent_at is null`

const fromRow = (row: Row): Notification => ({
  id: row.id,
  kind: row.kind,
  route: row.route,
  receiver: row.receiver,
  server: row.server,
  title: row.title,
  state: row.dead !== null ? "dead" : row.sent !== null ? "sent" : row.sending ? "sending" : "waiting",
  attempts: row.attempts,
  createdAt: row.created,
  dueAt: row.due,
  sentAt: row.sent,
  deadAt: row.dead,
  error: row.error
})

/** The statements by name, as `docs/sql` has them. */
export const notificationStatements = { LIST, STATS }
