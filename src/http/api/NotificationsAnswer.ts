/** Who was told of alerts, and how a receiver is tried: `GET /api/notifications`, `POST /api/notifications/test`. */
import { Schema } from "effect"

export const NotificationsAnswer = Schema.Struct({
  notifications: Schema.Array(
    Schema.Struct({
      notification_id: Schema.String,
      kind: Schema.Literals(["firing", "resolved", "repeated", "acknowledged"]),
      route: Schema.String,
      receiver: Schema.String,
      server_id: Schema.String.annotate({ description: "`nodepulse` where it is about NodePulse itself." }),
      title: Schema.String,
      state: Schema.Literals(["waiting", "sending", "sent", "dead"]).annotate({
        description: "`dead`: it was tried for 24 hours, and is given up."
      }),
      attempts: Schema.Int,
      created_at: Schema.String,
      due_at: Schema.NullOr(Schema.String).annotate({ description: "When it is tried next." }),
      sent_at: Schema.NullOr(Schema.String),
      dead_at: Schema.NullOr(Schema.String),
      error: Schema.NullOr(Schema.String).annotate({ description: "Why it could not be sent the last time." })
    })
  ).annotate({ description: "The latest first. Kept for 30 days." }),
  next: Schema.NullOr(Schema.String).annotate({ description: "`before` of the next page; null on the last." }),
  receivers: Schema.Array(Schema.Struct({ name: Schema.String, kind: Schema.String })),
  problems: Schema.Array(Schema.String).annotate({
    description: "What is wrong with notify.yml as it is now; what it said before is in force."
  })
})

export const ReceiverToTest = Schema.Struct({
  receiver: Schema.String.check(Schema.isMaxLength(100)).annotate({ description: "As notify.yml calls it." })
})

export const ReceiverTested = Schema.Struct({
  receiver: Schema.String,
  sent: Schema.Boolean,
  error: Schema.NullOr(Schema.String).annotate({ description: "Why it did not get there." })
})
