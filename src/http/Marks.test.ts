import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { ADMIN, AGENT_A, OPERATOR, READ, startServer } from "./TestServer.ts"

const json = { "content-type": "application/json" }

describe("marks and notes", () => {
  it.live("are one list in order of time, each with what belongs to its kind", () =>
    Effect.gen(function* () {
      const { ask, world } = yield* startServer()
      const to = Date.UTC(2025, 9, 30, 12) * 1_000
      world.notes.push({ noteId: "7", serverId: null, at: to - 1, text: "deploy 1.4", author: "token:3" })
      const { json, status } = yield* ask("/api/servers/alpha/marks?at=2025-10-30T12:00:00Z&hours=2", { token: READ })
      expect(status).toBe(200)
      expect(json).toEqual({
        server_id: "alpha",
        window: { from: "2025-10-30T10:00:00.000000Z", to: "2025-10-30T12:00:00.000000Z" },
        marks: [
          { kind: "outage", at: "2025-10-30T10:00:00.000000Z", exporter: "process_exporter", until: null },
          { kind: "restart", at: "2025-10-30T11:59:59.999998Z", exporter: "process_exporter" },
          {
            kind: "note",
            note_id: "7",
            server_id: null,
            at: "2025-10-30T11:59:59.999999Z",
            text: "deploy 1.4",
            author: "token:3"
          },
          { kind: "clock", at: "2025-10-30T12:00:00.000000Z", exporter: "process_exporter", by_seconds: -3.5 }
        ]
      })
    })
  )

  it.live("a note is added and removed by who may, and somebody else's by administrators only", () =>
    Effect.gen(function* () {
      const { ask, world } = yield* startServer()
      const post = (body: unknown, token?: string) =>
        ask("/api/notes", {
          method: "POST",
          headers: json,
          body: JSON.stringify(body),
          ...(token === undefined ? {} : { token })
        })
      const remove = (id: string, token: string) => ask(`/api/notes/${id}`, { method: "DELETE", token })
      expect((yield* post({ text: "deploy" })).status).toBe(401)
      for (const token of [READ, AGENT_A]) expect((yield* post({ text: "deploy" }, token)).status).toBe(403)
      expect(world.notes).toEqual([])
      const added = yield* post({ text: "deploy 1.4", server_id: "alpha", at: "2025-10-30T12:00:00Z" }, ADMIN)
      expect(added.status).toBe(201)
      expect(added.json).toMatchObject({ note_id: "1", server_id: "alpha", at: "2025-10-30T12:00:00.000000Z" })
      expect((yield* post({ text: "for all" }, ADMIN)).json).toMatchObject({ note_id: "2", server_id: null })
      for (const token of [READ, OPERATOR]) expect((yield* remove("1", token)).status).toBe(403)
      expect(world.notes).toHaveLength(2)
      expect((yield* remove("1", ADMIN)).status).toBe(204)
      expect((yield* remove("1", ADMIN)).status).toBe(404)
      expect(world.notes).toHaveLength(1)
    })
  )

  const wrong: ReadonlyArray<readonly [string, unknown, string | undefined, number]> = [
    ["no text", {}, "text", 400],
    ["an empty text", { text: " " }, "text", 400],
    ["a text that is too long", { text: "x".repeat(501) }, "text", 400],
    ["a text that a terminal would act on", { text: "a\u001b[2Jb" }, "text", 400],
    ["a moment that is none", { text: "x", at: "then" }, "at", 400],
    ["a moment in the future", { text: "x", at: "2099-01-01T00:00:00Z" }, "at", 400],
    ["a field that there is not", { text: "x", author: "me" }, "author", 400],
    ["a server that there is not", { text: "x", server_id: "gamma" }, undefined, 404],
    ["no id of a server", { text: "x", server_id: "../" }, undefined, 404]
  ]
  for (const [what, body, parameter, status] of wrong) {
    it.live(`${what} is refused, and nothing is noted`, () =>
      Effect.gen(function* () {
        const { ask, world } = yield* startServer()
        const answer = yield* ask("/api/notes", {
          method: "POST",
          token: ADMIN,
          headers: json,
          body: JSON.stringify(body)
        })
        expect(answer.status).toBe(status)
        expect(answer.json.parameter).toBe(parameter)
        expect(world.notes).toEqual([])
      })
    )
  }

  it.live("marks of an unknown server are a 404; a window that is none is refused", () =>
    Effect.gen(function* () {
      const { ask } = yield* startServer()
      expect((yield* ask("/api/servers/gamma/marks", { token: READ })).status).toBe(404)
      expect((yield* ask("/api/servers/alpha/marks?hours=0", { token: READ })).json.parameter).toBe("hours")
      expect((yield* ask("/api/servers/alpha/marks")).status).toBe(401)
    })
  )
})
