/** The audit from outside: what is in it, and how it is looked through. */
import { expect, layer } from "@effect/vitest"
import { Effect } from "effect"
import { NOTED_PER_ADDRESS } from "../src/access/FailedSignIns.ts"
import * as TestServer from "./TestServer.ts"

interface Entry {
  readonly id: string
  readonly at: string
  readonly author: string
  readonly address: string | null
  readonly action: string
  readonly subject: string
  readonly detail: string
}

const audit = Effect.fnUntraced(function* (query = "") {
  const { request } = yield* TestServer.TestServer
  const { body, status } = yield* request("GET", `/api/audit${query}`)
  expect(status).toBe(200)
  return body as { readonly entries: ReadonlyArray<Entry>; readonly next: string | null }
})

layer(TestServer.layer, { excludeTestServices: true })("the audit", (it) => {
  it.effect("has each change with who made it, and is looked through by who, what and when", () =>
    Effect.gen(function* () {
      const { register, request } = yield* TestServer.TestServer
      yield* register("web-1")
      const { body: made } = yield* request("POST", "/api/tokens", { body: { kind: "operator", note: "shift" } })
      expect(made.created_by).toBe("admin")
      yield* request("POST", "/api/notes", { token: made.token, body: { text: "deploy 1.4" } })
      yield* request("DELETE", `/api/tokens/${made.token_id}`)
      const actions = ({ entries }: { readonly entries: ReadonlyArray<Entry> }) => entries.map(({ action }) => action)
      expect(actions(yield* audit())).toEqual(["token.revoke", "note.create", "token.create", "server.register"])
      expect(actions(yield* audit("?action=token"))).toEqual(["token.revoke", "token.create"])
      expect(actions(yield* audit("?action=token.create"))).toEqual(["token.create"])
      expect(actions(yield* audit("?action=tok"))).toEqual([])
      expect(actions(yield* audit(`?who=TOKEN:${made.token_id}`))).toEqual(["note.create"])
      expect(actions(yield* audit("?who=127.0.0.1"))).toHaveLength(4)
      expect(actions(yield* audit("?who=%25"))).toEqual([])
      const { entries } = yield* audit()
      const [last, , , first] = entries
      expect(actions(yield* audit(`?since=${last!.at}`)).at(0)).toBe("token.revoke")
      expect(actions(yield* audit(`?until=${first!.at}`))).toEqual([])
      const page = yield* audit("?limit=3")
      expect([page.entries.length, page.next]).toEqual([3, page.entries[2]!.id])
      expect(actions(yield* audit(`?limit=3&before=${page.next}`))).toEqual(["server.register"])
      for (const wrong of ["action=a%27b", "since=yesterday", `who=${"x".repeat(201)}`]) {
        const answer = yield* request("GET", `/api/audit?${wrong}`)
        expect([answer.status, answer.body.parameter]).toEqual([400, wrong.split("=")[0]])
      }
    })
  )

  it.effect("has sign-ins that failed, with what was tried; of a flood some, and how many more", () =>
    Effect.gen(function* () {
      const { request } = yield* TestServer.TestServer
      yield* request("GET", "/signin?code=made-up", { token: "" })
      // A program that sends a wrong token signs in nowhere: the answer to it is in no audit.
      yield* request("GET", "/api/servers", { token: "wrong" })
      const times = NOTED_PER_ADDRESS.burst + 5
      for (let index = 0; index < times; index++) yield* request("POST", "/api/session", { token: `wrong-${index}` })
      const { entries } = yield* audit("?action=session.refuse")
      expect(entries).toHaveLength(NOTED_PER_ADDRESS.burst)
      expect(entries.at(-1)).toMatchObject({ author: "somebody", subject: "sign-in by link" })
      expect(entries[0]).toMatchObject({ subject: "sign-in by token", address: "127.0.0.1" })
      expect(JSON.stringify(entries)).not.toContain("wrong-")
    })
  )

  it.effect("calls whoever a link was made for by their name", () =>
    Effect.gen(function* () {
      const { request, url } = yield* TestServer.TestServer
      const made = yield* request("POST", "/api/session/links?role=operator&for=Ada%20L.")
      expect(made.status).toBe(201)
      const opened = yield* Effect.promise(() => fetch(`${url}${made.body.path}`, { redirect: "manual" }))
      const cookie = opened.headers.get("set-cookie")?.split(";")[0] ?? ""
      const me = yield* Effect.promise(async () => (await fetch(`${url}/api/session`, { headers: { cookie } })).json())
      expect(me).toMatchObject({ kind: "operator", principal: "link:Ada L.", name: "Ada L.", unencrypted: null })
      const { entries } = yield* audit("?action=session.open&limit=1")
      expect(entries[0]).toMatchObject({ author: "link:Ada L.", detail: "link:Ada L., operator, by link" })
      const nameless = yield* request("POST", "/api/session/links?role=operator")
      expect([nameless.status, nameless.body.parameter]).toEqual([400, "for"])
      expect((yield* request("DELETE", "/api/sessions?principal=link:Ada%20L.")).body).toEqual({ ended: 1 })
      const after = yield* Effect.promise(() => fetch(`${url}/api/session`, { headers: { cookie } }))
      expect(after.status).toBe(401)
    })
  )
})
