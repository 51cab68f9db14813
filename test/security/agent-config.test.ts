/** A configuration that means harm, or holds a password: refused by size and depth before it is read, and never in a log. */
import { spawn } from "node:child_process"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { readConfigDocument } from "../../agent/config/ConfigDocument.ts"
import { httpPeer } from "../../agent/scrape/HttpPeer.fixture.ts"

const folder = Effect.acquireRelease(
  Effect.promise(() => mkdtemp(join(tmpdir(), "nodepulse-config-"))),
  (path) => Effect.promise(() => rm(path, { recursive: true, force: true }))
)

/** Runs the agent on a configuration until it ends or says `until`: all that it says. */
const saidBy = (yaml: string, flags: ReadonlyArray<string> = [], until?: RegExp) =>
  Effect.gen(function* () {
    const path = yield* folder
    const file = join(path, "nodepulse.yml")
    yield* Effect.promise(() => writeFile(file, yaml.replaceAll("FOLDER", path), { mode: 0o600 }))
    return yield* Effect.callback<string>((resume) => {
      let said = ""
      const child = spawn(process.execPath, ["src/AgentMain.ts", "agent", "--config", file, ...flags])
      const hear = (chunk: Buffer) => {
        said += chunk.toString()
        if (until?.test(said) === true) child.kill("SIGKILL")
      }
      child.stdout.on("data", hear)
      child.stderr.on("data", hear)
      child.on("close", () => resume(Effect.succeed(said)))
      return Effect.sync(() => child.kill("SIGKILL"))
    })
  })

const problems = (text: string) => {
  const read = readConfigDocument(text, ["process_exporter"])
  return read._tag === "Failure" ? read.failure : []
}
const list = (count: number, line: (n: number) => string) => Array.from({ length: count }, (_, n) => line(n)).join("")

describe("a configuration file", () => {
  it.each([
    ["larger than 65536 bytes", "#".repeat(65_537)],
    ["larger than 65536 bytes", list(100_000, (n) => `key${n}: 1\n`)],
    ["more than 1000 keys", list(1_001, (n) => `key${n}: 1\n`)],
    ["nested more than 16 deep", "a: [".repeat(10_000)],
    ["nested more than 16 deep", `a: ${"[".repeat(50_000)}`],
    ["nested more than 16 deep", "- ".repeat(20_000)],
    ["nested more than 16 deep", "? ".repeat(20_000)],
    ["nested more than 16 deep", list(300, (n) => `${" ".repeat(n)}a:\n`)],
    ["more than 20000 parts", "!tag ".repeat(12_000)],
    ["more than 20000 parts", "&a ".repeat(20_000)],
    ["more than 20000 parts", "- a\n".repeat(15_000)],
    [
      "Excessive alias count",
      `a: &a0 [x,x]\n${list(60, (n) => `k${n}: &a${n + 1} [${Array(9).fill(`*a${n}`).join()}]\n`)}`
    ]
  ])("with %s is refused for that", (told, text) => {
    assert.lengthOf(problems(text), 1)
    assert.include(problems(text)[0], told)
  })

  it.live("that is too large is refused by the agent itself, also where it has no end", () =>
    Effect.gen(function* () {
      const said = yield* saidBy(list(100_000, (n) => `key${n}: !a &b${n} 1\n`))
      assert.match(said, /the file is larger than 65536 bytes/)
    })
  )

  it("shows no password in a problem, wherever it was put", () => {
    for (const text of [
      "server: {url: 'user:hunter2@host', token: a}",
      "server: {url: 'ftp://user:hunter2@host', token: a}",
      "server: {url: {password: hunter2}, token: a}",
      "server: ['hunter2']",
      "server: {token: *hunter2}",
      "server: {token: !hunter2 [x]}",
      "server: {url: http://h, token: 'hunter2 with a blank'}",
      "server: {url: http://h, token: [hunter2]}",
      "exporters: [{name: process_exporter, endpoint: 'user:hunter2@host'}]",
      "exporters: [{name: process_exporter, endpoint: 'unix:user:hunter2@host'}]"
    ]) {
      assert.isAbove(problems(text).length, 0, text)
      assert.notInclude(problems(text).join("\n"), "hunter2", text)
    }
  })
})

describe("a password in server.url", () => {
  it.live(
    "is sent to the server and is in no line of the log, whatever happens",
    () =>
      Effect.gen(function* () {
        let asked = 0
        const peer = yield* httpPeer((request, response) => {
          assert.strictEqual(request.headers.authorization, "Bearer a-token")
          const location = `http://user:hunter2@${request.headers.host}/elsewhere`
          response.writeHead([302, 401, 500][asked++ % 3]!, { location }).end()
        })
        const at = (url: string) => `
server: {url: "${url}", token: a-token}
buffer: {path: "FOLDER/spool"}
exporters:
  - {name: process_exporter, collector: always, interval: 1s}
  - {name: node_exporter, enabled: false}
`
        const url = peer.url.replace("http://", "http://user:hunter2@")
        for (const [yaml, flags, until] of [
          [at(url), ["--check"], undefined],
          [at(url), [], /redirects to/],
          [at("http://user:hunter2@127.0.0.1:1"), [], /cannot be reached/],
          [at("http://user:hunter2@nodepulse.invalid"), [], /cannot be reached/]
        ] as const) {
          const said = yield* saidBy(yaml, flags, until)
          assert.match(said, until ?? /is valid/)
          assert.notInclude(said, "hunter2")
          assert.notInclude(said, "a-token")
        }
      }),
    180_000
  )
})
