/**
 * A process that the kernel of this machine really kills, in a cgroup of our own with 64 MiB. Needs root and a version 1 memory hierarchy
 * that may be written; what is missing is said in one line.
 */
import { spawn } from "node:child_process"
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs"
import { uptime } from "node:os"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Schedule } from "effect"
import { FlightRecorder } from "./FlightRecorder.ts"
import { machineSources } from "./MachineSources.ts"

const NAME = `nodepulse-oom-${process.pid}`
const FOLDER = `/sys/fs/cgroup/memory/${NAME}`
const LIMIT = 64 * 1024 * 1024

const able = (() => {
  if (
    !existsSync("/sys/fs/cgroup/memory/memory.limit_in_bytes") ||
    !/^oom_kill /m.test(readFileSync("/proc/vmstat", "utf8"))
  ) {
    return false
  }
  try {
    mkdirSync(FOLDER)
    rmdirSync(FOLDER)
    return true
  } catch {
    return false
  }
})()
const suffix = able ? "" : " (left out: it needs root and /sys/fs/cgroup/memory)"

/** Waits until it is in the cgroup, then takes 8 MiB at a time, ten times a second: killed within a second. */
const HOG = `
const fs = require("node:fs"); const held = []
process.stdin.on("data", () => setInterval(() => held.push(Buffer.alloc(8 * 1024 * 1024, 1)), 100))
`

describe("a process that the kernel kills for want of memory", () => {
  it.live.skipIf(!able)(
    `is seen at the next sample, with its name, its cgroup and the limit${suffix}`,
    () =>
      Effect.gen(function* () {
        yield* Effect.acquireRelease(
          Effect.sync(() => {
            mkdirSync(FOLDER)
            writeFileSync(`${FOLDER}/memory.limit_in_bytes`, String(LIMIT))
          }),
          () => Effect.promise(() => removed())
        )
        const recorder = new FlightRecorder({ ...machineSources({}, yield* Clock.Clock), measure: free })
        const sample = Effect.sync(() => recorder.sample(uptime() * 1_000, Date.now()))
        yield* sample
        const hog = yield* Effect.acquireRelease(
          Effect.sync(() => spawn(process.execPath, ["-e", HOG], { stdio: ["pipe", "ignore", "ignore"] })),
          (child) => Effect.sync(() => child.kill("SIGKILL"))
        )
        const died = Effect.callback<NodeJS.Signals | null>((resume) => {
          hog.once("exit", (_, signal) => resume(Effect.succeed(signal)))
        })
        writeFileSync(`${FOLDER}/cgroup.procs`, String(hog.pid))
        hog.stdin.write("go")
        assert.strictEqual(yield* Effect.timeout(died, "30 seconds"), "SIGKILL")
        const kills = yield* Effect.repeat(sample, {
          until: (kills) => kills.length > 0,
          schedule: Schedule.spaced("200 millis")
        }).pipe(Effect.timeout("10 seconds"))
        const kill = kills.find(({ pid, unit }) => pid === hog.pid || unit?.includes("nodepulse-oom") === true)
        assert.isDefined(kill, JSON.stringify(kills))
        assert.strictEqual(kill?.scope, "unit")
        assert.strictEqual(kill?.limit, LIMIT)
        // What it held before it was put there is not the cgroup's.
        if (kill?.source === "kernel") assert.isAtLeast(kill.memory ?? 0, LIMIT / 2)
      }).pipe(Effect.scoped),
    { timeout: 60_000 }
  )
})

const free = (work: () => void) => {
  work()
  return 0
}

/** A cgroup can be removed once the kernel has buried its processes. */
const removed = async () => {
  for (let time = 0; time < 50; time++) {
    try {
      rmdirSync(FOLDER)
      return
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
  }
}
