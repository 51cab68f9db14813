import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import { Registry } from "../../src/plugins/Registry.ts"
import type { NamedProcess } from "../collector/names/ProcessNames.ts"
import { loadAgentConfig } from "./AgentConfig.ts"
import { readConfigDocument } from "./ConfigDocument.ts"
import { readNamesFile } from "./ProcessNamesSetting.ts"

const registry = Registry.layer({ exporters: [] })

const problemsOf = (text: string): ReadonlyArray<string> => {
  const result = readConfigDocument(text, [])
  return Result.isFailure(result) ? result.failure : []
}

const shop: NamedProcess = {
  pid: 7,
  comm: "java",
  exe: undefined,
  cmdline: ["java", "-jar", "/srv/shop.jar"],
  uid: 0,
  startedAt: 0,
  cgroups: [],
  unit: ""
}

const JARS = 'process_names:\n  - name: "java {{.Matches.jar}}"\n    cmdline: ["(?P<jar>[^/]+)[.]jar"]\n'

/** Loads `nodepulse.yml`, with the other file beside it; `DIR` stands for their folder. */
const load = (agent: string, names = "") =>
  Effect.gen(function* () {
    const folder = yield* Effect.acquireRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "nodepulse-names-"))),
      (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
    )
    writeFileSync(join(folder, "names.yml"), names)
    writeFileSync(join(folder, "nodepulse.yml"), agent.replaceAll("DIR", folder))
    return yield* loadAgentConfig({ path: join(folder, "nodepulse.yml") })
  }).pipe(Effect.provide(registry))

describe("the agent's process_names", () => {
  it.effect("name processes, whether they stand in its own file or in one of the exporter", () =>
    Effect.gen(function* () {
      const inline = yield* load(JARS)
      assert.strictEqual(inline.processNames?.nameOf(shop), "java shop")
      const beside = yield* load('process_names_file: "DIR/names.yml"\n', JARS)
      assert.strictEqual(beside.processNames?.nameOf(shop), "java shop")
      assert.isUndefined((yield* load("exporters: []\n")).processNames)
    })
  )

  it.effect("are refused as a whole, with entry, field, line and value, when a file cannot be used", () =>
    Effect.gen(function* () {
      const failure = yield* Effect.flip(load('process_names_file: "DIR/names.yml"\n', "process_names:\n  - name: x\n"))
      assert.match(
        failure.message,
        /process_names_file .*names\.yml: process_names\[0\] \(line 2\) matches nothing: it needs/
      )
      const missing = yield* Effect.flip(load('process_names_file: "DIR/none.yml"\n'))
      assert.match(missing.message, /process_names_file .*none\.yml cannot be read \(ENOENT\)/)
      const broken = yield* Effect.flip(load('process_names_file: "DIR/names.yml"\n', "process_names: [\n"))
      assert.match(broken.message, /names\.yml: line \d+, column \d+: not valid YAML/)
    })
  )

  it.effect("warn of a key that is not known, and take the rest, as the exporter does", () =>
    Effect.gen(function* () {
      const { processNames, warnings } = yield* load(
        "process_names_file: DIR/names.yml",
        `${JARS}    cmd_line: [x]\n  - comm: []\n`
      )
      assert.strictEqual(processNames?.nameOf(shop), "java shop")
      assert.match(
        warnings.join("\n"),
        /process_names\[0\]\.cmd_line \(line 4\) is not known and ignored, did you mean "cmdline"\?/
      )
      assert.match((yield* load("process_names: []")).warnings.join("\n"), /no process is in any group/)
    })
  )

  it("say what is wrong with an entry: field, line, value and reason", () => {
    const wrong = (entry: string) => problemsOf(`process_names:\n  - ${entry}\n`)
    assert.deepStrictEqual(wrong("comm: bash"), [
      'process_names[0].comm (line 2) is "bash", but must be a list, such as ["bash"]'
    ])
    assert.deepStrictEqual(wrong("cmdline: ['(x']"), [
      'process_names[0].cmdline[0] (line 2) is "(x": missing closing )'
    ])
    assert.match(wrong("cmdline: ['a(?=b)']")[0]!, /cmdline\[0\] \(line 2\) is "a\(\?=b\)": \(\?= looks around/)
    assert.match(
      wrong("{name: '{{.Com}}', comm: [a]}")[0]!,
      /name \(line 2\) is "\{\{\.Com\}\}": \.Com is no field \(known: Comm,/
    )
    assert.match(wrong("{name: '{{$x := 1}}', comm: [a]}")[0]!, /variables \(\$x\) are not available/)
    assert.match(wrong("{name: '{{if .Comm}}', comm: [a]}")[0]!, /\{\{if\}\} has no \{\{end\}\}/)
    assert.match(wrong("{name: '{{lower .Comm}}', comm: [a]}")[0]!, /lower is no function that is known here/)
    assert.match(wrong("{name: '{{.Comm', comm: [a]}")[0]!, /\{\{ without \}\}/)
    assert.match(wrong("comm: [[a]]")[0]!, /comm\[0\] \(line 2\) is a list, but must be a text/)
    assert.match(wrong("x")[0]!, /process_names\[0\] \(line 2\) is "x", but must have name, comm, exe, cmdline/)
    assert.match(problemsOf("process_names: bash")[0]!, /process_names \(line 1\) is "bash", but must be a list/)
    assert.match(
      problemsOf("process_names_file: /a\nprocess_names: []")[0]!,
      /process_names and process_names_file are both set/
    )
  })

  it("are bounded: in bytes, entries, and in what patterns repeat", () => {
    const refused = (text: string) => {
      const read = readNamesFile(text, String)
      return Result.isFailure(read) ? read.failure.join("\n") : ""
    }
    assert.match(refused(`process_names: [{comm: ["${"x".repeat(300_000)}"]}]`), /larger than 262144 bytes/)
    assert.match(refused(`process_names: [${"{comm: [a]},".repeat(1_001)}]`), /has 1001 entries, more than 1000/)
    assert.match(
      refused(`process_names: [${'{cmdline: ["x{900}y{900}"]},'.repeat(40)}]`),
      /makes the patterns together too expensive/
    )
    assert.match(
      refused(`process_names: [{comm: [a], name: "${"{{if true}}".repeat(40)}"}]`),
      /nested more than 16 deep/
    )
    assert.match(refused(`process_names: [{comm: ["${"x".repeat(5_000)}"]}]`), /must be at most 4096 characters long/)
  })
})
