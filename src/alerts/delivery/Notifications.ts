/**
 * Notifications: who is told of alerts, as a port.
 *
 * Guarantees: what is told follows from the stored alerts, in passes of its own, so a kill at any moment loses nothing. A message is sent
 * at least once: twice only where whoever sent it ended, or lost the database, before that was noted. In normal work several
 * processes never send the same. One that cannot be sent is tried again, later and later, for {@link TRIED_FOR}; then it is
 * dead, and stays in the list. Messages about one incident come in their order, and that it is over only to whom was told of it.
 */
import { Context, Duration, type Effect, Schema } from "effect"
import type { DatabaseUnavailable } from "../../sinks/storage/DatabaseUnavailable.ts"
import type { NotificationKind } from "./Incidents.ts"

export const TRIED_FOR = Duration.hours(24)

/** A message to one receiver; epoch milliseconds. */
export interface Notification {
  readonly id: string
  readonly kind: NotificationKind
  readonly route: string
  readonly receiver: string
  readonly server: string
  readonly title: string
  readonly state: "waiting" | "sending" | "sent" | "dead"
  readonly attempts: number
  readonly createdAt: number
  /** When it is tried next. */
  readonly dueAt: number
  readonly sentAt: number | null
  readonly deadAt: number | null
  /** Why it could not be sent the last time. */
  readonly error: string | null
}

/** How the delivery does. */
export interface NotificationStats {
  /** Those that are being sent among them. */
  readonly waiting: number
  /** How long the oldest of them has waited; null where none does. */
  readonly oldestSeconds: number | null
  /** Of those that are kept: 30 days. */
  readonly dead: number
}

export interface Configured {
  readonly receivers: ReadonlyArray<{ readonly name: string; readonly kind: string }>
  /** What is wrong with the file as it is now. */
  readonly problems: ReadonlyArray<string>
}

/** No receiver is called so. Not retryable. */
export class UnknownReceiver extends Schema.TaggedError<UnknownReceiver>()("UnknownReceiver", {
  receiver: Schema.String,
  known: Schema.Array(Schema.String)
}) {
  readonly retryable = false
  override get message(): string {
    const known = this.known.length === 0 ? "there are none: see docs/notify.md" : `there are ${this.known.join(", ")}`
    return `there is no receiver ${JSON.stringify(this.receiver.slice(0, 200))}; ${known}`
  }
}

export class Notifications extends Context.Service<
  Notifications,
  {
    /** Makes the messages that are due; how many. */
    readonly plan: Effect.Effect<number, DatabaseUnavailable>
    /** Sends one message; false where none is due. */
    readonly send: Effect.Effect<boolean, DatabaseUnavailable>
    /** Plans and sends for ever; where the database is away, again a little later. For the supervisor. */
    readonly run: Effect.Effect<never>
    /** The latest first; `before` is the id that the last page ended with. */
    readonly list: (page: {
      readonly limit: number
      readonly before?: string
    }) => Effect.Effect<ReadonlyArray<Notification>, DatabaseUnavailable>
    readonly stats: Effect.Effect<NotificationStats, DatabaseUnavailable>
    readonly configured: Effect.Effect<Configured>
    /** Sends a test; undefined where it got there, else why not. */
    readonly test: (receiver: string) => Effect.Effect<string | undefined, UnknownReceiver | DatabaseUnavailable>
  }
>()("nodepulse/alerts/Notifications") {}
