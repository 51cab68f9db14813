/**
 * What the flight recorder costs: this machine's own /proc, filled up with sleeping processes, and a folder of cgroups, a sample a second
 * as the agent takes them. Prints CPU a sample, a minute and a day, the level it ended at, what 15 minutes take in memory, and what
 * a recording of them takes on its way.
 *
 *     node bench/recorder.ts [seconds, default 120] [processes, default 500] [units, default 80]
 */
import { spawn } from "node:child_process"
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir, uptime } from "node:os"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { gzipSync } from "node:zlib"
import { Clock, Effect } from "effect"
import { cgroupFiles } from "../agent/recorder/CgroupFiles.ts"
import { FlightRecorder } from "../agent/recorder/FlightRecorder.ts"
import { machineSources } from "../agent/recorder/MachineSources.ts"
import { RING_SAMPLES } from "../agent/recorder/SampleRing.ts"
import { WorkMeter } from "../agent/recorder/WorkMeter.ts"

const [seconds = 120, processes = 500, units = 80] = process.argv.slice(2).map(Number)
const print = (what: string, value: string) => process.stdout.write(`${what.padEnd(44)} ${value}\n`)

const folder = mkdtempSync(join(tmpdir(), "nodepulse-bench-"))
const running = readdirSync("/proc").filter((name) => /^\d+$/.test(name)).length
const sleepers = Array.from({ length: Math.max(0, processes - running) }, () =>
  spawn("sleep", ["3600"], { stdio: "ignore" })
)
process.on("exit", () => {
  for (const sleeper of sleepers) sleeper.kill("SIGKILL")
  rmSync(folder, { recursive: true, force: true })
})

const unit = (n: number, second: number) => {
  const path = join(folder, "system.slice", `unit-${n}.service`)
  mkdirSync(path, { recursive: true })
  writeFileSync(join(path, "cgroup.procs"), "1\n")
  writeFileSync(join(path, "cpu.stat"), `usage_usec ${second * n * 1_000}\nuser_usec 0\nsystem_usec 0\n`)
  writeFileSync(join(path, "memory.current"), `${n * 1_000_000 + second * 4_096}\n`)
  writeFileSync(join(path, "memory.max"), "max\n")
  writeFileSync(join(path, "memory.events"), "low 0\noom_kill 0\n")
}
writeFileSync(join(folder, "cgroup.controllers"), "cpu memory\n")
for (let n = 0; n < units; n++) unit(n, 0)

const clock = Effect.runSync(Clock.Clock)
let spent = 0
const sources = () => {
  const meter = new WorkMeter()
  const measure = (work: () => void) => {
    const cost = meter.measure(work)
    spent += cost
    return cost
  }
  return { ...machineSources({}, clock), cgroups: cgroupFiles(folder), measure }
}

const paced = new FlightRecorder(sources())
const before = process.cpuUsage()
for (let second = 0; second < seconds; second++) {
  paced.sample(uptime() * 1_000, Date.now())
  await sleep(1_000 - (Date.now() % 1_000))
}
const { system, user } = process.cpuUsage(before)
print("processes, units", `${Math.max(running, processes)}, ${units}`)
print("a sample", `${(spent / seconds).toFixed(2)} ms`)
print("a minute", `${((60 * spent) / seconds).toFixed(0)} ms (the bound is 200 ms)`)
print("a day", `${((86.4 * spent) / seconds).toFixed(0)} s of CPU by the samples`)
print("a day, the whole of this process", `${((86.4 * (system + user)) / 1_000 / seconds).toFixed(0)} s of CPU`)
print("level at the end", `${paced.budget.level}${paced.budget.level === 0 ? " (all of it)" : ""}`)

const free = (work: () => void) => {
  work()
  return 0
}
global.gc?.()
const held = process.memoryUsage().arrayBuffers
const filled = new FlightRecorder({ ...sources(), measure: free })
for (let second = 0; second < RING_SAMPLES; second++) {
  if (second % 30 === 0) for (let n = 0; n < units; n++) unit(n, second)
  filled.sample(second * 1_000, Date.now())
}
print("15 minutes in memory", `${((process.memoryUsage().arrayBuffers - held) / 2 ** 20).toFixed(2)} MiB of arrays`)
const began = process.cpuUsage()
const recording = filled.recording("0".repeat(32), "asked", RING_SAMPLES * 1_000, Date.now())!
const text = JSON.stringify(recording)
const packed = gzipSync(text)
const made = process.cpuUsage(began)
print("processes and units of a recording", `${recording.processes.length}, ${recording.units.length}`)
print("a recording", `${(text.length / 1024).toFixed(0)} KiB, ${(packed.length / 1024).toFixed(0)} KiB as it is sent`)
print("making one", `${((made.user + made.system) / 1_000).toFixed(0)} ms of CPU`)
process.exit(0)
