/** An alert as plain text: short, whatever there is to tell, and harmless, whatever it is called. */
import { assert, describe, it } from "@effect/vitest"
import type { AlertStory } from "./Story.ts"
import { storyText } from "./StoryText.ts"

const FIRED = Date.UTC(2025, 9, 30, 12)

const story: AlertStory = {
  alert: {
    id: "1",
    rule: "busy",
    sentence: "postgres* on db-*: cpu above 80 % of a core, averaged over 60 s, for 5 min",
    severity: "critical",
    serverId: "db-1",
    serverName: "db-1",
    group: "postgres",
    value: 93.127,
    asked: { resource: "processes", metric: "cpu", unit: "% of a core", span: 360_000 },
    firedAt: FIRED,
    resolvedAt: FIRED + 1_800_000,
    isUnknown: false,
    isSilenced: false,
    acknowledged: undefined
  },
  window: { from: FIRED - 720_000, to: FIRED },
  split: FIRED - 360_000,
  ranked: { resource: "processes", metric: "cpu", unit: "percent" },
  partial: false,
  tops: ["postgres", "build-91", "cron", "sshd"].map((group, n) => ({
    group,
    before: n === 1 ? 0 : 12.34,
    after: n === 2 ? 0 : 93.1 / (n + 1),
    difference: n === 2 ? -12.34 : 80,
    appeared: n === 1,
    gone: n === 2,
    restarted: n === 3,
    isSubject: n === 0
  })),
  other: { groups: 7, before: 5, after: 6.5, difference: 1.5 },
  unaccounted: { before: 1, after: 0.004, difference: -0.996 },
  total: { of: "host", before: 40, after: 180, difference: 140 },
  restarts: ["sshd"],
  pressure: [{ what: "cpu", before: 2, after: 35.2, difference: 33.2 }],
  events: [
    { kind: "reboot", at: FIRED - 300_000, exporter: "node_exporter", until: null, bySeconds: null },
    { kind: "outage", at: FIRED - 200_000, exporter: "node_exporter", until: FIRED - 100_000, bySeconds: null },
    { kind: "clock", at: FIRED - 50_000, exporter: "node_exporter", until: null, bySeconds: -3.5 }
  ],
  notes: [{ at: FIRED - 250_000, text: "deploy 4.2", author: "ann" }],
  link: "/servers/db-1?window=a~b"
}

describe("an alert as text", () => {
  it("opens with what was asked and what was seen, then who, before and after, what happened, and where to look", () => {
    assert.deepStrictEqual(storyText(story, "https://pulse.example.org/").split("\n"), [
      "postgres* on db-*: cpu above 80 % of a core, averaged over 60 s, for 5 min (93 % of a core)",
      "critical: postgres on db-1",
      "fired 2025-10-30 12:00 UTC",
      "over 12:30, after 30 min",
      "",
      "cpu, % of a core: 11:48-11:54 → 11:54-12:00",
      "postgres 12 → 93 (+80)",
      "build-91 0 → 47 (+80) new",
      "cron 12 → 0 (-12) gone",
      "sshd 12 → 23 (+80) restarted",
      "7 others 5 → 6.5 (+1.5)",
      "unaccounted 1 → 0 (-1)",
      "cpu pressure % 2 → 35 (+33)",
      "",
      "restarted: sshd",
      "11:55 machine restarted",
      "11:55 deploy 4.2 (ann)",
      "11:56 node_exporter silent until 11:58",
      "11:59 clock set by -3.5 s",
      "https://pulse.example.org/servers/db-1?window=a~b"
    ])
  })

  it("is at most 25 lines and fits a message, whatever there is to tell", () => {
    const text = storyText(
      {
        ...story,
        alert: { ...story.alert, resolvedAt: null, isUnknown: true },
        partial: true,
        tops: Array.from({ length: 15 }, (_, n) => ({
          ...story.tops[0]!,
          group: "x".repeat(16_000),
          isSubject: n === 12
        })),
        restarts: Array.from({ length: 20 }, () => "y".repeat(16_000)),
        pressure: ["cpu", "memory", "io"].map((what) => ({ ...story.pressure[0]!, what })),
        events: Array.from({ length: 20 }, () => story.events[0]!),
        notes: Array.from({ length: 20 }, () => ({ ...story.notes[0]!, text: "z".repeat(16_000) }))
      },
      "https://pulse.example.org"
    )
    assert.isAtMost(text.split("\n").length, 25)
    assert.isAtMost(text.length, 2_000)
    assert.isTrue(text.endsWith(story.link))
    assert.include(text, "nobody knows whether it still holds")
  })

  it("holds no control characters and forges no line, whatever names and notes hold", () => {
    const evil = "a\nb\r\u001b[2J\u202e"
    const text = storyText(
      {
        ...story,
        alert: { ...story.alert, group: evil, sentence: `${evil}: cpu` },
        tops: [{ ...story.tops[0]!, group: evil }],
        restarts: [evil],
        notes: [{ at: FIRED, text: evil, author: evil }]
      },
      undefined
    )
    assert.notMatch(text, /[\u0000-\u0009\u000b-\u001f\u202e]/)
    assert.isTrue(text.split("\n").every((line) => !line.startsWith("b")))
    assert.notInclude(text, story.link)
  })

  it("of NodePulse itself says so, and tells of no groups", () => {
    const text = storyText(
      {
        ...story,
        alert: {
          ...story.alert,
          serverId: null,
          group: "",
          sentence: "NodePulse: its disk is used to more than 90 %",
          value: 95
        },
        ranked: null,
        tops: [],
        other: null,
        unaccounted: null,
        total: null,
        restarts: [],
        pressure: [],
        events: [],
        notes: [],
        link: "/pipeline"
      },
      undefined
    )
    assert.strictEqual(text.split("\n")[1], "critical: NodePulse itself")
    assert.lengthOf(text.split("\n"), 4)
  })
})
