import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises"
import { hostname, tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Redacted, Result, Schema } from "effect"
import { counter } from "../../src/plugins/Column.ts"
import { defineExporter, ParseError } from "../../src/plugins/Exporter.ts"
import { Registry } from "../../src/plugins/Registry.ts"
import { parseBytes, parseDuration } from "../../src/YamlValue.ts"
import { isLoopback, loadAgentConfig, withDefaults } from "./AgentConfig.ts"
import { readConfigDocument } from "./ConfigDocument.ts"

const declare = (name: string, interval: Duration.Input) =>
  defineExporter({
    name,
    title: name,
    scrape: { endpoint: "http://127.0.0.1:9999/metrics", interval, timeout: "5 seconds" },
    table: { name: `${name}_rows`, retention: "7 days", columns: { count: counter({ doc: "A count." }) } },
    parse: () => Result.fail(new ParseError({ exporter: name, reason: "not used here" }))
  })()

const registry = Registry.layer({
  exporters: [declare("disk_exporter", "15 seconds"), declare("nginx_exporter", "6 seconds")]
})

const optIn = defineExporter({
  name: "ended_exporter",
  title: "Ended",
  scrape: {
    endpoint: "http://127.0.0.1:9999/metrics",
    interval: "15 seconds",
    timeout: "5 seconds",
    collector: "accounting",
    optIn: true
  },
  table: { name: "ended_rows", retention: "7 days", columns: { count: counter({ doc: "A count." }) } },
  parse: () => Result.fail(new ParseError({ exporter: "ended_exporter", reason: "not used here" }))
})()

const problemsOf = (text: string): ReadonlyArray<string> => {
  const result = readConfigDocument(text, ["disk_exporter", "nginx_exporter"])
  return Result.isFailure(result) ? result.failure : []
}

const FILE = "nodepulse.yml"

/** Writes the files into a folder of their own, and loads `nodepulse.yml` from there; `DIR` in it stands for the folder. */
const load = (
  files: Readonly<Record<string, string>>,
  modes: Readonly<Record<string, number>> = {},
  options: { readonly embedded?: boolean } = {}
) =>
  Effect.gen(function* () {
    const folder = yield* Effect.acquireRelease(
      Effect.promise(() => mkdtemp(join(tmpdir(), "nodepulse-config-"))),
      (path) => Effect.promise(() => rm(path, { recursive: true, force: true }))
    )
    for (const [name, text] of Object.entries(files)) {
      yield* Effect.promise(() => writeFile(join(folder, name), text.replaceAll("DIR", folder)))
      yield* Effect.promise(() => chmod(join(folder, name), modes[name] ?? 0o600))
    }
    return yield* loadAgentConfig({ path: join(folder, FILE), ...options })
  }).pipe(Effect.provide(registry))

describe("an exporter that is off unless it is asked for", () => {
  const enabled = (text: string) => {
    const document = Result.getOrThrow(readConfigDocument(text, ["disk_exporter", "ended_exporter"]))
    const { disabled, exporters } = withDefaults(
      document,
      [declare("disk_exporter", "15 seconds"), optIn],
      undefined,
      []
    )
    return { exporters: exporters.map(({ collector, exporter }) => [exporter.name, collector]), disabled }
  }

  it("is neither scraped nor called switched off where nobody asks", () => {
    assert.deepStrictEqual(enabled("{}"), { exporters: [["disk_exporter", "auto"]], disabled: [] })
  })

  it("is served by the built-in collector where what that reads is configured", () => {
    const { exporters } = enabled("accounting: {file: /var/log/account/pacct}")
    assert.deepStrictEqual(exporters[1], ["ended_exporter", "always"])
  })

  it("is scraped where it is listed, and off where it is listed as such", () => {
    const { exporters } = enabled("exporters: [{name: ended_exporter, collector: never}]")
    assert.deepStrictEqual(exporters[1], ["ended_exporter", "never"])
    const off = enabled("accounting: {file: /pacct}\nexporters: [{name: ended_exporter, enabled: false}]")
    assert.deepStrictEqual(off.disabled, ["ended_exporter"])
  })
})

describe("the agent's budget", () => {
  const budgetOf = (text: string) =>
    withDefaults(Result.getOrThrow(readConfigDocument(text, [])), [], undefined, []).budget

  it("has a default for each, and can be set, or switched off", () => {
    assert.deepStrictEqual(budgetOf("{}"), { cpuPercent: 5, memoryBytes: 192 * 1024 ** 2 })
    assert.deepStrictEqual(budgetOf('budget: {cpu: "0.5%", memory: 96MiB}'), {
      ...{ cpuPercent: 0.5, memoryBytes: 96 * 1024 ** 2 }
    })
    assert.deepStrictEqual(budgetOf("budget: {cpu: none, memory: none}"), {
      ...{ cpuPercent: undefined, memoryBytes: undefined }
    })
  })

  it("is refused by name where it can be no budget", () => {
    for (const [text, problem] of [
      ["budget: {cpu: 5}", /budget\.cpu \(line 1\) is 5, .* between "0\.1%" and "100%", or "none"/],
      ['budget: {cpu: "0.01%"}', /budget\.cpu/],
      ['budget: {cpu: "101%"}', /budget\.cpu/],
      ["budget: {memory: 1MiB}", /budget\.memory \(line 1\) is "1MiB", .*64 MiB/],
      ["budget: {memroy: 96MiB}", /budget\.memroy.*memory/]
    ] as const) {
      assert.match(problemsOf(text).join(), problem)
    }
  })

  it.effect("is not that of an agent inside a server, whose process is the server's", () =>
    Effect.gen(function* () {
      const { budget, warnings } = yield* load({ [FILE]: 'budget: {cpu: "1%"}' }, {}, { embedded: true })
      assert.deepStrictEqual(budget, { cpuPercent: undefined, memoryBytes: undefined })
      assert.include(warnings.join(), "budget in")
    })
  )
})

describe("the agent's config", () => {
  it.effect("of the request is understood as it stands", () =>
    Effect.gen(function* () {
      const config = yield* load({
        [FILE]: `exporters:
  - name: "disk_exporter"
    enabled: true
    endpoint: "http://127.0.0.1:9100/metrics"
    interval: "15s"
  - name: "nginx_exporter"
    enabled: false
`
      })
      assert.deepStrictEqual(
        config.exporters.map(({ endpoint, exporter, interval }) => [
          exporter.name,
          endpoint,
          Duration.toMillis(interval)
        ]),
        [["disk_exporter", "http://127.0.0.1:9100/metrics", 15_000]]
      )
      assert.deepStrictEqual(config.disabled, ["nginx_exporter"])
    })
  )

  it.effect("has a default for everything", () =>
    Effect.gen(function* () {
      const config = yield* load({ [FILE]: "# nothing set\nserver:\nexporters:\n" })
      assert.isUndefined(config.server)
      assert.strictEqual(config.serverName, hostname())
      assert.deepStrictEqual(config.buffer, {
        path: undefined,
        maxBytes: 256 * 1024 * 1024,
        maxAge: Duration.millis(86_400_000)
      })
      assert.deepStrictEqual(
        config.exporters.map(({ collector, exporter, timeout }) => [
          exporter.name,
          collector,
          Duration.toMillis(timeout)
        ]),
        [
          ["disk_exporter", "auto", 5_000],
          ["nginx_exporter", "auto", 5_000]
        ]
      )
    })
  )

  it.effect("takes every setting", () =>
    Effect.gen(function* () {
      const config = yield* load({
        token: "s3cret\n",
        [FILE]: `server: { url: "https://pulse.example.org/base/", token_file: "DIR/token", timeout: 3s }
buffer: { path: /var/lib/nodepulse, max_bytes: 64MiB, max_age: 1h30m }
labels: { server_name: web-1 }
metrics: { listen: "[::1]:9257" }
exporters: [{ name: disk_exporter, interval: 1m, timeout: 500ms, body_limit: 1 MiB, collector: never }]
`
      })
      assert.strictEqual(config.server?.url, "https://pulse.example.org/base")
      assert.strictEqual(Redacted.value(yield* config.server!.token), "s3cret")
      assert.strictEqual(Duration.toMillis(config.server!.timeout), 3_000)
      assert.strictEqual(config.serverName, "web-1")
      assert.deepStrictEqual(config.metrics, { host: "::1", port: 9257 })
      assert.strictEqual(config.buffer.maxBytes, 64 * 1024 * 1024)
      assert.strictEqual(Duration.toMillis(config.buffer.maxAge), 5_400_000)
      const [disk] = config.exporters
      assert.strictEqual(Duration.toMillis(disk!.timeout), 500)
      assert.strictEqual(disk!.bodyLimit, 1024 * 1024)
      assert.strictEqual(disk!.collector, "never")
      assert.deepStrictEqual(config.warnings, [])
    })
  )

  it.effect("lets a default time-out give way to a short interval", () =>
    Effect.gen(function* () {
      const config = yield* load({ [FILE]: "exporters: [{ name: disk_exporter, interval: 2s }]" })
      assert.strictEqual(Duration.toMillis(config.exporters[0]!.timeout), 1_600)
    })
  )

  it.effect("is all defaults, with a word about it, where no file was named and none is there", () =>
    Effect.gen(function* () {
      const config = yield* loadAgentConfig({}).pipe(Effect.provide(registry))
      assert.strictEqual(config.exporters.length, 2)
      assert.match(config.warnings[0] ?? "", /there is no \/etc\/nodepulse\/nodepulse\.yml/)
    })
  )

  it.effect("is refused where a file was named and is not there", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(loadAgentConfig({ path: "/nowhere/nodepulse.yml" })).pipe(
        Effect.provide(registry)
      )
      assert.strictEqual(error.message, "/nowhere/nodepulse.yml: the file cannot be read (ENOENT)")
    })
  )
})

describe("a problem in the config", () => {
  it("names path, line, value and what is allowed", () => {
    assert.deepStrictEqual(
      problemsOf('exporters:\n  - name: disk_exporter\n    interval: "0s"\n    collector: maybe\n'),
      [
        'exporters[0].interval (line 3) is "0s", but must be a duration between 1s and 1h, such as "15s" or "1m"',
        'exporters[0].collector (line 4) is "maybe", but must be "auto" | "always" | "never"'
      ]
    )
    for (const interval of ["15", "15 s", "2h", "999ms", "-15s", "1e3s", "true", "[]"]) {
      assert.match(
        problemsOf(`exporters: [{name: disk_exporter, interval: ${interval}}]`)[0] ?? "",
        /must be a duration/
      )
    }
    assert.match(
      problemsOf("buffer: {max_bytes: 5}")[0]!,
      /buffer.max_bytes \(line 1\) is 5, but must be a size between/
    )
    assert.match(problemsOf("server: {url: localhost, token: x}")[0]!, /server.url .*begins with "http:\/\/"/)
    assert.match(problemsOf("exporters: {disk_exporter: {}}")[0]!, /^exporters \(line 1\) is .*, but must be a list/)
    assert.match(problemsOf("- 1")[0]!, /^the file is a list, but must be a map/)
    assert.match(problemsOf("just words")[0]!, /^the file is "just words"/)
    assert.match(problemsOf("exporters: [{enabled: yes}]").join(), /exporters\[0\].name is missing/)
  })

  it("suggests the key, or the exporter, that was probably meant", () => {
    assert.match(problemsOf("exporters: [{name: disk_exporter, intervall: 15s}]")[0]!, /did you mean "interval"\?/)
    assert.match(problemsOf("servers: {}")[0]!, /servers \(line 1\) is not a known key, did you mean "server"\?/)
    assert.match(problemsOf("server: {url: 'http://x', token-file: /t}")[0]!, /did you mean "token_file"\?/)
    assert.match(problemsOf("exporters: [{name: disc_exporter}]")[0]!, /did you mean "disk_exporter"\?/)
    assert.match(
      problemsOf("exporters: [{name: cobol}]")[0]!,
      /no known exporter \(known: disk_exporter, nginx_exporter\)/
    )
    assert.match(problemsOf("labels: {colour: red}")[0]!, /known here: server_name/)
  })

  it("is found together with all others", () => {
    assert.strictEqual(
      problemsOf("servr: 1\nbuffer: {max_age: x}\nexporters: [{name: disk_exporter, enabled: perhaps}]").length,
      3
    )
  })

  it("may lie between settings", () => {
    assert.match(
      problemsOf("exporters: [{name: disk_exporter, interval: 5s, timeout: 5s}]")[0]!,
      /timeout .*is 5s, but must be less than the interval \(5s\)/
    )
    assert.match(problemsOf("exporters: [{name: disk_exporter}, {name: disk_exporter}]")[0]!, /listed twice/)
    assert.match(problemsOf("server: {url: 'http://x'}")[0]!, /token_file is missing/)
    assert.match(problemsOf("server: {url: 'http://x', token: a, token_file: /b}")[0]!, /only one may be/)
  })

  it("of the YAML itself names line and column", () => {
    assert.match(problemsOf("exporters:\n\t- name: x\n")[0]!, /^line 2, column 1: not valid YAML/)
    assert.match(problemsOf("a: 1\na: 2\n")[0]!, /^line 2, column 1: not valid YAML: Map keys must be unique/)
    assert.match(problemsOf("server: *nothing\n")[0]!, /not valid YAML/)
  })

  it("never shows a token", () => {
    for (const text of ['server: {url: "http://x", token: "not one token"}', 'server: {url: "http://x", token: ""}']) {
      assert.notInclude(problemsOf(text).join(), "not one")
      assert.match(problemsOf(text)[0]!, /server.token \(line 1\) is not shown/)
    }
  })

  it("is all that a hostile file can cause", () => {
    const bomb = Array.from({ length: 9 }, (_, level) =>
      level === 0 ? "a0: &a0 [x,x,x,x,x,x,x,x,x]" : `a${level}: &a${level} [${Array(9).fill(`*a${level - 1}`)}]`
    ).join("\n")
    for (const text of [
      bomb,
      "[".repeat(100_000),
      "{".repeat(100_000),
      "a: ".repeat(1_000),
      "x".repeat(2_000_000),
      "\0"
    ]) {
      assert.isAtLeast(problemsOf(text).length, 1)
    }
    assert.isAtLeast(problemsOf("__proto__: {server: 1}\nconstructor: 2").length, 1)
  })

  it.effect("of a short interval with a longer time-out is found against the defaults, too", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(load({ [FILE]: "exporters: [{name: nginx_exporter, timeout: 6s}]" }))
      assert.match(error.message, /"nginx_exporter": its timeout is 6s, but must be less than its interval \(6s\)/)
    })
  )
})

describe("the token file", () => {
  const file = 'server: { url: "https://x.example", token_file: "DIR/token" }'

  it.effect("must be there, and hold one token", () =>
    Effect.gen(function* () {
      assert.match(
        (yield* Effect.flip(load({ [FILE]: file }))).message,
        /token_file .*token: it cannot be read \(ENOENT\)/
      )
      assert.match((yield* Effect.flip(load({ [FILE]: file, token: " \n" }))).message, /it is empty/)
      const two = yield* Effect.flip(load({ [FILE]: file, token: "one\ntwo" }))
      assert.match(two.message, /must hold one token/)
      assert.notInclude(two.message, "two")
    })
  )

  it.effect("that everybody can read is a warning, as is a token in a readable config", () =>
    Effect.gen(function* () {
      const open = yield* load({ [FILE]: file, token: "abc" }, { token: 0o644 })
      assert.match(open.warnings[0] ?? "", /token_file .* can be read by every user: chmod 640/)
      const inline = yield* load({ [FILE]: 'server: { url: "https://x.example", token: abc }' }, { [FILE]: 0o644 })
      assert.match(inline.warnings[0] ?? "", /server.token in it/)
    })
  )

  it.effect("is read anew each time", () =>
    Effect.gen(function* () {
      const folder = yield* Effect.acquireRelease(
        Effect.promise(() => mkdtemp(join(tmpdir(), "nodepulse-config-"))),
        (path) => Effect.promise(() => rm(path, { recursive: true, force: true }))
      )
      const write = (name: string, text: string) => Effect.promise(() => writeFile(join(folder, name), text))
      yield* write("token", "first")
      yield* write(FILE, `server: { url: "https://x.example", token_file: "${folder}/token" }`)
      const config = yield* loadAgentConfig({ path: join(folder, FILE) }).pipe(Effect.provide(registry))
      yield* write("token", "second")
      assert.strictEqual(Redacted.value(yield* config.server!.token), "second")
      yield* write("token", "")
      assert.strictEqual((yield* Effect.flip(config.server!.token))._tag, "TokenUnreadable")
    })
  )

  it.effect("is not in what is printed of the config", () =>
    Effect.gen(function* () {
      const config = yield* load({ [FILE]: 'server: { url: "https://x.example", token: topsecret }' })
      assert.notInclude(`${JSON.stringify(config)}${String(yield* config.server!.token)}`, "topsecret")
    })
  )

  it.effect("travels unencrypted to another machine over http, which is a warning", () =>
    Effect.gen(function* () {
      const config = yield* load({ [FILE]: 'server: { url: "http://pulse.example.org", token: abc }' })
      assert.match(config.warnings[0] ?? "", /unencrypted/)
      const local = yield* load({ [FILE]: 'server: { url: "http://localhost:8080", token: abc }' })
      assert.deepStrictEqual(local.warnings, [])
    })
  )
})

describe("values", () => {
  it.effect.prop(
    "a duration written in its units is read back",
    [Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1e9 }))],
    ([millis]) =>
      Effect.sync(() => {
        const text = `${Math.floor(millis / 3_600_000)}h${Math.floor(millis / 60_000) % 60}m${Math.floor(millis / 1000) % 60}s${millis % 1000}ms`
        assert.strictEqual(parseDuration(text), millis)
      })
  )

  it("sizes have decimal and binary units, and are whole", () => {
    assert.deepStrictEqual(["5", "1KiB", "1kb", "1.5 MiB", "2GB"].map(parseBytes), [5, 1024, 1000, 1_572_864, 2e9])
    assert.deepStrictEqual(["", "x", "1.5", "1 TB", "-1", "1e3", "NaN"].map(parseBytes), Array(7).fill(undefined))
  })

  it("loopback addresses are this machine's", () => {
    const here = ["http://127.0.0.1:9100", "http://localhost/", "http://[::1]:9100/metrics", "http://127.9.9.9"]
    const there = ["http://10.0.0.1", "http://localhost.example.org", "http://127.0.0.1.example.org"]
    assert.deepStrictEqual([...here, ...there].map(isLoopback), [true, true, true, true, false, false, false])
  })
})

describe("the agent inside a server", () => {
  const embedded = (files: Readonly<Record<string, string>>) => load(files, {}, { embedded: true })

  it.effect("reads the same file: its exporters, intervals, bounds and name hold", () =>
    Effect.gen(function* () {
      const config = yield* embedded({
        [FILE]: `labels: { server_name: "web-1" }
buffer: { max_age: "2h" }
exporters:
  - { name: disk_exporter, endpoint: "http://127.0.0.1:9101/metrics", interval: "30s" }
  - { name: nginx_exporter, enabled: false }
`
      })
      assert.strictEqual(config.serverName, "web-1")
      assert.deepStrictEqual(config.buffer.maxAge, Duration.hours(2))
      assert.deepStrictEqual(
        config.exporters.map(({ endpoint, exporter, interval }) => [
          exporter.name,
          endpoint,
          Duration.toSeconds(interval)
        ]),
        [["disk_exporter", "http://127.0.0.1:9101/metrics", 30]]
      )
      assert.deepStrictEqual([config.disabled, config.warnings], [["nginx_exporter"], []])
    })
  )

  it.effect("refuses a file that is wrong, with every problem in it", () =>
    Effect.gen(function* () {
      const { message } = yield* Effect.flip(embedded({ [FILE]: "exporters: [{ name: cobol, intervall: 3 }]" }))
      assert.match(message, /nodepulse.yml: exporters\[0\].intervall .* did you mean "interval"/)
    })
  )

  it.effect("delivers to its own server and keeps its own spool, and says so where the file names others", () =>
    Effect.gen(function* () {
      const config = yield* embedded({
        [FILE]: `server: { url: "https://elsewhere", token_file: "DIR/missing" }\nbuffer: { path: "DIR/spool" }`
      })
      assert.isUndefined(config.server)
      assert.isUndefined(config.buffer.path)
      assert.strictEqual(config.warnings.length, 1)
      assert.match(config.warnings[0]!, /^server and buffer.path in .*nodepulse.yml are for an agent of its own/)
    })
  )

  it.effect("needs a file that was named, and none that was not", () =>
    Effect.gen(function* () {
      const { message } = yield* Effect.flip(loadAgentConfig({ path: "/nonexistent/nodepulse.yml", embedded: true }))
      assert.match(message, /cannot be read \(ENOENT\)/)
    }).pipe(Effect.provide(registry))
  )
})
