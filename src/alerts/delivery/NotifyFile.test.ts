import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import { readNotify } from "./NotifyFile.ts"

const read = (text: string) => readNotify(text, "/etc/pulse")
const problemsOf = (text: string): ReadonlyArray<string> => {
  const found = read(text)
  return Result.isFailure(found) ? found.failure : []
}

const WHOLE = `
receivers:
  - {name: hook, webhook: {url: "http://10.0.0.7/hook", secret_file: "hook-secret"}}
  - {name: slack, slack: {url_file: "slack-url", allow_private: true}}
  - {name: phone, ntfy: {topic: "alerts", token_file: "/run/secrets/ntfy"}}
  - {name: pager, pagerduty: {key_file: "pager-key"}}
  - {name: mail, email: {server: "smtp.example.org", user: "pulse", password_file: "smtp", from: "pulse@example.org", to: ["ops@example.org"]}}
  - {name: program, command: {argv: ["/usr/local/bin/tell", "--now"]}}
routes:
  - {name: night, receivers: [pager, phone], severity: [critical], server: "db-*", hours: "18:00-08:00", days: [mon-fri], zone: "Europe/Berlin", continue: true, group_wait: "1m", repeat_every: "4h", rate: 3}
default: {receivers: [slack, slack]}
heartbeat: {url_file: "beat", every: "2m"}
allow: ["127.0.0.1", "fe80::/10"]
`

describe("notify.yml", () => {
  it("says who is told of what, with files beside it and what is usual where it says nothing", () => {
    const config = Result.getOrThrow(read(WHOLE))
    assert.deepStrictEqual(config.receivers[0], {
      name: "hook",
      way: { kind: "webhook", address: { url: "http://10.0.0.7/hook" }, secretFile: "/etc/pulse/hook-secret" },
      allowed: ["127.0.0.1", "fe80::/10"]
    })
    assert.deepStrictEqual(config.receivers[1], {
      name: "slack",
      way: { kind: "slack", address: { file: "/etc/pulse/slack-url" } },
      allowed: "any"
    })
    assert.deepInclude(config.receivers[2]!.way, {
      address: { url: "https://ntfy.sh" },
      tokenFile: "/run/secrets/ntfy"
    })
    assert.deepInclude((config.receivers[4]!.way as { mail: object }).mail, { port: 587, encryption: "starttls" })
    assert.deepInclude(config.receivers[5]!.way, { timeout: 10_000 })
    const [night, last] = config.routes
    assert.deepInclude(night, { groupWait: 60_000, repeatEvery: 14_400_000, rate: 3, continues: true, rule: "*" })
    assert.deepStrictEqual(night!.hours, {
      from: 1_080,
      until: 480,
      days: new Set([0, 1, 2, 3, 4]),
      zone: "Europe/Berlin"
    })
    assert.deepInclude(last, { name: "default", receivers: ["slack"], hours: undefined, groupWait: 30_000, rate: 10 })
    assert.deepInclude(config.heartbeat, { every: 120_000, method: "GET", address: { file: "/etc/pulse/beat" } })
  })

  it("is told all that is wrong with it, each with its place, and what is meant", () => {
    assert.deepStrictEqual(
      problemsOf(`receivers:
  - {name: a, slack: {url: "https://hooks.example/T0/secret"}}
  - {name: b, webhook: {url: "ftp://x"}}
`),
      [
        "receivers[0].slack.url (line 2) is not a known key (known here: url_file, allow_private)",
        "receivers[0].slack.url_file is missing",
        `receivers[1].webhook.url (line 3) is a text, but must be an address that begins with "http://" or "https://", without "?" and "#"`
      ]
    )
    assert.deepStrictEqual(
      problemsOf(`receivers:
  - {name: mail, email: {server: s, from: a@b, to: [c@d], user: u}}
  - {name: mail, command: {argv: [x]}, slack: {url_file: x}}
  - {name: plain, email: {server: s, from: a@b, to: [c@d], user: u, password_file: p, encryption: none}}
routes:
  - {name: one, receivers: [mial], hours: "08:00-18:00"}
  - {name: default, receivers: [mail]}
heartbeat: {every: "1m"}
`),
      [
        `receivers[1].name (line 3): "mail" is the name of two receivers`,
        "receivers[0].email (line 2): user and password_file go together",
        "receivers[1].name (line 3): a receiver has one of webhook, slack, mattermost, discord, teams, ntfy, pagerduty, email, command; slack and command are given",
        "receivers[2].email (line 4): a password is not sent without encryption: starttls or tls",
        `routes[0].receivers[0] (line 6) is "mial", which is no receiver, did you mean "mail"? (known: mail, mail, plain)`,
        `routes[0].name (line 6): hours and days need a zone, such as "Europe/Berlin" or "UTC"`,
        `routes[1].name (line 7) is "default", which is what is left`,
        "heartbeat: it has one of url and url_file"
      ]
    )
  })

  it("never says a secret that stands where none may", () => {
    const misplaced = [
      `receivers: [{name: a, email: {server: s, from: a@b, to: [c@d], user: u, password: "hunter2"}}]`,
      `receivers: [{name: a, pagerduty: {key: "hunter2"}}]`,
      `receivers: [{name: a, slack: "https://hooks.example/hunter2"}]`,
      `receivers: [{name: a, webhook: {url: "https://x/hunter2?a=1"}}]`,
      `receivers: [{name: a, command: {argv: ["x", "hunter2\\0"]}}]`,
      `heartbeat: {url: "https://x/hunter2#1"}\nreceivers: []`
    ]
    for (const text of misplaced) {
      const problems = problemsOf(text)
      assert.isNotEmpty(problems, text)
      assert.notInclude(problems.join("\n").replaceAll("password", ""), "hunter2", text)
    }
  })

  it("bounds what it may hold: addresses that would be headers, zones, hours, numbers", () => {
    const route = (more: string) =>
      problemsOf(`receivers: [{name: a, slack: {url_file: x}}]\nroutes: [{name: r, receivers: [a], ${more}}]`)
    for (const more of [
      'hours: "8-18", zone: UTC',
      'zone: "Mars/Olympus"',
      "days: [someday], zone: UTC",
      "rate: 0",
      'group_wait: "11m"',
      'repeat_every: "1m"',
      "severity: [bad]"
    ])
      assert.lengthOf(route(more), 1, more)
    for (const to of ['"a@b\\nBcc: c@d"', '"a@b, c@d"', '"A <a@b>"', '"a"', '"@"'])
      assert.lengthOf(problemsOf(`receivers: [{name: a, email: {server: s, from: a@b, to: [${to}]}}]`), 1, to)
  })
})
