/**
 * `nodepulse notify` as a person at a terminal uses it: what `check` says of files, right and wrong, and what `test` brings to a hook, a mail
 * server and a program that are real, by a whole server.
 */
import { createHmac } from "node:crypto"
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { createServer, type IncomingHttpHeaders } from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, layer } from "@effect/vitest"
import { Effect } from "effect"
import { SMTPServer } from "smtp-server"
import { afterAll } from "vitest"
import { home, piped, run } from "./CommandLine.ts"
import * as TestServer from "./TestServer.ts"

const ADMIN = "an-admin-token-for-tests"
const folder = mkdtempSync(join(tmpdir(), "nodepulse-notify-commands-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const notifyFile = join(folder, "notify.yml")

const file = (text: string): string => {
  const path = join(folder, "checked.yml")
  writeFileSync(path, text)
  return path
}

/** What `check` says of a file, and how it ends. */
const check = (text: string, ...flags: ReadonlyArray<string>) => run(["notify", "check", file(text), ...flags], {})

const RECEIVERS = `receivers:
  - {name: ops, slack: {url_file: "slack-url"}}
  - {name: pager, pagerduty: {key_file: "pager-key"}}
  - {name: hook, webhook: {url: "http://10.0.0.7/hook", secret_file: "hook-secret"}}
  - {name: mail, email: {server: "smtp.example.org", user: "pulse", password_file: "smtp", from: "a@b.example", to: ["c@d.example"]}}
  - {name: phone, ntfy: {topic: "alerts", token_file: "ntfy-token"}}
`

interface Heard {
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

/** A hook that answers 200, or what its path says. */
const hook = Effect.gen(function* () {
  const heard: Array<Heard> = []
  const server = createServer((request, response) => {
    let body = ""
    request.on("data", (chunk) => {
      body += chunk
    })
    request.on("end", () => {
      const path = request.url ?? ""
      heard.push({ path, headers: request.headers, body })
      response.writeHead(Number(/\d{3}$/.exec(path)?.[0] ?? 200)).end("hunter2")
    })
  })
  yield* Effect.acquireRelease(
    Effect.callback<void>((resume) => void server.listen(0, "127.0.0.1", () => resume(Effect.void))),
    () => Effect.callback<void>((resume) => void server.close(() => resume(Effect.void)))
  )
  return { heard, port: (server.address() as AddressInfo).port }
})

/** A mail server that takes what comes, and the texts that came. */
const mailServer = Effect.gen(function* () {
  const mails: Array<string> = []
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ["STARTTLS"],
    onData: (stream, _, done) => {
      let text = ""
      stream.on("data", (chunk: Buffer) => {
        text += chunk
      })
      stream.on("end", () => {
        mails.push(text)
        done()
      })
    }
  })
  yield* Effect.acquireRelease(
    Effect.callback<void>((resume) => void server.listen(0, "127.0.0.1", () => resume(Effect.void))),
    () => Effect.callback<void>((resume) => void server.close(() => resume(Effect.void)))
  )
  return { mails, port: (server.server.address() as AddressInfo).port }
})

layer(TestServer.layerWith({ notifyFile }), { excludeTestServices: true })("nodepulse notify", (it) => {
  describe("check", () => {
    it.effect("says who is told of what, and that what no route takes is told to nobody", () =>
      Effect.gen(function* () {
        const routes = `${RECEIVERS}routes:
  - {name: night, receivers: [pager], severity: [critical], server: "db-*", hours: "18:00-08:00", days: [mon-fri], zone: "Europe/Berlin", continue: true}
  - {name: leaks, receivers: [ops, mail], rule: "Memory *", group: "java*"}
`
        const { failure, out } = yield* check(`${routes}default: {receivers: [ops]}\n`)
        assert.isUndefined(failure)
        assert.deepStrictEqual(out.split("\n"), [
          "ops: slack",
          "pager: pagerduty",
          "hook: webhook",
          "mail: email",
          "phone: ntfy",
          "night: critical on db-*, 18:00-08:00 in Europe/Berlin on mon, tue, wed, thu, fri, to pager; then the routes below",
          "leaks: everything of the rule Memory * of java*, to ops, mail",
          "default: all else, to ops"
        ])
        assert.include((yield* check(routes)).out, "is told to nobody else: there is no default")
      })
    )

    it.effect("says all that is wrong, each with its line, and ends with 1", () =>
      Effect.gen(function* () {
        const { failure, out } = yield* check(
          "receivers:\n  - {name: ops, slak: {url_file: x}}\n  - {name: mail, email: {server: s, from: a, to: [c@d]}}\n"
        )
        assert.strictEqual(failure, "2 problems")
        const path = join(folder, "checked.yml")
        assert.deepStrictEqual(
          out.split("\n").map((line) => line.slice(0, line.indexOf(" is "))),
          [`${path}: receivers[0].slak (line 2)`, `${path}: receivers[1].email.from (line 3)`]
        )
        assert.include(out, 'did you mean "slack"?')
        const one = yield* check("receivers: [{name: ops, slack: {url_file: x}}]\ndefault: {receivers: [op]}\n")
        assert.strictEqual(one.failure, "1 problem")
        assert.include(one.out, '"op", which is no receiver, did you mean "ops"?')
      })
    )

    it.effect("is not harmed by what no person would write", () =>
      Effect.gen(function* () {
        for (const [text, said] of [
          ["", "receivers is missing"],
          ["- a\n- b", "must be a map of keys and values"],
          ["receivers: *nobody", "not valid YAML"],
          ["receivers: [{name: a, slack: {url_file: x}}", "not valid YAML"],
          [`receivers: ${"[".repeat(100)}`, "nested more than 16 deep"],
          [`a: &a [x]\nreceivers: [${"*a, ".repeat(200)}]`, "not valid YAML"],
          [`receivers:\n${"  - {name: a}\n".repeat(4_000)}`, "more than 3000 keys"],
          ["#".repeat(300_000), "larger than 262144 bytes"],
          ["\u0000\u0001\ufffe", "the file is"],
          ['receivers: [{name: "a\\e[31m", slack: {url_file: x}}]', "a text of 1 to 100 characters, without control"],
          ["receivers: [{name: a, slack: {url_file: x, __proto__: {}}}]", "is not a known key"]
        ] as const) {
          const { failure, out } = yield* check(text)
          assert.match(failure ?? "", /^\d+ problems?$/, said)
          assert.include(out, said)
          assert.notMatch(out, /[\u0000-\u0009\u000b-\u001f]/)
        }
        for (const [path, said] of [
          [join(folder, "none.yml"), "none.yml cannot be read: ENOENT"],
          [folder, "cannot be read: EISDIR"],
          ["/dev/zero", "/dev/zero cannot be read: it is larger than 1048576 bytes"]
        ] as const) {
          assert.include((yield* run(["notify", "check", path], {})).failure, said)
        }
      })
    )

    it.effect("looks into the files with secrets where it is asked to, and never says what is in them", () =>
      Effect.gen(function* () {
        assert.isUndefined((yield* check(RECEIVERS)).failure)
        const secret = (name: string, text: string, mode = 0o600) => {
          writeFileSync(join(folder, name), text)
          chmodSync(join(folder, name), mode)
        }
        secret("slack-url", "ftp://hooks.example/hunter2")
        secret("pager-key", "hunter2\nhunter2\n")
        secret("smtp", " \n")
        secret("ntfy-token", "hunter2", 0o602)
        const { failure, out } = yield* check(`${RECEIVERS}heartbeat: {url_file: beat}\n`, "--secrets")
        assert.strictEqual(failure, "6 problems")
        for (const said of [
          "slack-url: it must begin with http:// or https://",
          "pager-key: it holds more than one line",
          "hook-secret: it cannot be read (ENOENT)",
          "smtp: it is empty",
          "ntfy-token: others can write it",
          "beat: it cannot be read (ENOENT)"
        ]) {
          assert.include(out, `${join(folder, "checked.yml")}: ${folder}/${said}`)
        }
        assert.notInclude(out, "hunter2")
        secret("slack-url", "https://hooks.example/hunter2\n")
        for (const name of ["pager-key", "smtp", "ntfy-token", "hook-secret"]) secret(name, "hunter2\n")
        assert.isUndefined((yield* check(RECEIVERS, "--secrets")).failure)
      })
    )

    it.effect("ends as a program does: 0 and standard output, or 1 and standard error", () =>
      Effect.gen(function* () {
        const right = yield* piped(["notify", "check", file("receivers: []\ndefault: {receivers: []}")], {})
        assert.deepStrictEqual([right.code, right.out], [1, ""])
        assert.include(right.error, "default.receivers (line 2)")
        const empty = yield* piped(["notify", "check", file("receivers: []")], {})
        assert.deepStrictEqual([empty.code, empty.error], [0, ""])
        assert.include(empty.out, "there is no default")
      })
    )
  })

  describe("test", () => {
    it.effect("brings a test to a hook, a mail server and a program, and says why not", () =>
      Effect.gen(function* () {
        const { request, url } = yield* TestServer.TestServer
        const { heard, port } = yield* hook
        const mail = yield* mailServer
        const env = { HOME: yield* home, NODEPULSE_URL: url, NODEPULSE_TOKEN: ADMIN }
        const test = (name: string, as: Readonly<Record<string, string>> = env) => run(["notify", "test", name], as)
        assert.include((yield* test("ops")).failure, 'there is no receiver "ops"; there are none')
        writeFileSync(join(folder, "secret"), "hunter2\n", { mode: 0o600 })
        const at = `http://127.0.0.1:${port}`
        writeFileSync(
          notifyFile,
          `receivers:
  - {name: signed, webhook: {url: "${at}/signed", secret_file: secret, allow_private: true}}
  - {name: mail, email: {server: 127.0.0.1, port: ${mail.port}, encryption: none, from: "a@b.example", to: ["c@d.example"]}}
  - {name: program, command: {argv: ["/bin/sh", "-c", "cat > ${join(folder, "told.json")}"]}}
  - {name: fails, command: {argv: ["/bin/sh", "-c", "echo hunter2 >&2; exit 3"]}}
  - {name: broken, webhook: {url: "${at}/500", allow_private: true}}
  - {name: inside, webhook: {url: "${at}/inside"}}
  - {name: lost, slack: {url_file: none}}
`
        )
        for (const name of ["signed", "mail", "program"]) {
          assert.deepStrictEqual(yield* test(name), { out: `${name} was told`, failure: undefined })
        }
        assert.deepStrictEqual(
          heard.map(({ path }) => path),
          ["/signed"]
        )
        const [{ body, headers }] = heard as [Heard]
        const [, t, v1] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(String(headers["x-nodepulse-signature"]))!
        assert.strictEqual(v1, createHmac("sha256", "hunter2").update(`${t}.${body}`).digest("hex"))
        assert.deepInclude(JSON.parse(body), { test: true, incidents: [] })
        assert.lengthOf(mail.mails, 1)
        assert.match(mail.mails[0]!, /^To: c@d\.example/m)
        assert.match(mail.mails[0]!, /^Subject: .*[Tt]est/m)
        for (const [name, why] of [
          ["broken", "broken was not told: it answers 500"],
          ["fails", "fails was not told: "],
          ["inside", "inside was not told: it is at 127.0.0.1, which is of this machine"],
          ["lost", `lost was not told: ${join(folder, "none")}: it cannot be read (ENOENT)`],
          ["other", 'there is no receiver "other"; there are signed, mail, program'],
          ["\u001b[31mx", "there is no receiver"]
        ] as const) {
          const { failure, out } = yield* test(name)
          assert.include(failure, why)
          assert.notInclude(`${failure}${out}`, "hunter2")
        }
        assert.lengthOf(heard, 2)
        const failed = yield* piped(["notify", "test", "broken"], env)
        assert.deepStrictEqual([failed.code, failed.out], [1, ""])
        assert.strictEqual(failed.error.trim(), "nodepulse: broken was not told: it answers 500")
        const reader = yield* request("POST", "/api/tokens", { body: { kind: "read" } })
        assert.include(
          (yield* test("mail", { ...env, NODEPULSE_TOKEN: reader.body.token })).failure,
          "needs an operator"
        )
        assert.include((yield* test("mail", { HOME: env.HOME })).failure, "not signed in")
        assert.lengthOf(mail.mails, 1)
        const { body: audit } = yield* request("GET", "/api/audit?action=notification.test&limit=50")
        assert.deepInclude(audit.entries.at(-1), { subject: "receiver signed", detail: "it got there" })
        assert.notInclude(JSON.stringify(audit), "hunter2")
      }).pipe(Effect.scoped)
    )
  })
})
