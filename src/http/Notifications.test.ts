import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { ADMIN, AGENT_A, READ, startServer } from "./TestServer.ts"

const AT = Date.UTC(2025, 9, 30, 12)
const one = {
  kind: "firing" as const,
  route: "default",
  receiver: "ops",
  server: "alpha",
  title: "Critical: busy on alpha",
  state: "waiting" as const,
  attempts: 2,
  createdAt: AT,
  dueAt: AT + 10_000,
  sentAt: null,
  deadAt: null,
  error: "it answers 500"
}

describe("notifications", () => {
  it.live("are listed for whoever may read, page by page; where files lie is for administrators", () =>
    Effect.gen(function* () {
      const { ask, world } = yield* startServer()
      world.notifications.push(
        { ...one, id: "2" },
        { ...one, id: "1", state: "sent", attempts: 1, sentAt: AT + 1_000, error: null }
      )
      const { json } = yield* ask("/api/notifications?limit=1", { token: READ })
      expect(json).toEqual({
        notifications: [
          {
            notification_id: "2",
            kind: "firing",
            route: "default",
            receiver: "ops",
            server_id: "alpha",
            title: "Critical: busy on alpha",
            state: "waiting",
            attempts: 2,
            created_at: "2025-10-30T12:00:00.000000Z",
            due_at: "2025-10-30T12:00:10.000000Z",
            sent_at: null,
            dead_at: null,
            error: "it answers 500"
          }
        ],
        next: "2",
        receivers: [{ name: "ops", kind: "slack" }],
        problems: ["notify.yml has a problem: the log names it"]
      })
      const more = yield* ask("/api/notifications?before=2", { token: ADMIN })
      expect(more.json).toMatchObject({
        notifications: [{ notification_id: "1", state: "sent", due_at: null, sent_at: "2025-10-30T12:00:01.000000Z" }],
        next: null,
        problems: ["notify.yml: line 3"]
      })
      expect((yield* ask("/api/notifications?before=x", { token: READ })).status).toBe(400)
      expect((yield* ask("/api/notifications?limit=0", { token: READ })).status).toBe(400)
      expect((yield* ask("/api/notifications", { token: AGENT_A })).status).toBe(403)
      expect((yield* ask("/api/notifications")).status).toBe(401)
    })
  )

  it.live("are tried by operators, who are told what came of it", () =>
    Effect.gen(function* () {
      const { ask } = yield* startServer()
      const test = (body: unknown, token: string) =>
        ask("/api/notifications/test", {
          method: "POST",
          token,
          body: JSON.stringify(body),
          headers: { "content-type": "application/json" }
        })
      expect((yield* test({ receiver: "ops" }, ADMIN)).json).toEqual({ receiver: "ops", sent: true, error: null })
      expect((yield* test({ receiver: "away" }, ADMIN)).json).toEqual({
        receiver: "away",
        sent: false,
        error: "it answers 500"
      })
      const unknown = yield* test({ receiver: "nobody" }, ADMIN)
      expect(unknown.status).toBe(404)
      expect(unknown.json.detail).toContain("there are ops, away")
      expect((yield* test({ receiver: "x".repeat(101) }, ADMIN)).status).toBe(400)
      expect((yield* test({}, ADMIN)).status).toBe(400)
      expect((yield* test({ receiver: "ops" }, READ)).status).toBe(403)
      expect((yield* test({ receiver: "ops" }, AGENT_A)).status).toBe(403)
    })
  )
})
