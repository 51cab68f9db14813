/**
 * Receivers that are real: a mail server with TLS and passwords, and a program. What they get is what was told, to the byte.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Result, Schedule } from "effect"
import { SMTPServer, type SMTPServerOptions } from "smtp-server"
import { deliver } from "../src/alerts/delivery/Deliver.ts"
import type { Message } from "../src/alerts/delivery/Message.ts"
import { type Receiver, readNotify } from "../src/alerts/delivery/NotifyFile.ts"
import { describeWith, makeAuthority } from "./DebianServers.ts"

const EPOCH = Date.UTC(2025, 9, 30, 12)
const HOSTILE = "x\r\nBcc: victim@evil.example\r\n\r\nbody\u0000\u001b[31m =?utf-8?q?=0ABcc?= \u202e"

const message = (rule = "busy", kind: "firing" | "resolved" = "firing"): Message => ({
  id: kind === "firing" ? "7" : "8",
  route: "default",
  at: EPOCH,
  isTest: false,
  incidents: [
    {
      key: "nodepulse-k",
      kind,
      server: "db-1",
      alerts: [
        {
          id: "1",
          rule,
          sentence: "any group on any server: cpu above 50 %",
          severity: "critical",
          server: "db-1",
          serverName: "Datenbank ä",
          isOfItself: false,
          resource: "processes",
          group: "postgres",
          value: 93.3,
          firedAt: EPOCH,
          resolvedAt: kind === "firing" ? null : EPOCH + 60_000,
          isAcknowledged: false,
          runbook: undefined,
          owners: [],
          story: undefined,
          link: "https://pulse.example/alerts/1"
        }
      ]
    }
  ]
})

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "nodepulse-receivers-"))),
  (made) => Effect.sync(() => rmSync(made, { recursive: true, force: true }))
)

const receiver = (text: string, where: string): Receiver =>
  Result.getOrThrow(readNotify(`receivers:\n  - {name: r, ${text}}\n`, where)).receivers[0]!

/** Why it did not get there; undefined where it did. */
const told = (to: Receiver, what: Message) =>
  Effect.match(deliver(to, what), { onSuccess: () => undefined, onFailure: ({ reason }) => reason })

interface Mail {
  readonly to: ReadonlyArray<string>
  readonly from: string
  readonly user: string
  readonly isEncrypted: boolean
  readonly text: string
}

/** A mail server: its port, and what came. */
const mailServer = (options: SMTPServerOptions) =>
  Effect.gen(function* () {
    const mails: Array<Mail> = []
    const passwords: Array<string> = []
    const server = new SMTPServer({
      ...options,
      onAuth: ({ password, username }, _, done) => {
        passwords.push(password ?? "")
        if (password === "right") done(null, { user: username ?? "" })
        else done(new Error("no such password: hunter2"))
      },
      onData: (stream, session, done) => {
        const chunks: Array<Buffer> = []
        stream.on("data", (chunk: Buffer) => chunks.push(chunk))
        stream.on("end", () => {
          const { mailFrom, rcptTo } = session.envelope
          mails.push({
            to: rcptTo.map(({ address }) => address),
            from: mailFrom === false ? "" : mailFrom.address,
            user: String(session.user ?? ""),
            isEncrypted: session.secure === true,
            text: Buffer.concat(chunks).toString()
          })
          done()
        })
      }
    })
    // A client that does not trust the certificate goes away in the middle of the handshake.
    server.on("error", () => {})
    yield* Effect.acquireRelease(
      Effect.callback<void>((resume) => void server.listen(0, "127.0.0.1", () => resume(Effect.void))),
      () => Effect.callback<void>((resume) => void server.close(() => resume(Effect.void)))
    )
    return { mails, passwords, port: (server.server.address() as AddressInfo).port }
  })

const headersOf = (text: string): string => text.slice(0, text.indexOf("\r\n\r\n")).replace(/\r\n\s+/g, " ")

describeWith(["openssl"], "a mail server", () => {
  const certified = Effect.gen(function* () {
    const authority = yield* makeAuthority
    const where = yield* folder
    const { cert, key } = authority.issue("localhost")
    writeFileSync(join(where, "password"), "right\n", { mode: 0o600 })
    writeFileSync(join(where, "wrong"), "hunter2\n", { mode: 0o600 })
    return { where, tls: { cert, key }, caFile: authority.caFile }
  })
  const mail = (port: number, more: string) =>
    `email: {server: localhost, port: ${port}, from: "pulse@pulse.example", to: ["ops@example.org", "dba@example.org"], ${more}}`

  it.live("gets a text that is encrypted and signed in for, as one thread an incident", () =>
    Effect.gen(function* () {
      const { caFile, tls, where } = yield* certified
      const { mails, port } = yield* mailServer({ ...tls, secure: false })
      const to = receiver(mail(port, `user: pulse, password_file: password, ca_file: "${caFile}"`), where)
      assert.isUndefined(yield* told(to, message()))
      assert.isUndefined(yield* told(to, message()))
      assert.isUndefined(yield* told(to, message("busy", "resolved")))
      const [first, again, over] = mails
      assert.deepInclude(first, {
        to: ["ops@example.org", "dba@example.org"],
        from: "pulse@pulse.example",
        user: "pulse",
        isEncrypted: true
      })
      assert.include(first!.text, "any group on any server: cpu above 50 %")
      assert.include(first!.text, "https://pulse.example/alerts/1")
      const idOf = ({ text }: Mail) => /^Message-ID: (\S+)/im.exec(text)![1]
      assert.strictEqual(idOf(first!), idOf(again!))
      assert.notStrictEqual(idOf(first!), idOf(over!))
      const threadOf = ({ text }: Mail) => /^References: (\S+)/im.exec(headersOf(text))![1]
      assert.strictEqual(threadOf(first!), threadOf(over!))
      assert.match(headersOf(over!.text), /^Subject: Over: busy|^Subject: =\?UTF-8\?/im)
      assert.match(headersOf(first!.text), /^Auto-Submitted: auto-generated/im)
    }).pipe(Effect.scoped)
  )

  it.live("with TLS from the start gets it, too; one that is not trusted gets neither text nor password", () =>
    Effect.gen(function* () {
      const { caFile, tls, where } = yield* certified
      const { mails, passwords, port } = yield* mailServer({ ...tls, secure: true })
      const own = mail(port, "encryption: tls, user: pulse, password_file: password")
      assert.match((yield* told(receiver(own, where), message()))!, /certificate is not trusted/)
      assert.deepStrictEqual(passwords, [])
      const trusted = receiver(own.replace("}", `, ca_file: "${caFile}"}`), where)
      assert.isUndefined(yield* told(trusted, message()))
      assert.lengthOf(mails, 1)
      const wrong = receiver(
        own.replace("}", `, ca_file: "${caFile}"}`).replace("password_file: password", "password_file: wrong"),
        where
      )
      const refused = yield* told(wrong, message())
      assert.strictEqual(refused, "the mail server answers 535 at AUTH PLAIN")
    }).pipe(Effect.scoped)
  )

  it.live("without encryption gets no password, whatever it offers", () =>
    Effect.gen(function* () {
      const { where } = yield* certified
      const { mails, passwords, port } = yield* mailServer({
        secure: false,
        disabledCommands: ["STARTTLS"],
        allowInsecureAuth: true
      })
      const reason = yield* told(receiver(mail(port, "user: pulse, password_file: password"), where), message())
      assert.match(reason!, /mail server/)
      assert.deepStrictEqual([mails, passwords], [[], []])
      // Without a password it may be told in the clear, where the file says so.
      const open = yield* mailServer({ secure: false, authOptional: true, disabledCommands: ["STARTTLS"] })
      assert.isUndefined(yield* told(receiver(mail(open.port, "encryption: none"), where), message()))
      assert.lengthOf(open.mails, 1)
    }).pipe(Effect.scoped)
  )

  it.live("takes no name for a header, however it is written", () =>
    Effect.gen(function* () {
      const { where } = yield* certified
      const { mails, port } = yield* mailServer({ secure: false, authOptional: true, disabledCommands: ["STARTTLS"] })
      assert.isUndefined(yield* told(receiver(mail(port, "encryption: none"), where), message(HOSTILE)))
      const [one] = mails
      assert.deepStrictEqual(one!.to, ["ops@example.org", "dba@example.org"])
      assert.notMatch(headersOf(one!.text), /^Bcc:/im)
      const names = headersOf(one!.text)
        .split("\r\n")
        .map((line) => line.slice(0, line.indexOf(":")).toLowerCase())
      assert.strictEqual(names.filter((name) => name === "subject").length, 1)
      assert.strictEqual(names.filter((name) => name === "to").length, 1)
    }).pipe(Effect.scoped)
  )
})

describe("a command", () => {
  it.live("gets the message as JSON, no shell, and nothing of the environment", () =>
    Effect.gen(function* () {
      const where = yield* folder
      const script =
        "require('fs').writeFileSync(process.argv[1], JSON.stringify({args: process.argv.slice(2), env: Object.keys(process.env).sort(), input: JSON.parse(require('fs').readFileSync(0, 'utf8'))}))"
      const argv = [process.execPath, "-e", script, join(where, "out"), "$(id)", "; rm -rf x", "a b"]
      const to = receiver(`command: {argv: ${JSON.stringify(argv)}}`, where)
      assert.isUndefined(yield* told(to, message(HOSTILE)))
      const { args, env, input } = JSON.parse(readFileSync(join(where, "out"), "utf8"))
      assert.deepStrictEqual(args, ["$(id)", "; rm -rf x", "a b"])
      assert.deepStrictEqual(env, ["HOME", "LANG", "PATH"])
      assert.strictEqual(input.incidents[0].alerts[0].rule, HOSTILE)
    }).pipe(Effect.scoped)
  )

  it.live("that fails, is not there, takes too long or reads nothing is told as such, and leaves nothing behind", () =>
    Effect.gen(function* () {
      const where = yield* folder
      const run = (...argv: ReadonlyArray<string>) =>
        told(receiver(`command: {argv: ${JSON.stringify(argv)}, timeout: "1s"}`, where), message("x".repeat(100)))
      assert.strictEqual(yield* run("/bin/sh", "-c", "exit 3"), "the command ended with 3")
      assert.strictEqual(yield* run("/nonexistent/program"), "the command cannot be run (ENOENT)")
      assert.isUndefined(yield* run("/bin/true"))
      assert.isUndefined(yield* run("/bin/sh", "-c", "yes | head -c 5000000"))
      const left = join(where, "left")
      assert.strictEqual(
        yield* run("/bin/sh", "-c", `sh -c 'echo $$ > ${left}; exec sleep 600' & wait`),
        "the command took longer than 1 s"
      )
      const child = Number(readFileSync(left, "utf8"))
      const isGone = Effect.sync(() => {
        try {
          process.kill(child, 0)
          // A child that ended, and whom nobody has waited for yet, is gone, too.
          return /^State:\s+Z/m.test(readFileSync(`/proc/${child}/status`, "utf8"))
        } catch {
          return true
        }
      })
      yield* Effect.repeat(isGone, { until: (gone) => gone, schedule: Schedule.spaced("20 millis") }).pipe(
        Effect.timeout("10 seconds")
      )
    }).pipe(Effect.scoped)
  )
})
