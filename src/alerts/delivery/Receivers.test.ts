/** What receivers get: hostile names change nothing, and mention nobody. */
import { assert, describe, it } from "@effect/vitest"
import { dataOf, type Message, type MessageAlert, titleOf } from "./Message.ts"
import { type Chat, chatOf } from "./receivers/Chats.ts"
import { ntfyOf } from "./receivers/Ntfy.ts"
import { eventsOf } from "./receivers/PagerDuty.ts"

const EPOCH = Date.UTC(2025, 9, 30, 12)
const HOSTILE =
  '@everyone <!channel> <@U1> [x](http://evil.example) **b** `c` _d_ <b>e</b> http://evil.example/f\r\nBcc: x@evil.example\u0000\u001b[31m\u202e "q" \\ #1 |'

const alert = (more: Partial<MessageAlert> = {}): MessageAlert => ({
  id: "1",
  rule: "busy",
  sentence: "any group on any server: cpu above 50 %",
  severity: "critical",
  server: "db-1",
  serverName: "db-1",
  isOfItself: false,
  resource: "processes",
  group: "postgres",
  value: 93.333,
  firedAt: EPOCH,
  resolvedAt: null,
  isAcknowledged: false,
  runbook: undefined,
  owners: [],
  story: undefined,
  link: "https://pulse.example/alerts/1",
  ...more
})

const message = (...alerts: ReadonlyArray<MessageAlert>): Message => ({
  id: "7",
  route: "default",
  at: EPOCH,
  isTest: false,
  incidents: [{ key: "nodepulse-k", kind: "firing", server: "db-1", alerts }]
})

const hostile = message(
  alert({ rule: HOSTILE, group: HOSTILE, serverName: HOSTILE, server: HOSTILE, sentence: HOSTILE, owners: [HOSTILE] })
)

/** All texts in a value. */
const textsIn = (value: unknown): ReadonlyArray<string> =>
  typeof value === "string"
    ? [value]
    : typeof value === "object" && value !== null
      ? Object.values(value).flatMap(textsIn)
      : []

describe("a message", () => {
  it("says on its first line how bad, what and where, and below what is known", () => {
    const { text } = dataOf(message(alert({ runbook: "https://wiki.example/busy", owners: ["dba"] })))
    assert.strictEqual(
      text,
      [
        "Critical: busy, postgres on db-1",
        "",
        "any group on any server: cpu above 50 %",
        "Value: 93.33",
        "Fired: 2025-10-30 12:00:00 UTC",
        "https://pulse.example/alerts/1",
        "Runbook: https://wiki.example/busy",
        "Owners: dba"
      ].join("\n")
    )
    const over = alert({ resolvedAt: EPOCH + 720_000 })
    const [incident] = message(over).incidents
    assert.strictEqual(titleOf(message(over)), "Critical, over again: busy, postgres on db-1")
    const resolved = { ...message(over), incidents: [{ ...incident!, kind: "resolved" as const }] }
    assert.strictEqual(titleOf(resolved), "Over: busy, postgres on db-1")
    assert.include(dataOf(resolved).text, "Over after 12 min: 2025-10-30 12:00:00 UTC to 2025-10-30 12:12:00 UTC")
  })

  it("is bounded, however much happens and however long names are", () => {
    const many = message(...Array.from({ length: 500 }, (_, n) => alert({ rule: `${n}${"x".repeat(5_000)}` })))
    const whole = { ...many, incidents: Array.from({ length: 100 }, () => many.incidents[0]!) }
    for (const one of [many, whole, message(alert({ story: "y\n".repeat(100_000) }))]) {
      assert.isAtMost(titleOf(one).length, 200)
      assert.isAtMost((chatOf("discord", one) as { content: string }).content.length, 2_000)
      for (const text of textsIn(chatOf("slack", one))) assert.isAtMost(text.length, 3_000)
      assert.isAtMost(JSON.stringify(chatOf("mattermost", one)).length, 16_383)
      assert.isAtMost(JSON.stringify(chatOf("teams", message(...many.incidents[0]!.alerts))).length, 28_000)
      assert.isAtMost(Buffer.byteLength(ntfyOf(one, "t").message), 4_096)
      const [first] = eventsOf(message(...one.incidents[0]!.alerts), "key") as ReadonlyArray<{
        payload: { summary: string }
      }>
      assert.isAtMost(first!.payload.summary.length, 1_024)
    }
  })
})

describe("a hostile name", () => {
  it("is one line of plain text everywhere, without what controls a terminal or turns text around", () => {
    const all: ReadonlyArray<unknown> = [
      ...(["slack", "mattermost", "discord", "teams"] as ReadonlyArray<Chat>).map((chat) => chatOf(chat, hostile)),
      ntfyOf(hostile, "t"),
      eventsOf(hostile, "key"),
      titleOf(hostile)
    ]
    for (const text of all.flatMap(textsIn)) {
      assert.notMatch(text, /[\u0000-\u0009\u000b-\u001f\u007f\u202e]/)
      assert.notMatch(text, /^Bcc:/m)
    }
  })

  it("in Slack is text that knows no markup, but for the link that is ours", () => {
    const post = chatOf("slack", hostile) as {
      text: string
      blocks: ReadonlyArray<{ text: { type: string; text: string } }>
    }
    assert.notMatch(post.text, /[<>]/)
    const marked = post.blocks.filter(({ text }) => text.type !== "plain_text")
    assert.deepStrictEqual(
      marked.map(({ text }) => text.text),
      ["<https://pulse.example/alerts/1|Open in NodePulse>"]
    )
  })

  it("in Mattermost and Discord mentions nobody, and every mark is escaped", () => {
    const { text } = chatOf("mattermost", hostile) as { text: string }
    const { allowed_mentions, content } = chatOf("discord", hostile) as { content: string; allowed_mentions: unknown }
    assert.deepStrictEqual(allowed_mentions, { parse: [] })
    for (const shown of [text, content]) {
      assert.notMatch(shown, /@(?!\u200b)/)
      const bare = shown.replace(/\\[\\`*_{}[\]()#+\-.!|<>~&:/]/g, "")
      for (const line of bare.split("\n")) {
        if (line !== "https://pulse.example/alerts/1") assert.notMatch(line, /[`*_[\]<>|#]|:\/\//, line)
      }
    }
  })

  it("in Teams stands in runs of text, which know no Markdown", () => {
    const { attachments } = chatOf("teams", hostile) as {
      attachments: ReadonlyArray<{ content: { body: ReadonlyArray<{ type: string }> } }>
    }
    assert.isTrue(attachments[0]!.content.body.every(({ type }) => type === "RichTextBlock"))
    for (const text of textsIn(attachments)) assert.notMatch(text, /@(?!\u200b)/)
  })

  it("is no topic and no link of ntfy's, and in a webhook's JSON it is as it is", () => {
    assert.deepInclude(dataOf(hostile).incidents[0]!.alerts[0], { rule: HOSTILE, group: HOSTILE })
    assert.strictEqual(ntfyOf(hostile, "t").topic, "t")
    assert.strictEqual(ntfyOf(hostile, "t").click, "https://pulse.example/alerts/1")
  })
})

describe("PagerDuty", () => {
  const kinds = (message: Message) =>
    (eventsOf(message, "key") as ReadonlyArray<{ event_action: string; dedup_key: string }>).map(
      ({ dedup_key, event_action }) => `${event_action} ${dedup_key}`
    )

  it("triggers, acknowledges and resolves an incident by one key; what is over already is both", () => {
    const [incident] = message(alert()).incidents
    const of = (kind: "firing" | "resolved" | "repeated" | "acknowledged") => ({
      ...message(),
      incidents: [{ ...incident!, kind }]
    })
    assert.deepStrictEqual(kinds(of("firing")), ["trigger nodepulse-k"])
    assert.deepStrictEqual(kinds(of("repeated")), ["trigger nodepulse-k"])
    assert.deepStrictEqual(kinds(of("acknowledged")), ["acknowledge nodepulse-k"])
    assert.deepStrictEqual(kinds(of("resolved")), ["resolve nodepulse-k"])
    assert.deepStrictEqual(kinds(message(alert({ resolvedAt: EPOCH }))), ["trigger nodepulse-k", "resolve nodepulse-k"])
    assert.deepStrictEqual(kinds({ ...message(), incidents: [], isTest: true }), [
      "trigger nodepulse-test-7",
      "resolve nodepulse-test-7"
    ])
  })
})
