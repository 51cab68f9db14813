/** The audit as the page tells it: sentences, lists that grow, and what is taken away. No browser. */
import { describe, expect, test } from "vitest"
import { ACTIONS } from "../src/access/AuditActions.ts"
import { csvOf, joined, KINDS, markdownOf, type Page } from "../web/src/access/AuditList.ts"
import { type Entry, sentenceOf, textOf } from "../web/src/access/AuditSentence.ts"

const entry = (changes: Partial<Entry>): Entry => ({
  id: "1",
  at: "2026-01-02T03:04:05.000Z",
  author: "admin",
  address: "10.0.0.7",
  action: "token.revoke",
  subject: "token 12",
  detail: "",
  ...changes
})
const told = (changes: Partial<Entry>) => {
  const sentence = sentenceOf(entry(changes))
  return [textOf(sentence), sentence.more]
}

describe("an entry of the audit reads as a sentence", () => {
  test("about tokens, by their first characters and server", () => {
    expect(told({ detail: "agent np_agent_AbCd…, for server web-1, note, with commas" })).toEqual([
      "token np_agent_AbCd… for web-1 revoked by admin from 10.0.0.7",
      "token 12, agent, note, with commas"
    ])
    expect(told({ action: "token.exchange", author: "token:12", detail: "for server web-2" })).toEqual([
      "token 12 exchanged by token:12 from 10.0.0.7",
      "for server web-2"
    ])
  })

  test("about whoever signs in, out, or is not let in", () => {
    const open = { action: "session.open", author: "oidc:8f31", subject: "session 4" }
    expect(told({ ...open, detail: "oidc:8f31 (ada@example.org), admin, by provider" })).toEqual([
      "oidc:8f31 (ada@example.org) signed in from 10.0.0.7",
      "as an administrator, by identity provider"
    ])
    expect(told({ ...open, detail: "of another version" })[0]).toBe("oidc:8f31 signed in from 10.0.0.7")
    expect(told({ action: "session.revoke", subject: "session 4", detail: "token:3" })[0]).toBe(
      "a session of token:3 ended by admin from 10.0.0.7"
    )
    expect(told({ action: "session.revoke-all", subject: "sessions of link:Ada", detail: "2" })).toEqual([
      "all sessions of link:Ada ended by admin from 10.0.0.7",
      "2 sessions"
    ])
    const refuse = { action: "session.refuse", subject: "sign-in by token", author: "somebody" }
    expect(told({ ...refuse, detail: "unknown" })).toEqual(["sign-in by token refused from 10.0.0.7", "unknown"])
  })

  test("about alerts: rules, silences, who knows, and tests of receivers", () => {
    for (const [action, subject, said] of [
      ["rule.save", "rule PostgreSQL is busy", "rule PostgreSQL is busy saved"],
      ["rule.remove", "rule x", "rule x removed"],
      ["silence.create", "silence 3", "silence 3 made"],
      ["silence.end", "maintenance 4", "maintenance 4 ended"],
      ["alert.acknowledge", "alert 17", "alert 17 acknowledged"],
      ["notification.test", "receiver ops", "receiver ops tested"]
    ] as const) {
      expect(told({ action, subject, detail: "why" })).toEqual([`${said} by admin from 10.0.0.7`, "why"])
      expect(sentenceOf(entry({ action, subject })).parts[1]).toEqual({ name: subject.slice(subject.indexOf(" ") + 1) })
    }
  })

  test("about everything else, also what this page has never heard of", () => {
    expect(told({ action: "server.register", subject: "server web-1", detail: "Web 1", address: null })).toEqual([
      "server web-1 added by admin",
      "Web 1"
    ])
    expect(told({ action: "constructor", subject: "a thing", detail: "x" })[0]).toBe(
      "a thing constructor by admin from 10.0.0.7"
    )
  })

  test("about everything that is noted in words of its own, and can be looked for by its kind", () => {
    for (const action of ACTIONS) {
      expect(Object.keys(KINDS)).toContain(action.slice(0, action.indexOf(".")))
      expect(told({ action, subject: "a thing" })[0]).not.toContain(` ${action.slice(action.indexOf(".") + 1)} by`)
    }
  })

  test("in which names of others are told apart, and made legible as text", () => {
    const { parts } = sentenceOf(entry({ subject: "note 7", action: "note.create", author: "link:a\u202eb" }))
    expect(parts).toContainEqual({ name: "link:a\u202eb" })
    expect(textOf({ parts, more: "" })).toBe("note 7 made by link:a‹202e›b from 10.0.0.7")
  })
})

describe("a list of the audit", () => {
  const page = (newest: number, oldest: number, next: boolean): Page => ({
    entries: Array.from({ length: newest - oldest + 1 }, (_, n) => entry({ id: String(newest - n) })),
    next: next ? String(oldest) : null
  })
  const ids = ({ entries }: Page) => entries.map(({ id }) => Number(id))

  test("grows at its beginning, and keeps what was read", () => {
    const list = joined(page(12, 9, true), page(10, 3, true))
    expect(ids(list)).toEqual([12, 11, 10, 9, 8, 7, 6, 5, 4, 3])
    expect(list.next).toBe("3")
    expect(ids(joined(page(4, 1, false), undefined))).toEqual([4, 3, 2, 1])
  })

  test("shows no two parts as one that do not meet", () => {
    const list = joined(page(30, 27, true), page(10, 3, true))
    expect(ids(list)).toEqual([30, 29, 28, 27])
    expect(list.next).toBe("27")
  })

  test("leaves as text: what is cut is said, and nothing is a formula or markup", () => {
    const hostile = entry({ action: "note.create", subject: "note 1", author: "=1+1", detail: 'a *b* <i>, "c"' })
    const markdown = markdownOf({ entries: [hostile], next: "1" }, "https://pulse.example/access/audit")
    expect(markdown).toContain("1 entry; there are older ones")
    expect(markdown).toContain("a \\*b\\* \\<i\\>")
    expect(csvOf({ entries: [hostile], next: null })).toBe(
      `id,at,author,address,action,subject,detail\r\n1,2026-01-02T03:04:05.000Z,'=1+1,10.0.0.7,note.create,note 1,"a *b* <i>, ""c"""\r\n`
    )
  })
})
