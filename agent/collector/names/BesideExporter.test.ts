/**
 * The language of `process_names` beside the real exporter: for each file of `fixtures/`, the same groups with the same number
 * of processes, of programs that run and of names that mean harm. A case is added by adding a file.
 * Needs Linux and Debian's prometheus-process-exporter; where it is missing, one line says so.
 */
import { spawn } from "node:child_process"
import * as Fs from "node:fs"
import { basename, delimiter, join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Result } from "effect"
import { parse, stringify } from "yaml"
import { parseExposition } from "../../../src/plugins/Exposition.ts"
import { AgentConfig, withDefaults } from "../../config/AgentConfig.ts"
import { readNamesFile } from "../../config/ProcessNamesSetting.ts"
import { exchange } from "../../scrape/HttpExchange.ts"
import { closedPort } from "../../scrape/HttpPeer.fixture.ts"
import { Collectors } from "../Collector.ts"
import { layerProc } from "../CollectorLinux.ts"
import { defaultNames } from "./DefaultNames.ts"
import { NAME_LENGTH_MAX } from "./NameTemplate.ts"
import type { NamedProcess } from "./ProcessNames.ts"
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

/** What the Ansible role gives the real exporter, as a file of its own. */
const shipped = (): string => {
  const role = join(import.meta.dirname, "../../../ansible/roles/process-exporter/defaults/main/main.yml")
  const unsafe = { tag: "!unsafe", resolve: (text: string) => text }
  const { process_exporter_process_names: entries } = parse(Fs.readFileSync(role, "utf8"), { customTags: [unsafe] })
  return stringify({ process_names: entries })
}

describe("what the Ansible role gives the real exporter", () => {
  const theirs = Result.getOrThrow(readNamesFile(shipped(), String)).names
  const ours = defaultNames({ pid: 1, name: "itself" })
  const of = (comm: string, line: string): NamedProcess => ({
    pid: 7,
    comm,
    exe: undefined,
    cmdline: line.split(" "),
    uid: 0,
    startedAt: 0,
    cgroups: [],
    unit: ""
  })

  it("names processes as the built-in collector does", () => {
    for (const [comm, line, name] of [
      ["MainThread", "/usr/bin/node --enable-source-maps /usr/bin/nodepulse-agent agent", "nodepulse-agent"],
      ["MainThread", "node /usr/lib/nodepulse/lib/nodepulse.mjs server", "nodepulse"],
      ["node", "node -r ./tracing.js --max-old-space-size=99 /srv/server.mjs --port 1", "node server.mjs"],
      ["MainThread", "node --title secret.js app.ts", "node app.ts"],
      ["MainThread", "node -e require('x.js')", "node"],
      ["python3.11", "/usr/bin/python3.11 -u -W ignore /srv/worker.py --token x", "python3 worker.py"],
      ["python3", "python3 -m http.server 8000", "python3 http.server"],
      ["python3", "python3 -um celery worker", "python3 celery"],
      ["python3", "python3 -c print(1) x.py", "python3"],
      ["uvicorn", "/usr/bin/python3 /usr/bin/uvicorn app:main", "uvicorn"],
      ["java", "java -Dpassword=x -jar /opt/app.jar --secret y", "java app.jar"],
      ["java", "java -cp a:b --add-opens x=y com.acme.Main z", "java Main"],
      ["java", "java -m shop/com.acme.Server", "java Server"],
      ["java", "java -version", "java"],
      ["perl", "perl -w -I lib /usr/sbin/spamd", "perl spamd"],
      ["perl", "perl -ne print x", "perl"],
      ["ruby", "ruby -r json bin/rails server", "ruby rails"],
      ["ruby", "ruby -e x y", "ruby"],
      ["php", "php -d a=1 artisan queue:work", "php artisan"],
      ["php", "php -r echo(1); x", "php"],
      ["bash", "bash -euo pipefail /srv/run.sh x", "bash run.sh"],
      ["bash", "bash -c secret", "bash"],
      ["bash", "bash -lc secret x", "bash"],
      ["sh", "sh -c /srv/run.sh", "sh"],
      ["bash", "bash /dev/fd/63", "bash"],
      ["bash", "-bash", "bash"],
      ["MainThread", "/opt/game/server --x", "server"],
      ["postgres", "postgres: shop app [local] idle", "postgres"]
    ] as const) {
      assert.strictEqual(theirs.nameOf(of(comm, line)), name, `the role: ${line}`)
      assert.strictEqual(ours.nameOf(of(comm, line)), name, `the collector: ${line}`)
    }
  })
})

describe.skipIf(!able)(`the same file, the same groups as in the real exporter${suffix}`, () => {
  it.live(
    "for every configuration, of all processes that there are",
    () =>
      Effect.gen(function* () {
        const procfs = yield* snapshot(yield* running)
        assert.isAtLeast(FILES.length, 25)
        assert.isAtLeast(MADE_UP.length, 40)
        const role = join(procfs, "role.yml")
        Fs.writeFileSync(role, shipped())
        const files = [...FILES.map((file) => join(FOLDER, file)), role]
        const told = yield* Effect.forEach(files, (file) =>
          Effect.all([ourGroups(file, procfs), theirGroups(file, procfs)])
        )
        assert.deepStrictEqual(
          told.flatMap(([ours, theirs], index) =>
            differences(ours, theirs).map((one) => `${basename(files[index]!)}: ${one}`)
          ),
          []
        )
        for (const [, theirs] of told.filter((_, index) => FILES[index] !== "nothing.yml")) assert.isNotEmpty(theirs)
      }),
    240_000
  )
})
