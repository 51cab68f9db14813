import { appendFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Result } from "effect"
import { TestClock } from "effect/testing"
import { processAccounting } from "../../../src/plugins/process-accounting/ProcessAccounting.ts"
import { readBody } from "../../../src/plugins/Reading.ts"
import { openProcessCollector } from "../CollectorProcess.ts"
import { ProcFiles } from "../ProcFiles.ts"
import { makeAccounts } from "./CollectorAccounting.ts"

/** A procfs of a few processes, and an accounting file beside it. Times in clock ticks, which are hundredths of a second. */
const makeMachine = Effect.gen(function* () {
  const root = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "nodepulse-accounts-"))),
    (path) => Effect.sync(() => rmSync(path, { recursive: true }))
  )
  const clock = yield* Clock.Clock
  const pacct = join(root, "pacct")
  writeFileSync(pacct, "")
  const up = (seconds: number) => writeFileSync(join(root, "uptime"), `${seconds} 0\n`)
  const process = (pid: number, comm: string, parent: number, start: number, own: number, children: number) => {
    mkdirSync(join(root, String(pid)), { recursive: true })
    const stat = `${pid} (${comm}) S ${parent} 1 1 0 -1 0 0 0 0 0 ${own} 0 ${children} 0 20 0 1 0 ${start} 0 10 0 0 0 0`
    writeFileSync(join(root, String(pid), "stat"), `${stat}\n`)
    writeFileSync(join(root, String(pid), "cmdline"), `${comm}\0`)
  }
  const gone = (pid: number) => rmSync(join(root, String(pid)), { recursive: true })
  const ended = (pid: number, comm: string, parent: number, elapsed: number, cpu = 0) => {
    const bytes = Buffer.alloc(64)
    bytes[1] = 3
    bytes.writeUInt32LE(pid, 16)
    bytes.writeUInt32LE(parent, 20)
    bytes.writeFloatLE(elapsed, 28)
    bytes.writeUInt16LE(cpu, 32)
    bytes.write(comm, 48, 15, "latin1")
    appendFileSync(pacct, bytes)
  }
  up(100)
  process(1, "systemd", 0, 1, 500, 90_000)
  process(10, "deploy.sh", 1, 5_000, 20, 300)
  const files = new ProcFiles(root)
  const accounts = makeAccounts(pacct, files, clock)
  const short = yield* accounts.open
  const processes = yield* openProcessCollector(files, clock, undefined, accounts)
  const rows = (text: string) =>
    Result.getOrThrow(readBody(processAccounting(), text, "text", new Date(0)))
      .rows.filter(({ runs_total }) => runs_total !== 0)
      .map(Object.values)
  return {
    up,
    process,
    gone,
    ended,
    pacct,
    short,
    processes,
    rows: Effect.map(short.collect, ({ text }) => rows(text))
  }
})

describe("the collector of short-lived processes", () => {
  it.effect("tells runs of the loop that ran between two scans, by the group that ran it", () =>
    Effect.gen(function* () {
      const { ended, process, processes, rows, up } = yield* makeMachine
      assert.deepStrictEqual(yield* rows, [])
      yield* processes.collect
      for (let n = 0; n < 300; n++) ended(1_000 + n, "ls", 10, 0)
      for (let n = 0; n < 9; n++) ended(2_000 + n, `job-${n}0217`, 4_000, 0)
      process(10, "deploy.sh", 1, 5_000, 30, 300 + 60)
      up(115)
      yield* processes.collect
      const [[command, parent, runs, seconds]] = (yield* rows) as [[string, string, number, number]]
      for (let scan = 0; scan < 3; scan++) yield* processes.collect
      assert.deepStrictEqual((yield* rows)[0], ["job-#", "unknown", 9, 0])
      assert.deepStrictEqual([command, parent, runs], ["ls", "deploy.sh", 300])
      assert.closeTo(seconds, 0.6, 1e-9)
    })
  )

  it.effect("leaves to a group what its process used until its end", () =>
    Effect.gen(function* () {
      const { ended, gone, process, processes, rows, up } = yield* makeMachine
      yield* rows
      yield* processes.collect
      process(20, "make", 10, 10_100, 50, 0)
      up(115)
      yield* processes.collect
      gone(20)
      ended(20, "make", 10, 2_000, 250)
      process(10, "deploy.sh", 1, 5_000, 20, 300 + 251)
      up(130)
      const { text } = yield* processes.collect
      const told = /cpu_seconds_total\{groupname="make",mode="user"\} (.*)/.exec(text)?.[1]
      assert.closeTo(Number(told), 2.51, 1e-9)
      assert.deepStrictEqual(yield* rows, [])
    })
  )

  it.effect("scans by itself where nobody else does, and goes on where somebody did", () =>
    Effect.gen(function* () {
      const { ended, process, rows, up } = yield* makeMachine
      yield* rows
      ended(1_000, "ls", 10, 0, 0)
      process(10, "deploy.sh", 1, 5_000, 20, 302)
      up(115)
      assert.deepStrictEqual(yield* rows, [["ls", "deploy.sh", 1, 0.02]])
    })
  )

  it.effect("says that accounting is off where processes end and none is recorded, until one is", () =>
    Effect.gen(function* () {
      const { ended, gone, process, rows, short, up } = yield* makeMachine
      for (let pid = 20; pid < 30; pid++) process(pid, "worker", 1, 9_000, 0, 0)
      yield* rows
      for (let pid = 20; pid < 30; pid++) gone(pid)
      up(115)
      const failed = yield* Effect.flip(short.collect)
      assert.include(failed.reason, "does not grow, although 10 processes have ended")
      ended(40, "true", 1, 0)
      assert.deepStrictEqual(yield* rows, [["true", "systemd", 1, 0]])
    })
  )

  it.effect("says where the file is not there, and reads it once it is", () =>
    Effect.gen(function* () {
      const { ended, pacct, rows, short } = yield* makeMachine
      yield* rows
      rmSync(pacct)
      assert.include((yield* Effect.flip(short.collect)).reason, "is not there")
      ended(40, "true", 1, 0)
      yield* TestClock.adjust("15 seconds")
      assert.lengthOf(yield* rows, 1)
    })
  )
})
