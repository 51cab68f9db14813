/**
 * The language of `process_names` beside the real exporter: for each file of `fixtures/`, the same groups with the same number
 * of processes, of programs that run and of names that mean harm. A case is added by adding a file.
 * Needs Linux and Debian's prometheus-process-exporter; where it is missing, one line says so.
 */
import { spawn } from "node:child_process"
import * as Fs from "node:fs"
import { delimiter, join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Result } from "effect"
import { parseExposition } from "../../../src/plugins/Exposition.ts"
import { AgentConfig, withDefaults } from "../../config/AgentConfig.ts"
import { readNamesFile } from "../../config/ProcessNamesSetting.ts"
import { exchange } from "../../scrape/HttpExchange.ts"
import { closedPort } from "../../scrape/HttpPeer.fixture.ts"
import { Collectors } from "../Collector.ts"
import { layerProc } from "../CollectorLinux.ts"
import { NAME_LENGTH_MAX } from "./NameTemplate.ts"
import { MADE_UP, running, snapshot } from "./ProcessZoo.fixture.ts"
import { userNames } from "./UserNames.ts"

const EXPORTER = "prometheus-process-exporter"
const able =
  process.platform === "linux" &&
  (process.env.PATH ?? "").split(delimiter).some((folder) => Fs.existsSync(join(folder, EXPORTER)))
const suffix = able ? "" : ` (left out: apt-get install ${EXPORTER})`

const FOLDER = join(import.meta.dirname, "fixtures")
const FILES = Fs.readdirSync(FOLDER).filter((name) => name.endsWith(".yml"))

/** Name -> processes, of those that have any. */
const groupsOf = (body: string | Uint8Array): Groups => {
  const groups: Record<string, number> = {}
  for (const { labels, name, value } of Result.getOrThrow(parseExposition(body)).samples) {
    if (name !== "namedprocess_namegroup_num_procs" || value === 0) continue
    const group = (labels.groupname ?? "").slice(0, NAME_LENGTH_MAX)
    groups[group] = (groups[group] ?? 0) + value
  }
  return groups
}

const theirGroups = (config: string, procfs: string) =>
  Effect.gen(function* () {
    const port = yield* closedPort
    const flags = [`-config.path=${config}`, `-web.listen-address=127.0.0.1:${port}`, `-procfs=${procfs}`]
    const exporter = yield* Effect.acquireRelease(
      Effect.sync(() => spawn(EXPORTER, [...flags, "-threads=false", "-gather-smaps=false"], { stdio: "ignore" })),
      (child) => Effect.sync(() => child.kill("SIGKILL"))
    )
    const url = `http://127.0.0.1:${port}/metrics`
    const scrape = exchange({
      method: "GET",
      url,
      headers: {},
      timeout: Duration.seconds(10),
      bodyLimit: 64 * 1024 * 1024
    })
    for (;;) {
      const answer = yield* Effect.result(scrape)
      if (Result.isSuccess(answer)) return groupsOf(answer.success.body)
      assert.isNull(exporter.exitCode, `the exporter does not take ${config}`)
      yield* Effect.sleep(20)
    }
  }).pipe(Effect.scoped)

const ourGroups = (config: string, procfs: string) =>
  Effect.gen(function* () {
    const compiled = readNamesFile(Fs.readFileSync(config, "utf8"), userNames("/etc/passwd"))
    const { names } = Result.getOrThrow(compiled)
    const collector = Effect.flatMap(Collectors, ({ open }) => open("process"))
    const { text } = yield* collector.pipe(
      Effect.flatMap(({ collect }) => collect),
      Effect.provide(layerProc(procfs)),
      Effect.provideService(AgentConfig, { ...withDefaults({}, [], undefined, []), processNames: names })
    )
    return groupsOf(text)
  })

type Groups = Readonly<Record<string, number>>

const differences = (ours: Groups, theirs: Groups): ReadonlyArray<string> =>
  [...new Set([...Object.keys(ours), ...Object.keys(theirs)])]
    .filter((name) => ours[name] !== theirs[name])
    .map((name) => `${JSON.stringify(name.slice(0, 80))} ours ${ours[name] ?? 0}, theirs ${theirs[name] ?? 0}`)

describe.skipIf(!able)(`the same file, the same groups as in the real exporter${suffix}`, () => {
  it.live(
    "for every configuration, of all processes that there are",
    () =>
      Effect.gen(function* () {
        const procfs = yield* snapshot(yield* running)
        assert.isAtLeast(FILES.length, 25)
        assert.isAtLeast(MADE_UP.length, 40)
        const told = yield* Effect.forEach(FILES, (file) =>
          Effect.all([ourGroups(join(FOLDER, file), procfs), theirGroups(join(FOLDER, file), procfs)])
        )
        assert.deepStrictEqual(
          told.flatMap(([ours, theirs], index) => differences(ours, theirs).map((one) => `${FILES[index]}: ${one}`)),
          []
        )
        for (const [, theirs] of told.filter((_, index) => FILES[index] !== "nothing.yml")) assert.isNotEmpty(theirs)
      }),
    240_000
  )
})
