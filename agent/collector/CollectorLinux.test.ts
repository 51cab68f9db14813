/**
 * The built-in collectors beside the real exporters, on this machine: the same groups, CPU, memory and columns.
 * Needs Linux and Debian's prometheus-node-exporter and prometheus-process-exporter; what is missing is said in one line.
 */
import { spawn } from "node:child_process"
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Layer, Result } from "effect"
import type { Exporter } from "../../src/plugins/Exporter.ts"
import { parseExposition } from "../../src/plugins/Exposition.ts"
import { nodeExporter } from "../../src/plugins/node-exporter/NodeExporter.ts"
import { processExporter } from "../../src/plugins/process-exporter/ProcessExporter.ts"
import { onPath } from "../../test/OnPath.ts"
import { AgentConfig, withDefaults } from "../config/AgentConfig.ts"
import { exchange } from "../scrape/HttpExchange.ts"
import { closedPort } from "../scrape/HttpPeer.fixture.ts"
import { Collectors } from "./Collector.ts"
import { layer } from "./CollectorLinux.ts"
import { namesByComm } from "./names/ProcessNames.ts"

const PROCESS_EXPORTER = "prometheus-process-exporter"
const NODE_EXPORTER = "prometheus-node-exporter"
const missing = [PROCESS_EXPORTER, NODE_EXPORTER].filter((name) => onPath(name) === undefined)
const able = process.platform === "linux" && missing.length === 0
const suffix = able ? "" : ` (left out: apt-get install ${missing.join(" ")})`

const SCANS = 4

const collectors = Layer.provide(
  layer,
  Layer.succeed(AgentConfig, { ...withDefaults({}, [], undefined, []), processNames: namesByComm })
)

/** A process with all that it starts, in a group of its own, which is killed with the scope. Resolves to its pid. */
const started = (command: string, args: ReadonlyArray<string>, cwd?: string) =>
  Effect.acquireRelease(
    Effect.sync(() => spawn(command, args, { stdio: "ignore", detached: true, cwd }).pid!),
    (pid) => Effect.sync(() => process.kill(-pid, "SIGKILL"))
  )

/** Whether every thread of these groups has stopped, or ended: a signal arrives when the thread gets a CPU, or its disk answers. */
const haveStopped = (groups: ReadonlyArray<number>): boolean =>
  readdirSync("/proc")
    .filter((pid) => /^\d+$/.test(pid) && groups.includes(Number(statOf(`/proc/${pid}/stat`)[2])))
    .flatMap((pid) => threadsOf(pid))
    .every((thread) => ["T", "Z", "X", undefined].includes(statOf(`${thread}/stat`)[0]))

const threadsOf = (pid: string): ReadonlyArray<string> => {
  try {
    return readdirSync(`/proc/${pid}/task`).map((id) => `/proc/${pid}/task/${id}`)
  } catch {
    return []
  }
}

/** The fields after the name: state, parent, group. None of what is gone. */
const statOf = (path: string): ReadonlyArray<string> => {
  try {
    return readFileSync(path, "utf8")
      .replace(/^.*\) /s, "")
      .split(" ")
  } catch {
    return []
  }
}

/** Two readings at the same moment: the load stands still while both look at it, however slow the machine is. */
const whileStopped = <A, E>(pids: ReadonlyArray<number>, reading: Effect.Effect<A, E>) =>
  Effect.acquireUseRelease(
    Effect.sync(() => pids.forEach((pid) => void process.kill(-pid, "SIGSTOP"))),
    () => Effect.andThen(Effect.repeat(Effect.sleep("20 millis"), { until: () => haveStopped(pids) }), reading),
    () => Effect.sync(() => pids.forEach((pid) => void process.kill(-pid, "SIGCONT")))
  )

const temporaryFolder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "nodepulse-collector-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

const scrape = (port: number) =>
  exchange({
    method: "GET",
    url: `http://127.0.0.1:${port}/metrics`,
    headers: {},
    timeout: Duration.seconds(5),
    bodyLimit: 64 * 1024 * 1024
  })

/** Waits until the exporter listens, which it does within a second. */
const untilUp = (port: number) =>
  Effect.gen(function* () {
    for (let attempt = 0; attempt < 200; attempt++) {
      if (Result.isSuccess(yield* Effect.result(scrape(port)))) return
      yield* Effect.sleep(50)
    }
    assert.fail(`nothing listens on ${port}`)
  })

const rowsOf = (exporter: Exporter, body: string | Uint8Array) => {
  const samples = Result.getOrThrow(parseExposition(body)).samples
  return Result.getOrThrow(exporter.parse(samples, new Date(0))).rows
}

const groupsOf = (body: string | Uint8Array) =>
  new Map(
    rowsOf(processExporter(), body).map((row) => [
      String(row.process_name),
      { cpu: Number(row.cpu_seconds_total), memory: Number(row.memory_bytes), processes: Number(row.num_procs) }
    ])
  )

/** Each sample by its metric, group, and the values of its other labels. */
/** The exporter does not tell units: what the test starts is in one. */
const seriesOf = (body: string | Uint8Array) =>
  new Map(
    Result.getOrThrow(parseExposition(body)).samples.map(({ labels: { groupname, unit: _, ...more }, name, value }) => [
      [name, groupname, ...Object.values(more)].join(" "),
      value
    ])
  )

describe.skipIf(!able)(`beside the real exporters${suffix}`, () => {
  it.live(
    "the process collector sees the same groups, and the same CPU within 2 %",
    () =>
      Effect.gen(function* () {
        const folder = yield* temporaryFolder
        const config = join(folder, "config.yml")
        writeFileSync(config, `process_names:\n  - name: "{{.Comm}}"\n    cmdline: ['.+']\n`)
        // Names that only this test uses; what else runs on the machine comes and goes between the two scrapes.
        const names = ["np-steady", "np) (q", "np-forker", "np-sleeper"]
        for (const name of names) copyFileSync(name === "np-sleeper" ? "/bin/sleep" : "/bin/sh", join(folder, name))
        yield* started(join(folder, "np-sleeper"), ["3600"])

        const port = yield* closedPort
        yield* started(PROCESS_EXPORTER, [
          `-config.path=${config}`,
          `-web.listen-address=127.0.0.1:${port}`,
          "-threads=false"
        ])
        const collector = yield* (yield* Collectors).open("process")
        yield* untilUp(port)
        yield* collector.collect
        // process-exporter counts a process from its first scrape on where it takes it for older than itself, and it dates
        // processes by the boot time in whole seconds: what begins less than a second after it can seem older.
        yield* Effect.sleep("2 seconds")

        const spin = "while :; do :; done"
        // Children that work and exit: their time must stay with the group as far as it was seen.
        const fork = "while :; do (i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done); done"
        const load = yield* Effect.all([
          started(join(folder, "np-steady"), ["-c", spin]),
          started(join(folder, "np) (q"), ["-c", spin]),
          started(join(folder, "np-forker"), ["-c", fork])
        ])
        const both = whileStopped(load, Effect.all([collector.collect, scrape(port)]))
        for (let scan = 0; scan < SCANS; scan++) {
          yield* Effect.sleep("1500 millis")
          yield* both
        }
        const [ours, theirs] = yield* both
        const [our, their] = [groupsOf(ours.text), groupsOf(theirs.body)]
        for (const name of names) {
          const [one, other] = [our.get(name), their.get(name)]
          assert.isDefined(one, name)
          assert.strictEqual(one?.processes, other?.processes, name)
          const difference = Math.abs(one!.cpu - other!.cpu)
          assert.isAtMost(difference, 0.02 * other!.cpu + 0.02, `${name}: ${one!.cpu} and ${other!.cpu}`)
        }
        // Enough to be compared, also on a machine that has little for them.
        assert.isAbove(our.get("np-steady")!.cpu, 0.05)
        assert.isAbove(our.get("np-forker")!.cpu, 0.05)
        const sleeper = [our.get("np-sleeper")!.memory, their.get("np-sleeper")!.memory] as const
        assert.isAtMost(Math.abs(sleeper[0] - sleeper[1]), 0.05 * sleeper[1])
        const lasting = [...their].filter(([, { processes }]) => processes > 0).map(([name]) => name)
        const unseen = lasting.filter((name) => !our.has(name))
        assert.isAtMost(unseen.length, 0.1 * lasting.length, `unseen: ${unseen}`)
        assert.isFalse([...our.keys()].some((name) => name.startsWith("kworker")))
      }).pipe(Effect.provide(collectors)),
    180_000
  )

  it.live(
    "the process collector tells the same threads, files, I/O, switches, faults, swap, states, start and share of memory",
    () =>
      Effect.gen(function* () {
        const folder = yield* temporaryFolder
        const config = join(folder, "config.yml")
        writeFileSync(config, `process_names:\n  - name: "{{.Comm}}"\n    comm: [np-writer, np-threads, np-zombie]\n`)
        copyFileSync("/bin/sh", join(folder, "np-writer"))
        copyFileSync("/bin/sleep", join(folder, "np-zombie"))
        const port = yield* closedPort
        const flags = ["-threads=false", `-config.path=${config}`, `-web.listen-address=127.0.0.1:${port}`]
        yield* started(PROCESS_EXPORTER, flags)
        const collector = yield* (yield* Collectors).open("process")
        yield* untilUp(port)
        yield* collector.collect
        yield* Effect.sleep("2 seconds")

        // 2 MiB, read, and written to the disk by the shell itself, some 8 KiB at a time; then it goes on writing.
        const block = `block=$(head -c 8192 /dev/zero | tr '\\0' x)`
        const write = `${block}; while :; do printf %s "$block" >> '${folder}/written'; done`
        const threads = `process.title = "np-threads"; for (let n = 0; n < 17; n++) fs.openSync("/dev/null")
          for (let n = 0; n < 3; n++) new worker_threads.Worker("setInterval(() => {}, 1e6)", { eval: true })
          // Some work: what does none keeps its readings for up to a minute.
          const work = () => { for (const end = performance.now() + 50; performance.now() < end; ); }
          setInterval(() => { work(); fs.writeFileSync("${folder}/ready-" + process.pid, "") }, 300)`
        const load = yield* Effect.all([
          started(join(folder, "np-writer"), ["-c", write]),
          started(process.execPath, ["-e", threads]),
          started(process.execPath, ["-e", threads]),
          // A child that is never waited for: a zombie, and its parent, which has become another program.
          started("/bin/sh", ["-c", "sleep 0.1 & exec ./np-zombie 3600"], folder)
        ])
        const isReady = () =>
          readdirSync(folder).filter((name) => name.startsWith("ready-")).length === 2 &&
          statSync(join(folder, "written"), { throwIfNoEntry: false }) !== undefined &&
          statSync(join(folder, "written")).size > 2 ** 21
        while (!isReady()) yield* Effect.sleep(100)

        const both = whileStopped(load, Effect.all([collector.collect, scrape(port)]))
        yield* both
        yield* Effect.sleep("1 second")
        // Shares of memory are sampled within a budget, those of larger groups first.
        const shared = "namedprocess_namegroup_memory_bytes np-threads proportionalResident"
        for (let scan = 0; scan < 100 && !seriesOf((yield* collector.collect).text).has(shared); scan++);
        const [ours, theirs] = yield* both
        const [our, their] = [seriesOf(ours.text), seriesOf(theirs.body)]
        const told = [...our.keys()].filter((series) => /np-(writer|threads|zombie)/.test(series))
        const without = told.filter((series) => !their.has(series))
        assert.deepStrictEqual(
          without.filter((series) => !series.startsWith("nodepulse_")),
          []
        )
        for (const series of told.filter((one) => their.has(one))) {
          const [one, other] = [our.get(series)!, their.get(series)!]
          // What is read a second apart is equal, but for what the kernel rounds, and a thread that it has not yet stopped.
          const slack = /cpu_seconds|start_time/.test(series)
            ? 1
            : /context|memory/.test(series)
              ? 20 + 0.05 * other
              : 0
          assert.isAtMost(Math.abs(one - other), slack, `${series}: ${one} and ${other}`)
        }
        const value = (name: string, group: string, more = "") => our.get(`${name} ${group}${more}`) ?? Number.NaN
        assert.isAtLeast(value("namedprocess_namegroup_write_bytes_total", "np-writer"), 2 ** 21)
        assert.isAtLeast(value("namedprocess_namegroup_num_threads", "np-threads"), 2 * 4)
        assert.isAtLeast(value("namedprocess_namegroup_open_filedesc", "np-threads"), 2 * 17)
        assert.strictEqual(value("namedprocess_namegroup_states", "np-zombie", " Zombie"), 1)
        assert.isAbove(our.get(shared) ?? Number.NaN, 2 ** 23)
        assert.isAbove(value("nodepulse_namegroup_run_queue_wait_seconds_total", "np-writer"), 0)
      }).pipe(Effect.provide(collectors)),
    180_000
  )

  it.live("the node collector fills the same columns with the same values", () =>
    Effect.gen(function* () {
      const port = yield* closedPort
      yield* started(NODE_EXPORTER, [`--web.listen-address=127.0.0.1:${port}`])
      const collector = yield* (yield* Collectors).open("node")
      yield* untilUp(port)
      const [ours, theirs] = yield* Effect.all([collector.collect, scrape(port)], { concurrency: 2 })
      const [our, their] = [rowsOf(nodeExporter(), ours.text)[0]!, rowsOf(nodeExporter(), theirs.body)[0]!]
      const moving = new Set(["processes_running", "processes_blocked", "processes_total", "cpu_iowait_seconds"])
      for (const [column, value] of Object.entries(their)) {
        // The exporter's own default leaves this column out; the collector has it.
        if (column === "processes_total") assert.isAbove(Number(our[column]), 1)
        if (moving.has(column) || value === null) continue
        const [one, other] = [Number(our[column]), Number(value)]
        assert.isAtMost(Math.abs(one - other), 0.02 * Math.abs(other) + (column.startsWith("load") ? 0.5 : 5e6), column)
      }
      assert.strictEqual(our.cpu_cores, their.cpu_cores)
      assert.strictEqual(our.memory_total_bytes, their.memory_total_bytes)
      assert.strictEqual(our.disk_total_bytes, their.disk_total_bytes)
    }).pipe(Effect.provide(collectors))
  )
})

describe.skipIf(process.platform !== "linux")("the built-in collectors", () => {
  it.live("leave no file open, however often they are asked", () =>
    Effect.gen(function* () {
      const open = () => readdirSync("/proc/self/fd").length
      const collector = yield* (yield* Collectors).open("process")
      yield* collector.collect
      const before = open()
      for (let scan = 0; scan < 20; scan++) yield* collector.collect
      assert.isAtMost(open(), before)
    }).pipe(Effect.provide(collectors))
  )
})
