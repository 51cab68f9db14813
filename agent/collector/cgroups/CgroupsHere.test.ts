/**
 * The collector on this machine's own hierarchy, whichever it is: a cgroup that is made here, with a process that works in it.
 * Needs Linux and the right to make a cgroup; where that is missing, its name says so.
 */
import { spawn } from "node:child_process"
import { mkdirSync, readdirSync, readFileSync, rmdirSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect } from "effect"
import { ProcFiles } from "../ProcFiles.ts"
import { rowsOf } from "./CgroupMachine.fixture.ts"
import { cgroupMounts } from "./CgroupMounts.ts"
import { openCgroupCollector } from "./CollectorCgroups.ts"
import { makeUnitOfProcess } from "./ProcessUnits.ts"

const proc = new ProcFiles("/proc")
const disk = new ProcFiles("")
const mounts = process.platform === "linux" ? cgroupMounts(proc, disk) : undefined
const name = `nodepulse-units-${process.pid}`
const folder = `/${mounts?.cpu.folder}/${name}`

const mayMake = (): boolean => {
  try {
    mkdirSync(folder)
    rmdirSync(folder)
    return mounts !== undefined
  } catch {
    return false
  }
}
const able = mayMake()

/** A cgroup of its own, with a shell that works in it until the scope ends. Resolves to its pid. */
const worker = Effect.acquireRelease(
  Effect.sync(() => {
    mkdirSync(folder)
    const work = `echo $$ > ${folder}/cgroup.procs && while :; do :; done`
    const pid = spawn("/bin/sh", ["-c", work], { stdio: "ignore", detached: true }).pid!
    return pid
  }),
  (pid) =>
    Effect.gen(function* () {
      yield* Effect.sync(() => process.kill(-pid, "SIGKILL"))
      yield* until(() => readFileSync(`${folder}/cgroup.procs`, "latin1") === "")
      yield* Effect.sync(() => rmdirSync(folder))
    })
)

const until = (holds: () => boolean) =>
  Effect.gen(function* () {
    for (let attempt = 0; attempt < 1_000; attempt++) {
      if (holds()) return
      yield* Effect.sleep(20)
    }
    assert.fail("it never came to hold")
  })

const usedMicros = (): number => {
  const version = mounts?.cpu.version
  const text = readFileSync(`${folder}/${version === 2 ? "cpu.stat" : "cpuacct.usage"}`, "latin1")
  return version === 2 ? Number(/^usage_usec (\d+)/m.exec(text)?.[1]) : Number(text) / 1_000
}

describe.skipIf(!able)(`units of this machine${able ? "" : " (left out: no cgroup can be made here)"}`, () => {
  it.live(
    "are what the kernel counts, to the microsecond, and a process in one says its name",
    () =>
      Effect.gen(function* () {
        const collector = yield* openCgroupCollector(proc, disk, yield* Clock.Clock)
        yield* collector.collect
        const pid = yield* worker
        yield* until(() => usedMicros() > 300_000)
        assert.strictEqual(makeUnitOfProcess(proc, disk, yield* Clock.Clock)?.(pid), name)
        // Stopped, it uses no more: kernel and collector are then asked about the same moment.
        process.kill(pid, "SIGSTOP")
        yield* until(() => /^State:\tT/m.test(readFileSync(`/proc/${pid}/status`, "latin1")))
        const rows = rowsOf((yield* collector.collect).text)
        assert.closeTo(Number(rows.get(name)?.cpu_seconds_total) * 1e6, usedMicros(), 1)
        assert.strictEqual(rows.get(name)?.num_procs, 1)
      }).pipe(Effect.scoped),
    60_000
  )

  it.live("are read without a file left open, however often", () =>
    Effect.gen(function* () {
      const open = () => readdirSync("/proc/self/fd").length
      const collector = yield* openCgroupCollector(proc, disk, yield* Clock.Clock)
      yield* collector.collect
      const before = open()
      for (let scan = 0; scan < 20; scan++) yield* collector.collect
      assert.isAtMost(open(), before)
    })
  )
})
